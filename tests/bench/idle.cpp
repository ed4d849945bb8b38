// SPDX-License-Identifier: Apache-2.0
// Nothing happens for a while: what an agent does all the same.
#include <algorithm>
#include <memory>
#include <thread>

#include "bench/lab.hpp"

namespace flannelette::bench {
namespace {

using namespace tests;

constexpr int kPeers = 100;
constexpr auto kSettle = std::chrono::seconds{10};

/// Both ways.
double bytes_at(const Node& node) {
  const Traffic traffic = traffic_of(node);
  return traffic.received + traffic.sent;
}

struct Sample {
  std::string column;
  const Node* node;
  pid_t pid;
  Usage before{};
  double bytes = 0;
};

}  // namespace

void bench_idle(const Settings& settings, Report& report) {
  report.section("Idle, " + grouped(kPeers) + " peers (the floor is curl -N on the same watch)");
  Lab lab;
  lab.set_peers(kPeers);
  std::vector<std::unique_ptr<Guest>> guests;
  std::vector<Sample> samples;
  for (const Contender& contender : contenders()) {
    guests.push_back(std::make_unique<Guest>(lab));
    Guest& guest = *guests.back();
    guest.start(contender);
    // Each knows those that came before it.
    const int others = kPeers + static_cast<int>(guests.size()) - 1;
    if (!guest.tables().wait(others, settings.wait_seconds))
      std::fprintf(stderr, "%s\n", guest.machine().log().c_str());
    samples.push_back({contender.name, &guest.node(), guest.machine().agent().pid()});
  }
  guests.push_back(std::make_unique<Guest>(lab));
  const Node& watcher = guests.back()->node();
  Process curl(
      {.args = {"curl", "-sN", "-d", "@" + lab.file("watch", R"({"create_request":)" + range_body() + "}"),
                lab.etcd().url() + "/v3/watch"},
       .netns = watcher.name()});
  samples.push_back({kFloor, &watcher, curl.pid()});
  const Guest silent(lab);

  std::this_thread::sleep_for(kSettle);
  const double silence = bytes_at(silent.node());
  for (Sample& sample : samples) {
    sample.before = usage_of(sample.pid);
    sample.bytes = bytes_at(*sample.node);
  }
  std::this_thread::sleep_for(std::chrono::seconds{settings.idle_seconds});
  const double chatter = bytes_at(silent.node()) - silence;
  const double minutes = settings.idle_seconds / 60.0;
  for (const Sample& sample : samples) {
    const Usage after = usage_of(sample.pid);
    report.add({"", kPeers, "wake-ups a minute", Unit::kCount}, sample.column,
               (after.switches - sample.before.switches) / minutes);
    report.add({"", kPeers, "CPU a minute", Unit::kSeconds}, sample.column,
               (after.cpu_seconds - sample.before.cpu_seconds) / minutes);
    report.add({"", kPeers, "bytes on the wire a minute", Unit::kBytes}, sample.column,
               std::max(0.0, bytes_at(*sample.node) - sample.bytes - chatter) / minutes);
    report.add({"", kPeers, "RSS", Unit::kKib}, sample.column, after.rss);
  }
}

}  // namespace flannelette::bench
