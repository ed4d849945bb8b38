// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "entries.hpp"

namespace flannelette::kernel {

struct MainRoute;

/// Turns changes into large netlink messages, and their errors back into changes.
///
/// A route is made with NLM_F_EXCL: NLM_F_REPLACE would replace the first route to that destination and
/// metric even if another program made it for another device. Only for those that are refused the routes are
/// read, and what is ours is replaced.
class Batch {
 public:
  /// Requests in one sendmsg. Were all of them refused, the answers (about 768 bytes each as the kernel
  /// counts them) would still fit the default receive queue of 208 KiB.
  static constexpr std::size_t kMaxRequests = 200;

  explicit Batch(Netlink& netlink) : netlink_(netlink) {}

  void begin(int index);
  /// An error of the socket is kept for finish(); nothing is sent after it.
  void queue(const overlay::Change& change);
  Result<BatchReport> finish();

 private:
  class Refusals;

  /// A route that could not be made because one is there, or deleted because none was found: what there is,
  /// as a second look shows.
  struct Contested {
    Contested() = default;
    explicit Contested(std::uint16_t change_index) : change(change_index) {}
    std::uint16_t change = 0;  ///< into changes_
    bool right = false;        ///< the route that we want
    bool foreign = false;      ///< one that is not wholly on our device
    bool wrong = false;        ///< another one on our device:
    std::uint32_t nexthop_id = 0;
    Ip4 gateway;
  };

  Result<void> flush();
  Result<void> look();
  void look_at(const MainRoute& route);
  void compare(const MainRoute& route, Contested& contested) const;
  void settle(const Contested& contested);
  void judge(std::uint16_t change, int sys_errno);
  void judge_route(const overlay::Change& change, const Result<void>& result);
  void fail(const overlay::Change& change, const Error& error);

  Netlink& netlink_;
  int index_ = 0;
  std::array<overlay::Change, kMaxRequests> changes_;  ///< those of the message that is being filled
  std::size_t count_ = 0;
  std::array<Contested, kMaxRequests>
      contested_;  ///< those of the message that was answered, in the order of changes_
  std::size_t contested_count_ = 0;
  std::size_t queued_ = 0;
  BatchReport report_;
  Result<void> state_;
};

}  // namespace flannelette::kernel
