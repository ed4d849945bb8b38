// SPDX-License-Identifier: Apache-2.0
// The seam for files.
#include "flannelette/base/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "flannelette/base/random.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/base/unique_fd.hpp"

namespace flannelette {
namespace {

using Path = Text<Files::kMaxPath>;
using TemporaryPath = Text<Files::kMaxPath + 16>;

Result<Path> checked(std::string_view path) {
  if (path.size() > Files::kMaxPath) return Error{Code::kLimit, 0, "the path is longer than 255 bytes"};
  if (path.find('\0') != std::string_view::npos) return Error{Code::kInvalid, 0, "the path has a NUL byte"};
  return Path(path);
}

/// open(2) that neither a signal disturbs nor a FIFO holds up.
UniqueFd open_file(const char* path, int flags, unsigned mode = 0) {
  int fd;
  do {
    fd = ::open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, mode);
  } while (fd < 0 && errno == EINTR);
  return UniqueFd(fd);
}

/// Nothing to complain of in a regular file.
Result<void> check_kind(unsigned mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return {};
    case S_IFDIR: return system_error("open", EISDIR);
    case S_IFIFO: return Error{Code::kUnsupported, 0, "a FIFO, not a regular file"};
    case S_IFSOCK: return Error{Code::kUnsupported, 0, "a socket, not a regular file"};
    default: return Error{Code::kUnsupported, 0, "a device, not a regular file"};
  }
}

/// Opens what is there, if it is a regular file.
Result<UniqueFd> open_regular(std::string_view path, int flags, struct stat* info) {
  const auto name = checked(path);
  if (!name) return name.error();
  UniqueFd fd = open_file(name->c_str(), flags);
  const int failed = fd ? 0 : errno;
  // What cannot be opened at all may have a kind that says more: a socket, a FIFO that nobody reads.
  const int looked = fd ? ::fstat(fd.get(), info) : ::stat(name->c_str(), info);
  if (looked == 0) FLT_TRY(check_kind(info->st_mode));
  if (!fd) return system_error("open", failed);
  return fd;
}

bool is_absence(const Error& error) { return error.sys_errno == ENOENT; }
constexpr Error kTooLarge{Code::kLimit, 0, "too large"};

/// Collects small pieces, so that each does not cost a system call.
class FileWriter final : public Pieces {
 public:
  explicit FileWriter(int fd) : fd_(fd) {}
  void piece(std::string_view text) override {
    if (out_.room() < text.size()) flush();
    if (text.size() > buffer_.size()) {
      if (done_) done_ = write_all(fd_, text);
    } else {
      out_.put(text);
    }
  }
  Result<void> finish() {
    flush();
    return done_;
  }

 private:
  void flush() {
    if (done_) done_ = write_all(fd_, out_.view());
    out_.clear();
  }

  const int fd_;
  Result<void> done_;
  std::array<char, 4096> buffer_;
  Writer out_{buffer_};
};

/// read(2) that a signal does not disturb; 0 is the end.
Result<std::size_t> read_some(int fd, std::span<char> buffer) {
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return last_error("read");
  }
}

/// The text of `path` up to and without its last slash; empty for the working directory and for the root.
std::string_view directory_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return {path.data(), slash == std::string_view::npos ? 0 : slash};
}

/// The same with the slash, to be opened.
Path directory_to_open(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? "." : std::string_view(path.data(), slash + 1);
}

/// A temporary file is named like its target, then this, then kSuffix hexadecimal digits.
constexpr std::string_view kTemporary = ".tmp-";
constexpr std::size_t kSuffix = 8;

bool is_temporary(std::string_view name, std::string_view target) {
  if (!name.starts_with(target)) return false;
  name.remove_prefix(target.size());
  if (!name.starts_with(kTemporary) || name.size() != kTemporary.size() + kSuffix) return false;
  return name.find_first_not_of("0123456789abcdef", kTemporary.size()) == name.npos;
}

Result<void> make_directories(std::string_view directory) {
  for (std::size_t end = 1; end <= directory.size(); ++end) {
    if (end < directory.size() && directory[end] != '/') continue;
    const Path part(std::string_view(directory.data(), end));
    if (::mkdir(part.c_str(), 0755) < 0 && errno != EEXIST) return last_error("mkdir");
  }
  return {};
}

/// Makes what was written to `fd` the content of `target`, by way of the name `temporary`.
Result<void> fill_and_rename(UniqueFd fd, PieceSource& source, unsigned mode, const char* temporary,
                             const char* target) {
  FileWriter writer(fd.get());
  source.write_to(writer);
  FLT_TRY(writer.finish());
  if (::fchmod(fd.get(), mode) < 0) return last_error("chmod");  // exact, whatever the umask
  if (::fsync(fd.get()) < 0) return last_error("fsync");
  fd.reset();
  if (::rename(temporary, target) < 0) return last_error("rename");
  return {};
}

}  // namespace

Result<void> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(fd, text.data(), text.size());
    if (done >= 0) {
      text.remove_prefix(static_cast<std::size_t>(done));
    } else if (errno == EAGAIN) {
      pollfd out{fd, POLLOUT, 0};
      (void)::poll(&out, 1, -1);
    } else if (errno != EINTR) {
      return last_error("write");
    }
  }
  return {};
}

