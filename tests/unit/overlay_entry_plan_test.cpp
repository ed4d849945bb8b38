// SPDX-License-Identifier: Apache-2.0
// Table and plan against a naive model: who wins, and what a kernel has after every single change.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "flannelette/overlay/entry_plan.hpp"
#include "support/rng.hpp"
#include "unit/overlay_leases.hpp"

using namespace flannelette;
using namespace flannelette::overlay;
using namespace flannelette::tests;

namespace {

using Kind = Entry::Kind;
using Truth = std::map<LeaseKey, LeaseRecord>;

struct Peer {
  Net4 subnet;
  Mac mac;
  Ip4 remote;
  auto operator<=>(const Peer&) const = default;
};

/// The rule of lease_table.hpp, read aloud: compare everybody with everybody.
std::set<LeaseKey> naive_winners(const Truth& truth, const LocalNode& local) {
  std::vector<const LeaseRecord*> valid;
  for (const auto& [key, record] : truth) {
    LeaseTable alone;
    alone.set_local(local);
    if (alone.upsert(record) == Ignored::kNo) valid.push_back(&record);
  }
  const auto subnet_order = [](const LeaseRecord& r) {
    return std::tuple(r.key.subnet.base, r.key.subnet.length, r.key.subnet6);
  };
  const auto other_length = [&](const LeaseRecord& r) {
    return r.key.subnet.length != local.config.subnet_len;
  };
  const auto before1 = [&](const LeaseRecord& a, const LeaseRecord& b) {
    return std::tuple(other_length(a), -a.modified, subnet_order(a)) <
           std::tuple(other_length(b), -b.modified, subnet_order(b));
  };
  const auto before2 = [&](const LeaseRecord* a, const LeaseRecord* b) {
    return std::tuple(other_length(*a), a->created, subnet_order(*a)) <
           std::tuple(other_length(*b), b->created, subnet_order(*b));
  };
  std::vector<const LeaseRecord*> survivors;
  for (const LeaseRecord* r : valid) {
    if (std::none_of(valid.begin(), valid.end(), [&](const LeaseRecord* s) {
          return s != r && s->value.public_ip == r->value.public_ip && before1(*s, *r);
        })) {
      survivors.push_back(r);
    }
  }
  std::sort(survivors.begin(), survivors.end(), before2);
  std::vector<const LeaseRecord*> accepted;
  for (const LeaseRecord* r : survivors) {
    if (std::none_of(accepted.begin(), accepted.end(), [&](const LeaseRecord* a) {
          return a->key.subnet.overlaps(r->key.subnet) || a->value.mac == r->value.mac;
        })) {
      accepted.push_back(r);
    }
  }
  std::set<LeaseKey> keys;
  for (const LeaseRecord* r : accepted) keys.insert(r->key);
  return keys;
}

/// A kernel's tables. The table's routes lead through nexthop objects; a meddler's may be plain, which is as
/// good.
class ModelKernel {
 public:
  struct Lladdr {
    Mac mac;
    bool permanent;
  };
  struct Remote {
    Ip4 ip;  // unspecified: by a port of its own
    bool permanent;
  };
  struct Path {
    Ip4 gateway;
    bool onlink;
    bool through_object;
  };
  std::map<Ip4, Lladdr> neighbours;
  std::map<Mac, Remote> fdb;
  std::map<std::pair<Net4, std::uint32_t>, Path> routes;
  std::map<Ip4, bool> objects;  // value: right
  std::set<Ip4> senders;
  bool filters = false;  // senders are wanted

