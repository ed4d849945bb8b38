// SPDX-License-Identifier: Apache-2.0
// A function of the test in a child process of its own: servers that block, misbehave or must not slow the
// test.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

#include "flannelette/base/unique_fd.hpp"

namespace flannelette::tests {

/// Ends with its object, and so do its own children.
class Forked {
 public:
  explicit Forked(const std::function<void()>& run) : child_(::fork()) {
    if (child_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      // doctest's handlers must not run in the child.
      for (const int number : {SIGTERM, SIGINT, SIGSEGV, SIGABRT}) ::signal(number, SIG_DFL);
      ::signal(SIGPIPE, SIG_IGN);
      ::setpgid(0, 0);
      run();
      ::_exit(0);
    }
    ::setpgid(child_, child_);  // whoever comes first
  }
  ~Forked() {
    ::kill(-child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  Forked(const Forked&) = delete;
  Forked& operator=(const Forked&) = delete;

 private:
  const pid_t child_;
};

inline sockaddr_in socket_address(const std::string& ip4, std::uint16_t port) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  ::inet_pton(AF_INET, ip4.c_str(), &in.sin_addr);
  return in;
}

/// `type`: SOCK_STREAM (it listens) or SOCK_DGRAM. Port 0: a free one.
inline UniqueFd bound_socket(int type, const std::string& ip4, std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const sockaddr_in in = socket_address(ip4, port);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&in), sizeof in) != 0 ||
      (type == SOCK_STREAM && ::listen(fd.get(), 16) != 0)) {
    throw std::runtime_error("cannot use address " + ip4);
  }
  return fd;
}

}  // namespace flannelette::tests
