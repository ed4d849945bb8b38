// SPDX-License-Identifier: Apache-2.0
// Kubernetes: a start among many Nodes of 30 KB, what their heartbeats cost, and how soon an API server that
// comes back is heard.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <random>
#include <thread>

#include "bench/lab.hpp"
#include "support/poll.hpp"
#include "system/kube_cluster.hpp"

namespace flannelette::bench {
namespace {

using namespace tests;
using namespace std::chrono_literals;

constexpr std::size_t kNodeSize = 30'000;
constexpr int kHeartbeatSeconds = 10;
constexpr int kHeartbeatNodes = 1000;
constexpr int kAwaySeconds = 60;
constexpr int kJoinPeer = 50'000;  // the first of those that join while agents run

/// A kubelet's first status, so long that the Node has kNodeSize bytes: its images make up most of a real
/// one, too. Their digests differ from Node to Node, as an answer is compressed.
std::string full_status(int peer) {
  constexpr std::size_t kRest = 2'000;  // metadata, and what the API server adds
  std::mt19937_64 random(static_cast<std::uint64_t>(peer));
  std::string images;
  while (images.size() + kRest < kNodeSize) {
    char digest[65];
    for (int i = 0; i < 4; ++i) {
      std::snprintf(digest + i * 16, 17, "%016llx", static_cast<unsigned long long>(random()));
    }
    images += std::string(images.empty() ? "" : ",") +
              R"({"sizeBytes":50000000,"names":["example.test/images/some-program@sha256:)" + digest +
              R"("]})";
  }
  return R"({"status":{"images":[)" + images + "]}}";
}

void add_peers(const KubeApi& api, int first, int last) {
  constexpr int kTogether = 500;
  for (; first <= last; first += kTogether) {
    KubeRequests nodes(api), statuses(api);
    for (int i = first; i <= std::min(last, first + kTogether - 1); ++i) {
      nodes.add_peer(i);
      statuses.patch_status(peer_name(i), full_status(i));
    }
    nodes.send_at_once();
    statuses.send_at_once();
  }
}

/// An agent on a machine of its own.
struct KubeGuest {
  KubeGuest(const KubeApi& api, const Contender& contender)
      : name(contender.name), machine(api, next_number(), contender.program), tables(machine.node()) {
    machine.write_kubeconfig(api.kubeconfig("token: " + api.token()));
  }
  ~KubeGuest() {
    if (machine.running()) (void)machine.stop();
    clear_device(machine.node());
  }
  /// The kernel takes its time to remove a namespace, and with it the port of that number.
  static int next_number() {
    static int number = 0;
    return ++number;
  }
  Usage usage() { return usage_of(machine.agent().pid()); }
  double received() const { return traffic_of(machine.node()).received; }

  const std::string name;
  KubeMachine machine;
  Tables tables;
};

// --- A start. ---

struct Rows {
  explicit Rows(int count) : peers(count), name(grouped(count) + " Nodes: ") {}
  Report::Row row(const std::string& label, Unit unit) const { return {"", peers, name + label, unit}; }
  const int peers;
  const std::string name;
};

