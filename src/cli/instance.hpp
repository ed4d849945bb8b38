// SPDX-License-Identifier: Apache-2.0
// Whether another flannelette runs here.
#pragma once

#include <string_view>

#include "flannelette/base/result.hpp"
#include "flannelette/base/unique_fd.hpp"

namespace flannelette::cli {

/// One process in a network namespace serves a subnet file, and one has a state folder. What tells is an
/// abstract UNIX socket, which ends with its process however that ends, and needs no place in a file system.
class Instance {
 public:
  /// Held as long as this lives. kExists: another process of root or of our user holds it. Where there are no
  /// such sockets, nothing is held, and nothing fails. Paths are compared as they are written.
  Result<void> claim(std::string_view path);

 private:
  UniqueFd socket_;
};

/// What a process holds.
struct Instances {
  Instance subnet_file, state_folder;
};

}  // namespace flannelette::cli
