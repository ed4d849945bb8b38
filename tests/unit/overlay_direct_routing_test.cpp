// SPDX-License-Identifier: Apache-2.0
// DirectRouting in the plan, against a model of the kernel: peers become near and far, and never lose their
// way.
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "flannelette/overlay/entry_plan.hpp"
#include "support/rng.hpp"
#include "unit/overlay_leases.hpp"

using namespace flannelette;
using namespace flannelette::overlay;
using namespace flannelette::tests;

namespace {

using Kind = Entry::Kind;

LocalNode direct_node() {
  LocalNode local = local_node();
  local.config = config_of(R"({"Network":"10.64.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}})");
  return local;
}

/// Routes lead through nexthop objects, which are one a subnet and link.
struct Kernel final : ChangeSink {
  std::map<Net4, Entry> routes;
  std::map<std::pair<Ip4, bool>, Entry> objects;
  std::map<Ip4, Mac> neighbours;
  std::map<Mac, Ip4> fdb;
  std::vector<Net4> watched;  ///< that have a path, and must keep one
  std::size_t writes = 0;
  bool unharmed = true;

  void change(const Change& change) override {
    ++writes;
    const Entry& entry = change.entry;
    const bool put = change.op == Change::Op::kPut;
    const Ip4 base = entry.net.base.v4();
    switch (entry.kind) {
      case Kind::kRoute:
        if (put) {
          routes[entry.net.v4()] = entry;
          objects[{base, entry.underlay}] = entry;
        } else if (const auto at = routes.find(entry.net.v4());
                   at != routes.end() && at->second.underlay == entry.underlay) {
          routes.erase(at);
        }
        break;
      case Kind::kNexthop:
        objects.erase({base, entry.underlay});
        std::erase_if(routes, [&](const auto& r) {
          return r.first.base == base && r.second.underlay == entry.underlay;
        });
        break;
      case Kind::kNeighbour:
        if (put) neighbours[base] = entry.mac;
        if (!put) neighbours.erase(base);
        break;
      case Kind::kFdb:
        if (put) fdb[entry.mac] = entry.via.v4();
        if (!put) fdb.erase(entry.mac);
        break;
      case Kind::kSender: break;
    }
    for (const Net4& net : watched) unharmed &= leads(net);
  }
  bool leads(Net4 net) const {
    const auto route = routes.find(net);
    if (route == routes.end()) return false;
    if (route->second.underlay) return true;
    const auto neighbour = neighbours.find(net.base);
    return neighbour != neighbours.end() && fdb.contains(neighbour->second);
  }
  bool leads_to(Net4 net, const LeaseValue& value) const {
    if (!leads(net)) return false;
    const Entry& route = routes.at(net);
    if (route.underlay) return route.via == value.public_ip;
    return neighbours.at(net.base) == value.mac && fdb.at(value.mac) == value.public_ip.v4();
  }
};

/// A peer with another MAC is another one; near or far, each must be reached all the time.
struct World {
  LeaseTable table;
  EntryPlan plan{table};
  Kernel kernel;
  std::set<Ip4> near;
  std::map<LeaseKey, LeaseRecord> truth;
  std::size_t asked = 0;

