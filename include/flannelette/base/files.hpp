// SPDX-License-Identifier: Apache-2.0
// The seam for files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "flannelette/base/result.hpp"

namespace flannelette {

/// Takes a text piece by piece, in order.
class Pieces {
 public:
  virtual void piece(std::string_view text) = 0;

 protected:
  ~Pieces() = default;
};

/// Gives one. It may be asked several times, and gives the same.
class PieceSource {
 public:
  virtual void write_to(Pieces& out) = 0;

 protected:
  ~PieceSource() = default;
};

/// The seam for files. Paths are absolute or relative to the working directory, at most kMaxPath bytes. All
/// files are regular ones or links to such: a FIFO, a socket or a device, which may neither answer nor end,
/// is kUnsupported with what it is as the context; a directory is EISDIR. Nothing blocks on anything but a
/// disk.
class Files {
 public:
  static constexpr std::size_t kMaxPath = 255;

  virtual ~Files() = default;
  /// Reads the whole file; nullopt if it does not exist; kLimit if it is larger than `buffer` (nothing is cut
  /// silently).
  virtual Result<std::optional<std::string_view>> read(std::string_view path, std::span<char> buffer) = 0;
  /// The same, but the text is at the beginning of `buffer` and a NUL is behind it, and absence is an error.
  /// `too_large`: its context where the file with the NUL has no room.
  Result<std::string_view> read_into(std::string_view path, std::span<char> buffer, const char* too_large);
  /// Whether the file can be read and has this text. `buffer`: as large as the text, at least.
  bool holds(std::string_view path, std::string_view text, std::span<char> buffer);
  /// As read(), of a larger file, of at most `limit` bytes; false if it does not exist. kLimit comes before
  /// the first piece, unless the file grows meanwhile or does not know its size (procfs).
  virtual Result<bool> read_pieces(std::string_view path, std::uint64_t limit, Pieces& out) = 0;
  /// Makes the directory and its parents (0755 less the umask) if missing, writes a temporary file beside the
  /// target with O_EXCL, fsync, rename: a reader sees the old or the new text, also after a crash. The file
  /// gets exactly `mode`. The temporary file is removed on failure. A symbolic link at `path` is replaced,
  /// not followed; what is no regular file is left alone, an error.
  virtual Result<void> replace_with(std::string_view path, PieceSource& source, unsigned mode) = 0;
  Result<void> replace(std::string_view path, std::string_view text, unsigned mode);
  /// Removes the temporary files of this path that runs which were killed in replace_with left behind.
  virtual void remove_temporaries(std::string_view /*path*/) {}  // where writing needs none
  /// Removes the file, or the symbolic link at its name; false: there is none.
  virtual Result<bool> remove(std::string_view /*path*/) { return false; }  // where there are no files
  /// Writes text into an existing file in place (procfs, sysfs); never creates it.
  virtual Result<void> write_in_place(std::string_view path, std::string_view text) = 0;
};

/// Whether what has this name, if anything, may be replaced or removed: a regular file, or a link.
Result<void> check_target(const char* path);

/// All of it, however long a pipe or a socket takes no more.
Result<void> write_all(int fd, std::string_view text);

class SystemFiles final : public Files {
 public:
  Result<std::optional<std::string_view>> read(std::string_view path, std::span<char> buffer) override;
  Result<bool> read_pieces(std::string_view path, std::uint64_t limit, Pieces& out) override;
  Result<void> replace_with(std::string_view path, PieceSource& source, unsigned mode) override;
  void remove_temporaries(std::string_view path) override;
  Result<bool> remove(std::string_view path) override;
  Result<void> write_in_place(std::string_view path, std::string_view text) override;
};

}  // namespace flannelette
