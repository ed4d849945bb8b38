// SPDX-License-Identifier: Apache-2.0
// The ways in and the questions: validation, the conflict rule case by case, listings, our own record, free
// subnets.
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "support/rng.hpp"
#include "unit/overlay_leases.hpp"

using namespace flannelette;
using namespace flannelette::overlay;
using namespace flannelette::tests;

namespace {

Ignored reason_of(const LeaseTable& table, const LeaseRecord& record) {
  for (const auto& [key, reason] : ignored_of(table)) {
    if (key == record.key) return reason;
  }
  return Ignored::kNo;
}

}  // namespace

TEST_SUITE("overlay/peer validation") {
  TEST_CASE(
      "a subnet that holds a protected address or its own PublicIP, and a broadcast address, are refused") {
    LocalNode local = local_node();
    local.broadcast = ip("172.30.255.255");
    local.protected_addresses.add(ip("10.64.9.7"), ProtectedAddress::Kind::kRegistry);
    local.protected_addresses.add(ip("10.64.20.1"), ProtectedAddress::Kind::kHost);
    LeaseTable table;
    table.set_local(local);
    const auto validated = [&](const char* key, const char* public_ip) {
      LeaseRecord record = lease(key, 9);
      record.value.public_ip = ip(public_ip);
      return table.upsert(record);
    };
    CHECK(validated("10.64.9.0-24", "172.30.0.9") == Ignored::kHoldsProtected);
    CHECK(validated("10.64.0.0-17", "172.30.0.9") == Ignored::kOverlapsOurs);
    CHECK(validated("10.64.20.0-30", "172.30.0.9") == Ignored::kHoldsProtected);
    CHECK(validated("10.64.20.4-30", "172.30.0.9") == Ignored::kNo);
    CHECK(validated("10.64.30.0-24", "10.64.30.9") == Ignored::kHoldsPublicIp);
    CHECK(validated("10.64.30.0-24", "10.64.9.7") == Ignored::kNo);  // a peer may be the registry's host
    CHECK(validated("10.64.31.0-24", "172.30.255.255") == Ignored::kBadPublicIp);
  }

  TEST_CASE("a peer record is input from outside") {
    struct Row {
      const char* key;
      const char* value;
      Ignored reason;
    };
    constexpr const char* kGood =
        R"({"PublicIP":"172.30.0.9","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:09"}})";
    const Row rows[] = {
        {"10.64.9.0-24", kGood, Ignored::kNo},
        {"10.64.9.0-24&fd00::-64", kGood, Ignored::kNo},
        {"10.64.9.0-30", kGood, Ignored::kNo},
        {"10.64.128.0-17", kGood, Ignored::kNo},
        {"10.64.9.0-24",
         R"({"PublicIP":"172.30.0.9","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:09"}})",
         Ignored::kNo},
        {"10.64.1.0-24",
         R"({"PublicIP":"172.30.0.1","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:77"}})",
         Ignored::kOurs},
        {"10.64.1.0-24",
         R"({"PublicIP":"172.30.0.8","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:01"}})",
         Ignored::kOurs},
        {"10.64.1.0-24", kGood, Ignored::kOverlapsOurs},
        {"10.64.1.0-24&fd00::-64", kGood, Ignored::kOverlapsOurs},
        {"10.64.1.128-25", kGood, Ignored::kOverlapsOurs},
        {"10.64.0.0-20", kGood, Ignored::kOverlapsOurs},
        {"10.64.9.0-24", R"({"PublicIP":"172.30.0.9","BackendType":"host-gw"})", Ignored::kOtherBackend},
        {"10.64.9.0-24",
         R"({"PublicIP":"172.30.0.9","BackendType":"VXLAN","BackendData":{"VtepMAC":"02:00:00:00:00:09"}})",
         Ignored::kOtherBackend},
        {"10.64.9.0-24", R"({"PublicIP":"172.30.0.9"})", Ignored::kOtherBackend},
        {"10.64.9.0-24", "null", Ignored::kOtherBackend},
        {"10.64.9.0-24", "{", Ignored::kUnreadable},
        {"10.64.9.0-24", R"({"PublicIP":"fd00::1"})", Ignored::kUnreadable},
        {"0.0.0.0-0", kGood, Ignored::kBadSubnet},
        {"0.0.0.0-0&fd00::-64", kGood, Ignored::kBadSubnet},
        {"10.64.0.0-16", kGood, Ignored::kBadSubnet},
        {"10.64.0.0-15", kGood, Ignored::kBadSubnet},
        {"10.65.0.0-24", kGood, Ignored::kBadSubnet},
        {"192.168.14.0-24", kGood, Ignored::kBadSubnet},
        {"10.64.9.1-24", kGood, Ignored::kBadSubnet},
        {"10.64.9.0-31", kGood, Ignored::kBadSubnet},
        {"10.64.9.0-32", kGood, Ignored::kBadSubnet},
        {"10.64.9.0-24", R"({"BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:09"}})",
         Ignored::kBadPublicIp},
        {"10.64.9.0-24",
         R"({"PublicIP":"127.0.0.1","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:09"}})",
         Ignored::kBadPublicIp},
        {"10.64.9.0-24",
         R"({"PublicIP":"224.0.0.1","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:09"}})",
         Ignored::kBadPublicIp},
        {"10.64.9.0-24",
         R"({"PublicIP":"255.255.255.255","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:09"}})",
         Ignored::kBadPublicIp},
        {"10.64.9.0-24",
         R"({"PublicIP":"172.30.0.1","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:09"}})",
         Ignored::kOurPublicIp},
        {"10.64.9.0-24", R"({"PublicIP":"172.30.0.9","BackendType":"vxlan"})", Ignored::kBadMac},
        {"10.64.9.0-24",
         R"({"PublicIP":"172.30.0.9","BackendType":"vxlan","BackendData":{"VtepMAC":"00:00:00:00:00:00"}})",
         Ignored::kBadMac},
        {"10.64.9.0-24",
         R"({"PublicIP":"172.30.0.9","BackendType":"vxlan","BackendData":{"VtepMAC":"01:00:5e:00:00:01"}})",
         Ignored::kBadMac},
        {"10.64.9.0-24",
         R"({"PublicIP":"172.30.0.9","BackendType":"vxlan","BackendData":{"VtepMAC":"ff:ff:ff:ff:ff:ff"}})",
         Ignored::kBadMac},
        {"10.64.9.0-24",
         R"({"PublicIP":"172.30.0.9","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:01"}})",
         Ignored::kOurMac},
        {"10.64.9.0-24",
         R"({"PublicIP":"172.30.0.9","BackendType":"vxlan","BackendData":{"VNI":2,"VtepMAC":"02:00:00:00:00:09"}})",
         Ignored::kOtherVni},
        {"10.64.9.0-24",
         R"({"PublicIP":"172.30.0.9","BackendType":"vxlan","BackendData":{"VNI":16777217,"VtepMAC":"02:00:00:00:00:09"}})",
         Ignored::kOtherVni},
    };
    for (const Row& row : rows) {
      CAPTURE(row.key);
      CAPTURE(row.value);
      LeaseTable table;
      table.set_local(local_node());
      LeaseRecord record;
      record.key = *parse_lease_key(row.key);
      const auto value = parse_lease_value(row.value);
      record.readable = value.has_value();
      if (value) record.value = *value;
      record.created = record.modified = 5;
      CHECK(name(table.upsert(record)) == name(row.reason));
      const PeerCounts counts = table.counts();
      CHECK(counts.records == 1);
      CHECK(counts.peers == (row.reason == Ignored::kNo));
      CHECK(counts.ignored == (row.reason != Ignored::kNo && row.reason != Ignored::kOurs));
    }
  }

  TEST_CASE("before there is a config nothing is a peer, and a new config validates all records anew") {
    LeaseTable table;
    const LeaseRecord peer = lease("10.64.9.0-24", 9);
    CHECK(table.upsert(peer) == Ignored::kBadSubnet);
    table.set_local(local_node());
    CHECK(table.counts().peers == 1);
    LocalNode other = local_node();
    other.config.vni = 2;
    table.set_local(other);
    CHECK(reason_of(table, peer) == Ignored::kOtherVni);
    other = local_node();
    other.subnet = Net4{ip("10.64.9.0"), 24};
    table.set_local(other);
    CHECK(reason_of(table, peer) == Ignored::kOverlapsOurs);
    other = local_node();
    other.mac = peer.value.mac;
    table.set_local(other);
    CHECK(reason_of(table, peer) == Ignored::kOurMac);
    table.set_local(local_node());
    CHECK(table.counts().peers == 1);
  }

  TEST_CASE("every reason has a phrase") {
    for (int i = 0; i <= static_cast<int>(Ignored::kConflict); ++i)
      CHECK_FALSE(name(static_cast<Ignored>(i)).empty());
  }
}

