// SPDX-License-Identifier: Apache-2.0
// Which subnet is claimed, and what a record of our subnet means.
#include <doctest/doctest.h>

#include <string>

#include "registry/etcd/choice.hpp"

using namespace flannelette;
using namespace flannelette::registry;
using namespace flannelette::registry::etcd;

namespace {

Net4 net(const char* text) { return *parse_net4(text); }
constexpr Mac kMac{{2, 0, 0, 0, 0, 1}};
constexpr Mac kOtherMac{{2, 0, 0, 0, 0, 2}};
constexpr Ip4 kIp{0xc0000201};

/// Leases as the case wants them.
struct Leases final : overlay::Allocation {
  std::optional<Own> own{};
  std::optional<Holder> holder{};
  bool is_taken = false;
  bool is_fit = true;
  std::optional<Net4> free = net("10.0.99.0/24");

  std::optional<Own> find_own(Ip4) const override { return own; }
  std::optional<Holder> find_holder(Net4) const override { return holder; }
  bool taken(Net4) const override { return is_taken; }
  bool fits(Net4) const override { return is_fit; }
  std::optional<Net4> choose_free(const overlay::NetworkConfig&, Random&) const override { return free; }
};

struct NoRandom final : Random {
  void fill(std::span<std::uint8_t>) override {}
};

struct Case {
  Leases leases;
  Hints hints{.leases = &leases};
  std::optional<Net4> blocked{};
  Choice choose() {
    NoRandom random;
    return etcd::choose(hints, {}, kIp, blocked, random);
  }
};

overlay::Allocation::Own own_record(Mac mac, bool usable = true) {
  return {.key = {net("10.0.1.0/24"), {}}, .mac = mac, .same_backend = true, .usable = usable, .modified = 7};
}

}  // namespace

