// SPDX-License-Identifier: Apache-2.0
// Other programs' firewalls, which come, go and are rewritten while the agent runs, and what happens to our
// own rules.
#include "agent/dataplane.hpp"
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

using Call = FakeKernel::Call;
using Kind = kernel::FirewallFinding::Kind;
constexpr Millis kMinute = 60'000;
constexpr Millis kHour = 60 * kMinute;
constexpr Millis kAudit = agent::Dataplane::kAuditEvery + 1'000;
constexpr const char* kDrops = "another firewall table drops forwarded packets";

/// Time passes, and the registry's watch shows life.
void pass(World& world, Millis by) {
  for (; by > 0; by -= 10 * kMinute) {
    world.advance(by < 10 * kMinute ? by : 10 * kMinute);
    world.etcd.send_progress();
  }
}

/// A node with --ip-masq, at rest.
struct Masquerading {
  World world;
  SimNode& node = world.add(1);
  Masquerading() {
    node.settings.ip_masq = true;
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(kMinute);
    node.log.lines.clear();
    node.kernel.forget();
  }
};

const kernel::FirewallFinding kDocker{Kind::kForeignDrop, "ip", "filter", "FORWARD"};
const kernel::FirewallFinding kFw4{Kind::kForeignDrop, "inet", "fw4", "forward"};

}  // namespace