TEST_SUITE("overlay/peer conflicts") {
  TEST_CASE("one PublicIP: the configured length, then the newer record, then the lower subnet") {
    LeaseTable table;
    table.set_local(local_node());
    LeaseRecord old_one = lease("10.64.20.0-24", 9, 100, 100);
    LeaseRecord new_one = lease("10.64.10.0-24", 9, 90, 200);
    new_one.value.mac = mac(77);
    LeaseRecord wrong_length = lease("10.64.40.0-25", 9, 1, 300);
    wrong_length.value.mac = mac(78);
    table.upsert(old_one);
    table.upsert(wrong_length);
    CHECK(reason_of(table, wrong_length) == Ignored::kConflict);
    table.upsert(new_one);
    CHECK(reason_of(table, old_one) == Ignored::kConflict);
    CHECK(reason_of(table, new_one) == Ignored::kNo);
    old_one.modified = 400;
    table.upsert(old_one);
    CHECK(reason_of(table, old_one) == Ignored::kNo);
    CHECK(reason_of(table, new_one) == Ignored::kConflict);
    new_one.modified = 400;
    table.upsert(new_one);
    CHECK(reason_of(table, new_one) == Ignored::kNo);
    table.remove(new_one.key, 401);
    table.remove(old_one.key, 402);
    CHECK(reason_of(table, wrong_length) == Ignored::kNo);
  }

  TEST_CASE(
      "overlap or one MAC: the configured length, then the older record; the loser is promoted when the "
      "winner goes") {
    LeaseTable table;
    table.set_local(local_node());
    const LeaseRecord wide = lease("10.64.8.0-22", 8, 1);
    const LeaseRecord first = lease("10.64.9.0-24", 9, 10);
    const LeaseRecord second = lease("10.64.10.0-24", 10, 11);
    LeaseRecord twin = lease("10.64.99.0-24", 99, 12);
    twin.value.mac = first.value.mac;
    for (const LeaseRecord& r : {wide, first, second, twin}) table.upsert(r);
    CHECK(reason_of(table, wide) == Ignored::kConflict);
    CHECK(reason_of(table, twin) == Ignored::kConflict);
    CHECK(table.counts().peers == 2);
    table.remove(first.key, 50);
    CHECK(reason_of(table, wide) == Ignored::kConflict);
    CHECK(reason_of(table, twin) == Ignored::kNo);
    table.remove(second.key, 51);
    CHECK(reason_of(table, wide) == Ignored::kNo);
  }

  TEST_CASE("the v4-only and the dual-stack key of one subnet are two records, of which one is a peer") {
    LeaseTable table;
    table.set_local(local_node());
    const LeaseRecord dual = lease("10.64.9.0-24&fd00::-64", 9, 10);
    const LeaseRecord plain = lease("10.64.9.0-24", 10, 11);
    table.upsert(plain);
    table.upsert(dual);
    CHECK(table.counts().records == 2);
    CHECK(reason_of(table, plain) == Ignored::kConflict);
    table.remove(dual.key, 12);
    CHECK(reason_of(table, plain) == Ignored::kNo);
    CHECK(table.counts().records == 1);
  }

  TEST_CASE("dual-stack keys are given back whole, and in the order of their IPv6 parts") {
    LeaseTable table;
    table.set_local(local_node());
    const char* const keys[] = {"10.64.9.0-24", "10.64.9.0-24&fd00:64:0:4e::-64",
                                "10.64.9.0-24&fd00:64:0:4f::-64", "10.64.9.0-24&fd00:64:0:4f::-65"};
    // The lowest wins; whatever the order of arrival, the others follow in theirs, also in places used
    // before.
    for (int round = 0; round < 2; ++round) {
      for (unsigned i = 4; i-- > 0;) table.upsert(lease(keys[i], 9 + i));
      const auto ignored = ignored_of(table);
      REQUIRE(ignored.size() == 3);
      for (unsigned i = 1; i < 4; ++i) CHECK(ignored[i - 1].first == *parse_lease_key(keys[i]));
      table.begin_listing();
      table.upsert(lease(keys[3], 12));
      table.end_listing();
      CHECK(table.counts().peers == 1);
      CHECK(table.find_holder({ip("10.64.9.0"), 24})->key == *parse_lease_key(keys[3]));
      table.remove(*parse_lease_key(keys[3]), 5);
      CHECK(table.counts().records == 0);
    }
  }
}

