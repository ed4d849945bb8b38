// SPDX-License-Identifier: Apache-2.0
// What many clients of an agent cost its own work: from a watch event in its socket until the entries are in
// the kernel, without clients, with clients of another agent of this machine, and with clients of its own.
#include <algorithm>
#include <iterator>
#include <optional>
#include <stdexcept>

#include "bench/crowd.hpp"
#include "bench/lab.hpp"
#include "bench/relay.hpp"
#include "support/poll.hpp"

namespace flannelette::bench {
namespace {

using namespace tests;
using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 8081;
constexpr double kLimit = 3;  // seconds; what takes longer counts as that
constexpr double kMilliseconds = 1e3;

constexpr const char* kJoin = "event in the socket to all entries";
constexpr const char* kSlowest = "the same, 99 of 100 within";
constexpr const char* kGreatest = "the same, the slowest of a round";
constexpr const char* kTurn = "CPU a turn of the loop";

struct Situation {
  const char* name;  ///< goes before the rows' labels
  const char* column;
  enum class Clients : unsigned char { kNone, kOfAnother, kOfIts } clients;
};
constexpr Situation kSituations[] = {
    {"no clients: ", "flannelette", Situation::Clients::kNone},
    {"with clients: ", "floor", Situation::Clients::kOfAnother},
    {"with clients: ", "flannelette", Situation::Clients::kOfIts},
};

struct Agent {
  Agent(Lab& lab, const Relay& relay) : guest(lab) {
    guest.machine().start_with(
        {"--etcd-endpoints=" + relay.url(), "--healthz-port=" + std::to_string(kPort)});
  }
  std::string socket() { return guest.machine().file("/run/flannelette/flannelette.sock"); }
  Crowd crowd() { return {guest.node(), kPort, socket()}; }
  double turns() {
    const std::string status =
        must_run(guest.machine().command({binary(), "status", "--json"}), std::chrono::seconds{10});
    const std::string key = "\"wakeups\":";
    const auto at = status.find(key);
    if (at == status.npos) throw std::runtime_error("no wakeups in " + status.substr(0, 2000));
    return std::stod(status.substr(at + key.size()));
  }
  Guest guest;
};

class Block {
 public:
  Block(const Settings& settings, Lab& lab, const Relay& relay, Report& report)
      : settings_(settings), lab_(lab), relay_(relay), report_(report), own_(lab, relay), other_(lab, relay) {
    for (Agent* agent : {&own_, &other_}) {
      // Each is a peer of the other one.
      if (!agent->guest.tables().wait(lab.peers() + 1, settings.wait_seconds + lab.peers() / 50.0))
        throw std::runtime_error("not ready: " + agent->guest.machine().log());
    }
  }

  void run(const Situation& situation) {
    const double turns = own_.turns();
    const double cpu = own_.guest.usage().cpu_seconds;
    std::optional<Crowd> crowd;
    using Clients = Situation::Clients;
    if (situation.clients != Clients::kNone) {
      const Guest& of = situation.clients == Clients::kOfIts ? own_.guest : other_.guest;
      crowd.emplace(of.node(), kPort, (situation.clients == Clients::kOfIts ? own_ : other_).socket());
      if (!wait_until(30s, [&] { return crowd->counts().sent > 2 * Crowd::kChecksASecond; }))
        throw std::runtime_error("the clients are not served");
    }
    const std::string name = situation.name;
    const double start = now();
    long sent = 0, ok = 0, busy = 0;
    if (crowd) sent = crowd->counts().sent, ok = crowd->counts().ok, busy = crowd->counts().busy;
    std::vector<double> took = join(settings_.events / 5);
    std::sort(took.begin(), took.end());
    const auto add = [&](const char* label, Unit unit, double value) {
      report_.add({"", 0, name + label, unit}, situation.column, value);
    };
    add(kJoin, Unit::kSeconds, took[took.size() / 2]);
    add(kSlowest, Unit::kSeconds, took[took.size() * 99 / 100]);
    add(kGreatest, Unit::kSeconds, took.back());
    const double seconds = now() - start;
    if (crowd) {
      add("checks a second", Unit::kCount, (crowd->counts().sent - sent) / seconds);
      add("of them answered 200", Unit::kCount, (crowd->counts().ok - ok) / seconds);
      add("of them answered 503", Unit::kCount, (crowd->counts().busy - busy) / seconds);
    }
    crowd.reset();
    const double used = own_.guest.usage().cpu_seconds - cpu;
    add(kTurn, Unit::kSeconds, used / std::max(1.0, own_.turns() - turns));
  }

 private:
  /// Peers, one after the other: how long each took.
  std::vector<double> join(int events) {
    const std::string lease = grant(lab_.gateway());
    Arrivals arrivals(own_.guest.node());
    std::vector<double> took;
    for (int i = 0; i < events; ++i) {
      const int peer = lab_.peers() + 1;
      lab_.gateway().post("/v3/kv/put", put_body(peer, lease));
      lab_.peers_are(peer);
      const std::optional<double> end = arrivals.wait(peer, kLimit);
      took.push_back(end ? *end - relay_.passed(own_.guest.machine()) : kLimit);
    }
    return took;
  }

  const Settings& settings_;
  Lab& lab_;
  const Relay& relay_;
  Report& report_;
  Agent own_, other_;
};

}  // namespace

void bench_clients(const Settings& settings, Report& report) {
  report.section("100 slow clients and 1,000 health checks a second (the floor: they are another agent's)");
  Lab lab;
  lab.set_peers(settings.join_sizes.front());
  const Relay relay(lab.etcd());
  Block block(settings, lab, relay, report);
  for (int round = 0; round < settings.rounds; ++round) {
    for (const Situation& situation : kSituations) block.run(situation);
  }
  for (const char* label : {kJoin, kSlowest, kGreatest}) {
    const std::string row = std::string("with clients: ") + label;
    const auto own = report.median(row, kOurs), others = report.median(row, kFloor);
    const char* const text = label == kJoin      ? "ms that clients add to the median, at most 5"
                             : label == kSlowest ? "... to the time of 99 of 100"
                                                 : "... to the slowest of a round";
    if (own && others) report.target(text, (*own - *others) * kMilliseconds, 5);
  }
}

}  // namespace flannelette::bench
