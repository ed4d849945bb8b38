// SPDX-License-Identifier: Apache-2.0
// From exec to subnet.env, and from exec until every peer is in the kernel; memory then.
#include <algorithm>

#include "bench/lab.hpp"
#include "flannelette/registry/etcd.hpp"

namespace flannelette::bench {
namespace {

using namespace tests;

constexpr std::size_t kPage = registry::EtcdRegistry::kListPage;

int rounds_for(const Settings& settings, const Contender& contender, int peers) {
  if (contender.ours()) return settings.rounds;
  if (peers > settings.flanneld_max) return 0;
  // It takes minutes there, and what it takes is no near thing.
  return peers > 10'000 ? 1 : settings.flanneld_rounds;
}

/// A curl config that fetches the list: in pages over one connection, or whole.
std::string list_whole(const Lab& lab) {
  return "url = " + lab.etcd().url() + "/v3/kv/range\noutput = /dev/null\nsilent\nfail\ndata = @" +
         lab.path("range") + "\n";
}

std::string list_in_pages(Lab& lab) {
  std::vector<std::string> keys;
  for (int i = 1; i <= lab.peers(); ++i) keys.push_back(peer_key(i));
  std::sort(keys.begin(), keys.end());
  std::string config;
  for (std::size_t at = 0; at < keys.size(); at += kPage) {
    const std::string name = "range" + std::to_string(at);
    lab.file(name, range_body(keys[at], kPage));
    if (at > 0) config += "next\n";
    config += "url = " + lab.etcd().url() + "/v3/kv/range\noutput = /dev/null\nsilent\nfail\ndata = @" +
              lab.path(name) + "\n";
  }
  return config;
}

double curl_seconds(const Node& node, const std::string& config) {
  const double start = now();
  Process curl({.args = {"curl", "-K", config}, .netns = node.name()});
  while (curl.running()) usleep(100);
  const double end = now();
  if (curl.exit_status() != 0) throw std::runtime_error("curl: " + curl.output());
  return end - start;
}

struct Rows {
  explicit Rows(int peers)
      : peers_(peers),
        name_(grouped(peers) + " peers: "),
        whole(time("list", "list by curl, in one")),
        pages(time("list", "list by curl, in pages as ours")),
        batch(time("batch", "kernel objects by bare netlink")),
        tables(time("sync", "exec to all tables")),
        each(time("each", "exec to all tables, a peer")),
        cpu(time("cpu", "CPU of the agent until then")),
        rss(memory("rss", "RSS")),
        anonymous(memory("anonymous", "anonymous")),
        peak(memory("peak", "peak RSS")) {}

 private:
  Report::Row time(const char* chart, const char* label) const {
    return {chart, peers_, name_ + label, Unit::kSeconds};
  }
  Report::Row memory(const char* chart, const char* label) const {
    return {chart, peers_, name_ + label, Unit::kKib};
  }
  const long peers_;
  const std::string name_;

 public:
  const Report::Row whole, pages, batch, tables, each, cpu, rss, anonymous, peak;
};

void measure_floor(const Settings& settings, Lab& lab, const Rows& rows, Report& report) {
  const Guest guest(lab);
  const double whole = curl_seconds(guest.node(), lab.path("whole.curl"));
  const double pages = curl_seconds(guest.node(), lab.path("pages.curl"));
  const double batch = floor_seconds(settings, guest.node(), lab.peers());
  const double all = std::min(whole, pages) + batch;
  report.add(rows.whole, kFloor, whole);
  report.add(rows.pages, kFloor, pages);
  report.add(rows.batch, kFloor, batch);
  report.add(rows.tables, kFloor, all);
  report.add(rows.each, kFloor, all / lab.peers());
}

void measure_agent(const Settings& settings, Lab& lab, const Contender& contender, const Rows& rows,
                   Report& report) {
  Guest guest(lab);
  const int peers = lab.peers();
  const double limit = settings.wait_seconds + (contender.ours() ? 0 : peers / 50.0);
  const double start = guest.start(contender);
  const auto done = guest.tables().wait(peers, limit);
  if (!done) {
    if (contender.ours()) std::fprintf(stderr, "%s", guest.machine().log().c_str());
    return report.note(rows.tables, contender.name, "not in " + shown(limit, Unit::kSeconds));
  }
  report.add(rows.tables, contender.name, *done - start);
  report.add(rows.each, contender.name, (*done - start) / peers);
  const Usage usage = guest.usage();
  report.add(rows.cpu, contender.name, usage.cpu_seconds);
  report.add(rows.rss, contender.name, usage.rss);
  report.add(rows.anonymous, contender.name, usage.anonymous);
  report.add(rows.peak, contender.name, usage.peak);
}

void targets(Report& report) {
  const std::string label = Rows(10'000).tables.label;
  const auto ours = report.median(label, kOurs);
  report.target("10,000 peers: at most 1.3 x the floor", quotient(ours, report.median(label, kFloor)), 1.3);
  report.target("10,000 peers: at most 1/25 of flanneld 0.20.2's time",
                quotient(ours, report.median(label, "flanneld-0.20.2")), 1.0 / 25);
  report.target("10,000 peers: at most 1/16 of flanneld HEAD's time",
                quotient(ours, report.median(label, "flanneld-head")), 1.0 / 16);
  const auto growth = quotient(report.median(Rows(50'000).tables.label, kOurs), ours);
  report.target("50,000 peers: at most 5 x the time of 10,000, within 20 %", growth, 6);
  report.target("10,000 peers: peak RSS at most 1,280 KiB", report.median(Rows(10'000).peak.label, kOurs),
                1280);
}

}  // namespace

void bench_start(const Settings& settings, Report& report) {
  report.section("Start, no peers");
  Lab lab;
  const Report::Row row{"", 0, "exec to subnet.env", Unit::kSeconds};
  const std::string idle = "no peers: ";
  for (const Contender& contender : contenders()) {
    const int rounds = contender.ours() ? settings.rounds * 4 : settings.flanneld_rounds;
    for (int round = 0; round < rounds; ++round) {
      Guest guest(lab);
      const double start = guest.start(contender);
      const auto done = guest.wait_for_subnet_file(settings.wait_seconds);
      if (!done) {
        report.note(row, contender.name, "never");
        break;
      }
      report.add(row, contender.name, *done - start);
      if (!guest.tables().wait(0, settings.wait_seconds)) continue;
      const Usage usage = guest.usage();
      report.add({"", 0, idle + "RSS", Unit::kKib}, contender.name, usage.rss);
      report.add({"", 0, idle + "anonymous", Unit::kKib}, contender.name, usage.anonymous);
      report.add({"", 0, idle + "peak RSS", Unit::kKib}, contender.name, usage.peak);
    }
  }
  report.target("idle: RSS at most 768 KiB", report.median(idle + "RSS", kOurs), 768);
}

void bench_sync(const Settings& settings, Report& report) {
  report.section("Start with peers (the floor is the faster of the two lists and the kernel objects)");
  Lab lab;
  for (const int peers : settings.sizes) {
    const Rows rows(peers);
    lab.set_peers(peers);
    lab.file("range", range_body());
    lab.file("whole.curl", list_whole(lab));
    lab.file("pages.curl", list_in_pages(lab));
    // Turn by turn, so that what disturbs the machine for a while disturbs all.
    for (int round = 0; round < settings.rounds; ++round) {
      measure_floor(settings, lab, rows, report);
      for (const Contender& contender : contenders()) {
        if (round < rounds_for(settings, contender, peers))
          measure_agent(settings, lab, contender, rows, report);
      }
    }
  }
  targets(report);
}

}  // namespace flannelette::bench