  void apply(const Change& c) {
    const bool put = c.op == Change::Op::kPut;
    const Net4 net = c.entry.net.v4();
    const Ip4 via = c.entry.via.v4();
    switch (c.entry.kind) {
      case Kind::kNeighbour:
        if (put) neighbours[net.base] = {c.entry.mac, true};
        if (!put) neighbours.erase(net.base);
        break;
      case Kind::kFdb:
        if (put) fdb[c.entry.mac] = {via, true};
        if (!put) fdb.erase(c.entry.mac);
        break;
      case Kind::kRoute:
        if (!put) routes.erase({net, c.entry.metric});
        if (put) routes[{net, 0}] = {via, c.entry.onlink, true};
        if (put) objects[net.base] = true;
        break;
      case Kind::kNexthop: remove_object(net.base); break;
      case Kind::kSender:
        if (put) senders.insert(via);
        if (!put) senders.erase(via);
        break;
    }
  }
  void lose_all() {
    const bool filtered = filters;
    *this = {};
    filters = filtered;
  }
  bool drops(Ip4 sender) const { return senders.contains(Ip4{}) && !senders.contains(sender); }
  void remove_object(Ip4 base) {
    if (objects.erase(base) != 0)
      std::erase_if(routes,
                    [&](const auto& r) { return r.second.through_object && r.second.gateway == base; });
  }
  bool has(const Peer& p) const {
    const auto n = neighbours.find(p.subnet.base);
    const auto f = fdb.find(p.mac);
    const auto r = routes.find({p.subnet, 0});
    return n != neighbours.end() && n->second.permanent && n->second.mac == p.mac && f != fdb.end() &&
           f->second.permanent && f->second.ip == p.remote && r != routes.end() &&
           r->second.gateway == p.subnet.base && r->second.onlink &&
           (!r->second.through_object || objects.at(p.subnet.base)) && !drops(p.remote);
  }
  /// All of these, and nothing else but what is the kernel's own.
  bool is_exactly(const std::set<Peer>& peers) const {
    std::set<Ip4> bases;
    std::set<Mac> macs;
    std::set<Ip4> remotes;
    if (filters) remotes.insert(Ip4{});
    for (const Peer& p : peers) {
      if (!has(p)) return false;
      if (filters) remotes.insert(p.remote);
      bases.insert(p.subnet.base);
      macs.insert(p.mac);
    }
    for (const auto& [ip, lladdr] : neighbours) {
      if (lladdr.permanent && !bases.contains(ip)) return false;
    }
    for (const auto& [mac, remote] : fdb) {
      if (remote.permanent && !macs.contains(mac)) return false;
    }
    for (const auto& [base, right] : objects) {
      if (!right || !bases.contains(base)) return false;
    }
    return routes.size() == peers.size() && senders == remotes;
  }
};

int phase(const Change& c) {
  const bool put = c.op == Change::Op::kPut;
  if (c.entry.kind == Kind::kRoute) return put ? 1 : 2;
  if (c.entry.kind == Kind::kSender && !put) return 5;
  if (c.entry.completes_senders()) return 1;
  return put ? 0 : c.entry.kind == Kind::kNexthop ? 3 : 4;
}

/// Applies each change at once and checks whether a peer lost its path; drops every change from `fail_from`
/// on.
class Applier final : public ChangeSink {
 public:
  Applier(ModelKernel& kernel, std::vector<Peer> protected_peers, std::size_t fail_from = SIZE_MAX)
      : kernel_(kernel), protected_(std::move(protected_peers)), fail_from_(fail_from) {}
  void change(const Change& c) override {
    if (phase(c) < phase_) ordered = false;
    phase_ = phase(c);
    if (count++ >= fail_from_) return;
    kernel_.apply(c);
    for (const Peer& p : protected_) unharmed &= kernel_.has(p);
  }
  std::size_t count = 0;
  bool ordered = true;
  bool unharmed = true;

 private:
  ModelKernel& kernel_;
  std::vector<Peer> protected_;
  std::size_t fail_from_;
  int phase_ = 0;
};

class World {
 public:
  explicit World(Rng& rng) : rng_(rng) {
    local = local_node();
    table.set_local(local);
    kernel.filters = rng.one_in(2);
    plan.filter_senders(kernel.filters);
  }
  LeaseTable table;
  EntryPlan plan{table};
  Truth truth;
  ModelKernel kernel;
  LocalNode local;

