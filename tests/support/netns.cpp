// SPDX-License-Identifier: Apache-2.0
#include "support/netns.hpp"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>

#include "support/process.hpp"

namespace flannelette::tests {

namespace {

std::string with_errno(const std::string& what) { return what + ": " + strerror(errno); }

bool write_file(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

std::string enter() {
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) == 0) {
    write_file("/proc/self/setgroups", "deny");
    if (!write_file("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1") ||
        !write_file("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1")) {
      return with_errno("the user namespace takes no uid map");
    }
  } else if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {  // real root where user namespaces are switched off
    return with_errno("no user and network namespaces");
  }
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return with_errno("mount private");
  if (mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0) return with_errno("mount tmpfs on /run");
  const Outcome lo = run({.args = words("ip link set lo up")});
  return lo.status == 0 ? "" : "ip link set lo up: " + lo.output;
}

}  // namespace

const std::string& enter_private_namespaces() {
  static const std::string why_not = enter();
  return why_not;
}

std::string ip(const std::string& arguments) { return must_run({.args = words("ip " + arguments)}); }

InNetns::InNetns(const std::string& name) : before_(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
  const int there = open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  const bool moved = before_ >= 0 && there >= 0 && setns(there, CLONE_NEWNET) == 0;
  const std::string error = moved ? "" : with_errno("network namespace " + name);
  if (there >= 0) close(there);
  if (moved) return;
  if (before_ >= 0) close(before_);
  throw std::runtime_error(error);
}

InNetns::~InNetns() {
  // To go on in the wrong namespace would make the following tests lie.
  if (setns(before_, CLONE_NEWNET) != 0) abort();
  close(before_);
}

Node::Node(std::string name) : name_(std::move(name)) {
  if (const std::string& why_not = enter_private_namespaces(); !why_not.empty())
    throw std::runtime_error(why_not);
  tests::ip("netns add " + name_);
  ip("link set lo up");
}

Node::~Node() { (void)run({.args = {"ip", "netns", "delete", name_}}); }

std::string Node::ip(const std::string& arguments) const {
  return tests::ip("-n " + name_ + " " + arguments);
}

void connect(const Node& a, const std::string& device_a, const Node& b, const std::string& device_b) {
  a.ip("link add " + device_a + " type veth peer name " + device_b + " netns " + b.name());
  a.ip("link set " + device_a + " up");
  b.ip("link set " + device_b + " up");
}

void add_bridge(const Node& node, const std::string& bridge) {
  node.ip("link add " + bridge + " type bridge stp_state 0 forward_delay 0");
  node.ip("link set " + bridge + " up");
}

void connect_to_bridge(const Node& node, const std::string& bridge, const std::string& port,
                       const Node& other, const std::string& device) {
  connect(node, port, other, device);
  node.ip("link set " + port + " master " + bridge);
}

}  // namespace flannelette::tests
