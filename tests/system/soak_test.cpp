// SPDX-License-Identifier: Apache-2.0
// What takes too long for `make test`: faults of a real etcd at random, and ten minutes of nothing. `make
// soak`.
//
//   FLANNELETTE_SOAK_MINUTES   how long the random faults go on (20); 60 faults are enough, whatever is first
//   FLANNELETTE_TEST_SEED      repeats a run
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "support/rng.hpp"
#include "system/quorum.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr int kFaults = 60;

std::chrono::minutes limit_of_soak() {
  const char* minutes = std::getenv("FLANNELETTE_SOAK_MINUTES");
  return std::chrono::minutes(minutes != nullptr ? std::atoi(minutes) : 20);
}

/// Peers 10.64.101.0 to 10.64.200.0 at 172.30.0.101 and so on.
constexpr int kFirst = 101, kLast = 200;
std::string record(int third) {
  char mac[18];
  std::snprintf(mac, sizeof mac, "02:00:00:00:01:%02x", third);
  return peer_value("172.30.0." + std::to_string(third), mac);
}

class Soak {
 public:
  explicit Soak(Rng& chance) : rng(chance) {
    quorum.etcd().configure(kVxlanConfig);
    for (Machine* machine : {&a, &b}) machine->start();
    churn(40);
  }

  /// Peers come and go, through a member that takes it.
  void churn(std::uint64_t most) {
    for (std::uint64_t n = 1 + rng.below(most); n > 0; --n) {
      const int third = kFirst + static_cast<int>(rng.below(kLast - kFirst + 1));
      const std::string key = kSubnetKeys + "10.64." + std::to_string(third) + ".0-24";
      const bool taken = wait_until(30s, [&] {
        try {
          const int member = static_cast<int>(rng.below(Quorum::kMembers));
          if (rng.one_in(3)) {
            quorum.ctl(member, {"del", key});
          } else {
            quorum.ctl(member, {"put", key, record(third)});
          }
          return true;
        } catch (const std::runtime_error&) {
          return false;
        }
      });
      REQUIRE(taken);
    }
  }

  static std::set<std::string> words_of(const std::string& text) {
    std::istringstream in(text);
    return {std::istream_iterator<std::string>(in), {}};
  }
  bool equal(const Machine& machine, const std::vector<std::string>& leases) {
    std::set<std::string> wanted;
    for (const std::string& lease : leases) {
      std::string subnet = lease;
      std::replace(subnet.begin(), subnet.end(), '-', '/');
      if (subnet != machine.subnet()) wanted.insert(subnet);
    }
    return words_of(shell(machine.node(), "ip route show dev flannel.1 | awk '{ print $1 }'")) == wanted;
  }
  bool equal() {
    try {
      const auto leases = quorum.etcd().leases();
      return equal(a, leases) && equal(b, leases);
    } catch (const std::runtime_error&) {
      return false;
    }
  }

  Rng& rng;
  Quorum quorum;
  Machine a{quorum.etcd(), 1}, b{quorum.etcd(), 2};
};

/// Makes the fault and ends it; the result is how long the tables may take from its end on.
using Fault = std::chrono::seconds (*)(Soak&);
struct Kind {
  const char* name;
  Fault fault;
};

const Kind kKinds[] = {
    {"the leader is killed",
     [](Soak& s) {
       const int leader = s.quorum.wait_for_leader();
       s.quorum.kill(leader);
       s.churn(3);
       s.quorum.start(leader);
       return 15s;
     }},
    {"a follower is killed",
     [](Soak& s) {
       const int member = s.quorum.any_follower();
       s.quorum.kill(member);
       s.churn(5);
       s.quorum.start(member);
       return 5s;
     }},
    {"all are killed",
     [](Soak& s) {
       for (int i = 0; i < Quorum::kMembers; ++i) s.quorum.kill(i);
       for (int i = 0; i < Quorum::kMembers; ++i) s.quorum.start(i);
       s.quorum.wait_for_leader();
       s.churn(3);
       return 15s;
     }},
    {"the leader is cut off from the others",
     [](Soak& s) {
       const int leader = s.quorum.wait_for_leader();
       s.quorum.isolate(leader);
       s.churn(3);
       s.quorum.mend(leader);
       return 15s;
     }},
    {"a follower is cut off from the others",
     [](Soak& s) {
       const int member = s.quorum.any_follower();
       s.quorum.isolate(member);
       s.churn(5);
       s.quorum.mend(member);
       return 15s;
     }},
    {"a member is silent to us",  // idle 60 s and 3 probes of 10 s, for who watches there
     [](Soak& s) {
       const int member = static_cast<int>(s.rng.below(Quorum::kMembers));
       s.quorum.go_dead(member);
       s.churn(1);
       CHECK_MESSAGE(wait_until(100s, [&] { return s.equal(); }), s.a.log());
       s.quorum.mend(member);
       return 5s;
     }},
    {"compaction and defragmentation",
     [](Soak& s) {
       s.churn(5);
       s.quorum.etcd().compact();
       s.quorum.ctl(static_cast<int>(s.rng.below(Quorum::kMembers)), {"defrag"});
       s.churn(5);
       return 5s;
     }},
    {"a node is cut off from etcd, which is compacted meanwhile",
     [](Soak& s) {
       shell(
           s.a.node(),
           "nft 'table ip cut { chain o { type filter hook output priority 0; tcp dport 2379 reject with tcp "
           "reset; }; }'");
       s.churn(10);
       s.quorum.etcd().compact();
       shell(s.a.node(), "nft delete table ip cut");
       return 32s;
     }},
    {"the program is restarted",
     [](Soak& s) {
       CHECK(s.b.stop() == 0);
       s.churn(3);
       s.b.start();
       return 5s;
     }},
};

