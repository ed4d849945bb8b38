// SPDX-License-Identifier: Apache-2.0
// What repairs cost with 10,000 peers, and what other programs' work on the same machine costs us.
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <thread>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"
#include "system/gateway.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr int kPeers = 10'000;

/// What the agent has used of a processor so far, in microseconds.
long cpu_us(Machine& machine) {
  long nanoseconds = 0;
  std::ifstream("/proc/" + std::to_string(machine.agent().pid()) + "/schedstat") >> nanoseconds;
  return nanoseconds / 1'000;
}

void run_batch(const Machine& machine, const std::string& lines) {
  const TempDir dir;
  write_file(dir.file("batch"), lines);
  must_run({.args = {"ip", "-batch", dir.file("batch")}, .netns = machine.node().name()}, 60s);
}

long ms_since(steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - start).count();
}

}  // namespace

TEST_SUITE("soak") {
  TEST_CASE(
      "with 10,000 peers a damaged entry costs under 1 ms of CPU, all routes are back 1.5 s after they were "
      "deleted, and other programs' routes and neighbours cost nothing") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kCrowdConfig);
    Gateway gateway(etcd);
    put_peers(gateway, 1, kPeers);
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(wait_until(120s, [&] { return a.log().find("ready") != std::string::npos; }), a.log());
    REQUIRE(count_lines(a.routes()) == kPeers);
    std::this_thread::sleep_for(4s);  // the state files are written

    const auto peer = [](int number) {
      return "10." + std::to_string(number / 256) + "." + std::to_string(number % 256) + ".0";
    };
    const auto mac = [](int number) {
      char text[18];
      std::snprintf(text, sizeof text, "02:00:00:00:%02x:%02x", number / 256, number % 256);
      return std::string(text);
    };
    constexpr int kRounds = 10;
    const struct {
      const char* name;
      std::function<std::string(int)> damage;
    } kinds[] = {
        {"route", [&](int n) { return "route delete " + peer(n) + "/24"; }},
        {"neighbour", [&](int n) { return "neigh delete " + peer(n) + " dev flannel.1"; }},
        {"nexthop", [&](int n) { return "nexthop delete id " + std::to_string(0x46000000 + n * 64); }},
        {"nexthop changed",
         [&](int n) {
           return "nexthop replace id " + std::to_string(0x46000000 + n * 64) +
                  " via 10.200.0.0 dev flannel.1 onlink";
         }},
        {"route changed",
         [&](int n) { return "route replace " + peer(n) + "/24 via 10.200.0.0 dev flannel.1 onlink"; }},
    };
    int number = 100;
    for (const auto& kind : kinds) {
      const long before = cpu_us(a);
      for (int round = 0; round < kRounds; ++round) {
        a.node().ip(kind.damage(number++));
        std::this_thread::sleep_for(60ms);
      }
      const long each = (cpu_us(a) - before) / kRounds;
      MESSAGE(std::string(kind.name), ": ", each, " us of CPU");
      CHECK(each < 1'000);
    }
    long before = cpu_us(a);
    for (int round = 0; round < kRounds; ++round) {
      ++number;
      shell(a.node(), "bridge fdb delete " + mac(number) + " dev flannel.1 dst 172.31." +
                          std::to_string(number / 256) + "." + std::to_string(number % 256));
      std::this_thread::sleep_for(60ms);
    }
    MESSAGE("FDB entry: ", (cpu_us(a) - before) / kRounds, " us of CPU");
    CHECK((cpu_us(a) - before) / kRounds < 1'000);
    CHECK(count_lines(a.routes()) == kPeers);
    CHECK(count_lines(a.fdb()) == kPeers);
    CHECK(count_lines(a.neighbours()) == kPeers);
    CHECK_FALSE(contains(a.routes(), "10.200.0.0"));

    std::string batch;
    for (int n = 1; n <= kPeers; ++n) batch += "route delete " + peer(n) + "/24\n";
    run_batch(a, batch);
    auto ended = steady_clock::now();
    CHECK(wait_until(10s, [&] { return count_lines(a.routes()) == kPeers; }));
    MESSAGE("all routes deleted one by one: back ", ms_since(ended), " ms after the last");
    std::this_thread::sleep_for(2s);

    batch.clear();
    for (int n = 0; n < 100'000; ++n)
      batch += "route add 100." + std::to_string(64 + n / 65'536) + "." + std::to_string(n / 256 % 256) +
               "." + std::to_string(n % 256) + "/32 via 172.30.0.1\n";
    before = cpu_us(a);
    const auto started = steady_clock::now();
    run_batch(a, batch);
    const long took = ms_since(started);
    const double share = static_cast<double>(cpu_us(a) - before) / 10.0 / static_cast<double>(took);
    const long each_second = 100'000 * 1'000L / took;
    MESSAGE(each_second, " routes/s of another program: ", share, " % of a core");
    CHECK(share < 2.0);

    batch.clear();
    for (int round = 0; round < 20; ++round) {
      for (int host = 2; host < 52; ++host) {
        batch += "neigh replace 172.30.0." + std::to_string(host + 100) +
                 " lladdr 02:cc:00:00:00:" + std::to_string(10 + host) + " dev eth0 nud " +
                 (round % 2 == 0 ? "reachable" : "stale") + "\n";
      }
    }
    std::this_thread::sleep_for(2s);
    before = cpu_us(a);
    run_batch(a, batch);
    const long lan = cpu_us(a) - before;
    MESSAGE("50 hosts of the LAN, each changed 20 times: ", lan, " us of CPU");
    CHECK(lan < 2'000);
  }
}
