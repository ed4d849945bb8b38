// SPDX-License-Identifier: Apache-2.0
// The CNI list that install-cni writes: what it takes for one, where it goes, and what is left alone.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <fstream>
#include <vector>

#include "cli/install_cni.hpp"
#include "support/project.hpp"
#include "support/temp_dir.hpp"

using namespace flannelette;
using tests::TempDir;

namespace {

struct Lines final : cli::Reporter {
  void problem(std::string_view text) override { said += std::string(text) + "\n"; }
  void notice(std::string_view text) override { problem(text); }
  std::string said;
};

/// The verb in a folder of the host's, as a file that lies in it.
struct Host {
  TempDir files;
  std::string directory = files.path();
  Lines lines;

  std::string list() const { return files.file("10-flannel.conflist"); }
  int install(std::vector<const char*> words) {
    lines.said.clear();
    SystemFiles system;
    const auto here = std::filesystem::current_path();
    const int code = cli::install_cni(words, system, lines);
    std::filesystem::current_path(here);
    return code;
  }
  int install() { return install({directory.c_str()}); }
  std::string from(const std::string& text) const {
    const std::string path = files.file("cni-conf.json");
    std::ofstream(path) << text;
    return path;
  }
  bool says(const std::string& text) const { return lines.said.find(text) != std::string::npos; }
};

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t files_in(const std::string& path) {
  const std::filesystem::directory_iterator files(path);
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

}  // namespace

TEST_SUITE_BEGIN("cli/install_cni");

TEST_CASE("flannel's CNI list is written where none or another one is, readable for all, and nothing else") {
  Host host;
  REQUIRE(host.install() == 0);
  CHECK(host.lines.said.empty());
  CHECK(text_of(host.list()) == cli::kCniList);
  CHECK(cli::is_cni_list(cli::kCniList));
  struct stat info;
  REQUIRE(stat(host.list().c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0644);

  std::ofstream(host.list()) << "{}";
  std::ofstream(host.list() + ".tmp-0123abcd") << "of one that was killed";
  REQUIRE(host.install() == 0);
  CHECK(text_of(host.list()) == cli::kCniList);
  CHECK(files_in(host.directory) == 1);
}

TEST_CASE("the CNI list is that of the ConfigMap in board/k3s, without blanks") {
  const std::string manifest = tests::project_file("board/k3s/flannelette.yaml");
  const auto begin = manifest.find('\n', manifest.find("  cni-conf.json: |"));
  std::string text = manifest.substr(begin, manifest.find("\n  #", begin) - begin);
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  CHECK(text + "\n" == cli::kCniList);
}

TEST_CASE("a CNI list with the same text is left alone") {
  Host host;
  REQUIRE(host.install() == 0);
  const timeval old[2]{{1, 0}, {1, 0}};
  REQUIRE(utimes(host.list().c_str(), old) == 0);
  struct stat before, after;
  stat(host.list().c_str(), &before);
  REQUIRE(host.install() == 0);
  stat(host.list().c_str(), &after);
  CHECK(after.st_ino == before.st_ino);
  CHECK(after.st_mtime == 1);
}

TEST_CASE("the CNI list of a file is written byte for byte") {
  Host host;
  const std::string text =
      "{\n  \"cniVersion\": \"1.0.0\", \"name\": \"cbr0\",\n  \"plugins\": [{\"type\": \"flannel\"}]\n}\n";
  const std::string path = host.from(text);
  CHECK(host.install({"--from", path.c_str(), host.directory.c_str()}) == 0);
  CHECK(text_of(host.list()) == text);
}

TEST_CASE("what is no CNI list is refused, and the file that is there stays") {
  Host host;
  REQUIRE(host.install() == 0);
  for (const char* text : {"", "[]", "null", R"({"name":"cbr0","plugins":[{"type":"flannel"}])",
                           R"({"name":"cbr0","plugins":[{"type":"flannel"}]}})",
                           R"({"plugins":[{"type":"flannel"}]})", R"({"name":"cbr0"})",
                           // One plugin, which a runtime takes in a file .conf only.
                           R"({"name":"cbr0","type":"flannel"})"}) {
    CAPTURE(text);
    const std::string path = host.from(text);
    CHECK(host.install({"--from", path.c_str(), host.directory.c_str()}) == 2);
    CHECK_MESSAGE(host.says("install-cni: " + path + ": no JSON object with name and plugins"),
                  host.lines.said);
  }
  CHECK(host.install({"--from", host.from(std::string(70'000, ' ')).c_str(), host.directory.c_str()}) == 2);
  CHECK_MESSAGE(host.says("cni-conf.json: larger than 64 KiB"), host.lines.said);
  CHECK(host.install({"--from", "/absent.json", host.directory.c_str()}) == 2);
  CHECK_MESSAGE(host.says("/absent.json: there is no such file"), host.lines.said);
  CHECK(text_of(host.list()) == cli::kCniList);
}

TEST_CASE("a folder that is not there is named with what it has to be, and not made") {
  Host host;
  const std::string absent = host.files.file("net.d"), file = host.from("x");
  CHECK(host.install({absent.c_str()}) == 1);
  CHECK_MESSAGE(host.says("install-cni: " + absent + ": chdir: No such file or directory"), host.lines.said);
  CHECK_MESSAGE(host.says("mount the host's folder there"), host.lines.said);
  CHECK_FALSE(std::filesystem::exists(absent));
  CHECK(host.install({file.c_str()}) == 1);
  CHECK_MESSAGE(host.says("install-cni: " + file + ": chdir: Not a directory"), host.lines.said);
  std::filesystem::create_directory(host.list());
  CHECK(host.install() == 1);
  CHECK_MESSAGE(host.says(host.directory + ": "), host.lines.said);
}

TEST_CASE("words that are no folder or a second one are refused") {
  Host host;
  const char* const directory = host.directory.c_str();
  const std::vector<const char*> wrong[] = {{},
                                            {directory, directory},
                                            {"--form", "x", directory},
                                            {directory, "--from", "x"},
                                            {"--from", directory},
                                            {"-x"}};
  for (const auto& words : wrong) {
    CHECK(host.install(words) == 2);
    CHECK_MESSAGE(host.says("install-cni: usage: [--from FILE] DIR"), host.lines.said);
  }
  CHECK(files_in(host.directory) == 0);
}

TEST_SUITE_END();
