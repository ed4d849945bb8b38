// SPDX-License-Identifier: Apache-2.0
// One node more: from its put in etcd until another node has it in the kernel, beside a bare watch by curl;
// and what that costs the agent.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "bench/lab.hpp"

namespace flannelette::bench {
namespace {

using namespace tests;

constexpr int kBlocks = 4;    // turns
constexpr double kLimit = 3;  // seconds; what takes longer counts as lost
constexpr int kMaxLost = 5;

struct Rows {
  explicit Rows(int peers)
      : peers_(peers),
        name_("among " + grouped(peers) + ": "),
        join(row("put to all entries of another node", Unit::kSeconds)),
        slow(row("the same, 99 of 100 within", Unit::kSeconds)),
        lost(row("not arrived after 3 s, a turn", Unit::kCount)),
        cost(row("CPU an event (each join alone)", Unit::kSeconds)) {}

 private:
  Report::Row row(const char* label, Unit unit) const { return {"", peers_, name_ + label, unit}; }
  const int peers_;
  const std::string name_;

 public:
  const Report::Row join, slow, lost, cost;
};

/// `curl -N` on a watch of the leases, its output in a pipe.
class BareWatch {
 public:
  explicit BareWatch(Lab& lab, const Node& node)
      : pipe_(open_pipe(lab.path("watch.pipe"))),
        curl_({.args = {"curl", "-sN", "-d", "@" + lab.file("watch", watch_body()),
                        lab.etcd().url() + "/v3/watch"},
               .netns = node.name(),
               .output_file = lab.path("watch.pipe")}) {
    if (!line(kLimit)) throw std::runtime_error("curl: no watch");
  }

  /// When a whole line had come.
  std::optional<double> line(double limit) {
    const double end = now() + limit;
    char buffer[64 * 1024];
    for (;;) {
      pollfd ready{pipe_, POLLIN, 0};
      if (poll(&ready, 1, static_cast<int>(std::max(0.0, end - now()) * 1e3)) <= 0) return std::nullopt;
      const ssize_t n = read(pipe_, buffer, sizeof buffer);
      if (n > 0 && buffer[n - 1] == '\n') return now();
    }
  }
  pid_t pid() const { return curl_.pid(); }

 private:
  static int open_pipe(const std::string& path) {
    unlink(path.c_str());
    if (mkfifo(path.c_str(), 0600) != 0) throw std::runtime_error("mkfifo");
    return open(path.c_str(), O_RDWR | O_CLOEXEC);
  }
  static std::string watch_body() { return R"({"create_request":)" + range_body() + "}"; }

  Fd pipe_;
  Process curl_;
};

/// Puts `events` peers, one after the other; `arrival(peer)` waits for each.
template <class Arrival>
void join(Lab& lab, int events, const std::string& column, const Rows& rows, pid_t pid, Report& report,
          Arrival arrival) {
  const int peers = lab.peers();
  const std::string lease = grant(lab.gateway());
  std::vector<double> took;
  int lost = 0;
  int puts = 0;
  const double cpu = usage_of(pid).cpu_seconds;
  for (int peer = peers + 1; peer <= peers + events && lost < kMaxLost; ++peer, ++puts) {
    const std::string body = put_body(peer, lease);
    const double start = now();
    lab.gateway().send("/v3/kv/put", body);
    const std::optional<double> end = arrival(peer);
    lab.gateway().receive();
    lab.peers_are(peer);
    if (end) {
      took.push_back(*end - start);
    } else {
      ++lost;
    }
  }
  const double cost = (usage_of(pid).cpu_seconds - cpu) / puts;
  std::sort(took.begin(), took.end());
  if (!took.empty()) {
    report.add(rows.join, column, took[took.size() / 2]);
    report.add(rows.slow, column, took[took.size() * 99 / 100]);
  }
  report.add(rows.lost, column, lost);
  report.add(rows.cost, column, cost);
}

void measure(const Settings& settings, Lab& lab, int peers, Report& report) {
  const Rows rows(peers);
  const int events = settings.events / kBlocks;
  for (int block = 0; block < kBlocks; ++block) {
    lab.set_peers(peers);
    {
      const Guest guest(lab);
      BareWatch watch(lab, guest.node());
      join(lab, events, kFloor, rows, watch.pid(), report, [&](int) { return watch.line(kLimit); });
    }
    for (const Contender& contender : contenders()) {
      if (!contender.ours() && (peers > settings.flanneld_max || block >= settings.flanneld_rounds)) continue;
      lab.set_peers(peers);
      Guest guest(lab);
      guest.start(contender);
      if (!guest.tables().wait(peers, settings.wait_seconds + peers / 50.0)) {
        report.note(rows.join, contender.name, "not ready");
        continue;
      }
      Arrivals arrivals(guest.node());
      join(lab, events, contender.name, rows, guest.machine().agent().pid(), report,
           [&](int peer) { return arrivals.wait(peer, kLimit); });
    }
  }
  const std::string among = "among " + grouped(peers) + ": ";
  report.target(among + "a join at most 1.2 x a bare curl watch",
                quotient(report.median(rows.join.label, kOurs), report.median(rows.join.label, kFloor)), 1.2);
  for (const Contender& contender : contenders()) {
    if (contender.ours()) continue;
    report.target(
        among + "CPU an event at most 1/10 of " + contender.name + "'s",
        quotient(report.median(rows.cost.label, kOurs), report.median(rows.cost.label, contender.name)), 0.1);
  }
}

}  // namespace

void bench_latency(const Settings& settings, Report& report) {
  report.section("One node joins (the floor is curl -N on the same watch)");
  Lab lab;
  for (const int peers : settings.join_sizes) measure(settings, lab, peers, report);
}

}  // namespace flannelette::bench
