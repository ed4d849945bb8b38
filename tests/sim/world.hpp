// SPDX-License-Identifier: Apache-2.0
// A whole cluster in one process: a scripted etcd or API server, and nodes that each have a kernel, files, a
// log and chance of their own, under one clock that the test advances. What is real: agent, registry, http,
// json, peer table.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flannelette/agent/agent.hpp"
#include "flannelette/registry/etcd.hpp"
#include "flannelette/registry/kube.hpp"
#include "sim/fake_kernel.hpp"
#include "sim/scripted_etcd.hpp"
#include "sim/scripted_kube.hpp"
#include "support/rng.hpp"

namespace flannelette::status {
struct Status;
class Source;
}  // namespace flannelette::status

namespace flannelette::tests {

class SimClock final : public Clock {
 public:
  Millis now() const override { return time; }
  std::int64_t wall_seconds() const override { return wall_at_zero + time / 1000; }
  Millis time = 1'000'000;
  std::int64_t wall_at_zero = 1'700'000'000;  ///< a test may set the clock
};

/// Chance that repeats.
class SimRandom final : public Random {
 public:
  explicit SimRandom(std::uint64_t seed) : rng_(seed) {}
  void fill(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(rng_.next() >> 32);
  }

 private:
  Rng rng_;
};

inline Ip4 ip(std::string_view text) { return parse_ip4(text).value(); }
/// 02:00:00:00:<number>.
inline Mac mac(unsigned number) {
  return {{2, 0, 0, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)}};
}

/// Files in memory.
class MemoryFiles final : public Files {
 public:
  Result<std::optional<std::string_view>> read(std::string_view path, std::span<char> buffer) override;
  Result<bool> read_pieces(std::string_view path, std::uint64_t limit, Pieces& out) override;
  Result<void> replace_with(std::string_view path, PieceSource& source, unsigned mode) override;
  void remove_temporaries(std::string_view path) override;
  Result<bool> remove(std::string_view path) override;
  Result<void> write_in_place(std::string_view path, std::string_view text) override;

  std::map<std::string, std::string, std::less<>> all;
  int writes = 0;
  bool read_only = false;
  std::string unreadable{};       ///< this file gives EIO
  std::string read_only_below{};  ///< and what is below this, if given
};

class LogRecorder final : public LogSink {
 public:
  void line(Level level, std::string_view text) override;
  /// Lines that contain `part`.
  int count(std::string_view part) const;
  bool has(std::string_view part) const { return count(part) > 0; }
  std::string text() const;

  std::vector<std::string> lines;
};

class World;

/// One machine. It survives its agent: stop() and start() are a restart of the program, reboot() is one of
/// the machine.
class SimNode {
 public:
  static constexpr const char* kSubnetFile = "/run/flannel/subnet.env";
  static constexpr const char* kNodeFile = "/var/lib/flannelette/node";
  static constexpr const char* kPeersFile = "/var/lib/flannelette/peers";

  SimNode(World& world, unsigned number);  ///< see World::add
  ~SimNode();

  void start();
  void stop();
  void restart();
  void on_resume(Millis suspended);  ///< of the machine
  void reboot();
  bool started() const { return running_ != nullptr; }
  agent::State state() const;
  overlay::PeerCounts counts() const;
  /// As it is shown, read now.
  status::Status status() const;
  const status::Source& status_source() const;
  bool running() const { return started() && state() == agent::State::kRunning; }
  int ready_count() const { return ready_; }

  /// What this node has, as its kernel says: the device, and its own subnet from subnet.env.
  const overlay::Device* device() const { return kernel.device("flannel.1"); }
  Mac mac() const { return device() == nullptr ? Mac{} : device()->mac; }
  Net4 subnet() const;
  std::string subnet_env() const;
  std::string subnet_text() const { return std::string(text_of(subnet()).view()); }
  /// "10.5.0.0-24".
  std::string key() const;
  /// All entries on the device, one a line, sorted.
  std::string entries() const;
  /// Whether all three entries of this peer are there.
  bool has_peer(Net4 subnet, Mac mac, Ip4 public_ip) const;
  bool has_peer(const SimNode& other) const { return has_peer(other.subnet(), other.mac(), other.address); }
  std::size_t routes() const;