  /// One transaction: several records, one age.
  void put_some() {
    ++age_;
    std::set<Net4> subnets;
    for (std::uint64_t i = rng_.below(4) + 1; i > 0; --i) {
      LeaseRecord record = random_record();
      if (!subnets.insert(record.key.subnet).second) continue;
      const auto have = truth.find(record.key);
      if (have != truth.end()) record.created = have->second.created;
      truth[record.key] = record;
      if (!blind_) table.upsert(record);
    }
  }
  void remove_one() {
    if (truth.empty()) return;
    auto at = truth.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(rng_.below(truth.size())));
    ++age_;
    if (!blind_) table.remove(at->first, age_);
    truth.erase(at);
  }
  void replay_old_event() {
    if (truth.empty()) return;
    LeaseRecord record = truth.begin()->second;
    if (rng_.one_in(2)) {
      table.remove(record.key, record.modified - 1);
    } else {
      record.modified -= 1;
      record.value.mac = mac(99);
      table.upsert(record);
    }
  }
  void list_again() {
    blind_ = true;
    for (std::uint64_t i = rng_.below(6); i > 0; --i) rng_.one_in(2) ? put_some() : remove_one();
    blind_ = false;
    list_into(table);
  }
  void list_into(LeaseTable& into) {
    std::vector<LeaseRecord> records;
    for (const auto& [key, record] : truth) records.push_back(record);
    if (rng_.one_in(2)) rng_.shuffle(records);
    if (!records.empty() && rng_.one_in(4)) records.push_back(records[0]);
    into.begin_listing();
    for (const LeaseRecord& record : records) into.upsert(record);
    into.end_listing();
  }
  void become_another() {
    local = local_node();
    if (rng_.one_in(3)) local.subnet = random_record().key.subnet.masked();
    if (rng_.one_in(3)) local.mac = mac(static_cast<unsigned>(rng_.below(12)));
    if (rng_.one_in(3)) local.public_ip = Ip4{0xac1e0000u + static_cast<std::uint32_t>(rng_.below(12))};
    if (rng_.one_in(3)) local.config.subnet_len = 25;
    if (rng_.one_in(5)) local.config.vni = 2;
    table.set_local(local);
  }
  void meddle() {
    corrupted = true;
    Ip4 base{0x0a400000u + static_cast<std::uint32_t>(rng_.below(32) << 7)};
    if (!kernel.objects.empty() && rng_.one_in(2)) {  // of a peer, or of one that was
      base = std::next(kernel.objects.begin(), static_cast<std::ptrdiff_t>(rng_.below(kernel.objects.size())))
                 ->first;
    }
    const Mac m = mac(static_cast<unsigned>(rng_.below(12)));
    const Ip4 remote{0xac1e0000u + static_cast<std::uint32_t>(rng_.below(12))};
    if (kernel.filters && rng_.one_in(4)) {
      switch (rng_.below(4)) {
        case 0: kernel.senders.insert(remote); break;
        case 1: kernel.senders.erase(remote); break;
        case 2: kernel.senders.erase(Ip4{}); break;
        case 3: kernel.senders.clear(); break;
      }
      return;
    }
    switch (rng_.below(10)) {
      case 0: kernel.neighbours[base] = {m, rng_.one_in(2)}; break;
      case 1: kernel.neighbours.erase(base); break;
      case 2: kernel.fdb[m] = {remote, rng_.one_in(2)}; break;
      case 3: kernel.fdb[m] = {Ip4{}, rng_.one_in(2)}; break;
      case 4: kernel.fdb.erase(m); break;
      case 5: {
        const Ip4 gateway = rng_.one_in(2) ? base : remote;
        kernel.routes[{{base, static_cast<std::uint8_t>(24 + rng_.below(2))},
                       static_cast<std::uint32_t>(rng_.below(2) * 100)}] = {
            gateway, rng_.one_in(2), kernel.objects.contains(gateway) && rng_.one_in(2)};
        break;
      }
      case 6: kernel.routes.erase({{base, 24}, 0}); break;
      case 7: kernel.routes.clear(); break;
      case 8: kernel.objects[base] = false; break;
      case 9: kernel.remove_object(base); break;
    }
  }
  bool corrupted = false;

  std::set<Peer> desired() const {
    std::set<Peer> peers;
    for (const LeaseKey& key : naive_winners(truth, local)) {
      const LeaseRecord& r = truth.at(key);
      peers.insert({key.subnet, r.value.mac, r.value.public_ip.v4()});
    }
    return peers;
  }
  std::vector<Peer> intact() const {
    std::vector<Peer> peers;
    for (const Peer& p : desired()) {
      if (kernel.has(p)) peers.push_back(p);
    }
    return peers;
  }

  /// What the table counts on its way is what one who counts the visited finds.
  void check_counts() const {
    const PeerCounts counts = table.counts();
    CHECK(counts.records == truth.size());
    CHECK(counts.peers == naive_winners(truth, local).size());
    const auto ignored = ignored_of(table);
    CHECK(counts.ignored == ignored.size());
    CHECK(counts.conflicts == static_cast<std::size_t>(std::ranges::count_if(ignored, [](const auto& one) {
            return one.second == Ignored::kConflict;
          })));
  }