long switches(Machine& machine) {
  std::istringstream in(file_text("/proc/" + std::to_string(machine.agent().pid()) + "/status"));
  for (std::string word; in >> word;) {
    long count = 0;
    if (word == "voluntary_ctxt_switches:" && in >> count) return count;
  }
  return -1;
}
long wire_bytes(const Machine& machine) {
  return std::stol(shell(machine.node(), "awk '/eth0:/ { print $2 + $10 }' /proc/net/dev"));
}

}  // namespace

TEST_SUITE("soak" * doctest::skip()) {
  TEST_CASE("faults at random on three members: after each the tables are what etcd says") {
    REQUIRE_MEANS(cluster_means(), means::program("nft"));
    Rng rng;
    Soak s(rng);
    REQUIRE_MESSAGE(wait_until(20s, [&] { return s.equal(); }), s.a.log());
    const auto started = steady_clock::now();
    int faults = 0;
    for (; faults < kFaults && steady_clock::now() - started < limit_of_soak(); ++faults) {
      const Kind& kind = kKinds[rng.below(std::size(kKinds))];
      CAPTURE(std::string(kind.name));
      const auto limit = kind.fault(s);
      const auto ended = steady_clock::now();
      REQUIRE_MESSAGE(wait_until(limit, [&] { return s.equal(); }), s.a.routes(), s.a.log(), s.b.log());
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - ended);
      MESSAGE(faults, " ", std::string(kind.name), ": ", took.count(), " ms");
      s.quorum.wait_for_leader();
      REQUIRE(s.a.running());
      REQUIRE(s.b.running());
    }
    const double hours =
        std::chrono::duration<double, std::ratio<3600>>(steady_clock::now() - started).count();
    MESSAGE(faults, " faults in ", hours, " h, ", count_lines(s.a.log()), " lines of log");
    // Each fault is worth two lines: trouble, and works again. An hour has not this many.
    CHECK(count_lines(s.a.log()) < 20 + 4 * faults);
  }

  TEST_CASE("ten minutes of nothing: at most 20 wake-ups, and few bytes on the wire") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    std::vector<std::string> more;
    const TempDir files;
    bool busy = false;
    SUBCASE("keepalive = normal") {}
    SUBCASE("keepalive = metered") {
      write_file(files.file("metered.ini"), "[etcd]\nkeepalive = metered\n");
      more = {"-c", files.file("metered.ini")};
    }
    SUBCASE("on a LAN whose 50 hosts come and go, beside a routing daemon") { busy = true; }
    a.start(more);
    REQUIRE_MESSAGE(a.joined(0), a.log());
    std::optional<Process> others;
    if (busy)
      others.emplace(Command{
          .args = {"sh", "-c",
                   "while :; do for i in $(seq 1 50); do "
                   "ip neigh replace 172.30.9.$i lladdr 02:00:00:00:09:01 dev eth0 nud reachable; sleep 0.2; "
                   "ip neigh replace 172.30.9.$i dev eth0 nud stale; "
                   "ip route replace 100.64.$i.0/24 via 172.30.0.1 proto bgp; done; done"},
          .netns = a.node().name()});
    const auto pass = [](std::chrono::seconds time) {
      const auto end = steady_clock::now() + time;
      CHECK(wait_until(time + 5s, [&] { return steady_clock::now() >= end; }));
    };
    pass(30s);  // what is left to do after the start
    const long switched = switches(a), bytes = wire_bytes(a);
    pass(600s);
    const long wakeups = switches(a) - switched, wire = wire_bytes(a) - bytes;
    MESSAGE("wake-ups ", wakeups, ", bytes on the wire ", wire, ", a day ", wire * 144);
    CHECK(wakeups <= 20);
    CHECK(wire < 20'000);
    CHECK(a.running());
  }
}
