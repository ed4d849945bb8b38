// SPDX-License-Identifier: Apache-2.0
// host-gw: what the routes of many peers cost, beside the bare netlink of the same routes.
#include "bench/lab.hpp"
#include "support/poll.hpp"

namespace flannelette::bench {
namespace {

using namespace tests;
using namespace std::chrono_literals;

constexpr int kSizes[] = {1000, 10000};

/// On a link that all gateways are on.
double seconds_of(const Settings& settings, int peers, const char* how) {
  Node node("gateways");
  node.ip("link add under0 type bridge");
  node.ip("link set under0 up");
  node.ip("address add 172.31.255.254/16 dev under0");
  Process probe({.args = {settings.probe, "direct", std::to_string(peers), how}, .netns = node.name()});
  if (probe.wait(120s) != 0) throw std::runtime_error("bench_probe direct: " + probe.output());
  return std::stod(probe.output());
}

Report::Row row_of(int peers) {
  return {"gateways", peers, grouped(peers) + " peers: their routes", Unit::kSeconds};
}

}  // namespace

void bench_gateways(const Settings& settings, Report& report) {
  report.section("host-gw (the floor is the bare netlink of plain routes)");
  for (int round = 0; round < settings.rounds; ++round) {
    for (const int peers : kSizes) {
      report.add(row_of(peers), kOurs, seconds_of(settings, peers, "agent"));
      report.add(row_of(peers), kFloor, seconds_of(settings, peers, "bare"));
    }
  }
  const auto few = report.median(row_of(kSizes[0]).label, kOurs);
  const auto many = report.median(row_of(kSizes[1]).label, kOurs);
  report.target("host-gw, 1,000 peers: at most the bare netlink",
                quotient(few, report.median(row_of(kSizes[0]).label, kFloor)), 1.0);
  report.target("host-gw: 10,000 peers take at most 13 times as long as 1,000", quotient(many, few), 13);
}

}  // namespace flannelette::bench
