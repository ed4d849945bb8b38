// SPDX-License-Identifier: Apache-2.0
// Direct routes in a real kernel: on the underlay's link, beside and instead of those of our device.
#include <chrono>

#include "flannelette/overlay/backend.hpp"
#include "flannelette/overlay/entry_plan.hpp"
#include "kernel/kernel_node.hpp"
#include "kernel/nexthop.hpp"
#include "support/poll.hpp"

using namespace flannelette;
using namespace flannelette::tests;
using overlay::Change;
using overlay::Entry;
using Op = overlay::Change::Op;
using EntryKind = overlay::Entry::Kind;

namespace {

using Nexthops = KernelNode::Nexthops;

const Net4 kPeer = {{0x0a2a0500}, 24};  // 10.42.5.0/24
const Mac kMac = {{2, 0, 0, 0, 0, 5}};
const Ip4 kRemote = {0xc0000205};  // 192.0.2.5
const std::string kObject = std::to_string(kernel::DirectNexthopIds::of(kPeer.base));

/// A link at 192.0.2.1/24 beside our device.
struct Underlay {
  explicit Underlay(const std::string& name, Nexthops form = Nexthops::kAuto) : n(name, form) {
    ip("link add eth0 type bridge");
    ip("link set eth0 up");
    ip("address add 192.0.2.1/24 dev eth0");
    struct Find final : kernel::LinkVisitor {
      void link(const kernel::Link& link) override {
        if (link.name == "eth0") index = link.index;
      }
      int index = 0;
    } find;
    REQUIRE(n.kernel.dump_links(find));
    site.underlay = find.index;
    site.network = net4("10.42.0.0/16");
    site.direct = true;
  }
  void add_device() { site.device = make_device(n); }
  kernel::BatchReport apply(const std::vector<Change>& changes, kernel::RefusalListener* listener = nullptr) {
    kernel::EntryBatch& batch = n.kernel.begin(site, listener);
    for (const Change& change : changes) batch.change(change);
    auto report = batch.finish();
    REQUIRE(report);
    return *report;
  }
  std::vector<Entry> dump() {
    struct Collector final : kernel::EntryVisitor {
      void entry(const Entry& entry) override { all.push_back(entry); }
      std::vector<Entry> all;
    } found;
    REQUIRE(n.kernel.dump_entries(site, found));
    return found.all;
  }
  KernelNode n;
  kernel::Site site;
};

Entry direct(Net4 subnet, Ip4 via, EntryKind kind = EntryKind::kRoute) {
  Entry entry =
      kind == EntryKind::kRoute ? Entry::route(subnet, via) : Entry::nexthop({subnet.base, 32}, via);
  entry.onlink = false;
  entry.underlay = true;
  return entry;
}
Change put(const Entry& entry) { return {Op::kPut, entry}; }
Change remove(const Entry& entry) { return {Op::kRemove, entry}; }
std::vector<Change> gone() {
  return {remove(direct(kPeer, {})), remove(direct(kPeer, {}, EntryKind::kNexthop))};
}

struct Refusals final : kernel::RefusalListener {
  bool on_refused(const Change& change, const Error& error) override {
    all.emplace_back(change.entry.net.v4(), error.code);
    return error.code == Code::kUnavailable;
  }
  std::vector<std::pair<Net4, Code>> all;
};

#define NEEDS \
  REQUIRE_MEANS(namespaces(), program("ip"), program("bridge"), link_kind("type vxlan id 1 dstport 8472"))

}  // namespace

