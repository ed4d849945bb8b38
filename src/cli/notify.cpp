// SPDX-License-Identifier: Apache-2.0
// The service manager's notification socket, and its watchdog.
#include "cli/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "flannelette/base/text.hpp"
#include "flannelette/base/unique_fd.hpp"

namespace flannelette::cli {
namespace {

/// nullptr: there is none.
const char* socket_name() {
  const char* name = std::getenv("NOTIFY_SOCKET");
  return name != nullptr && *name != '\0' ? name : nullptr;
}

Result<void> notify(std::string_view state) {
  const char* name = socket_name();
  if (name == nullptr) return {};
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
  if (!socket) return last_error("NOTIFY_SOCKET");
  if (::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
               reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    return last_error("NOTIFY_SOCKET");
  }
  return {};
}

/// Of the environment; 0 if it is none.
std::uint64_t number_in(const char* variable) {
  const char* text = std::getenv(variable);
  std::uint64_t number = 0;
  return text != nullptr && parse_unsigned(text, number) ? number : 0;
}

/// Of this machine, or of a manager that lives: the next time may succeed.
bool temporary(const Error& error) {
  return error.sys_errno == EAGAIN || error.sys_errno == ENOBUFS || error.sys_errno == ENOMEM ||
         error.sys_errno == EMFILE || error.sys_errno == ENFILE;
}

}  // namespace

Millis watchdog_interval() {
  const bool ours = std::getenv("WATCHDOG_PID") == nullptr ||
                    number_in("WATCHDOG_PID") == static_cast<std::uint64_t>(::getpid());
  const std::uint64_t limit = number_in("WATCHDOG_USEC");
  if (!ours || limit == 0 || limit == UINT64_MAX || socket_name() == nullptr) return 0;
  return static_cast<Millis>(std::max<std::uint64_t>(limit / 2000, 1));
}

Notifier::Notifier(io::Loop& loop, Log& log)
    : log_(log),
      retry_(loop, Delegate<void()>::to<&Notifier::ready>(this)),
      watchdog_(loop, Delegate<void()>::to<&Notifier::ping>(this)) {
  if (const Millis interval = watchdog_interval()) watchdog_.arm_in(interval);
}

void Notifier::ready() {
  const auto notified = notify("READY=1\n");
  if (notified) return;
  const bool late = temporary(notified.error());
  if (late) retry_.arm_in(kRetry);
  if (std::exchange(waiting_, late)) return;
  log_.warning(late ? "cannot send READY=1 to the service manager; trying again"
                    : "cannot notify the service manager that we are ready",
               {Field(notified.error())});
}

void Notifier::ping() {
  const auto notified = notify("WATCHDOG=1\n");
  const bool late = !notified && temporary(notified.error());
  const Millis interval = watchdog_interval();
  // Half of the limit is left, for several tries.
  watchdog_.arm_in(late ? std::clamp<Millis>(interval / 4, 1, kRetry) : interval);
  if (std::exchange(late_, late) || !late) return;
  log_.warning("cannot send WATCHDOG=1 to the service manager, which may restart us; trying again",
               {Field(notified.error())});
}

void Notifier::stopping() { (void)notify("STOPPING=1\n"); }

}  // namespace flannelette::cli
