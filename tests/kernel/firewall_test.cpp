// SPDX-License-Identifier: Apache-2.0
// What is found of other programs' firewall rules.
#include "agent/words.hpp"
#include "kernel/kernel_node.hpp"

using namespace flannelette;
using namespace flannelette::tests;
using kernel::FirewallFinding;

namespace {

struct Findings final : kernel::FindingVisitor {
  void finding(const FirewallFinding& f) override { all.push_back(f); }
  std::size_t count(FirewallFinding::Kind kind) const {
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](const auto& f) { return f.kind == kind; }));
  }
  std::vector<FirewallFinding> all;
};

Findings inspect(KernelNode& n) {
  Findings found;
  overlay::RuleSpec spec;
  spec.network = net4("10.42.0.0/16");
  const auto inspected = n.kernel.inspect_firewall(spec, found);
  REQUIRE_MESSAGE(inspected, inspected.error().context, " errno ", inspected.error().sys_errno);
  return found;
}

constexpr auto kDrop = FirewallFinding::Kind::kForeignDrop;

}  // namespace

TEST_SUITE("kernel/firewall") {
  TEST_CASE("without foreign rules nothing is found, our own table included") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("kfw1");
    CHECK(inspect(n).all.empty());
    overlay::RuleSpec spec;
    spec.forward = true;
    spec.network = net4("10.42.0.0/16");
    REQUIRE(n.kernel.apply_rules(spec));
    CHECK(inspect(n).all.empty());
  }

  TEST_CASE("a forward chain that drops by policy or by its last rule is named") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("kfw2");
    output_of("nft add table inet fw");
    const auto chain = [](const std::string& policy) {
      output_of("nft add chain inet fw passing { type filter hook forward priority 10; policy " + policy +
                "; }");
    };
    const auto rule = [](const std::string& text) { output_of("nft add rule inet fw passing " + text); };
    SUBCASE("policy drop") { chain("drop"); }
    SUBCASE("drop at the end") {
      chain("accept");
      rule("ip saddr 10.0.0.0/8 accept");
      rule("counter drop");
    }
    SUBCASE("reject at the end") {
      chain("accept");
      rule("reject with icmpx type admin-prohibited");
    }
    const Findings found = inspect(n);
    REQUIRE(found.all.size() == 1);
    CHECK(found.all[0].kind == kDrop);
    CHECK(found.all[0].family.view() == "inet");
    CHECK(found.all[0].table.view() == "fw");
    CHECK(found.all[0].chain.view() == "passing");
    CHECK_FALSE(found.all[0].legacy);
  }

  TEST_CASE(
      "a forward chain that drops is not named where a rule of its table accepts our network or device") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("kfw7");
    output_of("nft add table inet fw");
    output_of("nft add chain inet fw passing { type filter hook forward priority 0; policy drop; }");
    output_of("nft add chain inet fw zone");
    output_of("nft add chain inet fw incoming { type filter hook input priority 0; }");
    output_of("nft add rule inet fw incoming iifname flannel.1 accept");
    for (const char* rule :
         {"ip saddr 10.42.7.0/24 accept", "ip saddr 10.43.0.0/16 accept", "ip saddr != 10.42.0.0/16 accept",
          "ip saddr 10.42.0.0/16 drop", "tcp dport 2602 accept", "oifname flannel.2 accept",
          "oifname != flannel.1 accept", "ct mark 0x0000000a accept"})
      output_of(std::string("nft add rule inet fw zone ") + rule);
    const Findings found = inspect(n);
    REQUIRE(found.all.size() == 1);
    std::string accept;
    SUBCASE("as the repair says") {
      accept = agent::repair_of(found.all[0], net4("10.42.0.0/16")).view();
      accept.resize(accept.find(';'));
    }
    SUBCASE("a zone of the device") { accept = "nft add rule inet fw zone oifname flannel.1 counter accept"; }
    SUBCASE("devices") { accept = "nft add rule inet fw zone oifname { wan, flannel.1 } accept"; }
    SUBCASE("networks") {
      accept = "nft add rule inet fw passing ip daddr { 10.42.0.0/16, 10.99.0.0/16 } accept";
    }
    output_of(accept);
    CHECK(inspect(n).all.empty());
  }

  TEST_CASE("nor where iptables accepts it, in both of its kinds") {
    for (const std::string kind : {"iptables-nft", "iptables-legacy"}) {
      CAPTURE(kind);
      REQUIRE_MEANS(namespaces(), program(kind));
      KernelNode n(kind == "iptables-nft" ? "kfw8" : "kfw9");
      if (run({.args = {kind, "-P", "FORWARD", "DROP"}}).status != 0) SKIP("no " + kind + " here");
      output_of(kind + " -A FORWARD -s 10.43.0.0/16 -j ACCEPT");
      output_of(kind + " -A FORWARD -s 10.42.0.0/16 -j DROP");
      output_of(kind + " -A FORWARD -p udp --sport 53 -j ACCEPT");
      CHECK(inspect(n).count(kDrop) == 1);
      for (const char* rule : {"-s 10.42.0.0/16", "-d 10.42.0.0/16", "-i flannel.1", "-o flannel.1"}) {
        output_of(kind + " -I FORWARD " + rule + " -j ACCEPT");
        CHECK(inspect(n).all.empty());
        output_of(kind + " -D FORWARD " + rule + " -j ACCEPT");
        CHECK(inspect(n).count(kDrop) == 1);
      }
    }
  }

  TEST_CASE("a drop with a condition, before the end, or at another hook is none") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("kfw3");
    output_of("nft add table ip fw");
    output_of("nft add chain ip fw passing { type filter hook forward priority 0; policy accept; }");
    output_of("nft add rule ip fw passing drop");
    output_of("nft add rule ip fw passing ip saddr 203.0.113.0/24 drop");
    output_of("nft add chain ip fw input { type filter hook input priority 0; policy drop; }");
    output_of("nft add chain ip fw loose");
    output_of("nft add rule ip fw loose drop");
    CHECK(inspect(n).all.empty());
  }

  TEST_CASE("what flanneld leaves in its nf_tables mode is named once") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("kfw4");
    output_of("nft add table ip flannel-ipv4");
    output_of("nft add chain ip flannel-ipv4 postrtg { type nat hook postrouting priority 100; }");
    output_of("nft add chain ip flannel-ipv4 forward { type filter hook forward priority 0; }");
    const Findings found = inspect(n);
    REQUIRE(found.all.size() == 1);
    CHECK(found.all[0].kind == FirewallFinding::Kind::kFlanneldNftTable);
  }

  TEST_CASE("what flanneld leaves in its iptables mode is named, over nf_tables and in the older interface") {
    std::string program_name;
    bool legacy = false;
    SUBCASE("nf_tables") { program_name = "iptables-nft"; }
    SUBCASE("older interface") {
      program_name = "iptables-legacy";
      legacy = true;
    }
    REQUIRE_MEANS(namespaces(), program(program_name));
    KernelNode n(legacy ? "kfw5" : "kfw6");
    // In a fresh namespace no table is in use, and looking must not change that.
    CHECK(inspect(n).all.empty());
    if (legacy && run({.args = words("iptables-legacy -w -t nat -S")}).status != 0)
      SKIP("this kernel has no ip_tables");
    const auto iptables = [&](const std::string& arguments) {
      return output_of(program_name + " -w " + arguments);
    };
    iptables("-t nat -N FLANNEL-POSTRTG");
    iptables("-t nat -A POSTROUTING -j FLANNEL-POSTRTG");
    iptables("-t filter -N FLANNEL-FWD");
    iptables("-t filter -N OTHER");
    Findings found = inspect(n);
    REQUIRE(found.all.size() == 2);
    CHECK(found.count(FirewallFinding::Kind::kFlanneldIptables) == 2);
    CHECK(found.all[0].legacy == legacy);
    iptables("-P FORWARD DROP");
    found = inspect(n);
    CHECK(found.all.size() == 3);
    CHECK(found.count(kDrop) == 1);
    iptables("-P FORWARD ACCEPT");
    for (int i = 0; i < 40; ++i) iptables("-A FORWARD -s 198.51.100." + std::to_string(i) + " -j ACCEPT");
    CHECK(inspect(n).all.size() == 2);
  }
}
