// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/files.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "flannelette/base/file_digest.hpp"
#include "support/skip.hpp"
#include "support/temp_dir.hpp"

using namespace flannelette;
using flannelette::tests::TempDir;

namespace {

std::string content(const std::string& path) {
  std::array<char, 1024> buffer;
  auto text = SystemFiles().read(path, buffer);
  REQUIRE(text);
  REQUIRE(text->has_value());
  return std::string(**text);
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.push_back(entry.path().filename());
  return names;
}

unsigned mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

/// What `body` returns in a child process, so that it may change what belongs to the whole process.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

constexpr int kCannot = 99;

struct Sink final : Pieces {
  void piece(std::string_view piece_text) override { text += piece_text; }
  std::string text;
};

/// What is no regular file: a FIFO, a link to it, a socket and, if we may make one, a device, in a directory
/// (a test that fails must not replace the machine's own devices).
struct SpecialFiles {
  SpecialFiles() {
    REQUIRE(::mkfifo(dir.file("fifo").c_str(), 0600) == 0);
    REQUIRE(::symlink("fifo", dir.file("link").c_str()) == 0);
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    dir.file("socket").copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::close(fd);
    all = {{dir.file("fifo"), "a FIFO, not a regular file"},
           {dir.file("link"), "a FIFO, not a regular file"},
           {dir.file("socket"), "a socket, not a regular file"}};
    if (::mknod(dir.file("null").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0)
      all.emplace_back(dir.file("null"), "a device, not a regular file");
  }
  const TempDir dir;
  std::vector<std::pair<std::string, std::string_view>> all;
};

}  // namespace

TEST_SUITE_BEGIN("base/files");

TEST_CASE("a file is read whole or not at all") {
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  SystemFiles files;
  REQUIRE(files.replace(path, "12345678", 0644));
  std::array<char, 8> exact;
  const auto text = files.read(path, exact);
  REQUIRE(text);
  CHECK(**text == "12345678");
  std::array<char, 7> small;
  const auto cut = files.read(path, small);
  REQUIRE_FALSE(cut);
  CHECK(cut.error().code == Code::kLimit);
  const auto none = files.read(path, {});
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Code::kLimit);
}

TEST_CASE("a file that has to be there is read with a NUL behind it") {
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  SystemFiles files;
  REQUIRE(files.replace(path, "1234567", 0644));
  std::array<char, 8> exact;
  exact.fill('x');
  const auto text = files.read_into(path, exact, "too much");
  REQUIRE(text);
  CHECK(*text == "1234567");
  CHECK(text->data() == exact.data());
  CHECK(exact[7] == '\0');
  const auto cut = files.read_into(path, std::span(exact).first(7), "too much");
  REQUIRE_FALSE(cut);
  CHECK(cut.error().code == Code::kLimit);
  CHECK(cut.error().context == std::string_view("too much"));
  const auto missing = files.read_into(path + "2", exact, "too much");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Code::kNotFound);
  const auto directory = files.read_into(dir.path(), exact, "too much");
  REQUIRE_FALSE(directory);
  CHECK(directory.error().sys_errno == EISDIR);
}

TEST_CASE("the digest of a file tells what it holds, and whether it can be read") {
  const TempDir dir;
  SystemFiles files;
  const auto digest = [&](const std::string& name) {
    Fnv1a hash;
    mix_file(hash, files, dir.file(name), 4);
    return hash.value();
  };
  for (const auto& [name, text] : {std::pair{"a", "1234"}, {"b", "1235"}, {"c", ""}, {"d", "12345"}})
    REQUIRE(files.replace(dir.file(name), text, 0644));
  CHECK(digest("a") == digest("a"));
  const std::set<std::uint64_t> all{digest("a"), digest("b"), digest("c"), digest("d"), digest("missing")};
  CHECK(all.size() == 5);
  CHECK(digest("d") == digest(""));  // too large, a directory: it cannot be read
}