TEST_SUITE("agent/traffic rules") {
  TEST_CASE("a firewall that starts after us is named within a second, with the program that set it up") {
    Masquerading m;
    m.node.kernel.findings = {kDocker};
    m.node.kernel.rules_changed("iptables", 4711);
    m.world.advance(1'000);
    CHECK(m.node.log.count(kDrops) == 1);
    CHECK(m.node.log.count("table=filter chain=FORWARD last_change_by=iptables[4711]") == 1);
    pass(m.world, kHour);
    CHECK(m.node.log.lines.size() == 1);
  }

  TEST_CASE("a firewall that tells nobody, as iptables-legacy, is named by the next audit") {
    Masquerading m;
    m.node.kernel.findings = {{Kind::kForeignDrop, "ip", "filter", "FORWARD", true}};
    m.world.advance(kAudit);
    CHECK(m.node.log.count(kDrops) == 1);
    CHECK(!m.node.log.has("last_change_by"));
    pass(m.world, 24 * kHour);
    CHECK(m.node.log.lines.size() == 1);
  }

  TEST_CASE("a second firewall is named, the first not again") {
    Masquerading m;
    m.node.kernel.findings = {kDocker};
    m.node.kernel.rules_changed("iptables", 1);
    m.world.advance(20'000);
    m.node.kernel.findings = {kFw4, kDocker};
    m.node.kernel.rules_changed("nft", 2);
    m.world.advance(20'000);
    CHECK(m.node.log.count(kDrops) == 2);
    CHECK(m.node.log.count("table=fw4 chain=forward last_change_by=nft[2]") == 1);
  }

  TEST_CASE("a firewall that goes and comes back is named again, but not at each restart of its program") {
    Masquerading m;
    const auto set = [&](bool on) {
      m.node.kernel.findings.clear();
      if (on) m.node.kernel.findings = {kFw4};
      m.node.kernel.rules_changed("nft", 7);
      m.world.advance(30'000);
    };
    set(true);
    CHECK(m.node.log.count(kDrops) == 1);
    for (int i = 0; i < 5; ++i) {
      set(false);
      set(true);
    }
    CHECK(m.node.log.count(kDrops) == 1);
    set(false);
    pass(m.world, kHour);
    set(true);
    CHECK(m.node.log.count(kDrops) == 2);
  }

  TEST_CASE("an inspection that is cut short forgets nothing, and is repeated") {
    Masquerading m;
    m.node.kernel.findings = {kFw4};
    m.node.kernel.rules_changed("nft", 7);
    pass(m.world, kHour);
    m.node.kernel.findings.clear();
    m.node.kernel.fail(Call::kInspectFirewall, {Code::kInterrupted, 0, "rules"}, 5);
    pass(m.world, 3 * kAudit);
    m.node.kernel.heal();
    m.node.kernel.findings = {kFw4};
    m.world.advance(kAudit);
    CHECK(m.node.log.count(kDrops) == 1);
  }

  TEST_CASE("tables that are rewritten all day long make no storm of lines and little work") {
    Masquerading m;
    m.node.kernel.findings = {kDocker, kFw4};
    SUBCASE("each minute, from nothing") {
      for (unsigned i = 0; i < 24 * 60; ++i) {
        m.node.kernel.rules.reset();  // flush ruleset
        m.node.kernel.rules_changed("nft", 1000 + i);
        pass(m.world, kMinute);
      }
      CHECK(m.node.kernel.rules);
      CHECK(m.node.log.lines.size() <= 2 + 24 * 6);
      CHECK(m.node.kernel.inspections <= 24 * 60 + 24 * 12 + 1);
    }
    SUBCASE("a hundred times a second, for a minute") {
      for (unsigned i = 0; i < 6'000; ++i) {
        m.node.kernel.rules_changed("iptables", 1000 + i);
        m.world.advance(10);
      }
      CHECK(m.node.log.lines.size() == 2);
      CHECK(m.node.kernel.inspections <= 10);
      CHECK(m.node.kernel.writes == 0);
    }
  }

  TEST_CASE("more findings than can be remembered are bounded") {
    Masquerading m;
    for (int i = 0; i < 40; ++i) {
      kernel::FirewallFinding finding = kFw4;
      finding.chain = std::string_view(std::to_string(i));
      m.node.kernel.findings.push_back(finding);
    }
    m.node.kernel.rules_changed("nft", 7);
    pass(m.world, 24 * kHour);
    CHECK(m.node.log.count(kDrops) <= 16);
    CHECK(m.node.log.count(kDrops) >= 10);
  }

  TEST_CASE("nft flush ruleset: our rules are restored at once, and who removed them is reported") {
    Masquerading m;
    m.node.kernel.rules.reset();
    m.node.kernel.rules_changed("nft", 99);
    m.world.advance(1'000);
    CHECK(m.node.kernel.rules);
    CHECK(m.node.log.count("another program changed our traffic rules") == 1);
    CHECK(m.node.log.has("last_change_by=nft[99]"));
    CHECK(m.node.kernel.dumps == 0);  // peers' entries are another matter
    CHECK(m.node.log.lines.size() == 1);
    m.node.kernel.rules.reset();  // and once more
    m.node.kernel.rules_changed("nft", 100);
    m.world.advance(1'500);
    CHECK(m.node.kernel.rules);
  }

  TEST_CASE("ip_forward switched off by another program is named by the next audit, once") {
    Masquerading m;
    m.node.kernel.forwarding = true;
    m.world.advance(kAudit);
    CHECK(m.node.log.lines.empty());
    m.node.kernel.forwarding = false;
    pass(m.world, kHour);
    CHECK(m.node.log.count("ip_forward is 0") == 1);
  }

  TEST_CASE(
      "each overlay of a host has a table of its own, named by its VNI; 1 has flannelette's plain name") {
    CHECK(overlay::rule_table(1).view() == "flannelette");
    CHECK(overlay::rule_table(2).view() == "flannelette-2");
    CHECK(overlay::rule_table(0xffffff).view() == "flannelette-16777215");
    World world(R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":7}})");
    SimNode& node = world.add(1);
    node.settings.ip_masq = true;
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    REQUIRE(node.kernel.rules);
    CHECK(node.kernel.rules->vni == 7);
    CHECK(node.log.has("table=\"ip flannelette-7\""));
  }
}

TEST_SUITE("agent/read-only sysctls") {
  TEST_CASE(
      "accept_ra cannot be written: one warning names path, value and consequence, and the node joins") {
    for (const int why : {EACCES, EPERM, EROFS, ENOENT}) {
      CAPTURE(why);
      World world;
      world.put_peer(200);
      SimNode& node = world.add(1);
      node.kernel.fail(Call::kDisableAcceptRa, system_error("open", why), -1);
      node.start();
      CHECK(world.run_until([&] { return node.ready_count() == 1 && node.routes() == 1; }));
      pass(world, 24 * kHour);
      REQUIRE(node.device());
      CHECK(node.device()->up);
      CHECK(node.log.count("a sysctl cannot be set") == 1);
      CHECK(node.log.has("path=/proc/sys/net/ipv6/conf/flannel.1/accept_ra value=0 consequence="));
      CHECK(!node.log.has("data plane out of sync"));
    }
  }

  TEST_CASE("ip_forward cannot be written although that was asked for: one warning, too") {
    World world;
    SimNode& node = world.add(1);
    node.settings.set_ip_forward = true;
    node.kernel.forwarding = false;
    node.kernel.fail(Call::kSetIpForward, system_error("open", EROFS), -1);
    SUBCASE("unreadable, too") { node.kernel.fail(Call::kIpForward, system_error("open", ENOENT), -1); }
    SUBCASE("readable") {}
    node.start();
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    pass(world, 24 * kHour);
    CHECK(node.log.count("a sysctl cannot be set") == 1);
    CHECK(node.log.has("path=/proc/sys/net/ipv4/ip_forward value=1 consequence="));
  }
}

TEST_SUITE("agent/failures that last") {
  TEST_CASE("what fails at each retry is reported once, and so is its end") {
    World world;
    world.put_peer(200);
    SimNode& node = world.add(1);
    const char* line = "";
    int ends = 1;
    SUBCASE("no vxlan module") {
      line = "cannot create the VXLAN device";
      node.kernel.fail(Call::kCreateDevice, {Code::kUnsupported, 95, "no vxlan in this kernel"}, -1);
    }
    SUBCASE("no look at the interfaces") {
      line = "cannot list the interfaces";
      node.kernel.fail(Call::kDumpLinks, system_error("list links", EIO), -1);
      ends = 0;  // "interface chosen"
    }
    SUBCASE("a peer that the kernel refuses") {
      line = "the kernel refused entries of peers";
      node.kernel.refuse = [](const overlay::Change& change) -> std::optional<Error> {
        if (change.puts(overlay::Entry::Kind::kRoute)) return system_error("netlink", EBUSY);
        return std::nullopt;
      };
    }
    SUBCASE("a device that cannot be changed") {
      line = "data plane out of sync";
      node.kernel.fail(Call::kChangeDevice, system_error("netlink", EBUSY), -1);
    }
    node.start();
    pass(world, 6 * kHour);
    CHECK(node.log.count(line) == 1);
    CHECK(node.log.lines.size() < 12);
    node.kernel.heal();
    node.kernel.refuse = nullptr;
    CHECK(world.run_until([&] { return node.ready_count() == 1 && node.routes() == 1; }, 2 * kMinute));
    world.advance(kMinute);
    CHECK(node.log.count("data plane in sync") == ends);
    CHECK(node.log.count(line) == 1);
  }

  TEST_CASE(
      "the underlay's MTU is too small for a while: reported once, and the device is created when it grows") {
    World world;
    SimNode& node = world.add(1);
    node.kernel.set_mtu(SimNode::kNic, 100);
    node.start();
    pass(world, 6 * kHour);
    CHECK(node.log.count("the underlay's MTU is too small") == 1);
    CHECK(node.log.lines.size() < 12);
    node.kernel.set_mtu(SimNode::kNic, 1500);
    CHECK(world.run_until([&] { return node.ready_count() == 1; }, 2 * kMinute));
  }

  TEST_CASE("the interfaces cannot be listed while we run: reported once, and so is its end") {
    World world;
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    node.kernel.fail(Call::kDumpAddresses, system_error("list addresses", EIO), -1);
    node.kernel.changed();
    pass(world, 6 * kHour);
    CHECK(node.log.count("cannot list the interfaces") == 1);
    node.kernel.heal();
    CHECK(world.run_until([&] { return node.log.has("the interfaces can be listed again"); }, 2 * kMinute));
  }
}