TEST_SUITE("registry/etcd_choice") {
  TEST_CASE("our own record comes first; it is written again unless something here proves that it is ours") {
    for (const bool same_mac : {false, true}) {
      for (const bool same_subnet : {false, true}) {
        Case c;
        c.leases.own = own_record(kMac);
        c.hints.device_mac = same_mac ? kMac : kOtherMac;
        c.hints.subnet = same_subnet ? net("10.0.1.0/24") : net("10.0.2.0/24");
        const Choice choice = c.choose();
        CHECK(choice.key->subnet == net("10.0.1.0/24"));
        CHECK(choice.modified == 7);
        CHECK(choice.mac == kMac);
        CHECK(choice.always_write == !(same_mac || same_subnet));
      }
    }
  }

  TEST_CASE("a record of ours without MAC gives none, and no device proves it") {
    Case c;
    c.leases.own = own_record(Mac{});
    c.hints.device_mac = Mac{};
    const Choice choice = c.choose();
    CHECK(choice.modified == 7);
    CHECK(!choice.mac);
    CHECK(choice.always_write);
  }

  TEST_CASE("a record of ours that cannot be kept is named, and another subnet is taken") {
    Case c;
    c.leases.own = own_record(kMac, false);
    const Choice choice = c.choose();
    CHECK(choice.unfit == net("10.0.1.0/24"));
    CHECK(choice.key->subnet == net("10.0.99.0/24"));
    CHECK(choice.modified == 0);
    CHECK(!choice.mac);
  }

  TEST_CASE("then the subnet of before the restart, if it may be ours and nobody has it") {
    Case c;
    c.hints.subnet = net("10.0.2.0/24");
    const char* expected = "10.0.99.0/24";
    SUBCASE("free") { expected = "10.0.2.0/24"; }
    SUBCASE("taken") { c.leases.is_taken = true; }
    SUBCASE("blocked by a foreign key") { c.blocked = c.hints.subnet; }
    SUBCASE("unfit") { c.leases.is_fit = false; }
    const Choice choice = c.choose();
    CHECK(choice.key->subnet == net(expected));
    CHECK(choice.modified == 0);
  }

  TEST_CASE("a holder with the MAC of our device is ourselves under an earlier address") {
    Case c;
    c.hints.subnet = net("10.0.2.0/24");
    c.hints.device_mac = kMac;
    c.leases.is_taken = true;
    c.leases.holder = {.key = {net("10.0.2.0/24"), {}}, .public_ip = {}, .mac = kMac, .modified = 9};
    bool kept = false;
    SUBCASE("ours") { kept = true; }
    SUBCASE("another MAC") { c.leases.holder->mac = kOtherMac; }
    SUBCASE("no device") { c.hints.device_mac.reset(); }
    SUBCASE("a dual-stack record") { c.leases.holder->key.subnet6 = Net6{}; }
    const Choice choice = c.choose();
    CHECK(choice.key->subnet == net(kept ? "10.0.2.0/24" : "10.0.99.0/24"));
    CHECK(choice.modified == (kept ? 9 : 0));
  }

  TEST_CASE("a MAC that is in the record of our earlier subnet is not taken for another subnet") {
    Case c;
    c.hints.subnet = net("10.0.2.0/24");
    c.hints.saved_mac = kMac;
    c.leases.is_taken = true;
    c.leases.holder = {.key = {net("10.0.2.0/24"), {}}, .public_ip = {}, .mac = kMac, .modified = 9};
    bool another = true;
    SUBCASE("after a reboot under another address, or as a copy of that node") {}
    SUBCASE("the record has another MAC") {
      c.leases.holder->mac = kOtherMac;
      another = false;
    }
    SUBCASE("a device has one") {
      c.hints.device_mac = kOtherMac;
      another = false;
    }
    const Choice choice = c.choose();
    CHECK(choice.key->subnet == net("10.0.99.0/24"));
    CHECK(choice.mac.has_value() == another);
    CHECK(choice.mac != kMac);
  }

  TEST_CASE("no subnet is free") {
    Case c;
    c.leases.free.reset();
    CHECK(!c.choose().key);
  }

  TEST_CASE("what a record of our subnet means") {
    const OwnRecord own{.key = {net("10.0.1.0/24"), {}}, .public_ip = kIp, .mac = kMac, .modified = 10};
    const overlay::Allocation::Holder same{.key = own.key, .public_ip = kIp, .mac = kMac, .modified = 10};
    struct Row {
      const char* what;
      std::int64_t modified;
      bool our_words;
      bool held;
      Finding finding;
    };
    for (const Row& row : {Row{"as we wrote it", 10, true, true, Finding::kOurs},
                           Row{"as we wrote it, a correction was refused", 10, false, false, Finding::kOurs},
                           Row{"our words, later", 11, true, true, Finding::kTwin},
                           Row{"our words, later, not held", 11, true, false, Finding::kTwin},
                           Row{"our words, earlier", 9, true, true, Finding::kRestored},
                           Row{"other words, later", 11, false, true, Finding::kRival},
                           Row{"other words, earlier", 9, false, true, Finding::kRival},
                           Row{"other words at our age", 10, false, true, Finding::kRival},
                           Row{"other words, later, not held", 11, false, false, Finding::kRival}}) {
      CAPTURE(std::string(row.what));
      overlay::Allocation::Holder there = same;
      there.modified = row.modified;
      if (!row.our_words) there.mac = kOtherMac;
      CHECK(compare(there, own, row.held) == row.finding);
    }
    CHECK(compare(std::nullopt, own, true) == Finding::kDeleted);
    overlay::Allocation::Holder unreadable = same;
    unreadable.modified = 11;
    unreadable.readable = false;
    CHECK(compare(unreadable, own, true) == Finding::kRival);
    overlay::Allocation::Holder dual = same;
    dual.modified = 11;
    dual.key.subnet6 = Net6{};
    CHECK(compare(dual, own, true) == Finding::kRival);
  }
}
