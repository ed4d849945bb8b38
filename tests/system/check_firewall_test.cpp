// SPDX-License-Identifier: Apache-2.0
// The verb check beside firewalls of the shapes that hosts have: ufw, Docker, OpenWrt's fw4. What lets the
// overlay pass is passed over, what stops it is named.
#include <doctest/doctest.h>

#include "support/means.hpp"
#include "system/checked.hpp"

using namespace flannelette::tests;

namespace {

/// Lines of iptables-restore, `where`: the filter table's own.
void load_iptables(const Machine& machine, const std::string& where, const std::string& more = "") {
  write_file(machine.file("/run/rules"), "*filter\n" + where + "COMMIT\n" + more);
  shell(machine.node(), "iptables-nft-restore <" + machine.file("/run/rules"));
}

void load_nft(const Machine& machine, const std::string& rules) {
  write_file(machine.file("/run/rules"), rules);
  shell(machine.node(), "nft -f " + machine.file("/run/rules"));
}

/// As ufw makes it: chains that the base chains jump to in turn, the user's rules in the last ones, then the
/// policy. `user_input`, `user_forward`: what ufw allow and ufw route allow have added.
std::string ufw(const std::string& user_input, const std::string& user_forward) {
  return ":INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n"
         ":ufw-before-input - [0:0]\n:ufw-user-input - [0:0]\n:ufw-after-input - [0:0]\n"
         ":ufw-before-forward - [0:0]\n:ufw-user-forward - [0:0]\n:ufw-not-local - [0:0]\n"
         ":ufw-skip-to-policy-input - [0:0]\n:ufw-after-logging-input - [0:0]\n:ufw-track-input - [0:0]\n"
         "-A INPUT -j ufw-before-input\n-A INPUT -j ufw-after-input\n-A INPUT -j ufw-after-logging-input\n"
         "-A INPUT -j ufw-track-input\n-A FORWARD -j ufw-before-forward\n"
         "-A ufw-before-input -i lo -j ACCEPT\n"
         "-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
         "-A ufw-before-input -m conntrack --ctstate INVALID -j DROP\n"
         "-A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT\n"
         "-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT\n"
         "-A ufw-before-input -j ufw-not-local\n"
         "-A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT\n"
         "-A ufw-before-input -j ufw-user-input\n"
         "-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN\n"
         "-A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN\n"
         "-A ufw-not-local -m addrtype --dst-type BROADCAST -j RETURN\n-A ufw-not-local -j DROP\n"
         "-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT\n" +
         user_input +
         "-A ufw-after-input -p udp -m udp --dport 137 -j ufw-skip-to-policy-input\n"
         "-A ufw-skip-to-policy-input -j DROP\n"
         "-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
         "-A ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT\n"
         "-A ufw-before-forward -j ufw-user-forward\n" +
         user_forward;
}

/// As Docker makes it: its own bridge passes, all else meets the policy. `user`: what its administrator has
/// added to DOCKER-USER.
std::string docker(const std::string& policy, const std::string& user) {
  return ":INPUT ACCEPT [0:0]\n:FORWARD " + policy +
         " [0:0]\n:OUTPUT ACCEPT [0:0]\n"
         ":DOCKER - [0:0]\n:DOCKER-ISOLATION-STAGE-1 - [0:0]\n:DOCKER-ISOLATION-STAGE-2 - [0:0]\n"
         ":DOCKER-USER - [0:0]\n"
         "-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n"
         "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
         "-A FORWARD -o docker0 -j DOCKER\n-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n"
         "-A FORWARD -i docker0 -o docker0 -j ACCEPT\n"
         "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT\n"
         "-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2\n"
         "-A DOCKER-ISOLATION-STAGE-1 -j RETURN\n"
         "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP\n-A DOCKER-ISOLATION-STAGE-2 -j RETURN\n" +
         user + "-A DOCKER-USER -j RETURN\n";
}
const char* const kDockerNat =
    "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n"
    "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
    "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n"
    "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n"
    "COMMIT\n";

/// As fw4 makes it: a zone lan behind br-lan, a zone wan at `wan`. `rules`: of the configuration for what
/// comes in from wan; `zones`: jumps of more zones, at the end of the forward chain; `chains`: what they are.
std::string fw4(const std::string& wan, const std::string& rules, const std::string& zones = "",
                const std::string& chains = "") {
  return R"(table inet fw4 {
  chain input {
    type filter hook input priority filter; policy drop;
    iif "lo" accept comment "!fw4: Accept traffic from loopback"
    ct state vmap { established : accept, related : accept } comment "!fw4: Handle inbound flows"
    tcp flags & (fin | syn | rst | ack) == syn jump syn_flood
    iifname "br-lan" jump input_lan
    iifname ")" +
         wan + R"(" jump input_wan
    jump handle_reject
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state vmap { established : accept, related : accept } comment "!fw4: Handle forwarded flows"
    iifname "br-lan" jump forward_lan
    iifname ")" +
         wan + R"(" jump forward_wan
)" + zones +
         R"(
    jump handle_reject
  }
  chain output {
    type filter hook output priority filter; policy accept;
    oif "lo" accept
    oifname ")" +
         wan + R"(" jump accept_to_wan
  }
  chain prerouting { type filter hook prerouting priority filter; policy accept; }
  chain handle_reject {
    meta l4proto tcp reject with tcp reset
    reject
  }
  chain syn_flood {
    limit rate 25/second burst 50 packets return
    drop
  }
  chain input_lan { jump accept_from_lan; }
  chain forward_lan {
    jump accept_to_wan comment "!fw4: Accept lan to wan forwarding"
    jump accept_to_lan
  }
  chain accept_from_lan { iifname "br-lan" counter accept comment "!fw4: accept lan IPv4/IPv6 traffic"; }
  chain accept_to_lan { oifname "br-lan" counter accept; }
  chain input_wan {
    meta nfproto ipv4 udp dport 68 counter accept comment "!fw4: Allow-DHCP-Renew"
    icmp type echo-request counter accept comment "!fw4: Allow-Ping"
)" + rules +
         R"(
    jump reject_from_wan
  }
  chain forward_wan { jump reject_to_wan; }
  chain accept_to_wan { oifname ")" +
         wan + R"(" counter accept; }
  chain reject_from_wan { iifname ")" +
         wan + R"(" counter jump handle_reject; }
  chain reject_to_wan { oifname ")" +
         wan + R"(" counter jump handle_reject; }
)" + chains +
         R"(
}
)";
}

