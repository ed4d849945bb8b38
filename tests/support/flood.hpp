// SPDX-License-Identifier: Apache-2.0
// Servers that send without end.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "support/forked.hpp"

namespace flannelette::tests {

/// Listens on `address` (IPv4) in the network namespace of the caller. Each connection is handed to `serve`
/// in a process of its own, which may block.
class ForkingServer {
 public:
  using Serve = std::function<void(int connection)>;

  ForkingServer(const std::string& address, std::uint16_t port, const Serve& serve)
      : listener_(bound_socket(SOCK_STREAM, address, port)), child_([&] { accept_for_ever(serve); }) {}
  std::uint16_t port() const {
    sockaddr_in in{};
    socklen_t size = sizeof in;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&in), &size);
    return ntohs(in.sin_port);
  }

 private:
  void accept_for_ever(const Serve& serve) {
    ::signal(SIGCHLD, SIG_IGN);
    for (;;) {
      const int connection = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (connection >= 0 && ::fork() == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(connection);
        ::_exit(0);
      }
      ::close(connection);
    }
  }
  UniqueFd listener_;
  Forked child_;
};

// Records that a TLS client passes over.
inline const std::string kWarningAlert("\x15\x03\x03\x00\x02\x01\x5a", 7);
inline const std::string kChangeCipherSpec("\x14\x03\x03\x00\x01\x01", 6);

/// `record` again and again for `length`, as fast as the peer takes it.
inline void flood(int connection, const std::string& record, std::chrono::milliseconds length) {
  std::string many;
  while (many.size() < 64 * 1024) many += record;
  const auto end = std::chrono::steady_clock::now() + length;
  std::size_t at = 0;
  while (std::chrono::steady_clock::now() < end) {
    const ssize_t sent = ::send(connection, many.data() + at, many.size() - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      at = (at + static_cast<std::size_t>(sent)) % many.size();
    } else if (errno == EAGAIN || errno == EINTR) {
      pollfd writable{connection, POLLOUT, 0};
      ::poll(&writable, 1, 10);
    } else {
      return;
    }
  }
}

/// Passes bytes between the two until neither has sent any for a while, after the first did.
inline void relay_until_quiet(int a, int b) {
  for (;;) {
    pollfd both[] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
    const int ready = ::poll(both, 2, 300);
    if (ready <= 0) return;
    for (int i = 0; i < 2; ++i) {
      if (both[i].revents == 0) continue;
      char buffer[16384];
      const ssize_t got = ::recv(both[i].fd, buffer, sizeof buffer, 0);
      if (got <= 0) ::_exit(0);
      for (ssize_t done = 0; done < got;) {
        const ssize_t sent =
            ::send(both[1 - i].fd, buffer + done, static_cast<std::size_t>(got - done), MSG_NOSIGNAL);
        if (sent <= 0) ::_exit(0);
        done += sent;
      }
    }
  }
}

/// A connection to an IPv4 address; it ends the process where it cannot be had.
inline int connect_or_exit(const std::string& address, std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in in = socket_address(address, port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&in), sizeof in) != 0) ::_exit(1);
  return fd;
}

}  // namespace flannelette::tests
