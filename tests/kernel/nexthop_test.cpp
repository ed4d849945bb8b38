// SPDX-License-Identifier: Apache-2.0
// Routes through nexthop objects: what others do to the objects, and how one form is changed into the other.
#include "kernel/nexthop.hpp"
#include "kernel/kernel_node.hpp"

using namespace flannelette;
using namespace flannelette::tests;
using kernel::NexthopIds;

namespace {

using Nexthops = KernelNode::Nexthops;

const Net4 kPeer = {{0x0a2a0500}, 24};  // 10.42.5.0/24
const Mac kMac = {{2, 0, 0, 0, 0, 5}};
const Ip4 kRemote = {0xc0000205};  // 192.0.2.5
const std::string kObject = std::to_string(NexthopIds(kNetwork).of(kPeer.base));

bool leads_right(const Entries& found) {
  return found.routes.size() == 1 && found.routes[0].destination == kPeer && found.routes[0].onlink &&
         found.routes[0].gateway == kPeer.base;
}

/// The same machine after the agent's restart with another setting.
struct Later {
  Later(KernelNode& node, Nexthops form) : kernel(node.files) { REQUIRE(kernel.open(form)); }
  kernel::NetlinkKernel kernel;
};

#define NEEDS \
  REQUIRE_MEANS(namespaces(), program("ip"), program("bridge"), link_kind("type vxlan id 1 dstport 8472"))

}  // namespace