  World() { table.set_local(direct_node()); }
  void put(unsigned third, unsigned number, std::int64_t age) {
    LeaseRecord record = lease("10.64." + std::to_string(third) + ".0-24", number, 5, age);
    truth[record.key] = record;
    table.upsert(record);
  }
  void remove(unsigned third, std::int64_t age) {
    const LeaseKey key = lease("10.64." + std::to_string(third) + ".0-24", 1).key;
    truth.erase(key);
    table.remove(key, age);
  }
  void converge() {
    plan.ask_direct([&](Ip4 ip, bool) {
      ++asked;
      return near.contains(ip);
    });
    kernel.watched.clear();
    for (const auto& [key, record] : truth) {
      if (kernel.leads_to(key.subnet, record.value)) kernel.watched.push_back(key.subnet);
    }
    if (!plan.needs_audit()) {
      plan.plan(kernel);
    } else {
      plan.begin_audit();
      for (const auto& [net, entry] : kernel.routes) plan.audit_entry(entry);
      for (const auto& [id, entry] : kernel.objects) {
        Entry shown = entry;
        shown.kind = Kind::kNexthop;
        plan.audit_entry(shown);
      }
      for (const auto& [ip, lladdr] : kernel.neighbours)
        plan.audit_entry(Entry::neighbour(Net4{ip, 32}, lladdr));
      for (const auto& [lladdr, ip] : kernel.fdb) plan.audit_entry(Entry::fdb(lladdr, ip));
      const Kernel seen = kernel;
      plan.finish_audit(kernel);
    }
    plan.commit();
    CHECK(kernel.unharmed);
  }
  /// Nothing more and nothing less than each peer is.
  bool exact() const {
    std::size_t far = 0;
    for (const auto& [key, record] : truth) {
      const auto route = kernel.routes.find(key.subnet);
      if (route == kernel.routes.end()) return false;
      const Ip4 remote = record.value.public_ip.v4();
      const bool direct = near.contains(remote);
      const Entry& entry = route->second;
      if (entry.underlay != direct || entry.onlink == direct) return false;
      if (entry.via != Ip(direct ? remote : key.subnet.base)) return false;
      if (!kernel.objects.contains({key.subnet.base, direct})) return false;
      if (direct) continue;
      ++far;
      const auto neighbour = kernel.neighbours.find(key.subnet.base);
      const auto fdb = kernel.fdb.find(record.value.mac);
      if (neighbour == kernel.neighbours.end() || neighbour->second != record.value.mac) return false;
      if (fdb == kernel.fdb.end() || fdb->second != remote) return false;
    }
    return kernel.routes.size() == truth.size() && kernel.objects.size() == truth.size() &&
           kernel.neighbours.size() == far && kernel.fdb.size() == far;
  }
};

}  // namespace

TEST_SUITE("overlay/direct routing") {
  TEST_CASE(
      "a near peer is a route by its PublicIP alone; each peer is asked once, and again when all may have "
      "changed") {
    World w;
    w.near = {Ip4{0xac1e0005}};
    w.converge();
    w.put(5, 5, 1);
    w.put(6, 6, 1);
    w.converge();
    CHECK(w.asked == 2);
    CHECK(w.exact());
    CHECK(w.kernel.writes == 4);
    w.converge();
    CHECK(w.asked == 2);
    w.plan.invalidate();
    w.converge();
    CHECK(w.asked == 4);
    CHECK(w.kernel.writes == 4);
    w.put(6, 7, 2);  // another PublicIP
    w.converge();
    CHECK(w.asked == 5);
    CHECK(w.exact());
  }

  TEST_CASE("compat 9.15: far to near and near to far leave nothing behind") {
    World w;
    w.put(5, 5, 1);
    w.converge();
    REQUIRE(w.exact());
    for (int i = 0; i < 4; ++i) {
      if (i % 2 == 0) w.near = {Ip4{0xac1e0005}};
      if (i % 2 == 1) w.near = {};
      w.plan.invalidate();
      if (i >= 2) w.plan.invalidate();  // found by an audit instead
      w.converge();
      CHECK(w.exact());
      const std::size_t writes = w.kernel.writes;
      w.converge();
      CHECK(w.kernel.writes == writes);
    }
  }

  TEST_CASE("whatever changes, all ends as it should, and who had a path never loses it on the way") {
    Rng rng;
    for (int round = 0; round < rounds(200); ++round) {
      World w;
      std::int64_t age = 1;
      for (int i = 0; i < 40; ++i) {
        const auto third = static_cast<unsigned>(2 + rng.below(10));
        switch (rng.below(6)) {
          case 0: w.remove(third, ++age); break;
          case 1:
            w.near.clear();
            for (unsigned n = 0; n < 12; ++n) {
              if (rng.one_in(2)) w.near.insert(Ip4{0xac1e0000u + third * 16 + n});
            }
            w.plan.invalidate();
            break;
          case 2: w.plan.invalidate(); break;
          default: w.put(third, third * 16 + static_cast<unsigned>(rng.below(3)), ++age); break;
        }
        if (!rng.one_in(3)) w.converge();
      }
      w.converge();
      w.converge();
      REQUIRE(w.exact());
      const std::size_t writes = w.kernel.writes;
      w.plan.invalidate();
      w.converge();
      REQUIRE(w.kernel.writes == writes);
    }
  }
}
