// SPDX-License-Identifier: Apache-2.0
// Reading single objects: Nodes whose metadata do not tell enough, and our Pod.
#pragma once

#include "flannelette/base/delegate.hpp"
#include "flannelette/base/plain_array.hpp"
#include "registry/kube/api.hpp"

namespace flannelette::registry::kube {

/// Reads Nodes in full, one after another.
class NodeReading final : public Operation {
 public:
  /// Of names that wait. A list with more of them is read again, when these are known.
  static constexpr std::size_t kMaxQueue = 64 * 1024;

  using OnRead = Delegate<void(const Node&)>;
  using OnIdle = Delegate<void()>;  ///< all that were asked for have been read
  NodeReading(Channel& channel, OnRead on_read, OnIdle on_idle)
      : Operation(channel, "get nodes"), on_read_(on_read), on_idle_(on_idle) {}

  /// Once more also if it is under way: the answer may be as of before.
  void ask(std::string_view name);
  bool idle() const { return head_ == names_.size(); }
  /// Whether there was no room for a name since this was called last.
  bool overflowed();

 private:
  bool ready() const override { return !idle(); }
  Call write(json::Writer& body) override;
  void on_node(const Node& node) override { on_read_(node); }
  Outcome on_message() override;
  Outcome on_error(const Status& status) override;
  std::string_view next() const { return names_.begin() + head_; }  // each has a NUL behind it
  bool waits(std::string_view name) const;
  Outcome advance();

  OnRead on_read_;
  OnIdle on_idle_;
  PlainArray<char> names_;
  std::size_t head_ = 0;
  std::size_t unasked_ = 0;  // behind the name that was asked for already
  bool overflowed_ = false;
  Path path_;
};

/// Reads on which Node our Pod runs.
class PodReading final : public Operation {
 public:
  using OnRead = Delegate<void()>;  ///< core.node_name is known
  PodReading(Channel& channel, OnRead on_read) : Operation(channel, "get pods"), on_read_(on_read) {}

  void begin();

 private:
  Call write(json::Writer& body) override;
  Outcome on_message() override;
  Outcome on_error(const Status&) override { return Outcome::kRefused; }

  OnRead on_read_;
  Path path_;
};

}  // namespace flannelette::registry::kube
