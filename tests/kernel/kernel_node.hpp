// SPDX-License-Identifier: Apache-2.0
// The real kernel in a network namespace of its own, and collectors for what it visits.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "flannelette/base/clock.hpp"
#include "flannelette/kernel/monitor.hpp"
#include "support/means.hpp"
#include "support/netns.hpp"
#include "support/process.hpp"

namespace flannelette::tests {

/// The test runs inside the node for as long as this lives, so that ip() and the kernel see the same.
struct KernelNode {
  using Nexthops = kernel::NetlinkKernel::Nexthops;
  explicit KernelNode(const std::string& name, Nexthops nexthops = Nexthops::kAuto) : node(name), here(name) {
    REQUIRE(kernel.open(nexthops));
    REQUIRE(monitor.open());
  }

  Node node;
  InNetns here;
  SystemClock clock;
  SystemFiles files;
  io::Loop loop{clock};
  kernel::NetlinkKernel kernel{files};
  kernel::Monitor monitor{loop, kernel};
};

inline constexpr Net4 kNetwork{{0x0a000000}, 8};

inline Ip4 ip4(const char* text) { return parse_ip4(text).value(); }
inline Net4 net4(const char* text) { return parse_net4(text).value(); }
inline Mac mac(const char* text) { return parse_mac(text).value(); }

/// Tests of what must be so for routes with nexthop objects and for plain ones walk through both.
inline constexpr KernelNode::Nexthops kBothForms[] = {KernelNode::Nexthops::kAuto,
                                                      KernelNode::Nexthops::kOff};

/// Output of a command line, which must succeed; split at spaces.
inline std::string output_of(const std::string& command) { return must_run({.args = words(command)}); }
inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
inline std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

inline overlay::DeviceSpec device_spec() {
  overlay::DeviceSpec spec;
  spec.name = "flannel.1";
  spec.vni = 1;
  spec.port = 8472;
  spec.local = ip4("192.0.2.1");
  spec.mtu = 1450;
  spec.mac = mac("02:00:00:00:00:01");
  return spec;
}

/// The device, created, up, with an address.
inline int make_device(KernelNode& n) {
  const overlay::DeviceSpec spec = device_spec();
  REQUIRE(n.kernel.create_device(spec));
  auto found = n.kernel.find_device("flannel.1");
  REQUIRE(found);
  REQUIRE(*found);
  const int index = (*found)->index;
  REQUIRE(n.kernel.set_device_address(index, ip4("10.42.0.0"), net4("10.42.0.0/16")));
  overlay::DevicePlan plan;
  plan.set_up = true;
  REQUIRE(n.kernel.change_device(index, spec, plan));
  return index;
}

struct Entries final : kernel::EntryVisitor {
  struct Neighbour {
    Ip4 ip;
    Mac mac;
    bool permanent;
  };
  struct Fdb {
    Mac mac;
    Ip4 remote;
    bool permanent;
  };
  struct Route {
    Net4 destination;
    Ip4 gateway;
    bool onlink;
    std::uint32_t metric;
    std::uint8_t tos;
  };
  struct NextHop {
    Ip4 base;
    bool right;
  };
  void entry(const overlay::Entry& e) override {
    const Net4 net = e.net.v4();
    switch (e.kind) {
      case overlay::Entry::Kind::kRoute:
        routes.push_back({net, e.via.v4(), e.onlink, e.metric, e.tos});
        break;
      case overlay::Entry::Kind::kNexthop:
        objects.push_back({net.base, e.onlink && e.via == Ip(net.base)});
        break;
      case overlay::Entry::Kind::kNeighbour: neighbours.push_back({net.base, e.mac, e.permanent}); break;
      case overlay::Entry::Kind::kFdb: fdb.push_back({e.mac, e.via.v4(), e.permanent}); break;
      case overlay::Entry::Kind::kSender: senders.push_back(e.via.v4()); break;
    }
  }
  std::vector<Neighbour> neighbours;
  std::vector<Fdb> fdb;
  std::vector<Route> routes;
  std::vector<NextHop> objects;
  std::vector<Ip4> senders;
};

inline Entries entries(KernelNode& n, int index) {
  Entries found;
  REQUIRE(n.kernel.dump_entries({index, 0, kNetwork}, found));
  return found;
}

/// The changes of one peer, in the order in which they are made and unmade.
enum class Kind {
  kPutNeighbour,
  kPutFdb,
  kPutRoute,
  kRemoveRoute,
  kRemoveNexthop,
  kRemoveNeighbour,
  kRemoveFdb
};
inline overlay::Change change(Kind kind, Net4 subnet, Mac mac, Ip4 remote) {
  using overlay::Entry;
  const auto op = kind < Kind::kRemoveRoute ? overlay::Change::Op::kPut : overlay::Change::Op::kRemove;
  switch (kind) {
    case Kind::kPutNeighbour:
    case Kind::kRemoveNeighbour: return {op, Entry::neighbour(subnet, mac)};
    case Kind::kPutFdb:
    case Kind::kRemoveFdb: return {op, Entry::fdb(mac, remote, subnet)};
    case Kind::kPutRoute: return {op, Entry::route(subnet, subnet.base)};
    case Kind::kRemoveRoute: return {op, Entry::route(subnet, Ip4{})};
    case Kind::kRemoveNexthop: return {op, Entry::nexthop(subnet, Ip4{})};
  }
  return {};
}

inline kernel::BatchReport apply(KernelNode& n, int index, const std::vector<overlay::Change>& changes) {
  kernel::EntryBatch& batch = n.kernel.begin({index, 0, kNetwork});
  for (const auto& c : changes) batch.change(c);
  auto report = batch.finish();
  REQUIRE(report);
  return *report;
}

inline std::vector<overlay::Change> upserts(Net4 subnet, Mac m, Ip4 remote) {
  return {change(Kind::kPutNeighbour, subnet, m, remote), change(Kind::kPutFdb, subnet, m, remote),
          change(Kind::kPutRoute, subnet, m, remote)};
}
inline std::vector<overlay::Change> deletions(Net4 subnet, Mac m, Ip4 remote) {
  return {change(Kind::kRemoveRoute, subnet, m, remote), change(Kind::kRemoveNexthop, subnet, m, remote),
          change(Kind::kRemoveNeighbour, subnet, m, remote), change(Kind::kRemoveFdb, subnet, m, remote)};
}

}  // namespace flannelette::tests