TEST_SUITE("kernel/nexthop") {
  TEST_CASE("an object's id is the place of its subnet in Network, and leads back to it") {
    const NexthopIds ids(net4("10.42.0.0/16"));
    CHECK(ids.of(ip4("10.42.0.0")) == 0x46000000);
    CHECK(ids.of(ip4("10.42.0.4")) == 0x46000001);
    CHECK(ids.of(ip4("10.42.5.0")) == 0x46000140);
    CHECK(ids.base(0x46000140) == ip4("10.42.5.0"));
    CHECK(ids.of(ip4("10.42.5.1")) == 0);  // no subnet begins there
    CHECK(NexthopIds(net4("8.0.0.0/6")).of(ip4("11.255.255.252")) == 0x46ffffff);
    CHECK(NexthopIds(net4("8.0.0.0/5")).of(ip4("12.0.0.0")) == 0);
    CHECK(ids.of(ip4("10.41.255.252")) == 0);
    CHECK(NexthopIds::holds(0x46000000));
    CHECK(NexthopIds::holds(0x46ffffff));
    CHECK_FALSE(NexthopIds::holds(0x45ffffff));
    CHECK_FALSE(NexthopIds::holds(0x47000000));
  }

  TEST_CASE("a route that somebody deleted comes back through the object that stayed") {
    NEEDS;
    KernelNode n("knh1");
    const int index = make_device(n);
    apply(n, index, upserts(kPeer, kMac, kRemote));
    ip("route delete 10.42.5.0/24");
    Entries found = entries(n, index);
    CHECK(found.routes.empty());
    REQUIRE(found.objects.size() == 1);
    CHECK(found.objects[0].base == kPeer.base);
    CHECK(found.objects[0].right);
    CHECK(apply(n, index, upserts(kPeer, kMac, kRemote)).failed == 0);
    CHECK(leads_right(entries(n, index)));
  }

  TEST_CASE("a deleted object, which takes its route along, is made again") {
    NEEDS;
    KernelNode n("knh2");
    const int index = make_device(n);
    apply(n, index, upserts(kPeer, kMac, kRemote));
    ip("nexthop delete id " + kObject);
    REQUIRE(entries(n, index).routes.empty());
    CHECK(apply(n, index, upserts(kPeer, kMac, kRemote)).failed == 0);
    CHECK(leads_right(entries(n, index)));
  }

  TEST_CASE("an object that somebody pointed elsewhere is shown as wrong, and put right") {
    NEEDS;
    KernelNode n("knh3");
    const int index = make_device(n);
    for (const char* compat : {"1", "0"}) {
      must_run({.args = {"sysctl", "-qw", std::string("net.ipv4.nexthop_compat_mode=") + compat}});
      apply(n, index, upserts(kPeer, kMac, kRemote));
      CHECK(leads_right(entries(n, index)));
      ip("nexthop replace id " + kObject + " via 10.42.9.0 dev flannel.1 onlink");
      const Entries found = entries(n, index);
      REQUIRE(found.objects.size() == 1);
      CHECK_FALSE(found.objects[0].right);
      CHECK(apply(n, index, upserts(kPeer, kMac, kRemote)).failed == 0);
      CHECK(leads_right(entries(n, index)));
      CHECK(has(ip("route get 10.42.5.9"), "via 10.42.5.0 dev flannel.1"));
      CHECK(entries(n, index).objects.at(0).right);
    }
  }

  TEST_CASE("another program's object under our id stays, and the route does without") {
    NEEDS;
    KernelNode n("knh4");
    const int index = make_device(n);
    ip("link add eth0 type bridge");
    ip("link set eth0 up");
    ip("address add 192.0.2.1/24 dev eth0");
    std::string made;
    SUBCASE("through another device") { made = "nexthop add id " + kObject + " via 192.0.2.9 dev eth0"; }
    SUBCASE("a blackhole") { made = "nexthop add id " + kObject + " blackhole"; }
    ip(made);
    const std::string before = ip("nexthop show");
    CHECK(apply(n, index, upserts(kPeer, kMac, kRemote)).failed == 0);
    const Entries found = entries(n, index);
    CHECK(leads_right(found));
    CHECK(found.objects.empty());
    CHECK_FALSE(has(ip("route show 10.42.5.0/24"), "nhid"));
    CHECK(apply(n, index, upserts(kPeer, kMac, kRemote)).failed == 0);
    CHECK(apply(n, index, deletions(kPeer, kMac, kRemote)).failed == 0);
    CHECK(entries(n, index).routes.empty());
    CHECK(ip("nexthop show") == before);
  }

  TEST_CASE("a peer's object goes, also when its route went before") {
    NEEDS;
    KernelNode n("knh5");
    const int index = make_device(n);
    apply(n, index, upserts(kPeer, kMac, kRemote));
    ip("route delete 10.42.5.0/24");
    ip("nexthop add id 7 via 10.42.7.0 dev flannel.1 onlink");  // not in our range
    CHECK(entries(n, index).objects.size() == 1);
    CHECK(apply(n, index, {change(Kind::kRemoveNexthop, {kPeer.base, 32}, {}, {})}).failed == 0);
    CHECK(entries(n, index).objects.empty());
    CHECK(count_of(ip("nexthop show"), "id ") == 1);
  }

  TEST_CASE("a subnet that changes its length under the same base keeps its object") {
    NEEDS;
    KernelNode n("knh6");
    const int index = make_device(n);
    apply(n, index, upserts(kPeer, kMac, kRemote));
    const Net4 longer{kPeer.base, 25};
    auto changes = upserts(longer, kMac, kRemote);
    changes.push_back(change(Kind::kRemoveRoute, kPeer, {}, {}));
    CHECK(apply(n, index, changes).failed == 0);
    const Entries found = entries(n, index);
    REQUIRE(found.routes.size() == 1);
    CHECK(found.routes[0].destination == longer);
    CHECK(found.objects.size() == 1);
  }

  TEST_CASE("plain routes stay when objects come to be used, and new ones get objects") {
    NEEDS;
    KernelNode n("knh7", Nexthops::kOff);
    const int index = make_device(n);
    apply(n, index, upserts(kPeer, kMac, kRemote));
    const std::string before = ip("route show 10.42.5.0/24");
    Later later(n, Nexthops::kAuto);
    Entries found;
    REQUIRE(later.kernel.dump_entries({index, 0, kNetwork}, found));
    CHECK(leads_right(found));
    kernel::EntryBatch& batch = later.kernel.begin({index, 0, kNetwork});
    for (const auto& c : upserts(net4("10.42.6.0/24"), mac("02:00:00:00:00:06"), ip4("192.0.2.6"))) {
      batch.change(c);
    }
    REQUIRE(batch.finish());
    CHECK(ip("route show 10.42.5.0/24") == before);
    CHECK(has(ip("route show 10.42.6.0/24"), "nhid"));
    later.kernel.begin({index, 0, kNetwork});  // a plain one goes, too
    for (const auto& c : deletions(kPeer, kMac, kRemote)) batch.change(c);
    const auto report = batch.finish();
    REQUIRE(report);
    CHECK(report->failed == 0);
    CHECK(ip("route show 10.42.5.0/24").empty());
  }

  TEST_CASE("switched off, every route is replaced by a plain one and the objects go") {
    NEEDS;
    KernelNode n("knh8");
    const int index = make_device(n);
    std::vector<overlay::Change> changes;
    for (std::uint32_t i = 0; i < 500; ++i) {
      for (const auto& c : upserts({{0x0a2a8000 + (i << 4)}, 28},
                                   {{2, 0, 0, 1, std::uint8_t(i >> 8), std::uint8_t(i)}}, {i + 1}))
        changes.push_back(c);
    }
    apply(n, index, changes);
    REQUIRE(count_of(ip("nexthop show"), "id ") == 500);
    Later later(n, Nexthops::kOff);
    Entries found;
    REQUIRE(later.kernel.dump_entries({index, 0, kNetwork}, found));
    CHECK(found.routes.size() == 500);
    CHECK(std::none_of(found.routes.begin(), found.routes.end(), [](const auto& r) { return r.onlink; }));
    kernel::EntryBatch& batch = later.kernel.begin({index, 0, kNetwork});
    for (const auto& c : changes) batch.change(c);
    const auto report = batch.finish();
    REQUIRE(report);
    CHECK(report->failed == 0);
    CHECK(ip("nexthop show").empty());
    CHECK(count_of(ip("route show dev flannel.1"), "proto 70 onlink") == 500);
    Entries plain;
    REQUIRE(later.kernel.dump_entries({index, 0, kNetwork}, plain));
    CHECK(std::all_of(plain.routes.begin(), plain.routes.end(), [](const auto& r) { return r.onlink; }));
  }
}