TEST_SUITE("overlay/peer listing") {
  TEST_CASE("a complete listing removes what it does not name; a cut one removes nothing") {
    LeaseTable table;
    table.set_local(local_node());
    for (const char* key : {"10.64.10.0-24", "10.64.11.0-24", "10.64.2.0-24", "10.64.9.0-24"}) {
      table.upsert(lease(key, static_cast<unsigned>(parse_lease_key(key)->subnet.base.value >> 8 & 255)));
    }
    table.begin_listing();
    table.upsert(lease("10.64.10.0-24", 10));
    table.abort_listing();
    CHECK(table.counts().peers == 4);
    table.begin_listing();
    table.upsert(lease("10.64.10.0-24", 10));
    table.upsert(lease("10.64.12.0-24", 12));
    table.upsert(lease("10.64.3.0-24", 3));
    table.end_listing();
    CHECK(table.counts().peers == 3);
    CHECK(table.taken({ip("10.64.3.0"), 24}));
    CHECK_FALSE(table.taken({ip("10.64.9.0"), 24}));
    table.end_listing();
    CHECK(table.counts().peers == 3);
  }

  TEST_CASE("what is older than what is known is dropped: a record, a deletion") {
    LeaseTable table;
    table.set_local(local_node());
    LeaseRecord record = lease("10.64.9.0-24", 9, 5, 20);
    table.upsert(record);
    LeaseRecord stale = record;
    stale.modified = 19;
    stale.value.public_ip = ip("172.30.9.9");
    table.upsert(stale);
    CHECK(table.find_holder({ip("10.64.9.0"), 24})->public_ip == record.value.public_ip);
    table.remove(record.key, 19);
    CHECK(table.counts().records == 1);
    table.remove(record.key, 20);
    CHECK(table.counts().records == 0);
    table.remove(record.key, 21);
  }

  TEST_CASE("a listing has the last word, whatever its ages: a store may have begun anew") {
    LeaseTable table;
    table.set_local(local_node());
    table.upsert(lease("10.64.9.0-24", 9, 500, 500));
    table.begin_listing();
    table.upsert(lease("10.64.9.0-24", 10, 5, 6));
    table.end_listing();
    const LeaseRecord now = lease("10.64.9.0-24", 10, 5, 6);
    CHECK(table.find_holder({ip("10.64.9.0"), 24})->public_ip == now.value.public_ip);
    table.remove(now.key, 7);
    CHECK(table.counts().records == 0);
  }

  TEST_CASE("a key that a listing brings twice is one record, the newer") {
    LeaseTable table;
    table.set_local(local_node());
    LeaseRecord a = lease("10.64.9.0-24", 9, 5, 20);
    LeaseRecord b = lease("10.64.9.0-24", 10, 5, 21);
    table.begin_listing();
    table.upsert(lease("10.64.20.0-24", 20));
    table.upsert(b);
    table.upsert(a);
    table.end_listing();
    CHECK(table.counts().records == 2);
    CHECK(table.find_holder({ip("10.64.9.0"), 24})->public_ip == b.value.public_ip);
  }

  TEST_CASE("records without BackendType are counted") {
    LeaseTable table;
    table.set_local(local_node());
    LeaseRecord udp = lease("10.64.9.0-24", 9);
    udp.value.backend = BackendType::kNone;
    table.upsert(udp);
    table.upsert(lease("10.64.10.0-24", 10));
    CHECK(table.without_backend() == 1);
  }
}

