// SPDX-License-Identifier: Apache-2.0
// What a peer is in the kernel, as values: overlay says in them what it wants, kernel what there is.
#pragma once

#include <cstdint>

#include "flannelette/base/ip.hpp"

namespace flannelette::overlay {

/// One thing in the kernel's tables. A peer is at most one of each kind.
struct Entry {
  enum class Kind : std::uint8_t {
    kRoute,      ///< net = destination, via = gateway, metric, tos
    kNexthop,    ///< the object by which the route of a subnet (net.base) may name its gateway, via
    kNeighbour,  ///< net.base = address, mac
    kFdb,        ///< mac, via = remote, unspecified: it has a port, VNI or link of its own
    kSender,     ///< via = address from which VXLAN is accepted; 0.0.0.0: all of them are there
  };
  Kind kind = Kind::kRoute;
  bool permanent = true;  ///< neighbour, FDB
  bool onlink = true;     ///< route, nexthop; a route with what ours never have is shown with the other value
  bool underlay = false;  ///< route, nexthop: on the underlay's link, else on our own device
  std::uint8_t tos = 0;
  Mac mac;
  Net net = Net4{};  ///< FDB, sender: of the peer, for messages
  Ip via = Ip4{};
  std::uint32_t metric = 0;

  static constexpr Entry route(const Net& destination, const Ip& gateway, std::uint32_t metric = 0) {
    return {.kind = Kind::kRoute, .mac = {}, .net = destination, .via = gateway, .metric = metric};
  }
  static constexpr Entry nexthop(const Net& subnet, const Ip& gateway) {
    return {.kind = Kind::kNexthop, .mac = {}, .net = subnet, .via = gateway};
  }
  static constexpr Entry neighbour(const Net& address, const Mac& mac) {
    return {.kind = Kind::kNeighbour, .mac = mac, .net = address};
  }
  static constexpr Entry fdb(const Mac& mac, const Ip& remote, const Net& subnet = Net4{}) {
    return {.kind = Kind::kFdb, .mac = mac, .net = subnet, .via = remote};
  }
  static constexpr Entry sender(const Ip& address) {
    return {.kind = Kind::kSender, .mac = {}, .via = address};
  }
  /// A route with the metric and the TOS of ours.
  bool has_our_key() const { return metric == 0 && tos == 0; }
  /// While this one is missing nothing is dropped, so that what empties the set cuts off nobody.
  bool completes_senders() const { return kind == Kind::kSender && via == Ip4{}; }
  bool operator==(const Entry&) const = default;
};

/// One change to make. A put replaces what has the same key (route: destination, metric and TOS; neighbour:
/// address; FDB: MAC); where the kernel has nexthop objects, a put route makes its own, so that a nexthop is
/// never put. An FDB entry is removed by its MAC. Removing what is not there succeeds.
struct Change {
  enum class Op : std::uint8_t { kPut, kRemove };
  Op op = Op::kPut;
  Entry entry;

  bool puts(Entry::Kind kind) const { return op == Op::kPut && entry.kind == kind; }
  bool removes(Entry::Kind kind) const { return op == Op::kRemove && entry.kind == kind; }
};

class ChangeSink {
 public:
  virtual void change(const Change& change) = 0;

 protected:
  ~ChangeSink() = default;
};

}  // namespace flannelette::overlay
