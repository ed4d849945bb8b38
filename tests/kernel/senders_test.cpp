// SPDX-License-Identifier: Apache-2.0
// The set of addresses from which VXLAN is accepted, in a real kernel.
#include <algorithm>
#include <chrono>

#include "kernel/kernel_node.hpp"
#include "support/poll.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

#define NEEDS REQUIRE_MEANS(namespaces(), program("nft"))

using overlay::Change;
using overlay::Entry;

overlay::RuleSpec rules(std::uint32_t vni = 1) {
  overlay::RuleSpec spec;
  spec.peers_only = 8472;
  spec.vni = vni;
  spec.network = net4("10.42.0.0/16");
  spec.subnet = net4("10.42.3.0/24");
  return spec;
}

struct Set {
  explicit Set(const std::string& name, std::uint32_t of_vni = 1) : n(name), vni(of_vni) {
    n.monitor.set_doorbell(Delegate<void(const kernel::Ring&)>::to<&Set::ring>(this));
    site.senders = vni;
    n.monitor.follow(site);
  }
  kernel::BatchReport change(Change::Op op, const std::vector<Ip4>& addresses) {
    kernel::EntryBatch& batch = n.kernel.begin(site);
    for (const Ip4 address : addresses) batch.change({op, Entry::sender(address)});
    const auto report = batch.finish();
    REQUIRE(report);
    return *report;
  }
  std::vector<Ip4> listed() {
    Entries found;
    const auto dumped = n.kernel.dump_entries(site, found);
    REQUIRE_MESSAGE(dumped, dumped.error().context);
    std::sort(found.senders.begin(), found.senders.end());
    return found.senders;
  }
  void ring(const kernel::Ring& ring) {
    causes |= ring.causes;
    many = many || ring.many;
    for (std::size_t i = 0; i < ring.touched_count; ++i) touched.push_back(ring.touched[i]);
  }
  /// What is told of after another program's nft command.
  const std::vector<kernel::Touched>& after(const std::string& command) {
    settle();
    touched.clear();
    many = false;
    causes = 0;
    if (!command.empty()) output_of(command);
    settle();
    return touched;
  }
  void settle() {
    for (int i = 0; i < 3; ++i) REQUIRE(n.loop.step(10));
  }

  KernelNode n;
  std::uint32_t vni;
  kernel::Site site;
  std::vector<kernel::Touched> touched;
  bool many = false;
  unsigned causes = 0;
};

const Ip4 kA = ip4("192.0.2.5"), kB = ip4("192.0.2.6");

}  // namespace