TEST_SUITE("overlay/our own record") {
  TEST_CASE("the usable one before others, vxlan before others, then the newest") {
    LeaseTable table;
    LocalNode local = local_node();
    local.subnet.reset();
    table.set_local(local);
    const Ip4 ours = local.public_ip.v4();
    CHECK_FALSE(table.find_own(ours));
    const auto own = [&](const char* key, std::int64_t mod) {
      LeaseRecord record = lease(key, 9, 1, mod);
      record.value.public_ip = ours;
      return record;
    };
    LeaseRecord host_gw = own("10.64.50.0-25", 90);
    host_gw.value.backend = BackendType::kOther;
    table.upsert(host_gw);
    REQUIRE(table.find_own(ours));
    CHECK_FALSE(table.find_own(ours)->usable);
    CHECK_FALSE(table.find_own(ours)->same_backend);
    table.upsert(own("10.64.30.0-25", 80));
    CHECK(table.find_own(ours)->same_backend);
    table.upsert(own("10.64.31.0-24&fd00::-64", 85));
    CHECK(table.find_own(ours)->key.subnet6.has_value());
    CHECK_FALSE(table.find_own(ours)->usable);
    table.upsert(own("10.64.0.0-24", 86));  // below SubnetMin
    CHECK_FALSE(table.find_own(ours)->usable);
    table.upsert(own("10.64.5.0-24", 10));
    CHECK(table.find_own(ours)->usable);
    CHECK(table.find_own(ours)->key == *parse_lease_key("10.64.5.0-24"));
    table.upsert(own("10.64.4.0-24", 11));
    CHECK(table.find_own(ours)->key == *parse_lease_key("10.64.4.0-24"));
    LeaseRecord broken = own("10.64.3.0-24", 99);
    broken.readable = false;
    broken.value = {};
    table.upsert(broken);
    CHECK(table.find_own(ours)->modified == 11);
    CHECK_FALSE(table.find_own({}));
  }

  TEST_CASE("the holder of a subnet is found whatever its backend, dual-stack keys too") {
    LeaseTable table;
    table.set_local(local_node());
    LeaseRecord dual = lease("10.64.9.0-24&fd00::-64", 9, 1, 7);
    table.upsert(dual);
    const auto holder = table.find_holder({ip("10.64.9.0"), 24});
    REQUIRE(holder);
    CHECK(holder->key.subnet6.has_value());
    CHECK(holder->public_ip == dual.value.public_ip);
    CHECK(holder->modified == 7);
    table.upsert(lease("10.64.9.0-24", 10));
    CHECK_FALSE(table.find_holder({ip("10.64.9.0"), 24})->key.subnet6.has_value());
    CHECK_FALSE(table.find_holder({ip("10.64.9.0"), 25}));
    CHECK_FALSE(table.find_holder({ip("10.64.10.0"), 24}));
  }
}

