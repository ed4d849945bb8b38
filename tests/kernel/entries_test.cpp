// SPDX-License-Identifier: Apache-2.0
// Entries of peers in a real kernel: dumps and batches.
#include <chrono>

#include "flannelette/overlay/entry_plan.hpp"
#include "kernel/kernel_node.hpp"
#include "support/poll.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

const Net4 kPeer = {{0x0a2a0500}, 24};  // 10.42.5.0/24
const Mac kMac = {{2, 0, 0, 0, 0, 5}};
const Ip4 kRemote = {0xc0000205};  // 192.0.2.5

std::string everything_else() {
  // IPv4 only: the kernel adds and removes IPv6 entries on any device that is up.
  return ip("link show") + ip("-4 address show") + ip("-4 route show table all") + ip("-4 neighbour show") +
         ip("rule show") + output_of("bridge fdb show dev other");
}

}  // namespace

TEST_SUITE("kernel/entries") {
  TEST_CASE("a peer is one onlink route, one permanent neighbour and one permanent self FDB entry") {
    REQUIRE_MEANS(namespaces(), program("ip"), program("bridge"), link_kind("type vxlan id 1 dstport 8472"));
    for (const auto form : kBothForms) {
      KernelNode n("kent1", form);
      const int index = make_device(n);
      const auto report = apply(n, index, upserts(kPeer, kMac, kRemote));
      CHECK(report.done == 3);
      CHECK(report.failed == 0);
      const bool plain = form == KernelNode::Nexthops::kOff;
      const std::string object = std::to_string(0x46000000 + (0x2a0500 >> 2));
      CHECK(has(ip("-d route show dev flannel.1"),
                plain
                    ? "unicast 10.42.5.0/24 via 10.42.5.0 proto 70 scope global onlink"
                    : "unicast 10.42.5.0/24 nhid " + object + " via 10.42.5.0 proto 70 scope global onlink"));
      CHECK(ip("nexthop show") ==
            (plain ? "" : "id " + object + " via 10.42.5.0 dev flannel.1 scope link proto 70 onlink \n"));
      CHECK(has(ip("neighbour show dev flannel.1"), "10.42.5.0 lladdr 02:00:00:00:00:05 PERMANENT"));
      CHECK(
          has(output_of("bridge fdb show dev flannel.1"), "02:00:00:00:00:05 dst 192.0.2.5 self permanent"));

      const Entries found = entries(n, index);
      REQUIRE(found.neighbours.size() == 1);
      CHECK(found.neighbours[0].ip == kPeer.base);
      CHECK(found.neighbours[0].mac == kMac);
      CHECK(found.neighbours[0].permanent);
      REQUIRE(found.fdb.size() == 1);
      CHECK(found.fdb[0].mac == kMac);
      CHECK(found.fdb[0].remote == kRemote);
      CHECK(found.fdb[0].permanent);
      REQUIRE(found.routes.size() == 1);
      CHECK(found.routes[0].destination == kPeer);
      CHECK(found.routes[0].gateway == kPeer.base);
      CHECK(found.routes[0].onlink);
      CHECK(found.routes[0].metric == 0);

      CHECK(apply(n, index, upserts(kPeer, kMac, kRemote)).failed == 0);  // again: nothing changes
      CHECK(apply(n, index, deletions(kPeer, kMac, kRemote)).failed == 0);
      CHECK(apply(n, index, deletions(kPeer, kMac, kRemote)).failed == 0);  // what is not there is deleted
      const Entries after = entries(n, index);
      CHECK(after.neighbours.empty());
      CHECK(after.fdb.empty());
      CHECK(after.routes.empty());
      CHECK(after.objects.empty());
      CHECK(ip("nexthop show").empty());
    }
  }

  TEST_CASE("a peer's new MAC and address replace the old ones in place") {
    REQUIRE_MEANS(namespaces(), program("ip"), program("bridge"), link_kind("type vxlan id 1 dstport 8472"));
    for (const auto form : kBothForms) {
      KernelNode n("kent2", form);
      const int index = make_device(n);
      apply(n, index, upserts(kPeer, kMac, kRemote));
      const Mac fresh = mac("02:00:00:00:00:06");
      apply(n, index, upserts(kPeer, kMac, ip4("192.0.2.6")));
      CHECK(
          has(output_of("bridge fdb show dev flannel.1"), "02:00:00:00:00:05 dst 192.0.2.6 self permanent"));
      CHECK(entries(n, index).fdb.size() == 1);
      apply(n, index, upserts(kPeer, fresh, ip4("192.0.2.6")));
      CHECK(entries(n, index).neighbours.at(0).mac == fresh);
      CHECK(entries(n, index).fdb.size() == 2);
      apply(n, index, {change(Kind::kRemoveFdb, kPeer, kMac, ip4("192.0.2.6"))});
      CHECK(entries(n, index).fdb.at(0).mac == fresh);
    }
  }

  TEST_CASE(
      "what others put on our device is shown: neighbours in other states, other routes, odd FDB "
      "entries") {
    REQUIRE_MEANS(namespaces(), program("ip"), program("bridge"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kent3");
    const int index = make_device(n);
    ip("neighbour add 10.42.5.0 lladdr 02:00:00:00:00:05 nud reachable dev flannel.1");
    ip("neighbour add proxy 10.42.6.0 dev flannel.1");
    ip("neighbour add 224.0.0.9 lladdr 01:00:5e:00:00:09 nud noarp dev flannel.1");
    ip("route add 10.42.5.0/24 dev flannel.1 metric 5");
    ip("route add 10.42.6.0/24 via 10.42.6.1 dev flannel.1 onlink");
    ip("route add 10.42.7.0/24 via 10.42.7.1 dev flannel.1 onlink table 100");
    output_of("bridge fdb add 02:00:00:00:00:05 dev flannel.1 dst 192.0.2.5 port 4789 self");
    const Entries found = entries(n, index);
    REQUIRE(found.neighbours.size() == 1);
    CHECK_FALSE(found.neighbours[0].permanent);
    REQUIRE(found.routes.size() == 2);
    CHECK(found.routes[0].gateway == Ip4{});
    CHECK(found.routes[0].metric == 5);
    CHECK(found.routes[1].gateway == ip4("10.42.6.1"));
    REQUIRE(found.fdb.size() == 1);
    CHECK(found.fdb[0].remote == Ip4{});
  }

  TEST_CASE("an FDB entry with a port, a VNI or a link of its own is replaced, a stranger's removed") {
    REQUIRE_MEANS(namespaces(), program("ip"), program("bridge"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kent14");
    const int index = make_device(n);
    ip("link add eth0 type bridge");
    apply(n, index, upserts(kPeer, kMac, kRemote));
    const auto shown = [] { return output_of("bridge fdb show dev flannel.1"); };
    const std::string ours = shown();
    for (const char* to :
         {"192.0.2.5 port 4789", "192.0.2.5 vni 0", "192.0.2.5 vni 7", "192.0.2.5 via eth0", "192.0.2.6"}) {
      CAPTURE(to);
      const std::string on = std::string(" dev flannel.1 self dst ") + to;
      output_of("bridge fdb append 02:00:00:00:00:05" + on);
      CHECK(shown() == ours);  // the kernel's rule: a unicast MAC has one remote
      output_of("bridge fdb replace 02:00:00:00:00:05" + on);
      CHECK(shown() != ours);
      const Entries found = entries(n, index);
      REQUIRE(found.fdb.size() == 1);
      CHECK(found.fdb[0].remote != kRemote);
      CHECK(apply(n, index, upserts(kPeer, kMac, kRemote)).failed == 0);
      CHECK(shown() == ours);
      for (const char* stranger : {"02:00:00:00:00:77", "00:00:00:00:00:00"}) {
        output_of(std::string("bridge fdb append ") + stranger + " dst 192.0.2.9 self dev flannel.1");
        output_of(std::string("bridge fdb append ") + stranger + on);
        CHECK(apply(n, index, {change(Kind::kRemoveFdb, kPeer, mac(stranger), kRemote)}).failed == 0);
        CHECK(shown() == ours);
      }
    }
  }

  TEST_CASE("routes of our device are replaced whatever their form") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    std::vector<std::string> made;
    SUBCASE("of another protocol") { made = {"route add 10.42.5.0/24 via 10.42.5.9 dev flannel.1 onlink"}; }
    SUBCASE("without gateway") { made = {"route add 10.42.5.0/24 dev flannel.1"}; }
    SUBCASE("with another nexthop object") {
      made = {"nexthop replace id 7 via 10.42.5.0 dev flannel.1 onlink", "route add 10.42.5.0/24 nhid 7"};
    }
    SUBCASE("with two next hops on it") {
      made = {
          "route add 10.42.5.0/24 nexthop via 10.42.5.7 dev flannel.1 onlink nexthop via 10.42.5.8 dev "
          "flannel.1 onlink"};
    }
    for (const auto form : kBothForms) {
      KernelNode n("kent4", form);
      const int index = make_device(n);
      for (const auto& command : made) ip(command);
      Entries found = entries(n, index);
      REQUIRE(found.routes.size() == 1);
      CHECK((found.routes[0].gateway != kPeer.base || !found.routes[0].onlink));
      CHECK(apply(n, index, upserts(kPeer, kMac, kRemote)).failed == 0);
      found = entries(n, index);
      REQUIRE(found.routes.size() == 1);
      CHECK(found.routes[0].gateway == kPeer.base);
      CHECK(found.routes[0].onlink);
      ip("route delete 10.42.5.0/24");
      for (const auto& command : made) ip(command);
      CHECK(apply(n, index, deletions(kPeer, kMac, kRemote)).failed == 0);
      CHECK(entries(n, index).routes.empty());
    }
  }

  TEST_CASE("a route of ours with metrics, a source or a realm is not right, and is replaced") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    for (const auto form : kBothForms) {
      KernelNode n("kent15", form);
      const int index = make_device(n);
      apply(n, index, upserts(kPeer, kMac, kRemote));
      const std::string ours = ip("route show dev flannel.1");
      const auto first = [&] { return entries(n, index).routes.at(0); };
      const bool objects = has(ours, "nhid");
      const std::string to = objects ? "nhid " + std::to_string(0x46000000 + 0x2a0500 / 4)
                                     : "via 10.42.5.0 dev flannel.1 onlink";
      for (const std::string more : {"mtu 1000", "advmss 500", "src 10.42.0.0", "realm 5"}) {
        if (objects && more == "realm 5") continue;  // it belongs to a next hop
        for (const std::string how : {"change", "prepend", "append"}) {
          CAPTURE(more);
          CAPTURE(how);
          ip("route " + how + " 10.42.5.0/24 " + to + " " + more);
          CHECK(first().onlink == (how == "append"));
          CHECK(apply(n, index, upserts(kPeer, kMac, kRemote)).failed == 0);
          CHECK(ip("route show dev flannel.1") == ours);
        }
      }
    }
  }

  TEST_CASE("a route on our device with a TOS is shown with it, and goes by it") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    for (const auto form : kBothForms) {
      KernelNode n("kent16", form);
      const int index = make_device(n);
      apply(n, index, upserts(kPeer, kMac, kRemote));
      const std::string ours = ip("route show dev flannel.1");
      ip("route add 10.42.5.0/24 tos 0x10 via 10.42.9.0 dev flannel.1 onlink");
      const Entries found = entries(n, index);
      REQUIRE(found.routes.size() == 2);
      CHECK(found.routes[0].tos + found.routes[1].tos == 0x10);
      overlay::Change removal = change(Kind::kRemoveRoute, kPeer, kMac, kRemote);
      removal.entry.tos = 0x10;
      CHECK(apply(n, index, {removal}).failed == 0);
      CHECK(ip("route show dev flannel.1") == ours);
    }
  }

  TEST_CASE("a second route of ours beside the right one goes") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    for (const auto form : kBothForms) {
      KernelNode n("kent5", form);
      const int index = make_device(n);
      for (const char* how : {"append", "prepend"}) {
        for (const char* what : {"via 10.42.5.9 dev flannel.1 onlink", "dev flannel.1"}) {
          apply(n, index, upserts(kPeer, kMac, kRemote));
          ip(std::string("route ") + how + " 10.42.5.0/24 " + what);
          REQUIRE(entries(n, index).routes.size() == 2);
          CHECK(apply(n, index, upserts(kPeer, kMac, kRemote)).failed == 0);
          const Entries found = entries(n, index);
          REQUIRE(found.routes.size() == 1);
          CHECK(found.routes[0].gateway == kPeer.base);
        }
      }
    }
  }

  TEST_CASE(
      "another program's route to a peer's subnet stays, is reported as a conflict, and stops nothing else") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kent6");
    const int index = make_device(n);
    ip("link add eth0 type bridge");
    ip("link set eth0 up");
    ip("address add 192.0.2.1/24 dev eth0");
    std::string made;
    SUBCASE("on another device") { made = "10.42.5.0/24 via 192.0.2.77 dev eth0"; }
    SUBCASE("a blackhole") { made = "blackhole 10.42.5.0/24"; }
    SUBCASE("over several devices, one of them ours") {
      made = "10.42.5.0/24 nexthop via 192.0.2.77 dev eth0 nexthop via 10.42.5.7 dev flannel.1 onlink";
    }
    ip("route add " + made);
    const std::string before = ip("route show 10.42.5.0/24");
    auto changes = upserts(kPeer, kMac, kRemote);
    for (const auto& c : upserts(net4("10.42.6.0/24"), mac("02:00:00:00:00:06"), ip4("192.0.2.6")))
      changes.push_back(c);
    const auto report = apply(n, index, changes);
    CHECK(report.done == 5);
    CHECK(report.failed == 1);
    CHECK(report.first.code == Code::kConflict);
    CHECK(report.first_change.entry.net == Net(kPeer));
    CHECK(ip("route show 10.42.5.0/24") == before);
    const Entries found = entries(n, index);
    REQUIRE(found.routes.size() == 1);
    CHECK(found.routes[0].destination == net4("10.42.6.0/24"));
    CHECK(apply(n, index, deletions(kPeer, kMac, kRemote)).failed == 0);
    CHECK(ip("route show 10.42.5.0/24") == before);
  }

  TEST_CASE("errors name the change that failed, wherever in the batch it stands") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kent7");
    const int index = make_device(n);
    const auto make_odd = [](overlay::Change& one) {
      one.entry.net = Net4{{one.entry.net.v4().base.value | 1}, 28};
    };
    std::vector<overlay::Change> changes;
    for (std::uint32_t i = 1; i <= 1000; ++i) {
      changes.push_back(change(Kind::kPutRoute, {{0x0a2a0000 + (i << 4)}, 28}, {}, {}));
    }
    SUBCASE("first") { make_odd(changes.front()); }
    SUBCASE("at the end of a message") { make_odd(changes[199]); }
    SUBCASE("in the middle") { make_odd(changes[500]); }
    SUBCASE("last") { make_odd(changes.back()); }
    const auto report = apply(n, index, changes);
    CHECK(report.done == 999);
    CHECK(report.failed == 1);
    CHECK(report.first.sys_errno == EINVAL);
    CHECK(report.first_change.entry.net.v4().base.value % 16 == 1);
    CHECK(entries(n, index).routes.size() == 999);
  }

  TEST_CASE("thousands of refusals fit, each counted") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    for (const auto form : kBothForms) {
      KernelNode n("kent8", form);
      const int index = make_device(n);
      std::vector<overlay::Change> changes;
      for (std::uint32_t i = 0; i < 5000; ++i)
        changes.push_back(change(Kind::kPutRoute, {{0x0a2a0001 + (i << 4)}, 28}, {}, {}));
      CHECK(apply(n, index, changes).failed == 5000);
      CHECK(entries(n, index).routes.empty());
      changes.clear();
      for (std::uint32_t i = 0; i < 5000; ++i) {
        for (const auto& c : deletions({{0x0a2a0000 + (i << 4)}, 28}, kMac, {i})) changes.push_back(c);
      }
      const auto report = apply(n, index, changes);
      CHECK(report.failed == 0);
      CHECK(report.done == changes.size());
    }
  }

  TEST_CASE("a device that is gone fails every change, and the report says what it is") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    for (const auto form : kBothForms) {
      KernelNode n("kent9", form);
      const int index = make_device(n);
      ip("link delete flannel.1");
      const auto report = apply(n, index, upserts(kPeer, kMac, kRemote));
      CHECK(report.failed == 3);
      CHECK(report.first.code == Code::kNotFound);
    }
  }

  TEST_CASE("nothing outside the device is touched") {
    REQUIRE_MEANS(namespaces(), program("ip"), program("bridge"), link_kind("type vxlan id 1 dstport 8472"));
    for (const auto form : kBothForms) {
      KernelNode n("kent10", form);
      ip("link add eth0 type bridge");
      ip("link set eth0 up");
      ip("address add 192.0.2.1/24 dev eth0");
      ip("route add default via 192.0.2.254");
      ip("link add other type vxlan id 2 local 192.0.2.1 dstport 8472");
      ip("link set other up");
      ip("route add 10.42.5.0/24 via 10.42.5.0 dev other onlink metric 9");
      ip("route add 10.42.5.0/24 via 10.42.5.0 dev other onlink table 77");
      ip("neighbour add 10.42.5.0 lladdr 02:00:00:00:00:05 dev other");
      output_of("bridge fdb add 02:00:00:00:00:05 dev other dst 192.0.2.5 self");
      const std::string before = everything_else();
      const int index = make_device(n);
      apply(n, index, upserts(kPeer, kMac, kRemote));
      const Entries found = entries(n, index);
      CHECK(found.neighbours.size() == 1);
      CHECK(found.fdb.size() == 1);
      CHECK(found.routes.size() == 1);
      apply(n, index, deletions(kPeer, kMac, kRemote));
      REQUIRE(n.kernel.delete_device(index));
      CHECK(everything_else() == before);
    }
  }

  TEST_CASE("ten thousand peers are made, listed and removed") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    for (const auto form : kBothForms) {
      KernelNode n("kent11", form);
      const int index = make_device(n);
      constexpr std::uint32_t kPeers = 10'000;
      using std::chrono::steady_clock;
      const auto ms = [](steady_clock::duration d) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
      };
      const auto each = [&](auto&& kinds) {
        kernel::EntryBatch& batch = n.kernel.begin({index, 0, kNetwork});
        for (Kind kind : kinds) {
          for (std::uint32_t i = 0; i < kPeers; ++i) {
            Mac m{{2, 1, 0, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}};
            batch.change(change(kind, {{0x0a000000 + (i << 8)}, 24}, m, {0xc0a80000 + i}));
          }
        }
        const auto report = batch.finish();
        REQUIRE(report);
        CHECK(report->failed == 0);
        CHECK(report->done == std::size(kinds) * kPeers);
      };
      const auto start = steady_clock::now();
      each(std::initializer_list<Kind>{Kind::kPutNeighbour, Kind::kPutFdb, Kind::kPutRoute});
      const auto made = steady_clock::now();
      const Entries found = entries(n, index);
      const auto listed = steady_clock::now();
      CHECK(found.neighbours.size() == kPeers);
      CHECK(found.fdb.size() == kPeers);
      CHECK(found.routes.size() == kPeers);
      each(std::initializer_list<Kind>{Kind::kRemoveRoute, Kind::kRemoveNexthop, Kind::kRemoveNeighbour,
                                       Kind::kRemoveFdb});
      const auto removed = steady_clock::now();
      MESSAGE("made in ", ms(made - start), " ms, listed in ", ms(listed - made), " ms, removed in ",
              ms(removed - listed), " ms");
      const Entries rest = entries(n, index);
      CHECK(rest.neighbours.size() + rest.fdb.size() + rest.routes.size() == 0);
    }
  }

  TEST_CASE(
      "a peer among ten thousand that comes back with another address or MAC costs no dump of the others") {
    REQUIRE_MEANS(namespaces(), program("ip"), program("bridge"), link_kind("type vxlan id 1 dstport 8472"));
    using std::chrono::steady_clock;
    using Microseconds = std::chrono::microseconds;
    constexpr std::uint32_t kPeers = 10'000;
    for (const auto form : kBothForms) {
      KernelNode n("kent13", form);
      const int index = make_device(n);
      overlay::LeaseTable table;
      overlay::EntryPlan plan(table);
      overlay::LocalNode local;
      local.config.network = kNetwork;
      local.config.vni = 1;
      local.public_ip = ip4("192.0.2.1");
      local.subnet = net4("10.42.0.0/24");
      table.set_local(local);
      std::int64_t revision = 1;
      const auto put = [&](std::uint32_t i, std::uint32_t version) {
        overlay::LeaseRecord record;
        record.key.subnet = {{0x0a800000 + (i << 8)}, 24};
        record.value = {Ip4{0xac100000 + i + version * 0x10000},
                        overlay::BackendType::kVxlan,
                        true,
                        1u,
                        {{2, 1, 0, static_cast<std::uint8_t>(version / 2), static_cast<std::uint8_t>(i >> 8),
                          static_cast<std::uint8_t>(i)}}};
        record.created = 1;
        record.modified = ++revision;
        REQUIRE(table.upsert(record) == overlay::Ignored::kNo);
      };
      const auto write = [&] {
        kernel::EntryBatch& batch = n.kernel.begin({index, 0, kNetwork});
        plan.plan(batch);
        const auto report = batch.finish();
        REQUIRE(report);
        CHECK(report->failed == 0);
        plan.commit();
      };
      plan.begin_audit();
      plan.finish_audit(n.kernel.begin({index, 0, kNetwork}));
      plan.commit();
      for (std::uint32_t i = 0; i < kPeers; ++i) put(i, 0);
      write();
      const auto start = steady_clock::now();
      CHECK(entries(n, index).routes.size() == kPeers);
      const auto whole = std::chrono::duration_cast<Microseconds>(steady_clock::now() - start).count();

      std::vector<std::int64_t> times;
      for (std::uint32_t i = 0; i < 201; ++i) {
        const auto before = steady_clock::now();
        put(47 * i, 1 + i % 2);  // PublicIP; PublicIP and MAC
        write();
        times.push_back(std::chrono::duration_cast<Microseconds>(steady_clock::now() - before).count());
      }
      std::sort(times.begin(), times.end());
      MESSAGE("an update: ", times[100], " us (median of 201), all entries listed: ", whole, " us");
      CHECK(times[100] < whole / 20);
      CHECK(has(output_of("bridge fdb show dev flannel.1"),
                "02:01:00:01:00:2f dst 172.18.0.47 self permanent"));
      CHECK(has(ip("neighbour show dev flannel.1"), "10.128.47.0 lladdr 02:01:00:01:00:2f PERMANENT"));
      CHECK(entries(n, index).routes.size() == kPeers);
    }
  }

  TEST_CASE("a dump during which the table changes is either whole or kInterrupted") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kent12");
    for (int i = 0; i < 300; ++i) ip("link add v" + std::to_string(i) + " type bridge");
    struct Meddler final : kernel::LinkVisitor {
      void link(const kernel::Link&) override {
        if (count++ == 0) ip("link add meddler type bridge");
      }
      int count = 0;
    } meddler;
    const auto dumped = n.kernel.dump_links(meddler);
    REQUIRE_FALSE(dumped);
    CHECK(dumped.error().code == Code::kInterrupted);
    meddler.count = 1;
    CHECK(n.kernel.dump_links(meddler));  // the socket is clean again
  }
}