const char* const kAllowVxlan = "    udp dport 8472 counter accept comment \"!fw4: Allow-VXLAN\"\n";

}  // namespace

TEST_SUITE("system/check-firewall") {
  TEST_CASE("ufw: without a rule for the overlay both chains are named, with one nothing is") {
    REQUIRE_MEANS(cluster_means(), means::program("iptables-nft"));
    Bare bare;
    const auto look = [&] { return check(bare.machine, {etcd_flag(bare.etcd), "--ip-masq"}); };
    load_iptables(bare.machine, ufw("", ""));
    const Outcome outcome = look();
    CHECK(outcome.status == 1);
    CHECK_MESSAGE(count_lines(found(outcome)) == 2, outcome.output);
    CHECK(contains(found(outcome), "warn  firewall: forward: "));
    CHECK(contains(found(outcome), "warn  firewall: input: "));
    CHECK(count_of(found(outcome), "table ip filter, chain ") == 2);

    const std::string routed =
        "-A ufw-user-forward -s 10.64.0.0/16 -j ACCEPT\n-A ufw-user-forward -d 10.64.0.0/16 -j ACCEPT\n";
    load_iptables(bare.machine, ufw("", routed));
    check_only(look(), kWarning, "firewall: input", {"table ip filter, chain INPUT", "8472"});
    load_iptables(bare.machine, ufw("-A ufw-user-input -p udp -m udp --dport 8472 -j ACCEPT\n", routed));
    check_nothing(look());
    load_iptables(
        bare.machine,
        ufw("-A ufw-user-input -i eth0 -j ACCEPT\n",
            "-A ufw-user-forward -i flannel.1 -j ACCEPT\n-A ufw-user-forward -o flannel.1 -j ACCEPT\n"));
    check_nothing(look());
  }

  TEST_CASE("Docker: its policy of forwarded packets is named, and nothing once pods may pass") {
    REQUIRE_MEANS(cluster_means(), means::program("iptables-nft"));
    Bare bare;
    const auto look = [&] { return check(bare.machine, {etcd_flag(bare.etcd), "--ip-masq"}); };
    load_iptables(bare.machine, docker("DROP", ""), kDockerNat);
    check_only(look(), kWarning, "firewall: forward", {"drops forwarded packets", "chain FORWARD"});
    load_iptables(
        bare.machine,
        docker("DROP",
               "-A DOCKER-USER -s 10.64.0.0/16 -j ACCEPT\n-A DOCKER-USER -d 10.64.0.0/16 -j ACCEPT\n"),
        kDockerNat);
    check_nothing(look());
    load_iptables(bare.machine, docker("ACCEPT", ""), kDockerNat);
    check_nothing(look());
  }

  TEST_CASE(
      "fw4: the underlay in zone wan needs a rule, the overlay a zone; in zone lan nothing is missing") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Bare bare;
    const auto look = [&] { return check(bare.machine, {etcd_flag(bare.etcd), "--ip-masq"}); };
    const auto load = [&](const std::string& rules) { load_nft(bare.machine, "flush ruleset\n" + rules); };
    const std::string zones =
        "    iifname { \"flannel.1\", \"cni0\" } jump forward_pods comment \"!fw4: Handle pods forward\"\n";
    const std::string chains =
        "  chain forward_pods { jump accept_to_pods; }\n"
        "  chain accept_to_pods { oifname { \"flannel.1\", \"cni0\" } counter accept; }\n";
    load(fw4("eth0", ""));
    const Outcome outcome = look();
    CHECK_MESSAGE(count_lines(found(outcome)) == 2, outcome.output);
    CHECK(contains(found(outcome), "warn  firewall: forward: "));
    CHECK(contains(found(outcome), "warn  firewall: input: "));
    CHECK(count_of(found(outcome), "table inet fw4, chain ") == 2);
    load(fw4("eth0", kAllowVxlan));
    check_only(look(), kWarning, "firewall: forward", {"table inet fw4, chain forward"});
    load(fw4("eth0", "", zones, chains));
    check_only(look(), kWarning, "firewall: input", {"table inet fw4, chain input", "8472"});
    load(fw4("eth0", kAllowVxlan, zones, chains));
    check_nothing(look());

    // The underlay is the LAN's bridge.
    bare.machine.node().ip("link set eth0 down");
    bare.machine.node().ip("link set eth0 name br-lan");
    bare.machine.node().ip("link set br-lan up");
    bare.machine.node().ip("route replace default via 172.30.0.1");
    load(fw4("eth1", "", zones, chains));
    check_nothing(look());
  }
}
