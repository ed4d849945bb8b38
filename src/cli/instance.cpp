// SPDX-License-Identifier: Apache-2.0
// Whether another flannelette runs here.
#include "cli/instance.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "flannelette/base/fnv.hpp"
#include "flannelette/base/text.hpp"

namespace flannelette::cli {

Result<void> Instance::claim(std::string_view subnet_file) {
  socket_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket_) return {};
  const auto name =
      to_text<40>([&](Writer& out) { out.put("flannelette-").put_hex(Fnv1a::of(subnet_file)); });
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.c_str(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const int bound = ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size);
  if (bound != 0 && errno == EADDRINUSE) return Error{Code::kExists, EADDRINUSE, "bind"};
  return {};
}

}  // namespace flannelette::cli
