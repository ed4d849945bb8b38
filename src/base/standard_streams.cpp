// SPDX-License-Identifier: Apache-2.0
// Descriptors 0 to 2, which others open, share, close and forget to read.
#include "flannelette/base/standard_streams.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "flannelette/base/files.hpp"

namespace flannelette {
namespace {

/// Whether it is what the service manager has connected with the journal. Who is started by such a service
/// has the variable too, but may have another descriptor.
bool is_journal(int fd) {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat info {};
  if (stream == nullptr || ::fstat(fd, &info) != 0) return false;
  const auto own =
      to_text<48>([&](Writer& out) { out.put_unsigned(info.st_dev).put(':').put_unsigned(info.st_ino); });
  return own.view() == stream;
}

/// One write of at most 4,096 bytes; false if there is no room for it now, or it fails.
bool write_at_once(int fd, std::string_view text) {
  pollfd room{fd, POLLOUT, 0};
  if (::poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0) return false;
  return ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace

void prepare_standard_streams() {
  for (int fd = 0; fd <= 2; ++fd) {
    // The lowest number that is free is the one that is missing. Without a /dev the root folder takes it.
    struct stat any {};
    if (::fstat(fd, &any) < 0 && ::open("/dev/null", O_RDWR) < 0)
      static_cast<void>(!::open("/", O_RDONLY | O_DIRECTORY));
  }
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

int print(std::string_view text) {
  const auto printed = write_all(STDOUT_FILENO, text);
  if (printed) return 0;
  static bool said = false;
  // Who reads a part only knows that.
  if (printed.error().sys_errno != EPIPE && !std::exchange(said, true))
    StreamSink(STDERR_FILENO).line(Level::kError, "flannelette: standard output cannot be written");
  return 1;
}

StreamSink::StreamSink(int fd) : fd_(fd), journal_(is_journal(fd)) {}

void StreamSink::put_priority(Writer& out, Level level) const {
  if (journal_) out.put('<').put("7643"[static_cast<std::size_t>(level)]).put('>');
}

void StreamSink::line(Level level, std::string_view text) {
  std::array<char, 4096> bytes;
  Writer out(bytes);
  if (dropped_ > 0) {
    put_priority(out, Level::kWarning);
    out.put("warning: ").put_unsigned(dropped_).put(" log lines were dropped: stderr took no more\n");
  }
  put_priority(out, level);
  out.put(text.substr(0, kMaxLine)).put('\n');
  // One write, so that lines of several processes do not mix.
  dropped_ = write_at_once(fd_, out.view()) ? 0 : dropped_ + 1;
}

}  // namespace flannelette