  /// Shows a snapshot of the kernel to the audit. `between` runs somewhere in the middle.
  template <class Between>
  void dump(Between between) {
    const ModelKernel snapshot = kernel;
    for (const auto& [key, path] : snapshot.routes) {
      Entry shown = Entry::route(key.first, path.gateway, key.second);
      shown.onlink = path.onlink;
      plan.audit_entry(shown);
    }
    if (rng_.one_in(2)) between();
    for (const auto& [base, right] : snapshot.objects)
      plan.audit_entry(Entry::nexthop(Net4{base, 32}, right ? base : Ip4{}));
    for (const auto& [ip, lladdr] : snapshot.neighbours) {
      Entry shown = Entry::neighbour(Net4{ip, 32}, lladdr.mac);
      shown.permanent = lladdr.permanent;
      plan.audit_entry(shown);
    }
    if (rng_.one_in(2)) between();
    for (const auto& [m, remote] : snapshot.fdb) {
      Entry shown = Entry::fdb(m, remote.ip);
      shown.permanent = remote.permanent;
      plan.audit_entry(shown);
    }
    for (const Ip4 sender : snapshot.senders) plan.audit_entry(Entry::sender(sender));
  }
  /// One round of what an agent does; true if it emitted nothing. `luck`: batches may fail, audits be cut,
  /// events come between.
  bool reconcile(bool luck) {
    const bool audit = plan.needs_audit() || corrupted;
    if (audit) {
      plan.begin_audit();
      if (luck && rng_.one_in(4)) {
        dump([] {});
        plan.abort_audit();
        return false;
      }
      dump([&] {
        if (luck) rng_.one_in(2) ? put_some() : remove_one();
      });
    }
    const bool fails = luck && rng_.one_in(4);
    Applier applier(kernel, intact(), fails ? rng_.below(20) : SIZE_MAX);
    audit ? plan.finish_audit(applier) : plan.plan(applier);
    CHECK(applier.ordered);
    CHECK(applier.unharmed);
    if (fails && applier.count > 0) {
      plan.invalidate();
      return false;
    }
    if (audit) corrupted = false;
    if (luck && rng_.one_in(5)) rng_.one_in(2) ? put_some() : remove_one();  // between plan and commit
    plan.commit();
    check_counts();
    return applier.count == 0;
  }

 private:
  LeaseRecord random_record() {
    LeaseRecord record;
    const std::uint8_t length = rng_.one_in(3) ? static_cast<std::uint8_t>(21 + rng_.below(6)) : 24;
    const Net4 subnet{
        {0x0a400000u + static_cast<std::uint32_t>(rng_.below(16) << 8) + (rng_.one_in(4) ? 128u : 0u)},
        length};
    record.key.subnet = rng_.one_in(20) ? subnet : subnet.masked();
    if (rng_.one_in(5)) {
      record.key.subnet6 = Net6{};
      record.key.subnet6->base.bytes[0] = static_cast<std::uint8_t>(0xfd + rng_.below(2));
      record.key.subnet6->length = 64;
    }
    const unsigned node = static_cast<unsigned>(2 + rng_.below(14));
    record.value = {Ip4{0xac1e0000u + node}, BackendType::kVxlan, true, 1u,
                    mac(rng_.one_in(3) ? static_cast<unsigned>(rng_.below(12)) : node)};
    if (rng_.one_in(15)) record.value.backend = BackendType::kOther;
    if (rng_.one_in(15)) record.value.vni = 2;
    if (rng_.one_in(15)) record.readable = false;
    if (!record.readable) record.value = {};
    record.created = record.modified = age_;
    return record;
  }

  Rng& rng_;
  std::int64_t age_ = 100;
  bool blind_ = false;
};

std::multiset<std::pair<LeaseKey, Ignored>> verdicts(const LeaseTable& table) {
  const auto all = ignored_of(table);
  return {all.begin(), all.end()};
}

std::multiset<LeaseKey> losers(const World& world) {
  const std::set<LeaseKey> winners = naive_winners(world.truth, world.local);
  std::multiset<LeaseKey> keys;
  for (const auto& [key, record] : world.truth) {
    LeaseTable alone;
    alone.set_local(world.local);
    if (!winners.contains(key) && alone.upsert(record) != Ignored::kOurs) keys.insert(key);
  }
  return keys;
}