TEST_CASE("a file of any size is written and read in pieces of any size") {
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  struct Source final : PieceSource {
    void write_to(Pieces& out) override {
      for (std::size_t at = 0, size = 0; at < text.size(); at += size++)
        out.piece(std::string_view(text).substr(at, size));
    }
    std::string text;
  } source;
  SystemFiles files;
  for (const std::size_t size : {0u, 1u, 4095u, 4096u, 4097u, 100'000u, 30'000'000u}) {
    source.text.resize(size);
    for (std::size_t i = 0; i < size; ++i) source.text[i] = static_cast<char>('a' + i % 23);
    REQUIRE(files.replace_with(path, source, 0644));
    Sink sink;
    const auto found = files.read_pieces(path, size, sink);
    REQUIRE(found);
    CHECK(*found);
    CHECK(sink.text == source.text);
  }
  Sink none;
  const auto missing = files.read_pieces(path + "2", 10, none);
  REQUIRE(missing);
  CHECK_FALSE(*missing);
}

TEST_CASE("a file that does not exist is no error, one that cannot be read is") {
  const TempDir dir;
  std::array<char, 8> buffer;
  SystemFiles files;
  const auto missing = files.read(dir.path() + "/none/such", buffer);
  REQUIRE(missing);
  CHECK_FALSE(missing->has_value());
  const auto directory = files.read(dir.path(), buffer);
  REQUIRE_FALSE(directory);
  CHECK(directory.error().sys_errno == EISDIR);
}

TEST_CASE("a FIFO, a socket or a device is refused by its kind, never waited for or read without end") {
  SpecialFiles special;
  special.all.emplace_back("/dev/zero", "a device, not a regular file");
  SystemFiles files;
  for (const auto& file : special.all) {
    const auto& [path, words] = file;
    INFO(file.first);
    std::array<char, 8> buffer;
    const auto whole = files.read(path, buffer);
    REQUIRE_FALSE(whole);
    CHECK(whole.error().context == words);
    Sink sink;
    const auto pieces = files.read_pieces(path, 1000, sink);
    REQUIRE_FALSE(pieces);
    CHECK(pieces.error().context == words);
    CHECK(sink.text.empty());
    const auto written = files.write_in_place(path, "text");
    REQUIRE_FALSE(written);
    CHECK(written.error().context == words);
  }
}

TEST_CASE("links to regular files are followed, as Kubernetes and cert-manager mount secrets") {
  const TempDir dir;
  SystemFiles files;
  REQUIRE(files.replace(dir.file("..1/key"), "text", 0600));
  REQUIRE(::symlink("..1", dir.file("..data").c_str()) == 0);
  REQUIRE(::symlink("..data/key", dir.file("key").c_str()) == 0);
  CHECK(content(dir.file("key")) == "text");
  Sink sink;
  REQUIRE(files.read_pieces(dir.file("key"), 4, sink));
  CHECK(sink.text == "text");
}

TEST_CASE("a file over the limit is refused before a byte of it is used") {
  const TempDir dir;
  const std::string path = dir.file("file");
  SystemFiles files;
  REQUIRE(files.replace(path, "", 0644));
  REQUIRE(::truncate(path.c_str(), std::int64_t{1} << 40) == 0);  // sparse: costs nothing
  Sink sink;
  const auto cut = files.read_pieces(path, (std::uint64_t{1} << 40) - 1, sink);
  REQUIRE_FALSE(cut);
  CHECK(cut.error().code == Code::kLimit);
  CHECK(sink.text.empty());
}

TEST_CASE("files that do not know their size, as those of procfs, are read, and end at the limit too") {
  SystemFiles files;
  Sink whole;
  REQUIRE(files.read_pieces("/proc/self/status", 1'000'000, whole));
  CHECK(whole.text.size() > 100);
  Sink sink;
  const auto cut = files.read_pieces("/proc/self/status", 100, sink);
  REQUIRE_FALSE(cut);
  CHECK(cut.error().code == Code::kLimit);
  CHECK(sink.text.size() <= 100);
}

TEST_CASE("a FIFO, a socket or a device is never replaced by a file; a link to one is, not followed") {
  const SpecialFiles special;
  for (const auto& file : special.all) {
    const auto& [path, words] = file;
    if (path == special.dir.file("link")) continue;
    INFO(file.first);
    const auto failed = SystemFiles().replace(path, "text", 0644);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().context == words);
    CHECK_FALSE(std::filesystem::is_regular_file(path));
  }
  CHECK(names_in(special.dir.path()).size() == special.all.size());
  CHECK(SystemFiles().replace(special.dir.file("link"), "text", 0644));
  CHECK(content(special.dir.file("link")) == "text");
  CHECK(std::filesystem::is_fifo(special.dir.file("fifo")));
}

TEST_CASE("a file is removed, of a link the link; what is not there is no error, what is no file stays") {
  const SpecialFiles special;
  const TempDir dir;
  const std::string path = dir.file("file"), link = dir.file("link");
  REQUIRE(SystemFiles().replace(path, "text", 0644));
  std::filesystem::create_symlink(path, link);
  for (const std::string& name : {link, path}) {
    const auto removed = SystemFiles().remove(name);
    REQUIRE(removed);
    CHECK(*removed);
  }
  CHECK(names_in(dir.path()).empty());
  for (const std::string& name : {path, path + "/below"}) {
    const auto absent = SystemFiles().remove(name);
    REQUIRE(absent);
    CHECK_FALSE(*absent);
  }
  for (const auto& [name, words] : special.all) {
    if (name == special.dir.file("link")) continue;
    CHECK_FALSE(SystemFiles().remove(name));
  }
  CHECK(names_in(special.dir.path()).size() == special.all.size());
  CHECK_FALSE(SystemFiles().remove(dir.path()));
}

