// SPDX-License-Identifier: Apache-2.0
// What is shown of records that lose a conflict: to whom, and that naming it takes no more than showing a
// peer does, however many lose.
#include "flannelette/overlay/peer_status.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "flannelette/overlay/entry_plan.hpp"
#include "support/rng.hpp"
#include "unit/overlay_leases.hpp"

using namespace flannelette;
using namespace flannelette::overlay;
using namespace flannelette::tests;

namespace {

struct Shown {
  Shown() {
    LocalNode local = local_node();
    local.config = config_of(R"({"Network":"10.0.0.0/8","Backend":{"Type":"vxlan"}})");
    table.set_local(local);
  }
  /// 10.x.y.0, with MAC `mac_number`; of the same PublicIP where `number` is the same.
  void put(unsigned subnet, unsigned length, unsigned number, unsigned mac_number, std::int64_t created) {
    LeaseRecord record = lease("10.64.5.0-24", number, created, created);
    record.key.subnet = Net4{{0x0a000000u + subnet * 256}, static_cast<std::uint8_t>(length)};
    record.value.public_ip = Ip4{0xac100000u + number};
    record.value.mac = {{2, 1, 0, static_cast<std::uint8_t>(mac_number >> 16),
                         static_cast<std::uint8_t>(mac_number >> 8), static_cast<std::uint8_t>(mac_number)}};
    table.upsert(record);
  }
  LeaseTable table;
  EntryPlan plan{table};
};

bool contradict(const PeerStatus& a, const PeerStatus& b) {
  return a.public_ip == b.public_ip || a.mac == b.mac || a.subnet.v4().overlaps(b.subnet.v4());
}

/// Of all that are shown, how many lose and are said to whom.
std::size_t conflicts(const Shown& shown) {
  PeerStatus peer;
  std::size_t count = 0;
  for (std::size_t i = 0; shown.plan.peer(i, peer); ++i) count += peer.shadowed_by != Net(Net4{});
  return count;
}

}  // namespace

TEST_SUITE("overlay/peer status") {
  TEST_CASE("each record that loses a conflict names a winner that it contradicts, and no other names any") {
    Rng rng;
    for (int round = 0; round < rounds(100); ++round) {
      Shown shown;
      std::vector<PeerStatus> all;
      for (int i = 0; i < 60; ++i) {
        shown.put(static_cast<unsigned>(rng.below(40)), 22 + static_cast<unsigned>(rng.below(4)),
                  static_cast<unsigned>(rng.below(60)), static_cast<unsigned>(rng.below(60)),
                  static_cast<std::int64_t>(rng.below(100)));
        if (rng.below(10) == 0) {
          PeerStatus peer;
          (void)shown.plan.peer(rng.below(20), peer);  // an answer of before misleads nobody
        }
      }
      PeerStatus next;
      for (std::size_t i = 0; shown.plan.peer(i, next); ++i) all.push_back(next);
      for (const PeerStatus& peer : all) {
        if (peer.why != Ignored::kConflict) {
          CHECK(peer.shadowed_by == Net(Net4{}));
          continue;
        }
        const bool named = std::ranges::any_of(all, [&](const PeerStatus& other) {
          return other.why == Ignored::kNo && other.subnet == peer.shadowed_by && contradict(peer, other);
        });
        const bool any = std::ranges::any_of(all, [&](const PeerStatus& other) {
          return other.why == Ignored::kNo && contradict(peer, other);
        });
        CHECK(named == any);
        CHECK((peer.shadowed_by != Net(Net4{})) == any);
      }
    }
  }

  TEST_CASE("twenty thousand that lose are shown without a look at all for each") {
    constexpr unsigned kEach = 20'000;
    Shown peers;
    for (unsigned i = 1; i <= 2 * kEach; ++i) peers.put(i, 24, i, i, 5);
    CHECK(conflicts(peers) == 0);
    CHECK(peers.plan.compared() == 0);
    for (const char* shape : {"of its address", "that overlaps it", "with its MAC"}) {
      CAPTURE(shape);
      Shown shown;
      for (unsigned i = 1; i <= kEach; ++i) {
        shown.put(i, 24, i, i, 5);
        if (shape[0] == 'o') shown.put(2 * kEach + 1 - i, 24, i, kEach + i, 4);
        if (shape[0] == 't') shown.put(i, 25, kEach + i, kEach + i, 6);
        if (shape[0] == 'w') shown.put(kEach + i, 24, kEach + i, 1, 6);
      }
      CHECK(conflicts(shown) >= kEach - 2);  // one or two of them overlap our own subnet
      CHECK(shown.plan.compared() <= 4 * kEach);
    }
  }
}
