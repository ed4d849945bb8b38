// SPDX-License-Identifier: Apache-2.0
// The completion for bash, asked as bash asks it.
#include <doctest/doctest.h>

#include <set>
#include <sstream>

#include "support/means.hpp"
#include "support/process.hpp"
#include "support/project.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;

namespace {

/// What is offered behind `flannelette` and these words (as bash divides them), the last of which is
/// completed.
std::set<std::string> offered(const std::vector<std::string>& typed) {
  std::vector<std::string> args{"bash",
                                "-c",
                                R"(. "$1"; program=$2; shift 2; COMP_WORDS=(flannelette "$@"); COMP_CWORD=$#
                                   _flannelette "$program"; printf '%s\n' "${COMPREPLY[@]}")",
                                "bash",
                                project_path("board/completion/flannelette.bash"),
                                binary()};
  args.insert(args.end(), typed.begin(), typed.end());
  const Outcome outcome = run({.args = args});
  INFO(outcome.output);
  CHECK(outcome.status == 0);
  std::set<std::string> words;
  std::istringstream lines(outcome.output);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) words.insert(line);
  }
  return words;
}

using Words = std::set<std::string>;

}  // namespace

TEST_SUITE("system/completion") {
  TEST_CASE("verbs and flags are completed with what this build has, a verb's own flags with the verb") {
    REQUIRE_MEANS(means::program("bash"), means::program("ip"));
    CHECK(offered({"ru"}) == Words{"run"});
    CHECK(offered({"--etcd-c"}) == Words{"--etcd-cafile", "--etcd-certfile"});
    CHECK(offered({"run", "--iface-"}) == Words{"--iface-can-reach", "--iface-regex"});
    CHECK(offered({"cleanup", "--flan"}) == Words{"--flanneld"});
    CHECK(offered({"cleanup", "--for"}) == Words{"--for-flanneld"});
    CHECK(offered({"leave", "--flan"}).empty());
    CHECK(offered({"help", "etc"}) == Words{"etcd"});
    CHECK(offered({"help", "cl"}) == Words{"cleanup"});
    CHECK(offered({"--hel"}) == Words{"--help"});
    CHECK(offered({"version", ""}).empty());
    CHECK(offered({"install-cni", "--"}) == Words{"--from"});
  }

  TEST_CASE("values are completed by what they are: choices, booleans, interfaces, files, folders") {
    REQUIRE_MEANS(means::program("bash"));
    const Words levels{"debug", "error", "info", "warning"};
    CHECK(offered({"--log-level", "="}) == levels);
    CHECK(offered({"--log-level", ""}) == levels);
    CHECK(offered({"-log-level", "=", "w"}) == Words{"warning"});
    CHECK(offered({"--ip-masq", "=", "t"}) == Words{"true"});
    CHECK(offered({"--ip-masq", "--log-l"}) == Words{"--log-level"});
    CHECK(offered({"--iface", "=", "l"}).contains("lo"));
    const TempDir files;
    write_file(files.file("a.ini"), "");
    CHECK(offered({"-c", files.file("a")}) == Words{files.file("a.ini")});
    CHECK(offered({"--state-dir", files.file("a")}).empty());
    CHECK(offered({"install-cni", files.file("a")}).empty());
    CHECK(offered({"install-cni", "--from", files.file("a")}) == Words{files.file("a.ini")});
    CHECK(offered({"--etcd-prefix", ""}).empty());
  }
}