void step(World& world, Rng& rng) {
  switch (rng.below(12)) {
    case 0: world.list_again(); break;
    case 1: world.become_another(); break;
    case 2: world.meddle(); break;
    case 3: world.replay_old_event(); break;
    case 4:
    case 5:
    case 6: world.remove_one(); break;
    default: world.put_some(); break;
  }
}

void calm_down(World& world) {
  for (int i = 0; i < 4; ++i) world.reconcile(false);
}

}  // namespace

TEST_SUITE("overlay/entry plan") {
  TEST_CASE("any order of arrival, by events or in a listing, gives the same winners: those of the rule") {
    Rng rng;
    for (int round = 0; round < rounds(60); ++round) {
      World world(rng);
      for (int i = 0; i < 60; ++i) {
        step(world, rng);
        if (rng.one_in(2)) continue;  // several events before anybody asks
        std::multiset<LeaseKey> ignored;
        for (const auto& [key, reason] : ignored_of(world.table)) ignored.insert(key);
        REQUIRE(ignored == losers(world));
        LeaseTable listed;
        listed.set_local(world.local);
        world.list_into(listed);
        REQUIRE(verdicts(listed) == verdicts(world.table));
        REQUIRE(listed.counts().peers == world.table.counts().peers);
      }
    }
  }

  TEST_CASE("the kernel always ends as desired, and no live peer loses its path on the way, whatever fails") {
    Rng rng;
    for (int round = 0; round < rounds(60); ++round) {
      World world(rng);
      for (int i = 0; i < 50; ++i) {
        step(world, rng);
        if (rng.one_in(2)) world.reconcile(true);
        if (rng.one_in(8)) {
          calm_down(world);
          REQUIRE(world.kernel.is_exactly(world.desired()));
        }
      }
      calm_down(world);
      REQUIRE(world.kernel.is_exactly(world.desired()));
      CHECK_FALSE(world.plan.needs_audit());
    }
  }

  TEST_CASE(
      "without failures and meddlers the first audit is the last, and plans alone keep the kernel right") {
    Rng rng;
    for (int round = 0; round < rounds(60); ++round) {
      World world(rng);
      world.reconcile(false);
      for (int i = 0; i < 60; ++i) {
        do step(world, rng);
        while (world.corrupted && (world.corrupted = false, world.kernel.lose_all(), world.plan.invalidate(),
                                   world.reconcile(false), true));
        if (rng.one_in(3)) continue;
        REQUIRE_FALSE(world.plan.needs_audit());
        world.reconcile(false);
        REQUIRE(world.kernel.is_exactly(world.desired()));
      }
    }
  }

  TEST_CASE("reconcile twice in a row: the second changes nothing") {
    Rng rng;
    for (int round = 0; round < rounds(100); ++round) {
      World world(rng);
      for (int i = 0; i < 30; ++i) step(world, rng);
      world.reconcile(false);
      CHECK(world.reconcile(false));
      world.plan.invalidate();
      CHECK(world.reconcile(false));
      world.corrupted = true;  // a periodic audit
      CHECK(world.reconcile(false));
      world.list_into(world.table);
      CHECK(world.reconcile(false));
      // A renewal by flanneld: same value, new age.
      for (auto& [key, record] : world.truth) {
        if (record.readable) ++record.modified;
        world.table.upsert(record);
        break;
      }
      for (int i = 0; i < 2; ++i) world.reconcile(false);
      CHECK(world.reconcile(false));
    }
  }

  TEST_CASE(
      "a peer that comes back with another address or MAC keeps its route: only what differs is written") {
    using Op = Change::Op;
    using What = std::pair<Op, Kind>;
    struct Kinds final : ChangeSink {
      void change(const Change& change) override { all.emplace_back(change.op, change.entry.kind); }
      std::vector<What> all;
    };
    constexpr What kPutNeighbour{Op::kPut, Kind::kNeighbour}, kPutFdb{Op::kPut, Kind::kFdb},
        kPutRoute{Op::kPut, Kind::kRoute}, kRemoveNexthop{Op::kRemove, Kind::kNexthop},
        kRemoveFdb{Op::kRemove, Kind::kFdb}, kRemoveRoute{Op::kRemove, Kind::kRoute};
    LeaseTable table;
    EntryPlan plan(table);
    table.set_local(local_node());
    const auto written = [&] {
      Kinds kinds;
      plan.plan(kinds);
      plan.commit();
      return kinds.all;
    };
    const auto audit = [&] {
      Kinds kinds;
      plan.begin_audit();
      plan.finish_audit(kinds);
      plan.commit();
    };
    audit();
    CHECK(table.upsert(lease("10.64.5.0-24", 5, 5, 5)) == Ignored::kNo);
    CHECK(written() == std::vector{kPutNeighbour, kPutFdb, kPutRoute});
    LeaseRecord moved = lease("10.64.5.0-24", 5, 5, 6);
    moved.value.public_ip = ip("172.30.9.9");
    CHECK(table.upsert(moved) == Ignored::kNo);
    CHECK(written() == std::vector{kPutNeighbour, kPutFdb});
    CHECK(table.upsert(lease("10.64.5.0-24", 7, 5, 7)) == Ignored::kNo);
    CHECK(written() == std::vector{kPutNeighbour, kPutFdb, kRemoveFdb});

    // Twice before it was written, and gone before it was written.
    CHECK(table.upsert(lease("10.64.5.0-24", 8, 5, 8)) == Ignored::kNo);
    CHECK(table.upsert(lease("10.64.5.0-24", 9, 5, 9)) == Ignored::kNo);
    const auto twice = written();
    CHECK(std::count(twice.begin(), twice.end(), kPutRoute) == 0);
    CHECK(std::count(twice.begin(), twice.end(), kPutFdb) == 1);
    CHECK(table.upsert(lease("10.64.5.0-24", 10, 5, 10)) == Ignored::kNo);
    table.remove(lease("10.64.5.0-24", 10).key, 11);
    const auto removed = written();
    CHECK(std::count(removed.begin(), removed.end(), kRemoveRoute) == 1);
    CHECK(std::count(removed.begin(), removed.end(), kRemoveNexthop) == 1);
    CHECK(std::count(removed.begin(), removed.end(), kPutNeighbour) == 0);

    // What was planned but not committed may not be there; what no audit has seen neither.
    CHECK(table.upsert(lease("10.64.6.0-24", 6, 12)) == Ignored::kNo);
    Kinds lost;
    plan.plan(lost);
    CHECK(table.upsert(lease("10.64.6.0-24", 6, 12, 13)) == Ignored::kNo);
    CHECK(table.upsert(lease("10.64.6.0-24", 16, 12, 14)) == Ignored::kNo);
    Kinds again;
    plan.plan(again);
    CHECK(std::count(again.all.begin(), again.all.end(), kPutRoute) == 1);
  }

  TEST_CASE("of several routes to a subnet the first one leads: where it is wrong, ours is put again") {
    struct Routes final : ChangeSink {
      void change(const Change& change) override { puts += change.puts(Kind::kRoute); }
      int puts = 0;
    };
    LeaseTable table;
    EntryPlan plan(table);
    table.set_local(local_node());
    CHECK(table.upsert(lease("10.64.5.0-24", 5, 5, 5)) == Ignored::kNo);
    const Entry right = Entry::route(parse_net4("10.64.5.0/24").value(), ip("10.64.5.0"));
    Entry wrong = right;
    wrong.onlink = false;
    const auto puts = [&](const std::vector<Entry>& routes) {
      Routes sink;
      plan.begin_audit();
      for (const Entry& route : routes) plan.audit_entry(route);
      plan.finish_audit(sink);
      plan.commit();
      return sink.puts;
    };
    CHECK(puts({right}) == 0);
    CHECK(puts({wrong, right}) == 1);
    CHECK(puts({right, wrong}) == 0);
    CHECK(puts({right}) == 0);
  }

  TEST_CASE(
      "a sender enters before its peer's route and leaves after it; the set is complete when all are in") {
    struct Senders final : ChangeSink {
      void change(const Change& change) override {
        const std::string sign = change.op == Change::Op::kPut ? "+" : "-";
        if (change.entry.kind == Kind::kRoute) all += sign + "route ";
        if (change.entry.kind == Kind::kSender)
          all += sign + std::string(text_of(change.entry.via).view()) + " ";
      }
      std::string all;
    };
    LeaseTable table;
    EntryPlan plan(table);
    plan.filter_senders(true);
    table.set_local(local_node());
    const auto written = [&] {
      Senders senders;
      plan.plan(senders);
      plan.commit();
      return senders.all;
    };
    const auto audit = [&](std::initializer_list<const char*> there) {
      Senders senders;
      plan.begin_audit();
      for (const char* address : there) plan.audit_entry(Entry::sender(ip(address)));
      plan.finish_audit(senders);
      plan.commit();
      return senders.all;
    };
    LeaseRecord peer = lease("10.64.5.0-24", 5, 5, 5);
    peer.value.public_ip = ip("172.30.0.5");
    table.upsert(peer);
    CHECK(audit({}) == "+172.30.0.5 +route +0.0.0.0 ");
    CHECK(audit({"0.0.0.0", "172.30.0.5"}) == "+route ");
    CHECK(audit({"0.0.0.0", "172.30.0.5", "172.30.0.77"}) == "+route -172.30.0.77 ");
    LeaseRecord next = lease("10.64.6.0-24", 6, 6, 6);
    next.value.public_ip = ip("172.30.0.6");
    table.upsert(next);
    CHECK(written() == "+172.30.0.6 +route ");
    next.modified = 7;
    next.value.public_ip = ip("172.30.0.66");
    table.upsert(next);
    CHECK(written() == "+172.30.0.66 -172.30.0.6 ");
    table.remove(next.key, 8);
    CHECK(written() == "-route -172.30.0.66 ");
    CHECK(written().empty());

    // What others do to the set.
    const auto damage = [&](const char* address, bool present) {
      const Entry entry = Entry::sender(ip(address));
      if (plan.notice(entry, present)) return std::string("as wanted");
      plan.repair(entry, present);
      return written();
    };
    CHECK(damage("172.30.0.5", false) == "+172.30.0.5 ");
    CHECK(damage("172.30.0.77", true) == "-172.30.0.77 ");
    CHECK(damage("0.0.0.0", false) == "+0.0.0.0 ");
    CHECK(damage("0.0.0.0", true) == "as wanted");
    CHECK(damage("172.30.0.5", true) == "as wanted");
    CHECK(damage("172.30.0.77", false) == "as wanted");
    CHECK(written().empty());
    plan.filter_senders(false);
    CHECK(plan.needs_audit());
    CHECK(audit({}) == "+route ");
  }

  TEST_CASE("more stale entries than an audit remembers take several audits, and then all are gone") {
    Rng rng;
    World world(rng);
    for (unsigned i = 0; i < 2 * EntryPlan::kMaxStale + 10; ++i)
      world.kernel.neighbours[{0x0a500000u + i}] = {mac(i & 0xfff), true};
    world.put_some();
    int audits = 0;
    for (; world.plan.needs_audit() && audits < 10; ++audits) {
      world.reconcile(false);
      CHECK(world.plan.needs_audit() == (audits < 2));
    }
    CHECK(audits == 3);
    CHECK(world.kernel.is_exactly(world.desired()));
  }

  TEST_CASE("when more peers go at once than can be remembered, an audit finds them") {
    Rng rng;
    World world(rng);
    world.reconcile(false);
    for (unsigned i = 0; i < 4000; ++i) {
      LeaseRecord record = lease("10.64.9.0-24", 100 + i);
      record.key.subnet = {{0x0a402000u + 4 * i}, 30};
      world.table.upsert(world.truth[record.key] = record);
    }
    world.reconcile(false);
    CHECK(world.kernel.routes.size() == 4000);
    world.truth.clear();
    world.list_into(world.table);
    CHECK(world.plan.needs_audit());
    for (int i = 0; i < 5; ++i) world.reconcile(false);
    CHECK(world.kernel.is_exactly({}));
    CHECK_FALSE(world.plan.needs_audit());
  }

  TEST_CASE("while our subnet is unknown nothing is programmed and nothing is removed") {
    Rng rng;
    World world(rng);
    for (int i = 0; i < 10; ++i) world.put_some();
    world.reconcile(false);
    const std::size_t routes = world.kernel.routes.size();
    REQUIRE(routes > 0);
    const LocalNode with_subnet = world.local;
    world.local.subnet.reset();
    world.table.set_local(world.local);
    world.truth.clear();
    world.list_into(world.table);
    CHECK(world.reconcile(false));
    world.corrupted = true;
    CHECK(world.reconcile(false));
    CHECK(world.kernel.routes.size() == routes);
    world.table.set_local(world.local = with_subnet);
    for (int i = 0; i < 3; ++i) world.reconcile(false);
    CHECK(world.kernel.is_exactly({}));
  }
}
