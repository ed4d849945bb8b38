// SPDX-License-Identifier: Apache-2.0
// Servers that send without end, each in a child process of its own, which ends with its object.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

#include "flannelette/base/unique_fd.hpp"

namespace flannelette::tests {

/// Listens on `address` (IPv4) in the network namespace of the caller. Each connection is handed to `serve`
/// in a process of its own, which may block.
class ForkingServer {
 public:
  using Serve = std::function<void(int connection)>;

  ForkingServer(const std::string& address, std::uint16_t port, const Serve& serve) {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &in.sin_addr);
    socklen_t size = sizeof in;
    const int on = 1;
    ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&in), size) != 0 ||
        ::listen(listener.get(), 16) != 0 ||
        ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&in), &size) != 0) {
      throw std::runtime_error("cannot listen on " + address);
    }
    port_ = ntohs(in.sin_port);
    child_ = ::fork();
    if (child_ == 0) {
      become_child();
      ::setpgid(0, 0);
      ::signal(SIGCHLD, SIG_IGN);
      for (;;) {
        const int connection = ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
        if (connection >= 0 && ::fork() == 0) {
          become_child();
          serve(connection);
          ::_exit(0);
        }
        ::close(connection);
      }
    }
    ::setpgid(child_, child_);  // whoever comes first
  }
  ~ForkingServer() {
    ::kill(-child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  ForkingServer(const ForkingServer&) = delete;
  ForkingServer& operator=(const ForkingServer&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  static void become_child() {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (const int number : {SIGTERM, SIGINT, SIGSEGV, SIGABRT}) ::signal(number, SIG_DFL);
    ::signal(SIGPIPE, SIG_IGN);
  }
  pid_t child_ = -1;
  std::uint16_t port_ = 0;
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
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &in.sin_addr);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&in), sizeof in) != 0) ::_exit(1);
  return fd;
}

}  // namespace flannelette::tests
