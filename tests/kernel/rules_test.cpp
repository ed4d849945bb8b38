// SPDX-License-Identifier: Apache-2.0
// Our nf_tables table in a real kernel.
#include "kernel/kernel_node.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

overlay::RuleSpec rule_spec() {
  overlay::RuleSpec spec;
  spec.masquerade = true;
  spec.forward = true;
  spec.network = net4("10.42.0.0/16");
  spec.subnet = net4("10.42.3.0/24");
  return spec;
}

constexpr const char* kAll = R"(table ip flannelette {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		meta mark & 0x00004000 == 0x00004000 return
		ip saddr 10.42.3.0/24 ip daddr 10.42.0.0/16 return
		ip saddr 10.42.0.0/16 ip daddr 10.42.3.0/24 return
		ip saddr != 10.42.0.0/16 ip daddr 10.42.3.0/24 return
		ip saddr 10.42.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random
		ip saddr != 10.42.0.0/16 ip daddr 10.42.0.0/16 masquerade fully-random
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		ip saddr 10.42.0.0/16 accept
		ip daddr 10.42.0.0/16 accept
	}
}
)";

bool applied(KernelNode& n, const overlay::RuleSpec& spec) {
  const auto written = n.kernel.apply_rules(spec);
  REQUIRE_MESSAGE(written, written.error().context, " errno ", written.error().sys_errno);
  return *written;
}
std::string table() { return output_of("nft list table ip flannelette"); }

}  // namespace