TEST_CASE("replacing makes the directories, and the file gets exactly its mode whatever the umask") {
  const TempDir dir;
  const std::string path = dir.path() + "/a/b/c/file";
  const mode_t umask_before = ::umask(0022);
  CHECK(SystemFiles().replace(path, "one", 0600));
  CHECK(mode_of(path) == 0600);
  CHECK(mode_of(dir.path() + "/a") == 0755);
  ::umask(0077);
  CHECK(SystemFiles().replace(path, "two", 0664));
  CHECK(mode_of(path) == 0664);
  CHECK(content(path) == "two");
  ::umask(umask_before);
  CHECK(names_in(dir.path() + "/a/b/c").size() == 1);
}

TEST_CASE("whether a file has a text already") {
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  SystemFiles files;
  char room[3];
  CHECK_FALSE(files.holds(path, "one", room));
  REQUIRE(files.replace(path, "one", 0600));
  CHECK(files.holds(path, "one", room));
  CHECK_FALSE(files.holds(path, "on", room));
  REQUIRE(files.replace(path, "one more", 0600));
  CHECK_FALSE(files.holds(path, "one", room));
  CHECK_FALSE(files.holds(dir.path(), "one", room));
}

TEST_CASE("a reader that has the old file open keeps the old text") {
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  REQUIRE(SystemFiles().replace(path, "old", 0644));
  const int old = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(SystemFiles().replace(path, "new", 0644));
  char text[4]{};
  CHECK(::read(old, text, 3) == 3);
  ::close(old);
  CHECK(text == std::string("old"));
  CHECK(content(path) == "new");
}

TEST_CASE("a symbolic link is replaced, not followed") {
  const TempDir dir;
  const std::string target = dir.path() + "/target";
  const std::string link = dir.path() + "/link";
  REQUIRE(SystemFiles().replace(target, "untouched", 0644));
  REQUIRE(::symlink(target.c_str(), link.c_str()) == 0);
  REQUIRE(SystemFiles().replace(link, "new", 0644));
  CHECK(content(target) == "untouched");
  CHECK(content(link) == "new");
  CHECK_FALSE(std::filesystem::is_symlink(link));
}

TEST_CASE("a directory in the place of the file is an error that leaves nothing behind") {
  const TempDir dir;
  const std::string path = dir.path() + "/taken";
  REQUIRE(::mkdir(path.c_str(), 0755) == 0);
  const auto failed = SystemFiles().replace(path, "text", 0644);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().sys_errno == EISDIR);
  CHECK(failed.error().context == std::string_view("open"));  // before anything is written
  CHECK(names_in(dir.path()) == std::vector<std::string>{"taken"});
}

TEST_CASE("a file in the place of the directory is an error") {
  const TempDir dir;
  REQUIRE(SystemFiles().replace(dir.path() + "/file", "text", 0644));
  const auto failed = SystemFiles().replace(dir.path() + "/file/below", "text", 0644);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().sys_errno == ENOTDIR);
}

TEST_CASE("a directory that may not be written is an error, and the old text stays") {
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  REQUIRE(SystemFiles().replace(path, "old", 0644));
  REQUIRE(::chmod(dir.path().c_str(), 0555) == 0);
  const int result = in_child([&] {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return kCannot;  // root writes everywhere
    const auto failed = SystemFiles().replace(path, "new", 0644);
    return failed ? 0 : failed.error().sys_errno;
  });
  REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
  if (result == kCannot) SKIP("cannot give up root here");
  CHECK(result == EACCES);
  CHECK(content(path) == "old");
  CHECK(names_in(dir.path()).size() == 1);
}

TEST_CASE("a write that is cut short leaves the old text and no temporary file") {
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  REQUIRE(SystemFiles().replace(path, "old", 0644));
  const int result = in_child([&] {
    const rlimit limit{4, 4};  // bytes that a file may have: the kernel writes four, then refuses
    ::signal(SIGXFSZ, SIG_IGN);
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return kCannot;
    const auto failed = SystemFiles().replace(path, "longer than four", 0644);
    return failed ? 0 : failed.error().sys_errno;
  });
  CHECK(result == EFBIG);
  CHECK(content(path) == "old");
  CHECK(names_in(dir.path()).size() == 1);
}

