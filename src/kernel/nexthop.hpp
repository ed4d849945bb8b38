// SPDX-License-Identifier: Apache-2.0
// Nexthop objects and their ids.
#pragma once

#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <optional>

#include "netlink.hpp"

/// Nexthop objects (Linux 5.3): one a peer, which its route names by id. The kernel keeps all routes with a
/// plain gateway on one device in one hash bucket, so that ten thousand of them cost two seconds and growth
/// is quadratic; with an object each, both together cost a tenth of one, and growth is linear.
namespace flannelette::kernel {

enum class NexthopUse : std::uint8_t {
  kNone,    ///< the kernel has none
  kRemove,  ///< it has them, we want plain routes
  kMake,    ///< new routes get one
};

/// The id of a subnet's object on our own device is kFirst + its place in Network, counted in /30.
class NexthopIds {
 public:
  static constexpr std::uint32_t kFirst = 0x46000000;
  static constexpr std::uint32_t kCount = 1 << 24;  ///< Network /6; what lies beyond gets plain routes

  explicit NexthopIds(Net4 network = {}) : network_(network) {}
  static bool holds(std::uint32_t id) { return id - kFirst < kCount; }
  /// 0: there is none for this address.
  std::uint32_t of(Ip4 base) const {
    const std::uint32_t offset = base.value - network_.base.value;
    return offset % 4 != 0 || offset / 4 >= kCount ? 0 : kFirst + offset / 4;
  }
  Ip4 base(std::uint32_t id) const { return {network_.base.value + (id - kFirst) * 4}; }

 private:
  Net4 network_;
};

/// On the underlay, whose link tells no overlay from another, it is kFirst + the last 26 bits of the subnet's
/// address, counted in /30: two overlays of one host, whose networks are apart, do not share an id as long as
/// these bits differ, as they do in all private networks.
struct DirectNexthopIds {
  static constexpr std::uint32_t kFirst = NexthopIds::kFirst + NexthopIds::kCount;
  static bool holds(std::uint32_t id) { return id - kFirst < NexthopIds::kCount; }
  static std::uint32_t of(Ip4 base) {
    return base.value % 4 != 0 ? 0 : kFirst + (base.value / 4) % NexthopIds::kCount;
  }
  static Ip4 base(std::uint32_t id, Net4 network) {
    return {(network.base.value & ~(NexthopIds::kCount * 4 - 1)) + (id - kFirst) * 4};
  }
};

struct NexthopObject {
  std::uint32_t id = 0;
  int link = 0;  ///< 0: none (a blackhole, a group)
  Ip4 gateway;
  bool onlink = false;
  std::uint8_t protocol = 0;
};

/// nullopt: it is something else.
std::optional<NexthopObject> read_nexthop(const nlmsghdr& message);

/// Whether this kernel has them at all. Writes nothing.
Result<bool> has_nexthops(Netlink& netlink);

/// Appends the request for this object, of our protocol. `flags`: NLM_F_EXCL or NLM_F_REPLACE.
void put_nexthop(MessageWriter& out, std::uint32_t sequence, std::uint16_t flags,
                 const NexthopObject& object);
/// Appends a request about the object as a whole: RTM_GETNEXTHOP or RTM_DELNEXTHOP.
void put_nexthop_id(MessageWriter& out, std::uint32_t sequence, std::uint16_t type, std::uint32_t id);

/// `visit` for each on `link`. The kernel filters if it can: filter again.
Result<void> dump_nexthops(Netlink& netlink, int link, FunctionRef<void(const NexthopObject&)> visit);

}  // namespace flannelette::kernel