TEST_SUITE("kernel/senders") {
  TEST_CASE("the rule and the set are as nft prints them, and a second application writes nothing") {
    NEEDS;
    Set s("ksnd1", 4097);
    REQUIRE(s.n.kernel.apply_rules(rules(4097)));
    CHECK_FALSE(*s.n.kernel.apply_rules(rules(4097)));
    CHECK(s.change(Change::Op::kPut, {kA, Ip4{}}).failed == 0);
    CHECK_FALSE(*s.n.kernel.apply_rules(rules(4097)));
    const std::string shown = output_of("nft list table ip flannelette-4097");
    CHECK(has(shown, "type ipv4_addr"));
    CHECK(has(shown, "elements = { 0.0.0.0, 192.0.2.5 }"));
    CHECK(has(shown, "type filter hook input priority raw; policy accept;"));
    CHECK_MESSAGE(
        has(shown, "8472 @th,96,24 0x1001 ip saddr & 0.0.0.0 == @peers ip saddr != @peers counter "), shown);
    CHECK(has(shown, " drop\n"));
    CHECK(s.listed() == std::vector{Ip4{}, kA});
    auto other_port = rules(4097);
    other_port.peers_only = 4789;
    CHECK(*s.n.kernel.apply_rules(other_port));
    CHECK(s.listed().empty());
    CHECK(s.change(Change::Op::kPut, {kA, Ip4{}}).failed == 0);
    CHECK(*s.n.kernel.apply_rules(overlay::RuleSpec::none(4097)));
    CHECK(output_of("nft list ruleset").empty());
  }

  TEST_CASE("addresses are put and removed, also those that are there, or are not, and without a set") {
    NEEDS;
    Set s("ksnd2");
    CHECK(s.listed().empty());
    CHECK(s.change(Change::Op::kPut, {kA}).failed == 0);
    CHECK(s.change(Change::Op::kRemove, {kA}).failed == 0);
    REQUIRE(s.n.kernel.apply_rules(rules()));
    CHECK(s.change(Change::Op::kPut, {kA}).failed == 0);
    CHECK(s.change(Change::Op::kPut, {kA, kB}).failed == 0);
    CHECK(s.listed() == std::vector{kA, kB});
    CHECK(s.change(Change::Op::kRemove, {ip4("192.0.2.7"), kA, ip4("192.0.2.8")}).failed == 0);
    CHECK(s.listed() == std::vector{kB});
    // Those of one batch, in order: what is put is there before what is removed goes.
    kernel::EntryBatch& batch = s.n.kernel.begin(s.site);
    batch.change({Change::Op::kPut, Entry::sender(kA)});
    batch.change({Change::Op::kRemove, Entry::sender(kB)});
    REQUIRE(batch.finish());
    CHECK(s.listed() == std::vector{kA});
  }

  TEST_CASE("where addresses were refused the set is not called complete, or it would drop their packets") {
    NEEDS;
    Set s("ksnd9");
    output_of("nft add table ip flannelette");
    output_of("nft add set ip flannelette peers { type ipv4_addr; size 100; }");
    std::vector<Ip4> addresses;
    for (std::uint32_t i = 0; i < 250; ++i) addresses.push_back({ip4("192.0.2.0").value + i});
    addresses.push_back(Ip4{});
    // The first 200, in one message, are too many. The rest fits.
    CHECK(s.change(Change::Op::kPut, addresses).failed == 201);
    CHECK(s.listed() == std::vector(addresses.begin() + 200, addresses.end() - 1));
    // The next batch starts anew.
    CHECK(s.change(Change::Op::kPut, {kA, Ip4{}}).failed == 0);
    CHECK(s.listed().size() == 52);
    CHECK(s.listed()[0] == Ip4{});
    CHECK(s.listed()[1] == kA);
  }

  TEST_CASE(
      "an address that is refused takes the mark of a complete set out, and the next batch puts it in") {
    NEEDS;
    Set s("ksnd10");
    output_of("nft add table ip flannelette");
    output_of("nft add set ip flannelette peers { type ipv4_addr; size 3; }");
    CHECK(s.change(Change::Op::kPut, {kA, kB, Ip4{}}).failed == 0);
    CHECK(s.change(Change::Op::kPut, {ip4("192.0.2.7")}).failed == 1);
    CHECK(s.listed() == std::vector{kA, kB});
    // By us: it is no damage.
    CHECK(s.after("").empty());
    CHECK(s.change(Change::Op::kRemove, {kB}).failed == 0);
    CHECK(s.change(Change::Op::kPut, {ip4("192.0.2.7"), Ip4{}}).failed == 0);
    CHECK(s.listed() == std::vector{Ip4{}, kA, ip4("192.0.2.7")});
  }

  TEST_CASE("what follows a refused address in its batch is put all the same, but the set is not complete") {
    NEEDS;
    Set s("ksnd11");
    output_of("nft add table ip flannelette");
    output_of("nft add set ip flannelette peers { type ipv4_addr; size 4; }");
    CHECK(s.change(Change::Op::kPut, {kA, Ip4{}}).failed == 0);
    // 200 in one message.
    std::vector<Ip4> addresses;
    for (std::uint32_t i = 0; i < 200; ++i) addresses.push_back({ip4("198.51.100.0").value + i});
    addresses.push_back(kB);
    addresses.push_back(Ip4{});
    CHECK(s.change(Change::Op::kPut, addresses).failed == 201);
    CHECK(s.listed() == std::vector{kA, kB});
  }

  TEST_CASE("what others do to the set is told of; what we do, and what they do to other sets, is not") {
    NEEDS;
    Set s("ksnd3");
    REQUIRE(s.n.kernel.apply_rules(rules()));
    output_of("nft add table ip other");
    output_of("nft add set ip other peers { type ipv4_addr; }");
    output_of("nft add set ip flannelette more { type ipv4_addr; }");
    CHECK(s.change(Change::Op::kPut, {kA, kB, Ip4{}}).failed == 0);
    CHECK(s.after("").empty());
    CHECK(s.causes == 0);
    CHECK(s.after("nft add element ip other peers { 192.0.2.5 }").empty());
    CHECK(s.after("nft add element ip flannelette more { 192.0.2.5 }").empty());
    REQUIRE(s.after("nft delete element ip flannelette peers { 192.0.2.5 }").size() == 1);
    CHECK(s.touched[0].entry == Entry::sender(kA));
    CHECK_FALSE(s.touched[0].present);
    CHECK(s.touched[0].port != 0);
    CHECK((s.causes & static_cast<unsigned>(kernel::Cause::kRules)) != 0);
    REQUIRE(s.after("nft add element ip flannelette peers { 192.0.2.99 }").size() == 1);
    CHECK(s.touched[0].present);
    CHECK(s.after("nft flush set ip flannelette peers").size() == 3);
    CHECK(s.listed().empty());
  }

  TEST_CASE("ten thousand addresses: written, listed and removed, and none of it is told of") {
    NEEDS;
    Set s("ksnd4");
    REQUIRE(s.n.kernel.apply_rules(rules()));
    std::vector<Ip4> all;
    for (std::uint32_t i = 0; i < 10'000; ++i) all.push_back({0xac1f0000u + i});
    const auto timed = [](const std::string& what, const auto& act) {
      const auto start = std::chrono::steady_clock::now();
      act();
      const auto took = std::chrono::steady_clock::now() - start;
      MESSAGE(what, ": ", std::chrono::duration_cast<std::chrono::microseconds>(took).count(), " us");
    };
    timed("put", [&] { CHECK(s.change(Change::Op::kPut, all).failed == 0); });
    timed("listed", [&] { CHECK(s.listed() == all); });
    timed("removed", [&] { CHECK(s.change(Change::Op::kRemove, all).failed == 0); });
    CHECK(s.listed().empty());
    CHECK(s.after("").empty());
    CHECK_FALSE(s.many);
    CHECK(s.causes == 0);
  }
}