Result<void> check_target(const char* path) {
  struct stat info;
  if (::lstat(path, &info) != 0 || S_ISLNK(info.st_mode)) return {};
  return check_kind(info.st_mode);
}

Result<std::optional<std::string_view>> SystemFiles::read(std::string_view path, std::span<char> buffer) {
  struct stat info;
  const auto fd = open_regular(path, O_RDONLY, &info);
  if (!fd && is_absence(fd.error())) return std::optional<std::string_view>();
  if (!fd) return fd.error();

  std::size_t size = 0;
  for (;;) {
    char beyond;  // one byte more than fits tells a full buffer from a file that is too large
    const bool full = size == buffer.size();
    const auto got = read_some(fd->get(), full ? std::span(&beyond, 1) : buffer.subspan(size));
    if (!got) return got.error();
    if (*got == 0) return std::optional(std::string_view(buffer.data(), size));
    if (full) return kTooLarge;
    size += *got;
  }
}

Result<bool> SystemFiles::read_pieces(std::string_view path, std::uint64_t limit, Pieces& out) {
  struct stat info;
  const auto fd = open_regular(path, O_RDONLY, &info);
  if (!fd && is_absence(fd.error())) return false;
  if (!fd) return fd.error();
  if (static_cast<std::uint64_t>(info.st_size) > limit) return kTooLarge;
  std::array<char, 4096> buffer;
  for (;;) {
    const auto got = read_some(fd->get(), buffer);
    if (!got) return got.error();
    if (*got == 0) return true;
    if (*got > limit) return kTooLarge;
    limit -= *got;
    out.piece({buffer.data(), *got});
  }
}

Result<std::string_view> Files::read_into(std::string_view path, std::span<char> buffer,
                                          const char* too_large) {
  const auto got = read(path, buffer.first(buffer.size() - 1));
  if (!got && got.error().code == Code::kLimit) return Error{Code::kLimit, 0, too_large};
  if (!got) return got.error();
  if (!*got) return Error{Code::kNotFound, 0, "there is no such file"};
  const std::string_view text = **got;
  if (text.data() != buffer.data() && !text.empty()) std::memmove(buffer.data(), text.data(), text.size());
  buffer[text.size()] = '\0';
  return std::string_view(buffer.data(), text.size());
}

bool Files::holds(std::string_view path, std::string_view text, std::span<char> buffer) {
  const auto have = read(path, buffer);
  return have && *have && **have == text;
}

Result<void> Files::replace(std::string_view path, std::string_view text, unsigned mode) {
  struct OneText final : PieceSource {
    explicit OneText(std::string_view t) : text(t) {}
    void write_to(Pieces& out) override { out.piece(text); }
    std::string_view text;
  } source(text);
  return replace_with(path, source, mode);
}

Result<void> SystemFiles::replace_with(std::string_view path, PieceSource& source, unsigned mode) {
  const auto target = checked(path);
  if (!target) return target.error();
  FLT_TRY(check_target(target->c_str()));
  std::array<std::uint8_t, kSuffix / 2> suffix{};
  SystemRandom().fill(suffix);
  const auto temporary = to_text<TemporaryPath::kCapacity>([&](Writer& out) {
    out.put(path).put(kTemporary);
    for (const std::uint8_t byte : suffix) out.put_hex(byte, 2);
  });

  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  UniqueFd fd = open_file(temporary.c_str(), kFlags, 0600);
  if (!fd && errno == ENOENT) {
    FLT_TRY(make_directories(directory_of(path)));
    fd = open_file(temporary.c_str(), kFlags, 0600);
  }
  if (!fd) return last_error("open");
  if (auto done = fill_and_rename(std::move(fd), source, mode, temporary.c_str(), target->c_str()); !done) {
    ::unlink(temporary.c_str());
    return done;
  }

  // The new name is durable only with its directory; some file systems cannot, and the text is right without.
  if (const UniqueFd handle = open_file(directory_to_open(path).c_str(), O_RDONLY | O_DIRECTORY))
    ::fsync(handle.get());
  return {};
}

void SystemFiles::remove_temporaries(std::string_view path) {
  DIR* directory = ::opendir(directory_to_open(path).c_str());
  if (directory == nullptr) return;
  const std::string_view target = path.substr(path.rfind('/') + 1);
  while (const dirent* entry = ::readdir(directory)) {
    if (is_temporary(entry->d_name, target)) ::unlinkat(::dirfd(directory), entry->d_name, 0);
  }
  ::closedir(directory);
}

Result<bool> SystemFiles::remove(std::string_view path) {
  const auto target = checked(path);
  if (!target) return target.error();
  FLT_TRY(check_target(target->c_str()));
  if (::unlink(target->c_str()) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return last_error("unlink");
}

Result<void> SystemFiles::write_in_place(std::string_view path, std::string_view text) {
  struct stat info;
  const auto fd = open_regular(path, O_WRONLY | O_TRUNC, &info);
  if (!fd) return fd.error();
  return write_all(fd->get(), text);
}

}  // namespace flannelette
