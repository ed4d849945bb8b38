// SPDX-License-Identifier: Apache-2.0
// Our membership: our Node gives us a subnet, and carries what the others must know of us.
#pragma once

#include "flannelette/base/state_machine.hpp"
#include "registry/kube/api.hpp"

namespace flannelette::registry::kube {

enum class OwnNodeState : std::uint8_t {
  kNone,
  kReading,    ///< our Node, in full
  kAwaiting,   ///< it, or its podCIDR, is not there yet or cannot be used
  kWriting,    ///< its annotations
  kHeld,       ///< they are as they should be
  kContested,  ///< another program's are there: until they go
};
inline constexpr StateTable kOwnNodeStates{
    "own Node",
    {StateRow(OwnNodeState::kNone, "none", OwnNodeState::kReading),
     StateRow(OwnNodeState::kReading, "reading", OwnNodeState::kAwaiting, OwnNodeState::kWriting,
              OwnNodeState::kHeld),
     StateRow(OwnNodeState::kAwaiting, "awaiting", OwnNodeState::kReading),
     StateRow(OwnNodeState::kWriting, "writing", OwnNodeState::kHeld, OwnNodeState::kReading,
              OwnNodeState::kAwaiting),
     StateRow(OwnNodeState::kHeld, "held", OwnNodeState::kReading, OwnNodeState::kWriting,
              OwnNodeState::kContested, OwnNodeState::kAwaiting),
     StateRow(OwnNodeState::kContested, "contested", OwnNodeState::kReading, OwnNodeState::kWriting,
              OwnNodeState::kHeld, OwnNodeState::kAwaiting)}};

/// Reads our Node in full once for each uid, and from then on goes by what the watch tells. The annotations
/// are written again when they are wiped, or say what is no longer true, with a back-off where that goes on
/// and on; another program's are reported and left alone.
class OwnNode final : public Operation {
 public:
  explicit OwnNode(Channel& channel) : Operation(channel, kOwnRecord) {}

  void join(const Self& self, const Hints& hints);
  void update(const Self& self);
  /// The condition NetworkUnavailable may be lifted.
  void announce_ready();
  /// Of the list or the watch, in either form.
  void on_seen(const Node& node, bool removed);
  void report(Standing& to) const {
    to.lease = state_.name();
    to.reservation = to.held = state_ == State::kHeld;
    to.lost = state_ == State::kContested || state_ == State::kAwaiting;
  }

 private:
  using State = OwnNodeState;
  /// A Node that was written again within this time waits for a back-off.
  static constexpr Millis kCalm = 60'000;
  static constexpr Millis kWaitMax = 60'000;
  /// The longest such wait where it is our address that has changed.
  static constexpr Millis kOwnChange = 500;

  Call write(json::Writer& body) override;
  void on_node(const Node& node) override;
  Outcome on_message() override;
  Outcome on_error(const Status& status) override;

  Outcome on_read();
  void read();
  void read_later();
  void write_again();
  void await(std::string_view missing);
  Outcome hold(bool written);
  /// What of a Node concerns us.
  void take(const Node& node);
  const Mac& own_mac(const Node& node);
  /// Another program's annotations, ours are those that we have written before.
  bool is_foreign(const Node& node);
  bool wants_condition() const;
  void enter(State next) {
    if (state_ != next) state_.enter(next, core_.log);
  }
  void report(const Left& left) { core_.membership->on_left(left); }

  StateMachine<kOwnNodeStates> state_;
  Self self_{};
  Hints hints_{};
  bool ready_ = false;

  // As it was seen last.
  Text<Node::kMaxUid> uid_;
  std::int64_t version_ = 0;    // resourceVersion of what was answered last
  std::int64_t announced_ = 0;  // the same of what the watch told last
  std::optional<Net4> subnet_;
  bool available_ = false;  // the condition says so
  bool right_ = false;      // its annotations are ours

  std::optional<Mac> mac_;
  overlay::LeaseValue value_;  // of our annotations
  Backoff backoff_{1'000, kWaitMax};
  Millis written_ = -kCalm;
  Ip written_ip_ = Ip4{};  // what was published then
  Path path_;
};

}  // namespace flannelette::registry::kube
