// SPDX-License-Identifier: Apache-2.0
// What a real kernel tells of entries of peers, and what it keeps to itself.
#include <fstream>

#include "kernel/kernel_node.hpp"
#include "support/cpu_time.hpp"
#include "support/poll.hpp"
#include "support/temp_dir.hpp"

using namespace flannelette;
using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

#define NEEDS REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"))

using overlay::Entry;

constexpr Net4 kPeer{{0x0a2a0500}, 24};  // 10.42.5.0
const Mac kMac = mac("02:00:00:00:00:05");
const Ip4 kRemote = ip4("192.0.2.5");

void run_batch(const std::string& lines) {
  const TempDir dir;
  std::ofstream(dir.file("batch")) << lines;
  must_run({.args = {"ip", "-batch", dir.file("batch")}}, 60s);
}

/// A device with one peer, followed.
struct Followed {
  explicit Followed(const std::string& name) : n(name) {
    ip("link add eth0 type bridge");
    ip("address add 192.0.2.1/24 dev eth0");
    ip("link set eth0 up");
    site.device = make_device(n);
    site.network = net4("10.42.0.0/16");
    n.monitor.set_doorbell(Delegate<void(const kernel::Ring&)>::to<&Followed::ring>(this));
    n.monitor.follow(site);
    put(upserts(kPeer, kMac, kRemote));
    settle();
  }
  void ring(const kernel::Ring& ring) {
    causes |= ring.causes;
    many = many || ring.many;
    for (std::size_t i = 0; i < ring.touched_count; ++i) touched.push_back(ring.touched[i]);
  }
  void put(const std::vector<overlay::Change>& changes) {
    kernel::EntryBatch& batch = n.kernel.begin(site);
    for (const auto& one : changes) batch.change(one);
    auto report = batch.finish();
    REQUIRE(report);
    CHECK(report->failed == 0);
  }
  /// Reads all that has come.
  void settle() {
    for (int i = 0; i < 3; ++i) REQUIRE(n.loop.step(10));
  }
  void forget() {
    settle();
    touched.clear();
    many = false;
    causes = 0;
  }
  /// What is told of after a command line.
  const std::vector<kernel::Touched>& after(const std::string& command) {
    forget();
    output_of(command);
    settle();
    return touched;
  }
  bool told(const std::string& command, Entry::Kind kind, bool present) {
    const auto& all = after(command);
    return std::any_of(all.begin(), all.end(), [&](const kernel::Touched& t) {
      return t.entry.kind == kind && t.present == present;
    });
  }

  KernelNode n;
  kernel::Site site;
  std::vector<kernel::Touched> touched;
  bool many = false;
  unsigned causes = 0;
};

}  // namespace

