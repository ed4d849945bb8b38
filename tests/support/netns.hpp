// SPDX-License-Identifier: Apache-2.0
// Network namespaces for tests, without root: the test binary moves once into a user, mount and network
// namespace of its own, where it may do what root may, and where everything vanishes with it. Nodes are
// further named network namespaces in there, as `ip netns` makes them (over a private /run).
#pragma once

#include <string>
#include <utility>

namespace flannelette::tests {

/// Moves this process into namespaces of its own with `lo` up; the second and later calls do nothing.
/// Returns why that is impossible here, or an empty string. Must be called before any thread is started.
const std::string& enter_private_namespaces();

/// `ip <arguments>` in the current namespace; throws with ip's words if it fails. Returns its output.
std::string ip(const std::string& arguments);

/// While it lives, this thread is in the named network namespace: sockets opened now belong to it for good.
class InNetns {
 public:
  explicit InNetns(const std::string& name);
  ~InNetns();
  InNetns(const InNetns&) = delete;
  InNetns& operator=(const InNetns&) = delete;

 private:
  int before_;
};

/// A named network namespace with `lo` up, deleted at the end of the scope. The devices in it (and the other
/// ends of its veth pairs) go soon after that: the kernel does it in the background. Needs
/// enter_private_namespaces().
class Node {
 public:
  explicit Node(std::string name);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const std::string& name() const { return name_; }

  /// `ip <arguments>` inside; throws if it fails. For any other program: run({.args = ..., .netns = name()}).
  std::string ip(const std::string& arguments) const;

  /// Calls `action()` inside.
  template <typename Action>
  decltype(auto) inside(Action&& action) const {
    const InNetns here(name_);
    return std::forward<Action>(action)();
  }

 private:
  std::string name_;
};

/// Two connected devices, one in each node, both up.
void connect(const Node& a, const std::string& device_a, const Node& b, const std::string& device_b);

/// A bridge in `node`, up, without spanning tree.
void add_bridge(const Node& node, const std::string& bridge);

/// connect(), with the device in `node` made a port of its `bridge`.
void connect_to_bridge(const Node& node, const std::string& bridge, const std::string& port,
                       const Node& other, const std::string& device);

}  // namespace flannelette::tests