TEST_SUITE("kernel/direct") {
  TEST_CASE(
      "an object's id on the underlay is that of its subnet whatever the network, and leads back to it") {
    using kernel::DirectNexthopIds;
    CHECK(DirectNexthopIds::of(ip4("10.42.5.0")) == 0x478a8140);
    CHECK(DirectNexthopIds::base(0x478a8140, net4("10.42.0.0/16")) == ip4("10.42.5.0"));
    CHECK(DirectNexthopIds::base(DirectNexthopIds::of(ip4("172.20.7.4")), net4("172.16.0.0/12")) ==
          ip4("172.20.7.4"));
    CHECK(DirectNexthopIds::of(ip4("10.42.5.1")) == 0);
    CHECK(DirectNexthopIds::of(ip4("192.168.0.0")) != DirectNexthopIds::of(ip4("172.16.0.0")));
    CHECK_FALSE(DirectNexthopIds::holds(0x46ffffff));
    CHECK(DirectNexthopIds::holds(0x47ffffff));
    CHECK_FALSE(DirectNexthopIds::holds(0x48000000));
  }

  TEST_CASE("a direct route is via the peer's address, not onlink, and is shown as it was put") {
    NEEDS;
    for (const auto form : kBothForms) {
      Underlay u("kdir1", form);
      const bool plain = form == Nexthops::kOff;
      for (const char* compat : {"1", "0"}) {
        must_run({.args = {"sysctl", "-qw", std::string("net.ipv4.nexthop_compat_mode=") + compat}});
        CHECK(u.apply({put(direct(kPeer, kRemote))}).failed == 0);
        CHECK(has(ip("route get 10.42.5.9"), "via 192.0.2.5 dev eth0"));
        CHECK_FALSE(has(ip("route show 10.42.5.0/24") + ip("nexthop show"), "onlink"));
        CHECK(has(ip("nexthop show"), "id " + kObject + " via 192.0.2.5 dev eth0 scope link proto 70") ==
              !plain);
        const auto found = u.dump();
        REQUIRE(found.size() == (plain ? 1 : 2));
        Entry wanted = direct(kPeer, kRemote);
        if (found[0].via == Ip4{}) wanted.via = Ip4{};
        CHECK(found[0] == wanted);
        if (!plain) CHECK(found[1] == direct(kPeer, kRemote, EntryKind::kNexthop));
        const std::string before = ip("route show") + ip("nexthop show");
        CHECK(u.apply({put(direct(kPeer, kRemote))}).failed == 0);
        CHECK(ip("route show") + ip("nexthop show") == before);
        CHECK(u.apply({put(direct(kPeer, ip4("192.0.2.6")))}).failed == 0);
        CHECK(has(ip("route get 10.42.5.9"), "via 192.0.2.6 dev eth0"));
        CHECK(u.apply(gone()).failed == 0);
        CHECK(u.apply(gone()).failed == 0);
        CHECK(u.dump().empty());
        CHECK(ip("nexthop show").empty());
        CHECK(ip("route show 10.42.5.0/24").empty());
      }
    }
  }

  TEST_CASE("a peer changes between device and underlay by one replacement, and what is left goes after it") {
    NEEDS;
    for (const auto form : kBothForms) {
      Underlay u("kdir2", form);
      u.add_device();
      auto far = upserts(kPeer, kMac, kRemote);
      CHECK(u.apply(far).failed == 0);
      CHECK(has(ip("route get 10.42.5.9"), "dev flannel.1"));
      for (int i = 0; i < 2; ++i) {
        CHECK(u.apply({put(direct(kPeer, kRemote)), change(Kind::kRemoveNexthop, kPeer, kMac, kRemote),
                       change(Kind::kRemoveNeighbour, kPeer, kMac, kRemote),
                       change(Kind::kRemoveFdb, kPeer, kMac, kRemote)})
                  .failed == 0);
        CHECK(has(ip("route get 10.42.5.9"), "via 192.0.2.5 dev eth0"));
        CHECK(u.dump().size() == (form == Nexthops::kOff ? 1 : 2));
        CHECK(count_of(ip("route show"), "10.42.5.0/24") == 1);
        auto back = far;
        back.push_back(remove(direct(kPeer, {}, EntryKind::kNexthop)));
        CHECK(u.apply(back).failed == 0);
        CHECK(has(ip("route get 10.42.5.9"), "dev flannel.1"));
        CHECK(u.dump().size() == (form == Nexthops::kOff ? 3 : 4));
        CHECK(count_of(ip("route show"), "10.42.5.0/24") == 1);
      }
    }
  }

  TEST_CASE(
      "a gateway that is not on link is refused as unavailable, and needs not count; on link it is taken") {
    NEEDS;
    for (const auto form : kBothForms) {
      Underlay u("kdir3", form);
      const Net4 near{{0x0a2a0600}, 24};
      Refusals refusals;
      const auto report =
          u.apply({put(direct(kPeer, ip4("198.51.100.5"))), put(direct(near, ip4("192.0.2.6")))}, &refusals);
      CHECK(report.failed == 0);
      CHECK(refusals.all == std::vector{std::pair(kPeer, Code::kUnavailable)});
      CHECK(u.apply({put(direct(kPeer, ip4("198.51.100.5")))}).failed == 1);
      CHECK(ip("route show 10.42.5.0/24").empty());
      CHECK(has(ip("route show 10.42.6.0/24"), "192.0.2.6"));
      ip("address add 198.51.100.1/24 dev eth0");
      CHECK(u.apply({put(direct(kPeer, ip4("198.51.100.5")))}).failed == 0);
      CHECK(has(ip("route get 10.42.5.9"), "via 198.51.100.5 dev eth0"));
      // A router on the way to it does not matter for that.
      ip("route add 192.0.2.7/32 via 192.0.2.254");
      CHECK(u.apply({put(direct({{0x0a2a0700}, 24}, ip4("192.0.2.7")))}).failed == 0);
    }
  }

  TEST_CASE(
      "what is ours on the underlay: direct routes of our protocol in Network or the one before, nothing "
      "else") {
    NEEDS;
    Underlay u("kdir4");
    ip("link add eth1 type bridge");
    ip("link set eth1 up");
    ip("address add 203.0.113.1/24 dev eth1");
    ip("link add flannel.2 type vxlan id 2 dstport 8473");
    ip("link set flannel.2 up");
    for (const char* route :
         {"route add 10.42.5.0/24 via 192.0.2.5 dev eth0 proto 70",
          "route add 10.42.6.0/24 via 203.0.113.6 dev eth1 proto 70",
          "route add 10.42.7.0/24 via 192.0.2.5 dev eth0", "route add 10.42.8.0/24 dev eth0 proto 70",
          "route add 10.42.9.0/24 via 10.42.9.0 dev flannel.2 onlink proto 70",
          "route add 10.43.5.0/24 via 192.0.2.5 dev eth0 proto 70",
          "route add 10.44.5.0/24 via 192.0.2.5 dev eth0 proto 70",
          "route add blackhole 10.42.10.0/24 proto 70",
          "route add 10.42.11.0/24 via 192.0.2.5 dev eth0 proto 70 table 7"}) {
      ip(route);
    }
    ip("nexthop add id " + std::to_string(kernel::DirectNexthopIds::of(ip4("10.43.5.0"))) +
       " via 192.0.2.5 dev eth0 proto 70");
    ip("nexthop add id " + std::to_string(kernel::DirectNexthopIds::of(ip4("10.44.5.0"))) +
       " via 192.0.2.5 dev eth0 proto 70");
    ip("nexthop add id " + std::to_string(kernel::DirectNexthopIds::of(ip4("10.42.12.0"))) +
       " via 192.0.2.5 dev eth0");
    u.site.former = net4("10.44.0.0/16");
    const auto found = u.dump();
    std::vector<std::string> shown;
    for (const Entry& entry : found) {
      CHECK(entry.underlay);
      shown.push_back(std::string(text_of(entry.net).view()) + (entry.onlink ? " wrong" : ""));
    }
    CHECK(shown == std::vector<std::string>{"10.42.5.0/24", "10.44.5.0/24", "10.44.5.0/32"});
    const std::string before = ip("route show table all") + ip("nexthop show");
    std::vector<Change> changes;
    for (const Entry& entry : found) {
      if (entry.net != Net(kPeer)) changes.push_back(remove(entry));
    }
    CHECK(u.apply(changes).failed == 0);
    CHECK(ip("route show 10.44.5.0/24").empty());
    CHECK(count_of(ip("nexthop show"), "id ") == 2);
    for (const char* stays :
         {"10.42.6.0/24", "10.42.7.0/24", "10.42.8.0/24", "10.42.9.0/24", "10.43.5.0/24", "10.42.10.0/24"})
      CHECK_FALSE(ip(std::string("route show ") + stays).empty());
  }

  TEST_CASE("another program's route to a peer stays, unless it is just what we would put") {
    NEEDS;
    for (const auto form : kBothForms) {
      Underlay u("kdir5", form);
      ip("route add 10.42.5.0/24 via 192.0.2.5 dev eth0");
      ip("route add 10.42.6.0/24 via 192.0.2.99 dev eth0");
      Refusals refusals;
      const Net4 other{{0x0a2a0600}, 24};
      CHECK(u.apply({put(direct(kPeer, kRemote)), put(direct(other, ip4("192.0.2.6")))}, &refusals).failed ==
            1);
      CHECK(refusals.all == std::vector{std::pair(other, Code::kConflict)});
      CHECK(has(ip("route show 10.42.5.0/24"), "proto 70"));
      CHECK(has(ip("route show 10.42.6.0/24"), "192.0.2.99"));
      CHECK(u.apply({remove(direct(other, {}))}).failed == 0);
      CHECK(has(ip("route show 10.42.6.0/24"), "192.0.2.99"));
    }
  }

  TEST_CASE(
      "another overlay's objects and routes on the same link are not ours, and we share no id with it") {
    NEEDS;
    Underlay a("kdir6");
    kernel::NetlinkKernel second(a.n.files);
    REQUIRE(second.open());
    kernel::Site other = a.site;
    other.network = net4("10.43.0.0/16");
    const Net4 subnet{{0x0a2b0500}, 24};  // 10.43.5.0/24
    CHECK(a.apply({put(direct(kPeer, kRemote))}).failed == 0);
    kernel::EntryBatch& batch = second.begin(other);
    batch.change(put(direct(subnet, kRemote)));
    CHECK(batch.finish()->failed == 0);
    CHECK(count_of(ip("nexthop show"), "id ") == 2);
    CHECK(a.dump().size() == 2);
    CHECK(a.apply(gone()).failed == 0);
    CHECK(has(ip("route get 10.43.5.9"), "via 192.0.2.5 dev eth0"));
  }

  TEST_CASE("switched off, direct routes become plain ones and their objects go") {
    NEEDS;
    Underlay u("kdir7");
    CHECK(u.apply({put(direct(kPeer, kRemote))}).failed == 0);
    kernel::NetlinkKernel later(u.n.files);
    REQUIRE(later.open(Nexthops::kOff));
    kernel::EntryBatch& batch = later.begin(u.site);
    batch.change(put(direct(kPeer, kRemote)));
    CHECK(batch.finish()->failed == 0);
    CHECK(ip("nexthop show").empty());
    CHECK(has(ip("route show 10.42.5.0/24"), "via 192.0.2.5 dev eth0 proto 70"));
  }

  TEST_CASE(
      "plan and kernel agree: auditing twice writes nothing, with a peer that is near and one that is far") {
    NEEDS;
    for (const auto form : kBothForms) {
      Underlay u("kdir8", form);
      u.add_device();
      overlay::LeaseTable table;
      overlay::EntryPlan plan(table);
      overlay::LocalNode local;
      overlay::ConfigProblem problem;
      REQUIRE(overlay::parse_config(
          R"({"Network":"10.42.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}})", local.config,
          problem));
      local.public_ip = ip4("192.0.2.1");
      local.subnet = net4("10.42.1.0/24");
      local.mac = mac("02:00:00:00:00:01");
      table.set_local(local);
      for (unsigned i = 5; i < 7; ++i) {
        overlay::LeaseRecord record;
        record.key.subnet = {{0x0a2a0000 + (i << 8)}, 24};
        record.value = own_value(local.config, Ip4{0xc0000200 + i}, {{2, 0, 0, 0, 0, std::uint8_t(i)}});
        REQUIRE(table.upsert(record) == overlay::Ignored::kNo);
      }
      struct Auditor final : kernel::EntryVisitor {
        explicit Auditor(overlay::EntryPlan& p) : plan(p) {}
        void entry(const Entry& entry) override { plan.audit_entry(entry); }
        overlay::EntryPlan& plan;
      } auditor(plan);
      Ip4 near = kRemote;
      const auto converge = [&] {
        plan.invalidate();
        plan.ask_direct([&](Ip4 ip, bool) { return ip == near; });
        plan.begin_audit();
        REQUIRE(u.n.kernel.dump_entries(u.site, auditor));
        kernel::EntryBatch& batch = u.n.kernel.begin(u.site);
        plan.finish_audit(batch);
        const auto report = batch.finish();
        REQUIRE(report);
        CHECK(report->failed == 0);
        plan.commit();
        return report->done;
      };
      CHECK(converge() == 4);
      CHECK(converge() == 0);
      CHECK(has(ip("route get 10.42.5.9"), "via 192.0.2.5 dev eth0"));
      CHECK(has(ip("route get 10.42.6.9"), "dev flannel.1"));
      near = ip4("192.0.2.6");
      CHECK(converge() > 0);
      CHECK(converge() == 0);
      CHECK(has(ip("route get 10.42.6.9"), "via 192.0.2.6 dev eth0"));
      CHECK(has(ip("route get 10.42.5.9"), "dev flannel.1"));
      CHECK(u.dump().size() == (form == Nexthops::kOff ? 4 : 6));
    }
  }

  TEST_CASE(
      "routes ring once they are followed: by hand, of the kernel, not our own, not routing "
      "daemons'") {
    NEEDS;
    Underlay u("kdir9");
    int rings = 0;
    struct Bell {
      void ring(const kernel::Ring& ring) {
        if (ring.has(kernel::Cause::kRoutes)) ++*count;
      }
      int* count;
    } bell{&rings};
    u.n.monitor.set_doorbell(Delegate<void(const kernel::Ring&)>::to<&Bell::ring>(&bell));
    const auto rung = [&](const std::string& command) {
      rings = 0;
      if (!command.empty()) ip(command);
      for (int i = 0; i < 5; ++i) REQUIRE(u.n.loop.step(20));
      return rings > 0;
    };
    (void)rung("");
    CHECK_FALSE(rung("route add 198.51.100.0/24 via 192.0.2.9"));
    CHECK(rung("route replace 198.51.100.0/24 via 192.0.2.9 mtu 1400"));
    CHECK_FALSE(rung("route replace 198.51.100.0/24 via 192.0.2.9 mtu 1300 proto bgp"));
    CHECK_FALSE(rung("route delete 198.51.100.0/24"));
    CHECK(rung("route add default via 192.0.2.9 proto bgp"));
    CHECK_FALSE(rung("route add default via 192.0.2.9 table 77"));
    CHECK(rung("route delete default"));
    u.n.monitor.follow(u.site);
    CHECK(rung("route add 198.51.101.0/24 via 192.0.2.9"));
    CHECK(rung("route delete 198.51.101.0/24"));
    CHECK(rung("address add 203.0.113.1/24 dev eth0"));
    CHECK(rung("route add 198.51.102.0/24 via 192.0.2.9 proto dhcp"));
    CHECK_FALSE(rung("route add 198.51.103.0/24 via 192.0.2.9 proto bgp"));
    CHECK_FALSE(rung("route add 198.51.105.0/24 via 192.0.2.9 proto bgp mtu 1400"));
    CHECK_FALSE(rung("route add 198.51.104.0/24 via 192.0.2.9 table 77"));
    CHECK(u.apply({put(direct(kPeer, kRemote))}).failed == 0);
    CHECK_FALSE(rung(""));
    CHECK_FALSE(rung("route delete 10.42.5.0/24"));  // that is an entry
    CHECK(u.apply(gone()).failed == 0);
    CHECK_FALSE(rung(""));
  }

  TEST_CASE("a strict rp_filter of the link or of all is seen") {
    NEEDS;
    Underlay u("kdir10");
    const auto set = [](const char* link, const char* value) {
      must_run({.args = {"sysctl", "-qw", std::string("net.ipv4.conf.") + link + ".rp_filter=" + value}});
    };
    const struct {
      const char* all;
      const char* link;
      bool strict;
    } rows[] = {{"0", "0", false}, {"0", "1", true},  {"1", "0", true},
                {"0", "2", false}, {"2", "1", false}, {"1", "2", false}};
    for (const auto& row : rows) {
      set("all", row.all);
      set("eth0", row.link);
      CHECK(u.n.kernel.strict_rp_filter("eth0") == row.strict);
    }
    set("eth0", "1");
    set("all", "0");
    CHECK(u.n.kernel.strict_rp_filter("eth0"));
    CHECK_FALSE(u.n.kernel.strict_rp_filter("lo"));
    CHECK_FALSE(u.n.kernel.strict_rp_filter("none"));
  }
}
