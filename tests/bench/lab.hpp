// SPDX-License-Identifier: Apache-2.0
// What the parts of the benchmark share: an etcd full of peers, agents on machines that are made for one
// measurement, what a process costs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/report.hpp"
#include "bench/tables.hpp"
#include "system/cluster.hpp"
#include "system/gateway.hpp"

namespace flannelette::bench {

/// From the environment; README.md in this folder says what each means.
struct Settings {
  std::vector<int> sizes;        ///< SIZES
  std::vector<int> join_sizes;   ///< JOIN_SIZES
  std::vector<int> burst_sizes;  ///< BURST_SIZES
  int rounds;                    ///< ROUNDS
  int flanneld_rounds;           ///< FLANNELD_ROUNDS
  int flanneld_max;              ///< FLANNELD_MAX
  int burst;                     ///< BURST
  int events;                    ///< EVENTS
  int idle_seconds;              ///< IDLE
  int nodes;                     ///< NODES
  std::vector<int> kube_sizes;   ///< KUBE_SIZES
  int wait_seconds;              ///< WAIT
  std::string probe;             ///< BENCH_PROBE: where bench_probe is

  static Settings from_environment();
};

/// A program that is measured: flannelette first, then what FLANNELD names.
struct Contender {
  std::string name;
  std::string program;
  bool ours() const { return name == kOurs; }
};
std::vector<Contender> contenders();

struct Usage {
  double cpu_seconds = 0;  ///< of all threads, user and system
  double switches = 0;     ///< times that a thread of it went to sleep
  double rss = 0;          ///< KiB, as the next three
  double anonymous = 0;
  double peak = 0;
  double proportional = 0;  ///< PSS
};
Usage usage_of(pid_t pid);

/// Bytes through eth0 so far.
struct Traffic {
  double received = 0;
  double sent = 0;
};
Traffic traffic_of(const tests::Node& node);

/// An agent on a machine of its own; the machine and the agent's key are gone at the end of the scope, and
/// the kernel has finished removing them.
class Lab;
class Guest {
 public:
  explicit Guest(Lab& lab);
  ~Guest();
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  /// Starts it; the time before that.
  double start(const Contender& contender);
  /// When subnet.env was there; nothing after `limit` seconds.
  std::optional<double> wait_for_subnet_file(double limit) const;
  Usage usage() { return usage_of(machine_->agent().pid()); }
  tests::Machine& machine() { return *machine_; }
  const tests::Node& node() const { return machine_->node(); }
  const Tables& tables() const { return *tables_; }

 private:
  Lab& lab_;
  const int number_;
  std::unique_ptr<tests::Machine> machine_;
  std::unique_ptr<Tables> tables_;
};

class Lab {
 public:
  Lab();

  const tests::Etcd& etcd() const { return etcd_; }
  tests::Gateway& gateway() { return gateway_; }
  /// Puts or removes peers until there are exactly so many, numbered from 1; `per_transaction` as for
  /// put_peers.
  void set_peers(int peers, int per_transaction = 100);
  int peers() const { return peers_; }
  /// The number of peers was changed by others.
  void peers_are(int peers) { peers_ = peers; }

  /// A temporary file with this text.
  std::string file(const std::string& name, const std::string& text);
  std::string path(const std::string& name) const { return files_.file(name); }

 private:
  friend class Guest;
  int next_number_ = 0;
  int peers_ = 0;
  tests::TempDir files_;
  tests::Etcd etcd_;
  tests::Gateway gateway_;
};

/// The body of a range over all leases from this key on, at most `limit` (0: all).
std::string range_body(const std::string& first = tests::kSubnetKeys, int limit = 0);
/// Seconds that the bare kernel objects of so many peers take on a fresh device in `node`.
double floor_seconds(const Settings& settings, const tests::Node& node, int peers);

/// Removes flannel.1 with its routes first. Were it to go with tens of thousands of nexthop objects, the
/// kernel would hold the lock of all network configuration on this machine for seconds, in the next
/// measurement.
void clear_device(const tests::Node& node);

// The parts.
void bench_start(const Settings& settings, Report& report);
void bench_sync(const Settings& settings, Report& report);
void bench_latency(const Settings& settings, Report& report);
void bench_change(const Settings& settings, Report& report);
void bench_idle(const Settings& settings, Report& report);
void bench_parse(const Settings& settings, Report& report);
void bench_nodes(const Settings& settings, Report& report);
void bench_instructions(const Settings& settings, Report& report);
void bench_gateways(const Settings& settings, Report& report);
void bench_kube(const Settings& settings, Report& report);
void bench_clients(const Settings& settings, Report& report);

}  // namespace flannelette::bench
