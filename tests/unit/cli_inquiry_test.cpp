// SPDX-License-Identifier: Apache-2.0
// The verbs that ask a running agent: their flags, and what a report leaves out.
#include "cli/inquiry.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "flannelette/base/unique_fd.hpp"

using namespace flannelette;
using namespace flannelette::cli;

namespace {

struct Asking final : Reporter {
  Asking(Inquiry inquiry, const std::vector<const char*>& words) {
    const UniqueFd before(::dup(STDOUT_FILENO));
    const UniqueFd output(::memfd_create("test-output", MFD_CLOEXEC));
    REQUIRE(::dup2(output.get(), STDOUT_FILENO) == STDOUT_FILENO);
    asked = inquire(inquiry, words, {}, *this, code);
    REQUIRE(::dup2(before.get(), STDOUT_FILENO) == STDOUT_FILENO);
    char buffer[4096];
    off_t at = 0;
    for (ssize_t got; (got = ::pread(output.get(), buffer, sizeof buffer, at)) > 0; at += got)
      printed.append(buffer, static_cast<std::size_t>(got));
  }
  void problem(std::string_view text) override { problems.append(text).append("\n"); }
  void notice(std::string_view) override {}
  bool prints(std::string_view text) const { return printed.find(text) != printed.npos; }

  Asked asked = Asked::kRun;
  int code = 0;
  std::string problems;
  std::string printed;
};

/// It ends before anybody is asked.
constexpr const char* kWrong = "--healthz-ip=x";
constexpr const char* kWrongProblem = "--healthz-ip: \"x\": an address is expected\n";

}  // namespace

TEST_CASE("inquiry: a verb's flag takes true or false behind '=', and nothing else there") {
  for (const char* word : {"--json=false", "--json=true", "--json", "-json=0"}) {
    CAPTURE(word);
    CHECK(Asking(Inquiry::kStatus, {word, kWrong}).problems == kWrongProblem);
  }
  for (const char* word : {"--json=x", "--json=", "-json="}) {
    CAPTURE(word);
    const Asking asking(Inquiry::kStatus, {word, kWrong});
    CHECK(asking.problems == "json: true or false is expected\n");
    CHECK(asking.asked == Asked::kWrong);
    CHECK(asking.code == 2);
  }
}

TEST_CASE("inquiry: an empty number behind '=' is not the next word") {
  CHECK(Asking(Inquiry::kPeers, {"--wait", "3", kWrong}).problems == kWrongProblem);
  CHECK(Asking(Inquiry::kPeers, {"--wait=", "3", kWrong}).problems == "wait: a number is expected\n");
}

TEST_CASE("inquiry: support leaves check out where a file of the settings cannot be read, and names it") {
  const Asking asking(Inquiry::kSupport, {"--config=/", "--state-dir=", "--subnet-file=/nowhere/subnet.env",
                                          "--status-socket=/nowhere/agent.sock"});
  CHECK(asking.asked == Asked::kRun);
  CHECK_MESSAGE(
      asking.printed.ends_with("\ncheck:\nleft out: /: cannot be read: Is a directory; run it as root\n"),
      asking.printed);
  CHECK(asking.prints("\nstatus:\n"));
}

TEST_CASE("inquiry: support leaves check out where the settings are wrong") {
  const Asking asking(Inquiry::kSupport, {kWrong, "--state-dir=", "--subnet-file=/nowhere/subnet.env",
                                          "--status-socket=/nowhere/agent.sock"});
  CHECK_MESSAGE(asking.printed.ends_with("\ncheck:\nleft out: the settings are wrong\n"), asking.printed);
}
