// SPDX-License-Identifier: Apache-2.0
// A batch of changes to the entries of peers.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "entries.hpp"

namespace flannelette::kernel {

struct MainRoute;

/// Hears of each message of changes, when the kernel has worked it off.
class WriteObserver {
 public:
  virtual void written(std::span<const overlay::Change> changes) = 0;

 protected:
  ~WriteObserver() = default;
};

/// Turns changes into large netlink messages, and their errors back into changes.
///
/// A route and its nexthop object are made with NLM_F_EXCL: NLM_F_REPLACE would replace the first route to
/// that destination and metric, or the object with that id, even if another program made it for another
/// device. Only for what is refused the kernel is asked what is there, and what is ours is replaced.
class Batch final : public EntryBatch {
 public:
  /// Requests in one sendmsg. Were all of them refused, the answers (about 768 bytes each as the kernel
  /// counts them) would still fit the default receive queue of 208 KiB.
  static constexpr std::size_t kMaxRequests = 200;

  Batch(Netlink& netlink, Netlink& netfilter) : netlink_(netlink), netfilter_(netfilter) {}

  /// Hears of messages with changes that the kernel announces without saying whose they are; nullptr: nobody
  /// does.
  void set_observer(WriteObserver* observer) { observer_ = observer; }
  void begin(const Site& site, NexthopUse use, RefusalListener* listener);
  /// After an error of the socket nothing is sent any more; finish() returns it.
  void change(const overlay::Change& change) override;
  Result<BatchReport> finish() override;

 private:
  class Refusals;
  class Answers;

  /// What the kernel has under the id of a nexthop object.
  enum class Object : std::uint8_t { kAbsent, kRight, kWrong, kForeign };

  /// A route that could not be made as it should because something is there, or deleted because none was
  /// found.
  struct Contested {
    Contested() = default;
    explicit Contested(std::uint16_t change_index) : change(change_index) {}
    std::uint16_t change = 0;  ///< into changes_
    bool route = false;        ///< the route was refused: `seen` says what is there
    bool failed = false;       ///< a failure was reported
    /// What had the id of its nexthop object already. If that is another program's, the route is made
    /// without.
    Object object = Object::kAbsent;
    struct Seen {
      bool right = false;    ///< the route that we want
      bool foreign = false;  ///< one that is not ours
      bool wrong = false;    ///< another one of ours, or one that another program made just like ours:
      std::uint32_t nexthop_id = 0;
      Ip4 gateway;
      int link = 0;
      std::uint8_t protocol = 0;
    } seen;
  };

  const Place& place_of(const overlay::Change& change) const { return places_[change.entry.underlay]; }
  /// The object that this change makes before its route; 0: none.
  std::uint32_t object_made_by(const overlay::Change& change) const {
    return change.puts(overlay::Entry::Kind::kRoute) ? place_of(change).object_for(change.entry.net.v4()) : 0;
  }
  Result<void> flush();
  Result<void> send_requests();
  Result<void> send_senders(std::span<const overlay::Change> changes);
  void on_refused(std::uint16_t request, int sys_errno);
  Contested& contest(std::uint16_t change);
  Result<void> inspect_contested();
  bool inspect_first(Contested& contested);
  Result<void> inspect_all();
  void inspect(const MainRoute& route);
  void compare(const MainRoute& route, Contested& contested) const;
  void resolve(const Contested& contested);
  void make_route(const Contested& contested);
  Result<void> replace_route(const overlay::Change& change, std::uint32_t nexthop_id);
  void fail(const overlay::Change& change, Error error);

  Result<void> query_objects();
  Result<void> resolve_objects();
  Result<void> remove_objects();

  Netlink& netlink_;
  Netlink& netfilter_;
  std::optional<std::uint32_t> senders_;  ///< as Site has it
  std::optional<Error> senders_refused_;  ///< the last ones that were to be put
  Place places_[2];                       ///< our device, the underlay's link
  RefusalListener* listener_ = nullptr;
  WriteObserver* observer_ = nullptr;
  std::array<overlay::Change, kMaxRequests> changes_;      ///< those of the message that is being filled
  std::array<std::uint16_t, kMaxRequests> first_request_;  ///< of each change
  std::size_t count_ = 0;
  std::size_t requests_ = 0;
  /// Those of the message that was answered, in the order of changes_.
  std::array<Contested, kMaxRequests> contested_;
  std::size_t contested_count_ = 0;
  bool inspected_all_ = false;                       ///< `seen` knows all routes, not the first ones alone
  std::array<std::uint16_t, kMaxRequests> queried_;  ///< changes whose objects are queried
  std::array<Object, kMaxRequests> objects_;         ///< the answers
  std::size_t queried_count_ = 0;
  std::size_t queued_ = 0;
  BatchReport report_;
  Result<void> state_;
};

}  // namespace flannelette::kernel
