// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/standard_streams.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

using namespace flannelette;

namespace {

/// A pipe whose writing end blocks, as a service manager hands it out.
struct Pipe {
  Pipe() { REQUIRE(::pipe2(ends, O_CLOEXEC) == 0); }
  ~Pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  /// Through another description of the same pipe, so that the end under test stays a blocking one.
  void fill() const {
    const int fd = ::open(("/proc/self/fd/" + std::to_string(ends[1])).c_str(), O_WRONLY | O_NONBLOCK);
    REQUIRE(fd >= 0);
    const std::string page(4096, 'x');
    while (::write(fd, page.data(), page.size()) > 0) {
    }
    ::close(fd);
  }
  std::string drain() const {
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    std::string text(1 << 20, '\0');
    std::size_t size = 0;
    for (ssize_t got; (got = ::read(ends[0], text.data() + size, text.size() - size)) > 0;)
      size += static_cast<std::size_t>(got);
    text.resize(size);
    return text;
  }
  int ends[2];
};

/// Ends a test that waits, instead of the whole run.
struct Deadline {
  Deadline() { ::alarm(10); }
  ~Deadline() { ::alarm(0); }
};

}  // namespace

TEST_SUITE_BEGIN("base/standard streams");

TEST_CASE("a full pipe that nobody reads loses lines, is never waited for, and the number is told later") {
  const Deadline deadline;
  const Pipe pipe;
  StreamSink sink(pipe.ends[1]);
  sink.line(Level::kInfo, "info: one");
  CHECK(pipe.drain() == "info: one\n");
  pipe.fill();
  for (int i = 0; i < 3; ++i) sink.line(Level::kInfo, "info: lost");
  CHECK(pipe.drain().find("lost") == std::string::npos);
  sink.line(Level::kInfo, "info: two");
  sink.line(Level::kInfo, "info: three");
  CHECK(pipe.drain() == "warning: 3 log lines were dropped: stderr took no more\ninfo: two\ninfo: three\n");
  CHECK((::fcntl(pipe.ends[1], F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("the longest line fits what a writable pipe takes, also with the number of those lost") {
  const Deadline deadline;
  const Pipe pipe;
  StreamSink sink(pipe.ends[1]);
  pipe.fill();
  sink.line(Level::kInfo, "info: lost");
  char page[4096];
  REQUIRE(::read(pipe.ends[0], page, sizeof page) == sizeof page);  // one page of room
  sink.line(Level::kInfo, std::string(5000, 'y'));
  CHECK(pipe.drain().ends_with("took no more\n" + std::string(StreamSink::kMaxLine, 'y') + "\n"));
}

TEST_CASE("lines to the journal begin with its priorities, those to another descriptor do not") {
  const Deadline deadline;
  const Pipe journal, other;
  struct stat info;
  REQUIRE(::fstat(journal.ends[1], &info) == 0);
  const auto stream = std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
  REQUIRE(::setenv("JOURNAL_STREAM", stream.c_str(), 1) == 0);
  StreamSink sink(journal.ends[1]), elsewhere(other.ends[1]);
  for (const Level level : {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError}) {
    sink.line(level, name(level));
    elsewhere.line(level, name(level));
  }
  CHECK(journal.drain() == "<7>debug\n<6>info\n<4>warning\n<3>error\n");
  CHECK(other.drain() == "debug\ninfo\nwarning\nerror\n");
  journal.fill();
  sink.line(Level::kInfo, "info: lost");
  journal.drain();
  sink.line(Level::kInfo, "info: two");
  CHECK(journal.drain() == "<4>warning: 1 log lines were dropped: stderr took no more\n<6>info: two\n");

  for (const std::string& wrong : {std::string(), std::string(":"), stream.substr(1), stream + "0"}) {
    ::setenv("JOURNAL_STREAM", wrong.c_str(), 1);
    StreamSink(journal.ends[1]).line(Level::kInfo, "info: plain");
    CHECK_MESSAGE(journal.drain() == "info: plain\n", wrong);
  }
  ::unsetenv("JOURNAL_STREAM");
  StreamSink(journal.ends[1]).line(Level::kInfo, "info: plain");
  CHECK(journal.drain() == "info: plain\n");
}

TEST_CASE("a full disk and a reader that went lose lines too, and end nothing") {
  const Pipe pipe;
  const int fd = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    StreamSink sink(fd);
    sink.line(Level::kInfo, "info: lost");
    REQUIRE(::dup2(pipe.ends[1], fd) == fd);
    sink.line(Level::kInfo, "info: one");
    CHECK(pipe.drain() == "warning: 1 log lines were dropped: stderr took no more\ninfo: one\n");
    ::close(fd);
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    prepare_standard_streams();
    ::close(pipe.ends[0]);
    StreamSink sink(pipe.ends[1]);
    sink.line(Level::kInfo, "info: nobody");
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("standard streams that are closed at the start become /dev/null, the others stay") {
  for (unsigned closed = 0; closed < 8; ++closed) {
    CAPTURE(closed);
    const pid_t child = ::fork();
    if (child == 0) {
      struct stat before[3], after[3], null;
      for (int fd = 0; fd < 3; ++fd) {
        if ((closed >> fd & 1) != 0) ::close(fd);
        before[fd].st_ino = 0;
        ::fstat(fd, &before[fd]);
      }
      prepare_standard_streams();
      ::stat("/dev/null", &null);
      for (int fd = 0; fd < 3; ++fd) {
        if (::fstat(fd, &after[fd]) != 0) ::_exit(1);
        const bool was_closed = (closed >> fd & 1) != 0;
        if (after[fd].st_ino != (was_closed ? null.st_ino : before[fd].st_ino)) ::_exit(2);
      }
      ::_exit(::open("/dev/null", O_RDONLY) > 2 ? 0 : 3);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
  }
}

TEST_SUITE_END();