TEST_CASE("what runs that were killed while they wrote left behind is removed, and nothing else") {
  struct Killer final : PieceSource {
    void write_to(Pieces& out) override {
      out.piece("half");
      ::raise(SIGKILL);
    }
  } killer;
  TempDir dir;
  const std::string path = dir.file("node");
  SystemFiles files;
  REQUIRE(files.replace(path, "whole", 0600));
  for (int run = 0; run < 3; ++run) {
    const pid_t child = fork();
    if (child == 0) {
      (void)files.replace_with(path, killer, 0600);
      _exit(0);
    }
    REQUIRE(child > 0);
    ::waitpid(child, nullptr, 0);
  }
  const std::vector<std::string> others{"node.tmp-",          "node.tmp-0123456",   "node.tmp-0123456g",
                                        "node.tmp-012345678", "peers.tmp-01234567", "xnode.tmp-01234567"};
  for (const std::string& other : others) REQUIRE(files.replace(dir.file(other), "theirs", 0600));
  CHECK(names_in(dir.path()).size() == 1 + 3 + others.size());
  files.remove_temporaries(path);
  CHECK(names_in(dir.path()).size() == 1 + others.size());
  CHECK(content(path) == "whole");
  files.remove_temporaries(dir.file("missing/node"));  // no such folder: nothing to do
}

TEST_CASE("a full file system is an error, and the old text stays") {
  const TempDir dir;
  const int result = in_child([&] {
    // A tmpfs of one page, in a mount namespace of our own. (Not by netns.hpp: no network is wanted here.)
    SystemFiles files;
    const std::string uid_map = "0 " + std::to_string(::getuid()) + " 1";
    const std::string gid_map = "0 " + std::to_string(::getgid()) + " 1";
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) {
      if (!files.write_in_place("/proc/self/setgroups", "deny")) return kCannot;
      if (!files.write_in_place("/proc/self/uid_map", uid_map)) return kCannot;
      if (!files.write_in_place("/proc/self/gid_map", gid_map)) return kCannot;
    } else if (::unshare(CLONE_NEWNS) != 0) {
      return kCannot;  // root needs no user of its own, and under qemu-user gets none
    }
    // Valgrind takes a null type for an error.
    if (::mount("none", "/", "none", MS_REC | MS_PRIVATE, nullptr) != 0) return kCannot;
    if (::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=4096") != 0) return kCannot;
    const std::string path = dir.path() + "/file";
    if (!files.replace(path, "old", 0644)) return 1;
    const auto failed = files.replace(path, std::string(8192, 'x'), 0644);
    if (failed || failed.error().sys_errno != ENOSPC) return 2;
    if (names_in(dir.path()).size() != 1) return 3;
    std::array<char, 8> buffer;
    const auto text = files.read(path, buffer);
    return text && *text && **text == "old" ? 0 : 4;
  });
  if (result == kCannot) SKIP("no user namespace with a tmpfs here");
  CHECK(result == 0);
}

TEST_CASE("paths have a limit and hold no NUL") {
  SystemFiles files;
  const std::string path(Files::kMaxPath + 1, 'x');
  const auto too_long = files.replace(path, "", 0644);
  REQUIRE_FALSE(too_long);
  CHECK(too_long.error().code == Code::kLimit);
  std::array<char, 8> buffer;
  CHECK_FALSE(files.read(path, buffer));
  CHECK_FALSE(files.write_in_place(path, ""));
  CHECK_FALSE(files.read(std::string_view("a\0b", 3), buffer));
}

TEST_CASE("a path of the greatest length works") {
  const TempDir dir;
  std::string path = dir.path();
  while (path.size() + 100 < Files::kMaxPath) path += "/" + std::string(60, 'd');
  path += "/" + std::string(Files::kMaxPath - path.size() - 1, 'f');
  REQUIRE(path.size() == Files::kMaxPath);
  CHECK(SystemFiles().replace(path, "text", 0644));
  CHECK(content(path) == "text");
}

TEST_CASE("a bare file name is written in the working directory") {
  const TempDir dir;
  const int result = in_child([&] {
    if (::chdir(dir.path().c_str()) != 0) return kCannot;
    return SystemFiles().replace("bare", "text", 0644) ? 0 : 1;
  });
  CHECK(result == 0);
  CHECK(content(dir.path() + "/bare") == "text");
}

TEST_CASE("writing in place keeps the file and makes none") {
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  SystemFiles files;
  const auto missing = files.write_in_place(path, "text");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().sys_errno == ENOENT);
  REQUIRE(files.replace(path, "a longer text", 0640));
  CHECK(files.write_in_place(path, "1\n"));
  CHECK(content(path) == "1\n");
  CHECK(mode_of(path) == 0640);
}

TEST_SUITE_END();
