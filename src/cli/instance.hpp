// SPDX-License-Identifier: Apache-2.0
// Whether another flannelette runs here.
#pragma once

#include <optional>
#include <string_view>

#include "flannelette/base/result.hpp"
#include "flannelette/base/unique_fd.hpp"
#include "flannelette/io/acceptor.hpp"

namespace flannelette::cli {

/// One process in a network namespace serves a subnet file, and one has a state folder. What tells is an
/// abstract UNIX socket, which ends with its process however that ends, and needs no place in a file system.
class Instance {
 public:
  /// Held as long as this lives. kExists: another process of root, of our user, or of whom path or its folder
  /// belongs to, holds it. Where there are no such sockets, nothing is held, and nothing fails. Paths are
  /// compared as they are written.
  Result<void> claim(std::string_view path);
  /// Takes those who ask off the queue, which is full some time otherwise: then nothing could be told of who
  /// holds it.
  void answer(io::Loop& loop);

 private:
  void on_asked(UniqueFd&&) {}

  UniqueFd socket_;  // until there is the other one
  std::optional<io::Acceptor> acceptor_;
};

/// What a process holds.
struct Instances {
  Instance subnet_file, state_folder;
};

}  // namespace flannelette::cli