void measure_floor(const Settings& settings, const KubeApi& api, const Rows& rows, Report& report) {
  const Node node("floor");
  connect_to_bridge(api.etcd().node(), "br0", "floor", node, "eth0");
  node.ip("addr add 172.30.0.250/24 dev eth0");
  const double received = traffic_of(node).received;
  const double start = now();
  Command curl = api.curl({"-f", "-o", "/dev/null", "-H",
                           "Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                           api.url("/api/v1/nodes?resourceVersion=0")});
  curl.netns = node.name();
  must_run(curl, 60s);
  const double list = now() - start;
  const double batch = floor_seconds(settings, node, rows.peers);
  report.add(rows.row("list of the metadata by curl", Unit::kSeconds), kFloor, list);
  report.add(rows.row("kernel objects by bare netlink", Unit::kSeconds), kFloor, batch);
  report.add(rows.row("cold start to all tables", Unit::kSeconds), kFloor, list + batch);
  report.add(rows.row("cold start, received", Unit::kBytes), kFloor, traffic_of(node).received - received);
  clear_device(node);
}

/// False: it did not get there.
bool measure_one_start(const Settings& settings, KubeGuest& guest, const char* kind, const Rows& rows,
                       Report& report) {
  const double limit = settings.wait_seconds + rows.peers / 100.0;
  const std::string label = kind;
  const double received = guest.received();
  const double start = now();
  guest.machine.start();
  const auto done = guest.tables.wait(rows.peers, limit);
  if (!done) {
    std::fprintf(stderr, "%s\n", guest.machine.log().substr(0, 4000).c_str());
    report.note(rows.row(label + " to all tables", Unit::kSeconds), guest.name,
                "not in " + shown(limit, Unit::kSeconds));
    return false;
  }
  report.add(rows.row(label + " to all tables", Unit::kSeconds), guest.name, *done - start);
  std::this_thread::sleep_for(2s);  // a watch that sends what was sent already would count
  report.add(rows.row(label + ", received", Unit::kBytes), guest.name, guest.received() - received);
  const Usage usage = guest.usage();
  report.add(rows.row(label + ", peak RSS", Unit::kKib), guest.name, usage.peak);
  report.add(rows.row(label + ", CPU", Unit::kSeconds), guest.name, usage.cpu_seconds);
  return true;
}

void measure_starts(const Settings& settings, const KubeApi& api, const Contender& contender,
                    const Rows& rows, Report& report) {
  KubeGuest guest(api, contender);
  if (measure_one_start(settings, guest, "cold start", rows, report)) {
    (void)guest.machine.stop();
    clear_device(guest.machine.node());
    (void)measure_one_start(settings, guest, "start after a reboot", rows, report);
  }
  (void)guest.machine.stop();
  api.delete_node(guest.machine.name());
}

// --- Heartbeats, silence, and an API server that was away. ---

using Guests = std::vector<std::unique_ptr<KubeGuest>>;

/// What each agent costs in `seconds` from now on.
void measure_while(const Guests& guests, double seconds, const std::string& what, int peers, Report& report) {
  struct Before {
    Usage usage;
    double received;
  };
  std::vector<Before> before;
  for (const auto& guest : guests) before.push_back({guest->usage(), guest->received()});
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  for (std::size_t i = 0; i < guests.size(); ++i) {
    const Usage usage = guests[i]->usage();
    const Rows rows(peers);
    const std::string& column = guests[i]->name;
    report.add(rows.row(what + ": received a second", Unit::kBytes), column,
               (guests[i]->received() - before[i].received) / seconds);
    report.add(rows.row(what + ": CPU, per cent", Unit::kCount), column,
               (usage.cpu_seconds - before[i].usage.cpu_seconds) / seconds * 100);
    report.add(rows.row(what + ": wake-ups a minute", Unit::kCount), column,
               (usage.switches - before[i].usage.switches) / seconds * 60);
    report.add(rows.row(what + ": RSS", Unit::kKib), column, usage.rss);
    report.add(rows.row(what + ": peak RSS", Unit::kKib), column, usage.peak);
  }
}

void measure_heartbeats(const Settings& settings, const KubeApi& api, const Guests& guests, Report& report) {
  // One curl alone does not send so many, and each waits so long after the end of a request.
  constexpr int kAtOnce = 8;
  const char* const rate = "16/s";
  const int rounds = settings.idle_seconds / kHeartbeatSeconds + 2;
  std::vector<std::unique_ptr<KubeRequests>> requests;
  std::vector<std::unique_ptr<Process>> curls;
  for (int part = 0; part < kAtOnce; ++part) {
    requests.push_back(std::make_unique<KubeRequests>(api));
    for (int round = 0; round < rounds; ++round) {
      for (int i = 1 + part; i <= kHeartbeatNodes; i += kAtOnce)
        requests.back()->patch_status(peer_name(i), heartbeat(round * kHeartbeatSeconds));
    }
    curls.push_back(std::make_unique<Process>(requests.back()->command({"--rate", rate})));
  }
  std::this_thread::sleep_for(5s);
  const long before = api.etcd().revision();
  measure_while(guests, settings.idle_seconds, "heartbeats", kHeartbeatNodes, report);
  report.add(Rows(kHeartbeatNodes).row("heartbeats a second", Unit::kCount), kFloor,
             static_cast<double>(api.etcd().revision() - before) / settings.idle_seconds);
}

/// How long after `start` each has the FDB entry.
void measure_arrival(const Guests& guests, double start, const std::string& entry, const std::string& what,
                     Report& report) {
  std::vector<bool> done(guests.size());
  (void)wait_until(120s, [&] {
    bool all = true;
    for (std::size_t i = 0; i < guests.size(); ++i) {
      if (!done[i] && contains(guests[i]->machine.fdb(), entry)) {
        done[i] = true;
        report.add({"", 0, what, Unit::kSeconds}, guests[i]->name, now() - start);
      }
      all = all && done[i];
    }
    return all;
  });
}

/// The agents alone are away, and what they knew is compacted.
void measure_gone(KubeApi& api, const Guests& guests, int round, Report& report) {
  const std::string mac = "02:00:00:00:fe:" + std::to_string(10 + round);
  for (const auto& guest : guests) guest->machine.agent().signal(SIGSTOP);
  api.while_away([&] {
    api.annotate(peer_name(2), "backend-data", mac_annotation(mac));
    api.compact();
  });
  const double start = now();
  for (const auto& guest : guests) guest->machine.agent().signal(SIGCONT);
  measure_arrival(guests, start, mac + " dst",
                  "a compaction while the agent slept: a change of it, from then on", report);
}

/// One Node more. One agent a Node is looked at: the kernel's messages are timed as they are read.
void measure_join(const KubeApi& api, const Guests& guests, int peer, Report& report) {
  for (const auto& guest : guests) {
    Arrivals arrivals(guest->machine.node());
    KubeRequests request(api);
    request.add_peer(++peer);
    const double start = now();
    request.send();
    if (const auto seen = arrivals.wait(peer, 20))
      report.add({"", 0, "a Node joins: its creation by curl until its entries", Unit::kSeconds}, guest->name,
                 *seen - start);
    api.delete_node(peer_name(peer));
  }
}

void measure_absence(KubeApi& api, const Guests& guests, int round, Report& report) {
  const std::string mac = "02:00:00:00:ff:" + std::to_string(10 + round);
  const double stopped = now();
  api.while_away([&] {
    api.annotate(peer_name(2), "backend-data", mac_annotation(mac));
    api.compact();
    std::this_thread::sleep_for(std::chrono::duration<double>(stopped + kAwaySeconds - now()));
  });
  measure_arrival(guests, now(), mac + " dst",
                  "API server away for a minute: a change of it, after its return", report);
}

}  // namespace

void bench_kube(const Settings& settings, Report& report) {
  if (const std::string missing = kube_means(); !missing.empty()) {
    std::fprintf(stderr, "  not measured: %s\n", missing.c_str());
    return;
  }
  report.section(
      "Kubernetes, Nodes of 30 KB (the floor is the list of their metadata and the kernel objects)");
  KubeApi api;
  int peers = 0;
  for (const int size : settings.kube_sizes) {
    const Rows rows(size);
    add_peers(api, peers + 1, size);
    peers = size;
    for (int round = 0; round < settings.rounds; ++round) {
      measure_floor(settings, api, rows, report);
      for (const Contender& contender : contenders()) {
        if (contender.ours() || (round < settings.flanneld_rounds && size <= settings.flanneld_max))
          measure_starts(settings, api, contender, rows, report);
      }
    }
    if (size != kHeartbeatNodes) continue;
    Guests guests;
    for (const Contender& contender : contenders()) {
      guests.push_back(std::make_unique<KubeGuest>(api, contender));
      guests.back()->machine.start();
      if (!guests.back()->tables.wait(size + static_cast<int>(guests.size()) - 1, settings.wait_seconds))
        throw std::runtime_error(contender.name + " does not start: " + guests.back()->machine.log());
    }
    std::this_thread::sleep_for(10s);
    measure_while(guests, settings.idle_seconds, "silence", size, report);
    measure_heartbeats(settings, api, guests, report);
    for (int round = 0; round < settings.rounds; ++round)
      measure_join(api, guests, kJoinPeer + round * 10, report);
    for (int round = 0; round < settings.flanneld_rounds; ++round) {
      measure_gone(api, guests, round, report);
      measure_absence(api, guests, round, report);
    }
    for (const auto& guest : guests) api.delete_node(guest->machine.name());
  }
}

}  // namespace flannelette::bench
