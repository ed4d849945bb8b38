// SPDX-License-Identifier: Apache-2.0
#include "support/means.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "support/death.hpp"
#include "support/netns.hpp"
#include "support/process.hpp"

namespace flannelette::tests::means {

std::string namespaces() { return enter_private_namespaces(); }

std::string program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (access((folder + "/" + name).c_str(), X_OK) == 0) return "";
  }
  return "no program " + name + " in PATH";
}

std::string link_kind(const std::string& arguments) {
  if (std::string missing = namespaces(); !missing.empty()) return missing;
  const Outcome added = run({.args = words("ip link add probe0 " + arguments)});
  const bool there = added.output.find("File exists") != std::string::npos;  // what a killed run left behind
  if (added.status != 0 && !there) return "the kernel makes no link of " + arguments + ": " + added.output;
  ip("link delete probe0");
  return "";
}

std::string socket_errors() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in nobody{};
  nobody.sin_family = AF_INET;
  nobody.sin_port = htons(1);
  nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int told = connect(fd, reinterpret_cast<const sockaddr*>(&nobody), sizeof nobody) == 0 ? 0 : errno;
  if (told == EINPROGRESS) {
    pollfd refused{fd, POLLOUT, 0};
    socklen_t size = sizeof told;
    poll(&refused, 1, 1000);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &told, &size);
  }
  close(fd);
  return told == ECONNREFUSED ? "" : "a refused connection is told as error " + std::to_string(told);
}

std::string connection_reports() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::tcp_info info{};
  socklen_t size = sizeof info;
  const bool known = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0;
  close(fd);
  return known && info.tcpi_snd_mss != 0 ? "" : "TCP_INFO is cut off here";
}

std::string silent_death() {
  return death_of([] { std::abort(); }).said.empty() ? "" : "a process that aborts writes to stderr here";
}

}  // namespace flannelette::tests::means