TEST_SUITE("kernel/notifications of entries") {
  TEST_CASE("what another program does to an entry of a peer is told of, with what it is now") {
    NEEDS;
    Followed f("kent1");
    using Kind = Entry::Kind;
    CHECK(f.told("ip route delete 10.42.5.0/24", Kind::kRoute, false));
    CHECK(f.touched[0].entry == Entry::route(kPeer, kPeer.base));
    CHECK(f.touched[0].port != 0);
    f.put(upserts(kPeer, kMac, kRemote));
    CHECK(f.told("ip route replace 10.42.5.0/24 via 10.42.9.0 dev flannel.1 onlink", Kind::kRoute, true));
    CHECK(f.touched[0].entry.via == ip4("10.42.9.0"));
    f.put(upserts(kPeer, kMac, kRemote));
    CHECK(f.told("ip route change 10.42.5.0/24 via 10.42.5.0 dev flannel.1 onlink mtu 1000", Kind::kRoute,
                 true));
    CHECK_FALSE(f.touched[0].entry.onlink);
    f.put(upserts(kPeer, kMac, kRemote));
    CHECK(
        f.told("ip route add 10.42.5.0/24 via 10.42.5.0 dev flannel.1 onlink tos 0x10", Kind::kRoute, true));
    CHECK(f.touched[0].entry.tos == 0x10);
    CHECK(f.told("ip route delete 10.42.5.0/24 tos 0x10", Kind::kRoute, false));
    CHECK(f.told("ip neigh delete 10.42.5.0 dev flannel.1", Kind::kNeighbour, false));
    f.put(upserts(kPeer, kMac, kRemote));
    CHECK(f.told("ip neigh replace 10.42.5.0 lladdr 02:00:00:00:00:99 dev flannel.1 nud permanent",
                 Kind::kNeighbour, true));
    CHECK(f.touched[0].entry == Entry::neighbour(Net4{kPeer.base, 32}, mac("02:00:00:00:00:99")));
    CHECK(f.told("bridge fdb delete 02:00:00:00:00:05 dev flannel.1 dst 192.0.2.5", Kind::kFdb, false));
    CHECK(f.touched[0].entry == Entry::fdb(kMac, kRemote));
    CHECK(f.told("bridge fdb append 02:00:00:00:00:05 dev flannel.1 dst 192.0.2.77", Kind::kFdb, true));
    CHECK(f.touched[0].entry == Entry::fdb(kMac, ip4("192.0.2.77")));
    CHECK(f.told("bridge fdb replace 02:00:00:00:00:05 dev flannel.1 dst 192.0.2.5 port 4789", Kind::kFdb,
                 true));
    CHECK(f.touched[0].entry == Entry::fdb(kMac, Ip4{}));
    const auto id = std::to_string(0x46000000 + 0x500 / 4);
    if (!has(ip("nexthop"), id)) return;  // a kernel without
    CHECK(
        f.told("ip nexthop replace id " + id + " via 10.42.8.0 dev flannel.1 onlink", Kind::kNexthop, true));
    f.put(upserts(kPeer, kMac, kRemote));
    CHECK(f.told("ip nexthop delete id " + id, Kind::kNexthop, false));
    CHECK(f.touched[0].entry.net == Net(kPeer.base, 32));
    CHECK(f.causes == static_cast<unsigned>(kernel::Cause::kEntries));
  }

  TEST_CASE("another program's route in the place of ours: it came, and it went") {
    NEEDS;
    Followed f("kent2");
    auto all = f.after("ip route replace 10.42.5.0/24 via 192.0.2.9 dev eth0");
    REQUIRE(all.size() == 1);
    CHECK_FALSE(all[0].present);
    CHECK_FALSE(all[0].was_foreign);
    all = f.after("ip route delete 10.42.5.0/24 via 192.0.2.9 dev eth0");
    REQUIRE(all.size() == 1);
    CHECK(all[0].was_foreign);
    CHECK(f.after("ip route add 10.42.77.0/24 via 192.0.2.9 dev eth0").empty());
  }

  TEST_CASE("what we write ourselves rings nothing, ten thousand FDB entries and all") {
    NEEDS;
    Followed f("kent3");
    f.forget();
    std::vector<overlay::Change> puts, removes;
    for (std::uint32_t i = 0; i < 3'000; ++i) {
      const Net4 subnet{{0x0a2a0000 + (i + 64) * 16}, 28};
      const Mac m{{2, 0, 0, 1, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}};
      for (const auto& one : upserts(subnet, m, {0xc0000000 + i})) puts.push_back(one);
      for (const auto& one : deletions(subnet, m, {0xc0000000 + i})) removes.push_back(one);
    }
    f.put(puts);
    f.put(puts);  // nothing changes: nothing is told
    f.put(removes);
    f.settle();
    CHECK(f.causes == 0);
    CHECK(f.touched.empty());
    CHECK_FALSE(f.many);
  }

  TEST_CASE("others' FDB entries in the middle of ours are told of") {
    NEEDS;
    Followed f("kent4");
    f.forget();
    output_of("bridge fdb add 02:00:00:00:00:66 dev flannel.1 dst 192.0.2.66");
    f.put(upserts({{0x0a2a0600}, 24}, mac("02:00:00:00:00:06"), ip4("192.0.2.6")));
    f.settle();
    REQUIRE(f.touched.size() == 1);
    CHECK(f.touched[0].entry == Entry::fdb(mac("02:00:00:00:00:66"), ip4("192.0.2.66")));
  }

  TEST_CASE("a busy LAN and a routing daemon do not wake us: 50 neighbours, 20,000 routes") {
    NEEDS;
    Followed f("kent5");
    f.forget();
    std::string batch;
    for (int i = 2; i < 52; ++i) {
      const std::string host = "192.0.2." + std::to_string(i);
      batch += "neigh replace " + host + " lladdr 02:00:00:00:01:" + std::to_string(10 + i % 80) +
               " dev eth0 nud reachable\nneigh replace " + host + " dev eth0 nud stale\n";
    }
    for (int i = 0; i < 20'000; ++i) {
      batch += "route add 100." + std::to_string(64 + i / 65'536) + "." + std::to_string(i / 256 % 256) +
               "." + std::to_string(i % 256) + "/32 via 192.0.2.9 proto bgp" +
               (i % 2 == 0 ? " mtu 1400\n" : "\n");
    }
    run_batch(batch);
    const auto started = std::chrono::steady_clock::now();
    REQUIRE(f.n.loop.step(200));
    CHECK(std::chrono::steady_clock::now() - started >= 200ms);
    CHECK(f.causes == 0);
  }

  TEST_CASE("more than are told of singly, and what overflowed the queue: any entry may have changed") {
    NEEDS;
    Followed f("kent6");
    f.forget();
    std::string batch;
    for (int i = 0; i < 40; ++i)
      batch += "neigh replace 10.42.200." + std::to_string(i) +
               " lladdr 02:00:00:00:02:01 dev flannel.1 nud permanent\n";
    run_batch(batch);
    f.settle();
    CHECK(f.many);
    CHECK(f.touched.size() == kernel::Ring::kMaxTouched);
  }

  TEST_CASE("settings of all links, and of the device, ring; those of others do not") {
    NEEDS;
    Followed f("kent7");
    ip("link add pod0 type bridge");
    const auto rung = [&](const std::string& setting) {
      f.after("sysctl -qw net.ipv4." + setting);
      return (f.causes & static_cast<unsigned>(kernel::Cause::kSysctls)) != 0;
    };
    CHECK(rung("ip_forward=1"));
    CHECK(rung("ip_forward=0"));
    CHECK(rung("conf.all.rp_filter=1"));
    CHECK(rung("conf.flannel/1.rp_filter=1"));
    CHECK_FALSE(rung("conf.pod0.rp_filter=1"));
  }

  TEST_CASE("the device's last address goes, and with it plain routes: that counts as down") {
    NEEDS;
    Followed f("kent8");
    const std::uint32_t before = f.n.monitor.times_down();
    f.after("ip address flush dev flannel.1");
    CHECK(f.n.monitor.times_down() == before + 1);
    f.after("ip address add 198.51.100.1/32 dev eth0");
    f.after("ip address delete 198.51.100.1/32 dev eth0");
    CHECK(f.n.monitor.times_down() == before + 1);
  }

  TEST_CASE("a route that differs is replaced without a list of all routes, an object put back alone") {
    NEEDS;
    Followed f("kent9");
    std::string batch;
    for (int i = 0; i < 30'000; ++i)
      batch += "route add 100.64." + std::to_string(i / 256) + "." + std::to_string(i % 256) +
               "/32 via 192.0.2.9 proto bgp\n";
    run_batch(batch);
    const auto id = std::to_string(0x46000000 + 0x500 / 4);
    const auto damages = {std::string("ip route replace 10.42.5.0/24 via 10.42.9.0 dev flannel.1 onlink"),
                          "ip nexthop replace id " + id + " via 10.42.8.0 dev flannel.1 onlink",
                          "ip nexthop delete id " + id};
    for (const std::string& damage : damages) {
      if (has(damage, "nexthop") && !has(ip("nexthop"), id)) continue;
      output_of(damage);
      const auto before = cpu_time();
      f.put(upserts(kPeer, kMac, kRemote));
      const auto took = cpu_time() - before;
      CHECK_MESSAGE(took < 10ms, damage);  // a list of 30,000 takes longer
      MESSAGE(damage, ": ", std::chrono::duration_cast<std::chrono::microseconds>(took).count(), " us");
      Entries found;
      REQUIRE(f.n.kernel.dump_entries(f.site, found));
      REQUIRE(found.routes.size() == 1);
      CHECK(found.routes[0].gateway == kPeer.base);
    }
  }
}