TEST_SUITE("kernel/rules") {
  TEST_CASE("the table is as nft prints flanneld's iptables set, and a second application writes nothing") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("krul1");
    CHECK(applied(n, rule_spec()));
    CHECK(table() == kAll);
    const std::string handles = output_of("nft -a list ruleset");
    CHECK_FALSE(applied(n, rule_spec()));
    CHECK(output_of("nft -a list ruleset") == handles);  // a recreated table has new handles
    kernel::NetlinkKernel later(n.files);
    REQUIRE(later.open());
    CHECK_FALSE(*later.apply_rules(rule_spec()));
  }

  TEST_CASE("only the chains that are asked for are made, and an empty specification removes the table") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("krul2");
    auto spec = rule_spec();
    CHECK_FALSE(applied(n, overlay::RuleSpec{}));
    spec.masquerade = false;
    CHECK(applied(n, spec));
    CHECK_FALSE(has(table(), "postrouting"));
    CHECK(has(table(), "hook forward"));
    CHECK_FALSE(applied(n, spec));
    spec.masquerade = true;
    spec.forward = false;
    spec.fully_random = false;
    CHECK(applied(n, spec));
    CHECK_FALSE(has(table(), "hook forward"));
    CHECK(has(table(), "ip daddr != 224.0.0.0/4 masquerade\n"));
    CHECK_FALSE(applied(n, spec));
    CHECK(applied(n, overlay::RuleSpec{}));
    CHECK(output_of("nft list ruleset").empty());
    CHECK_FALSE(applied(n, overlay::RuleSpec{}));
  }

  TEST_CASE("the MSS is clamped as nft would do it, in front of what accepts") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("krul9");
    auto spec = rule_spec();
    spec.masquerade = false;
    spec.clamp_mss = true;
    CHECK(applied(n, spec));
    CHECK_FALSE(applied(n, spec));
    const std::string all = table();
    const bool short_form = has(all, "tcp flags syn / syn,rst ");  // nft before 1.1
    const std::string clamp =
        std::string(short_form ? "tcp flags syn / syn,rst" : "tcp flags & (syn | rst) == syn") +
        " tcp option maxseg size set rt mtu\n";
    const auto first = all.find("ip saddr 10.42.0.0/16 " + clamp);
    REQUIRE_MESSAGE(first != std::string::npos, all);
    CHECK(all.find("ip daddr 10.42.0.0/16 " + clamp, first) < all.find("ip saddr 10.42.0.0/16 accept"));
    spec.forward = false;
    CHECK(applied(n, spec));
    CHECK_FALSE(has(table(), "accept\n"));
    CHECK_FALSE(applied(n, spec));
  }

  TEST_CASE("whatever others do to the table is found and repaired") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("krul3");
    REQUIRE(applied(n, rule_spec()));
    const auto mended = [&] {
      CHECK(applied(n, rule_spec()));
      CHECK(table() == kAll);
      CHECK_FALSE(applied(n, rule_spec()));
    };
    output_of("nft flush chain ip flannelette forward");
    mended();
    output_of("nft flush table ip flannelette");
    mended();
    output_of("nft flush ruleset");
    mended();
    output_of("nft add rule ip flannelette forward ip saddr 10.42.0.0/16 drop");
    mended();
    output_of("nft insert rule ip flannelette postrouting return");
    mended();
    output_of("nft add chain ip flannelette more");
    mended();
    const std::string handles = output_of("nft -a list chain ip flannelette forward");
    const std::size_t at = handles.find("handle", handles.find("saddr"));
    output_of("nft replace rule ip flannelette forward " + handles.substr(at, handles.find('\n', at) - at) +
              " ip saddr 10.0.0.0/8 accept");
    mended();
    output_of("nft add table ip flannelette { flags dormant; }");
    CHECK(applied(n, rule_spec()));
    CHECK(table() == kAll);
  }

  TEST_CASE("a changed specification replaces the table") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("krul4");
    REQUIRE(applied(n, rule_spec()));
    auto spec = rule_spec();
    spec.subnet = net4("10.42.4.0/24");
    CHECK(applied(n, spec));
    CHECK(has(table(), "10.42.4.0/24"));
    CHECK_FALSE(has(table(), "10.42.3.0/24"));
    spec.network = net4("10.0.0.0/8");
    CHECK(applied(n, spec));
    CHECK(has(table(), "ip saddr 10.0.0.0/8 accept"));
    spec.fully_random = false;
    CHECK(applied(n, spec));
    spec.network = net4("10.40.0.0/13");
    spec.subnet = net4("10.42.4.5/32");
    CHECK(applied(n, spec));
    CHECK(has(table(), "ip saddr 10.42.4.5 ip daddr 10.40.0.0/13 return"));
  }

  TEST_CASE(
      "two overlays on one host, told apart by their VNI, have a table each and leave the other's alone") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("krul6");
    kernel::NetlinkKernel second(n.files);
    REQUIRE(second.open());
    auto other = rule_spec();
    other.vni = 2;
    other.network = net4("10.43.0.0/16");
    other.subnet = net4("10.43.3.0/24");
    CHECK(applied(n, rule_spec()));
    CHECK(*second.apply_rules(other));
    const std::string handles = output_of("nft -a list ruleset");
    for (int i = 0; i < 3; ++i) {
      CHECK_FALSE(applied(n, rule_spec()));
      CHECK_FALSE(*second.apply_rules(other));
    }
    CHECK(output_of("nft -a list ruleset") == handles);
    CHECK(has(output_of("nft list table ip flannelette"), "10.42.3.0/24"));
    CHECK(has(output_of("nft list table ip flannelette-2"), "10.43.3.0/24"));
    overlay::RuleSpec none;
    none.vni = 2;
    CHECK(*second.apply_rules(none));
    CHECK_FALSE(has(output_of("nft list ruleset"), "flannelette-2"));
    CHECK_FALSE(applied(n, rule_spec()));
  }

  TEST_CASE("tables of others stay as they are, also those of our name in another family") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("krul5");
    output_of("nft add table inet flannelette");
    output_of(
        "nft add chain inet flannelette forward { type filter hook forward priority 0; policy accept; }");
    output_of("nft add table ip nat");
    output_of("nft add chain ip nat postrouting { type nat hook postrouting priority 100; }");
    output_of("nft add rule ip nat postrouting ip saddr 10.42.0.0/16 counter");
    const std::string before = output_of("nft -a list ruleset");
    REQUIRE(applied(n, rule_spec()));
    CHECK_FALSE(applied(n, rule_spec()));
    REQUIRE(applied(n, overlay::RuleSpec{}));
    CHECK(output_of("nft -a list ruleset") == before);
  }
}
