// SPDX-License-Identifier: Apache-2.0
// Faults at random, hundreds of them: after each one the kernel says again what the registry says, in time.
#include <algorithm>
#include <set>

#include "flannelette/overlay/lease.hpp"
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr Millis kHour = 3'600'000;
constexpr Millis kBackoffMax = registry::EtcdRegistry::kBackoffMax;
constexpr const char* kFaultyConfig =
    R"({"Network":"10.5.0.0/16","SubnetMin":"10.5.210.0","SubnetMax":"10.5.250.0","Backend":{"Type":"vxlan"}})";
constexpr const char* kHosts[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3"};
constexpr const char* kPaths[] = {"/v3/kv/range", "/v3/watch", "/v3/lease/keepalive"};
constexpr unsigned kThirds = 200;  // record-only peers have subnets 10.5.1.0 to 10.5.200.0
constexpr std::int64_t kTtl = 600;
/// Between two faults. A watch that lives shorter is no success to the registry, and its back-off goes on.
constexpr Millis kRest = 6'000;

/// Two nodes of three members' etcd with authentication, and peers that are only records.
class Faults {
 public:
  explicit Faults(Rng& chance) : rng(chance) {
    etcd.add_user("flannel", "secret");
    etcd.enable_auth(true);
    etcd.page = 20;
    for (SimNode* node : {&a, &b}) {
      auto& settings = node->etcd_settings;
      for (std::size_t i = 0; i < 3; ++i) settings.endpoints[i] = {false, {kHosts[i]}, 2379};
      settings.endpoint_count = 3;
      settings.username = "flannel";
      settings.password = "secret";
      settings.lease_ttl_seconds = kTtl;
      settings.renew_margin_seconds = 60;
    }
    for (unsigned third = 1; third <= 50; ++third) world.put_peer(third);
    a.start();
    b.start();
    REQUIRE(equal_within(10'000));
  }

  /// What the kernel of `node` should hold, by what etcd holds.
  std::set<std::string> truth(const SimNode& node) {
    std::set<std::string> lines;
    const std::string folder = World::kPrefix + std::string("subnets/");
    for (const auto& [name, pair] : etcd.keys()) {
      if (!name.starts_with(folder) || name == folder + node.key()) continue;
      const auto key = overlay::parse_lease_key(std::string_view(name).substr(folder.size()));
      const auto value = overlay::parse_lease_value(pair.value);
      if (!key || !value) continue;
      const std::string base(text_of(key->subnet.base).view()), mac(text_of(value->mac).view());
      lines.insert("neighbour " + base + " " + mac);
      lines.insert("fdb " + mac + " " + std::string(text_of(value->public_ip).view()));
      lines.insert("route " + std::string(text_of(key->subnet).view()) + " via " + base);
    }
    return lines;
  }
  std::set<std::string> have(const SimNode& node) {
    std::set<std::string> lines;
    const std::string all = node.entries();
    for (std::size_t at = 0; at < all.size();) {
      const std::size_t end = all.find('\n', at);
      lines.insert(all.substr(at, end - at));
      at = end + 1;
    }
    return lines;
  }
  bool equal(SimNode& node) {
    return node.running() && !world.value_of(node.key()).empty() && have(node) == truth(node);
  }
  /// For a failed test: what is missing, what is too much, and the last of the log.
  std::string differences(SimNode& node) {
    std::string text = std::string(name(node.state())) + ", its key " + node.key() + " is " +
                       (world.value_of(node.key()).empty() ? "not " : "") + "in etcd\n";
    const auto wanted = truth(node), there = have(node);
    for (const std::string& line : wanted) text += there.count(line) == 0 ? "missing " + line + "\n" : "";
    for (const std::string& line : there) text += wanted.count(line) == 0 ? "too much " + line + "\n" : "";
    const auto& log = node.log.lines;
    for (std::size_t i = log.size() > 25 ? log.size() - 25 : 0; i < log.size(); ++i) text += log[i] + "\n";
    return text;
  }
  bool equal_within(Millis limit) {
    for (Millis passed = 0; !(equal(a) && equal(b)); passed += 100) {
      if (passed >= limit) return false;
      world.advance(100);
    }
    return true;
  }

  void settle(Millis limit) {
    const bool equal = equal_within(limit);
    REQUIRE_MESSAGE(equal, "after ", limit, " ms: ", differences(a), differences(b));
  }

  /// Peers come, go and change.
  void churn(std::uint64_t most = 8) {
    for (std::uint64_t n = rng.below(most + 1); n > 0; --n) {
      const auto third = static_cast<unsigned>(1 + rng.below(kThirds));
      if (rng.one_in(3)) {
        world.remove_peer(third);
      } else {
        const unsigned number =
            rng.one_in(4) ? third + 256 * static_cast<unsigned>(1 + rng.below(40)) : third;
        world.put_peer(third, number);
      }
      if (rng.one_in(3)) world.advance(static_cast<Millis>(rng.below(80)));
    }
  }
  Millis between(Millis least, Millis most) {
    return least + static_cast<Millis>(rng.below(static_cast<std::uint64_t>(most - least + 1)));
  }
  void all_down(bool down) {
    for (const char* host : kHosts) etcd.set_down(host, down);
  }
  /// One of the requests, or two, or the watch: made to happen by a cut.
  std::string path() { return kPaths[rng.below(std::size(kPaths))]; }
  void provoke() {
    etcd.cut_all();
    if (rng.one_in(2)) etcd.compact(etcd.revision());
    churn();
  }

  Rng& rng;
  World world{kFaultyConfig};
  ScriptedEtcd& etcd = world.etcd;
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
};

/// Each makes its fault and ends it; the result is how long the tables may take from then on.
using Fault = Millis (*)(Faults&);
struct Kind {
  const char* name;
  Fault fault;
};

Millis http_answers(Faults& f, const std::string& raw) {
  for (std::uint64_t n = 1 + f.rng.below(3); n > 0; --n) f.etcd.answer_next(f.path(), raw);
  f.provoke();
  return 3 * registry::EtcdRegistry::kRequestTimeout + 5'000;  // silent after half of what was promised
}

/// As a restored or new etcd has been given its users and its config again.
void set_up_again(Faults& f) {
  f.world.put_config(kFaultyConfig);
  for (std::uint64_t n = f.rng.below(60); n > 0; --n) f.world.put_peer(static_cast<unsigned>(1 + n));
  if (f.rng.one_in(2)) {
    for (int i = 0; i < 400; ++i) f.world.put("elsewhere", "x");  // it overtakes what the nodes know
  }
}

const Kind kKinds[] = {
    {"cut at any byte",
     [](Faults& f) -> Millis {
       f.etcd.cut_after(f.rng.below(8'000));
       f.provoke();
       f.world.advance(f.between(0, 1'000));
       f.etcd.clear_faults();
       return 2'000;
     }},
    {"cuts in a row",
     [](Faults& f) -> Millis {
       for (std::uint64_t n = 1 + f.rng.below(5); n > 0; --n) {
         f.etcd.cut_all();
         f.churn(3);
         f.world.advance(f.between(0, 300));
       }
       return 2'000;
     }},
    {"delay",
     [](Faults& f) -> Millis {
       f.etcd.delay = f.between(50, 1'500);
       if (f.rng.one_in(2)) f.etcd.cut_all();
       f.churn();
       const Millis limit = 2'000 + 20 * f.etcd.delay;  // log in, pages, watch: one after another
       f.settle(limit);
       f.etcd.delay = 0;
       f.churn();
       return limit;
     }},
    {"duplicates",
     [](Faults& f) -> Millis {
       f.etcd.twice = 20;
       f.churn();
       if (f.rng.one_in(2)) f.etcd.cut_all();
       f.churn();
       return 2'000;
     }},
    {"endpoints go and come, in any order",
     [](Faults& f) -> Millis {
       const std::size_t first = f.rng.below(3);
       f.etcd.set_down(kHosts[first], true);
       if (f.rng.one_in(2)) f.etcd.set_down(kHosts[(first + 1) % 3], true);
       f.churn();
       f.settle(5'000);
       f.all_down(false);
       return 2'000;
     }},
    {"restart of etcd",
     [](Faults& f) -> Millis {
       f.all_down(true);
       f.world.advance(f.between(100, 3'000));
       f.all_down(false);
       ++f.etcd.raft_term;
       f.churn();
       return 5'000;
     }},
    {"partition",
     [](Faults& f) -> Millis {
       f.all_down(true);
       f.world.advance(f.between(10'000, 300'000));
       f.churn();
       if (f.rng.one_in(2)) f.etcd.compact(f.etcd.revision());
       f.world.advance(f.between(0, 60'000));
       f.all_down(false);
       return kBackoffMax + 2'000;
     }},
    {"the leases expire in a partition",
     [](Faults& f) -> Millis {
       f.all_down(true);
       f.world.advance(f.between(kTtl * 1'000 + 1'000, 3 * kTtl * 1'000));
       CHECK(f.world.value_of(f.a.key()).empty());
       f.churn();
       f.all_down(false);
       return kBackoffMax + 2'000;
     }},
    {"loss of the leader",
     [](Faults& f) -> Millis {
       f.etcd.lose_leader();
       const Millis lost = f.between(100, 4'000);  // an election takes one to three seconds
       f.world.advance(lost);
       f.etcd.elect_leader();
       f.churn();
       return 15'000 - lost;
     }},
    {"packets are dropped, then the kernel gives the connections up",
     [](Faults& f) -> Millis {
       f.etcd.silence(true);
       f.churn();
       f.world.advance(f.between(5'000, 90'000));
       f.etcd.silence(false);
       f.etcd.cut_all();
       return 15'000;
     }},
    {"a proxy's 5xx",
     [](Faults& f) -> Millis {
       constexpr const char* kStatus[] = {"500 Internal Server Error", "502 Bad Gateway",
                                          "503 Service Unavailable", "504 Gateway Timeout"};
       return http_answers(f, std::string("HTTP/1.1 ") + kStatus[f.rng.below(4)] +
                                  "\r\nContent-Type: text/html\r\nContent-Length: 14\r\n\r\n<html>no</html");
     }},
    {"wrong content length",
     [](Faults& f) -> Millis {
       constexpr const char* kBody = R"({"header":{"revision":"5"},"result":{}})";
       constexpr const char* kLength[] = {"5", "4000", "99999999999999999999", "-1", "0x10", ""};
       return http_answers(f, std::string("HTTP/1.1 200 OK\r\nContent-Length: ") + kLength[f.rng.below(6)] +
                                  "\r\n\r\n" + kBody);
     }},
    {"what is no HTTP, or no JSON",
     [](Faults& f) -> Millis {
       constexpr const char* kRaw[] = {
           "SSH-2.0-OpenSSH_9.2\r\n", "\x15\x03\x01\x00\x02\x02\x50",
           "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[[[[[\r\n0\r\n\r\n"};
       return http_answers(f, kRaw[f.rng.below(5)]);
     }},
    {"an endless chunk",
     [](Faults& f) -> Millis {
       if (f.rng.one_in(2)) {
         f.etcd.drip_next(f.path());
       } else {
         f.etcd.answer_next(f.path(),
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n{\"x\":\"");
       }
       f.provoke();
       return registry::EtcdRegistry::kPageLimit + 5'000;
     }},
    {"tokens expire",
     [](Faults& f) -> Millis {
       f.etcd.expire_tokens();
       if (f.rng.one_in(2)) f.etcd.cut_all();
       f.churn();
       return 2'000;
     }},
    {"authentication is switched off and on",
     [](Faults& f) -> Millis {
       f.etcd.enable_auth(false);
       f.provoke();
       f.settle(5'000);
       f.etcd.enable_auth(true);
       f.provoke();
       return 5'000;
     }},
    {"compaction between pages",
     [](Faults& f) -> Millis {
       for (std::uint64_t n = f.rng.below(4); n > 0; --n)
         f.etcd.before_next("/v3/kv/range", [](ScriptedEtcd&) {});
       f.etcd.before_next("/v3/kv/range",
                          [](ScriptedEtcd& etcd) { etcd.compact(etcd.put("/elsewhere", "x")); });
       f.etcd.compact(f.etcd.put("/elsewhere", "x"));
       f.etcd.cut_all();
       f.churn();
       return 5'000;
     }},
    {"the wall clock jumps by a day",
     [](Faults& f) -> Millis {
       f.world.clock.wall_at_zero += f.rng.one_in(2) ? 86'400 : -86'400;
       f.churn();
       return 2'000;
     }},
    {"an older snapshot is restored",
     [](Faults& f) -> Millis {
       const std::int64_t back = f.between(1, 40);
       f.etcd.go_back_to(std::max(f.etcd.compacted() + 1, f.etcd.revision() - back));
       if (f.rng.one_in(3)) ++f.etcd.cluster_id;
       if (f.rng.one_in(3)) f.etcd.raft_term = 1;
       if (f.rng.one_in(2) || f.etcd.find(World::kPrefix + std::string("config")) == nullptr) set_up_again(f);
       f.churn(3);
       return 7'000;  // a store that is silent about our newest change is found out after 5 s
     }},
    {"etcd is made anew",
     [](Faults& f) -> Millis {
       f.all_down(true);
       f.etcd.wipe();
       f.world.advance(f.between(500, 4'000));
       if (f.rng.one_in(2)) ++f.etcd.cluster_id;
       set_up_again(f);
       f.all_down(false);
       return 10'000;
     }},
    {"the program is restarted",
     [](Faults& f) -> Millis {
       f.a.restart();
       f.churn();
       return 5'000;
     }},
    {"a foreign value of 1.5 MB",
     [](Faults& f) -> Millis {
       f.world.put("subnets/10.5.205.0-24", std::string(1'500'000, 'x'));
       f.churn();
       if (f.rng.one_in(2)) f.provoke();
       f.settle(5'000);
       f.etcd.remove(World::kPrefix + std::string("subnets/10.5.205.0-24"));
       return 2'000;
     }},
};

}  // namespace

TEST_SUITE("agent/faults") {
  TEST_CASE(
      "500 faults at random: after each the kernel says what the registry says, and the log stays small") {
    constexpr int kFaults = 500;
    Rng rng;
    Faults f(rng);
    const Millis started = f.world.clock.time;
    std::uint64_t most_wakeups = 0;
    for (int round = 0; round < kFaults; ++round) {
      const Kind& kind = kKinds[round < static_cast<int>(std::size(kKinds)) ? static_cast<std::size_t>(round)
                                                                            : rng.below(std::size(kKinds))];
      CAPTURE(round);
      CAPTURE(std::string(kind.name));
      f.etcd.piece = rng.one_in(3) ? 1 + rng.below(60) : 0;
      f.etcd.fragment = rng.one_in(4) ? 1 + rng.below(3) : 0;
      f.etcd.blanks = rng.one_in(2);
      f.etcd.version = static_cast<ScriptedEtcd::Version>(rng.below(3));
      const std::uint64_t wakeups = f.world.wakeups();
      const Millis limit = kind.fault(f);
      f.settle(limit);
      most_wakeups = std::max(most_wakeups, f.world.wakeups() - wakeups);
      REQUIRE(f.a.started());
      f.etcd.clear_faults();
      // Equal, maybe because nothing changed meanwhile: the next fault waits until both are in touch again
      // and no answer is still to come to its end.
      REQUIRE(f.world.run_until([&] { return f.etcd.watch_count() == 2 && !f.etcd.answering_wrongly(); },
                                registry::EtcdRegistry::kPageLimit + kBackoffMax));
      f.world.advance(kRest);
      if (rng.one_in(4)) f.world.advance(f.between(0, 300'000));
      if (rng.one_in(8)) f.etcd.send_progress();
    }
    const auto hours = static_cast<double>(f.world.clock.time - started) / kHour;
    MESSAGE(kFaults, " faults in ", hours, " hours; lines of log: ", f.a.log.lines.size(), " and ",
            f.b.log.lines.size(), "; wake-ups after one fault at most ", most_wakeups);
    CHECK(static_cast<double>(f.a.log.lines.size()) < 200 * hours);
    CHECK(static_cast<double>(f.b.log.lines.size()) < 200 * hours);
    CHECK(most_wakeups < 3'000);

    // And then there is peace.
    f.world.advance(60'000);
    const std::uint64_t before = f.world.wakeups();
    f.world.advance(600'000);
    CHECK(f.world.wakeups() - before <= 2 * 40);  // two nodes, a lease of ten minutes each
  }
}