  // What happens to the machine.
  void change_address(Ip4 to);  ///< eth0 has another address now; `address` follows
  void set_default_route(bool on);
  static constexpr int kNic = 2;  ///< eth0, 1500, with `address`/16
  Ip4 address;
  FakeKernel kernel;
  MemoryFiles files;
  LogRecorder log;
  agent::Settings settings;
  registry::EtcdSettings etcd_settings;
  std::optional<registry::KubeSettings> kube_settings;        ///< if there: its registry is Kubernetes
  std::size_t max_leases = overlay::LeaseTable::kMaxRecords;  ///< as the machine's memory says

 private:
  friend class World;
  struct Running;
  void on_ready() { ++ready_; }

  World& world_;
  SimRandom random_;
  std::unique_ptr<Running> running_;
  int ready_ = 0;
};

class World {
 public:
  static constexpr const char* kConfig = R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}})";
  static constexpr const char* kPrefix = "/coreos.com/network/";

  /// An etcd with this config; nullptr: without.
  explicit World(const char* config = kConfig);
  ~World();

  /// Node at 172.30.0.<number> (172.30.1.0 and so on from 256), not started.
  SimNode& add(unsigned number);
  SimNode& add_started(unsigned number);
  SimNode& node(std::size_t index) { return *nodes_[index]; }
  std::size_t size() const { return nodes_.size(); }

  /// Lets virtual time pass; everything that is due happens at its time.
  void advance(Millis by);
  /// Until `done`, asked after every event; false when `limit` has passed.
  [[nodiscard]] bool run_until(const std::function<bool()>& done, Millis limit = 10'000);
  /// Everybody runs, is ready and knows everybody (and maybe peers that are only records).
  bool all_know_all();
  [[nodiscard]] bool run_until_all_know_all(Millis limit = 10'000) {
    return run_until([this] { return all_know_all(); }, limit);
  }

  void put(const std::string& key, const std::string& value) { etcd.put(kPrefix + key, value); }
  void put_config(const std::string& text) { put("config", text); }
  /// A peer that is only a record: 10.5.<third>.0/24 at 172.31.0.<third>, MAC 02:..:<third>.
  static std::string peer_key(unsigned third);
  static std::string peer_value(unsigned number, const char* public_ip = nullptr);
  void put_peer(unsigned third) { put_peer(third, third); }
  /// With the value of peer `number`. On a lease of its own, as every node's record: no other history has the
  /// same record at the same revision.
  void put_peer(unsigned third, unsigned number) {
    etcd.put(kPrefix + ("subnets/" + peer_key(third)), peer_value(number), etcd.grant(365 * 86'400));
  }
  void remove_peer(unsigned third) { etcd.remove(kPrefix + ("subnets/" + peer_key(third))); }
  static Net4 peer_subnet(unsigned third) { return {{0x0a050000u + (third << 8)}, 24}; }
  static Ip4 peer_ip(unsigned number) { return {0xac1f0000u + number}; }
  /// The value at subnets/<key>, empty if there is none.
  std::string value_of(const std::string& key);

  /// Turns of the loop so far: each is a wake-up of somebody.
  std::uint64_t wakeups() const { return loop.wakeups(); }

  SimClock clock;
  io::Loop loop{clock};  ///< everybody's, the servers' too
  ScriptedEtcd etcd{loop, clock};
  ScriptedKube kube{loop, clock};

 private:
  friend class SimNode;
  /// Goes on to `until` at most, event by event, as long as `more` says so.
  template <class More>
  void run(Millis until, More more);
  std::vector<std::unique_ptr<SimNode>> nodes_;
};

}  // namespace flannelette::tests
