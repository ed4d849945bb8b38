// SPDX-License-Identifier: Apache-2.0
// The service manager's notification socket.
#include "cli/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string_view>

#include "flannelette/base/unique_fd.hpp"

namespace flannelette::cli {

Result<void> notify_ready() {
  const char* name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr || *name == '\0') return {};
  const std::string_view path(name);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() < 2 || path.size() >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) {
    return Error{Code::kInvalid, 0, "NOTIFY_SOCKET is no path and no abstract name"};
  }
  for (std::size_t i = 0; i < path.size(); ++i) address.sun_path[i] = path[i];
  if (path[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());

  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return system_error("NOTIFY_SOCKET", errno);
  constexpr std::string_view kReady = "READY=1\n";
  if (::sendto(socket.get(), kReady.data(), kReady.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
               reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    return system_error("NOTIFY_SOCKET", errno);
  }
  return {};
}

}  // namespace flannelette::cli