TEST_SUITE("overlay/peer_limit") {
  TEST_CASE(
      "the limit of the table follows the machine's memory: 64 MiB, a small one, a large one, none known") {
    CHECK(LeaseTable::limit_for(64u << 20) == 65'536);
    CHECK(LeaseTable::limit_for(8u << 20) == LeaseTable::kMinRecords);
    CHECK(LeaseTable::limit_for(std::uint64_t{64} << 30) == LeaseTable::kMaxRecords);
    CHECK(LeaseTable::limit_for(0) == LeaseTable::kMinRecords);
  }

  TEST_CASE("a full table refuses what is new, takes what changes, and has room again when a record goes") {
    LeaseTable table(2);
    table.set_local(local_node());
    table.upsert(lease("10.64.7.0-24", 7));
    CHECK(!table.full());
    table.upsert(lease("10.64.8.0-24", 8));
    CHECK(table.full());
    bool stored = true;
    table.upsert(lease("10.64.9.0-24", 9), &stored);
    CHECK(!stored);
    table.upsert(lease("10.64.8.0-24", 80, 5, 6), &stored);
    CHECK(stored);
    CHECK(table.counts().records == 2);
    table.remove(lease("10.64.7.0-24", 7).key, 9);
    table.upsert(lease("10.64.9.0-24", 9), &stored);
    CHECK(stored);
  }
}

TEST_SUITE("overlay/subnet choice") {
  TEST_CASE("a subnet that holds a protected address is free, and never chosen") {
    const NetworkConfig config = config_of(R"({"Network":"10.0.0.0/27","SubnetLen":30})");
    LeaseTable table;
    LocalNode local;
    local.config = config;
    for (const char* each : {"10.0.0.2", "10.0.0.9", "10.0.0.10", "10.0.0.28", "192.0.2.1"})
      local.protected_addresses.add(ip(each), ProtectedAddress::Kind::kGateway);
    table.set_local(local);
    std::map<std::uint32_t, int> seen;
    TestRandom random(1);
    for (int i = 0; i < 500; ++i) ++seen[table.choose_free(config, random)->base.value & 31];
    CHECK(seen.size() == 5);
    for (const auto& [base, times] : seen) {
      CHECK(base != 8);
      CHECK(base != 28);
      CHECK(times > 50);
    }
  }

  TEST_CASE("in the smallest network every subnet but the first is chosen, until none is left") {
    const NetworkConfig config = config_of(R"({"Network":"10.0.0.0/28"})");
    TestRandom random(1);
    LeaseTable table;
    LocalNode local;
    local.config = config;
    table.set_local(local);
    for (int i = 0; i < 3; ++i) {
      const auto subnet = table.choose_free(config, random);
      REQUIRE(subnet);
      CHECK_FALSE(table.taken(*subnet));
      CHECK(subnet->length == 30);
      CHECK(subnet->base >= config.subnet_min);
      LeaseRecord record;
      record.key.subnet = *subnet;
      record.readable = false;  // unreadable records hold their subnet too
      table.upsert(record);
    }
    CHECK_FALSE(table.choose_free(config, random));
  }

  TEST_CASE(
      "records of any length, aligned or not, take what they overlap; one over the whole network takes "
      "nothing") {
    const NetworkConfig config = config_of(R"({"Network":"10.0.0.0/22","SubnetMin":"10.0.0.0"})");
    LocalNode local;
    local.config = config;
    struct Row {
      std::vector<const char*> keys;
      std::vector<const char*> free;
    };
    const Row rows[] = {
        {{}, {"10.0.0.0", "10.0.1.0", "10.0.2.0", "10.0.3.0"}},
        {{"0.0.0.0-0&fd00::-64", "10.0.0.0-22", "10.0.0.0-8", "192.168.0.0-24"},
         {"10.0.0.0", "10.0.1.0", "10.0.2.0", "10.0.3.0"}},
        {{"10.0.0.0-23"}, {"10.0.2.0", "10.0.3.0"}},
        {{"10.0.1.128-25", "10.0.1.4-30"}, {"10.0.0.0", "10.0.2.0", "10.0.3.0"}},
        {{"10.0.2.7-32"}, {"10.0.0.0", "10.0.1.0", "10.0.3.0"}},
        {{"10.0.1.0-24&fd00::-64"}, {"10.0.0.0", "10.0.2.0", "10.0.3.0"}},
        {{"10.0.0.0-24", "10.0.1.9-23", "10.0.3.255-32"}, {"10.0.2.0"}},
        {{"10.0.0.0-23", "10.0.2.0-23"}, {}},
    };
    for (const Row& row : rows) {
      LeaseTable table;
      table.set_local(local);
      for (const char* key : row.keys) {
        CAPTURE(key);
        LeaseRecord record;
        record.key = *parse_lease_key(key);
        table.upsert(record);
      }
      TestRandom random(7);
      std::map<std::string, int> chosen;
      for (int i = 0; i < 400; ++i) {
        const auto subnet = table.choose_free(config, random);
        if (subnet) ++chosen[std::string(text_of(subnet->base).view())];
      }
      CHECK(chosen.size() == row.free.size());
      for (const char* base : row.free) {
        CHECK(chosen[base] > 400 / static_cast<int>(row.free.size()) / 2);  // uniform
        CHECK_FALSE(table.taken({ip(base), 24}));
      }
    }
  }

  TEST_CASE("four million subnets of /30 in a /8 are counted, not walked") {
    const NetworkConfig config = config_of(R"({"Network":"10.0.0.0/8","SubnetLen":30})");
    LocalNode local;
    local.config = config;
    LeaseTable table;
    table.set_local(local);
    for (int bit = 9; bit < 30; ++bit) {  // leaves 10.0.0.0/30 itself (below SubnetMin) and 10.0.0.4/30
      LeaseRecord record;
      record.key.subnet = {{0x0a000000u | (1u << (32 - bit))}, static_cast<std::uint8_t>(bit)};
      table.upsert(record);
    }
    TestRandom random(3);
    CHECK(table.choose_free(config, random) == Net4{ip("10.0.0.4"), 30});
    table.remove({{ip("10.128.0.0"), 9}, std::nullopt}, 1);
    const auto subnet = table.choose_free(config, random);
    REQUIRE(subnet);
    CHECK_FALSE(table.taken(*subnet));
  }

  TEST_CASE("the choice agrees with walking all subnets, whatever the records") {
    Rng rng;
    for (int round = 0; round < 200; ++round) {
      const NetworkConfig config = config_of(
          R"({"Network":"10.0.0.0/20","SubnetLen":25,"SubnetMin":"10.0.1.0","SubnetMax":"10.0.14.128"})");
      LocalNode local;
      local.config = config;
      LeaseTable table;
      table.set_local(local);
      const std::uint64_t count = rng.below(40);
      for (std::uint64_t i = 0; i < count; ++i) {
        LeaseRecord record;
        record.key.subnet = {{0x0a000000u + static_cast<std::uint32_t>(rng.below(1u << 13))},
                             static_cast<std::uint8_t>(18 + rng.below(15))};
        table.upsert(record);
      }
      std::vector<Net4> free;
      for (std::uint32_t base = config.subnet_min.value; base <= config.subnet_max.value; base += 128) {
        if (!table.taken({{base}, 25})) free.push_back({{base}, 25});
      }
      std::map<std::uint32_t, int> chosen;
      TestRandom random(rng.next());
      for (int i = 0; i < 300; ++i) {
        const auto subnet = table.choose_free(config, random);
        REQUIRE(subnet.has_value() == !free.empty());
        if (!subnet) break;
        CHECK_FALSE(table.taken(*subnet));
        ++chosen[subnet->base.value];
      }
      if (!free.empty() && free.size() < 20) CHECK(chosen.size() == free.size());
    }
  }
}
