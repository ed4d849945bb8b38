// SPDX-License-Identifier: Apache-2.0
// The parts of the etcd registry on a scripted etcd, under a clock that the test advances.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "flannelette/registry/etcd.hpp"
#include "registry/etcd/assembly.hpp"
#include "sim/scripted_etcd.hpp"
#include "unit/manual_clock.hpp"

namespace flannelette::registry {

class CountingRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> bytes) override {
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(state_ = state_ * 73 + 41);
  }

 private:
  unsigned state_ = 1;
};

using etcd::Claim;
using etcd::ClaimOutcome;
using etcd::ClaimResult;

/// Keeps what it hears: a log of calls, and the peers as an agent would see them.
class Recorder final : public MemberListener, public MembershipListener, public etcd::LeaseListener {
 public:
  std::map<std::string, std::int64_t> peers;  // key -> mod_revision
  std::vector<ClaimResult> claims;
  std::vector<std::string> failures;
  std::string calls;
  overlay::NetworkConfig config;
  int configs = 0, problems = 0, missing = 0, listings = 0, aborts = 0, records = 0, lost = 0, working = 0,
      unreadable = 0, ends = 0;
  std::map<std::string, Skipped> skipped;
  Millis last_retry = 0;
  etcd::Assembly* stop_on_record = nullptr;

  static std::string text(const overlay::LeaseKey& key) {
    return std::string(to_text<80>([&](Writer& out) { write(out, key); }).view());
  }
  void on_config(const overlay::NetworkConfig& network) override {
    config = network;
    ++configs;
  }
  void on_config_problem(const overlay::ConfigProblem&, std::string_view) override { ++problems; }
  void on_config_missing() override { ++missing; }
  void on_snapshot_begin() override {
    REQUIRE(!listing_);
    listing_ = true;
    listed_.clear();
  }
  void on_snapshot_end() override {
    REQUIRE(listing_);
    listing_ = false;
    ++listings;
    peers = listed_;
  }
  void on_snapshot_abort() override {
    REQUIRE(listing_);
    listing_ = false;
    ++aborts;
  }
  void on_record(const overlay::LeaseRecord& record) override {
    ++records;
    if (!record.readable) ++unreadable;
    (listing_ ? listed_ : peers)[text(record.key)] = record.modified;
    calls += "+" + text(record.key) + " ";
    if (stop_on_record != nullptr) stop_on_record->stop();
  }
  void on_removed(const overlay::LeaseKey& key, std::int64_t) override {
    REQUIRE(!listing_);
    peers.erase(text(key));
    calls += "-" + text(key) + " ";
  }
  void on_events_end() override {
    ++ends;
    calls += ". ";
  }
  void on_skipped(std::string_view key, Skipped why) override { skipped[std::string(key)] = why; }
  void on_claim(const ClaimResult& result) override {
    REQUIRE(!listing_);
    claims.push_back(result);
  }
  void on_lease_lost() override { ++lost; }
  void on_leases_changed() override {}
  void on_lease_removed() override {}
  void on_joined(const Membership&) override {}
  void on_left(const Left&) override {}
  void on_failure(const Failure& failure) override {
    failures.push_back(std::string(failure.operation) + ": " + failure.error.context + " " +
                       failure.detail.c_str());
    last_retry = failure.retry_in;
  }
  void on_working(std::string_view) override { ++working; }
  std::vector<Ip> servers;
  void on_server_address(const Ip& address) override { servers.push_back(address); }

 private:
  bool listing_ = false;
  std::map<std::string, std::int64_t> listed_;
};

/// The debug lines of the state machines.
class LogRecorder final : public LogSink {
 public:
  std::vector<std::string> lines;
  void line(Level, std::string_view text) override { lines.emplace_back(text); }
};

struct World {
  ManualClock clock;
  LogRecorder log_lines;
  Log log{log_lines, clock, Level::kDebug};
  io::Loop loop{clock};
  CountingRandom random;
  tests::ScriptedEtcd etcd{loop, clock};

  /// Lets time pass, as far as the timers want it; stops early once `done`.
  template <class Done>
  bool run_until(Done done, Millis limit = 120'000) {
    const Millis end = clock.time + limit;
    for (int turns = 0; turns < 2'000'000; ++turns) {
      if (done()) return true;
      const Millis next = loop.next_deadline();
      if (next < 0 || next > end) break;
      clock.time = std::max(clock.time, next);
      REQUIRE(loop.step(0));
    }
    clock.time = std::max(clock.time, end);
    REQUIRE(loop.step(0));
    return done();
  }
  void run(Millis time) {
    (void)run_until([] { return false; }, time);
  }
};

struct Node {
  explicit Node(World& w, EtcdSettings settings = standard())
      : world(w),
        requests(w.etcd.make_stream()),
        watch(w.etcd.make_stream()),
        registry(w.loop, w.random, w.log, *requests, *watch, settings) {
    registry.start(heard, heard, heard);
  }
  static EtcdSettings standard() {
    EtcdSettings settings;
    settings.endpoints[0] = *io::parse_endpoint("http://one:2379", 2379);
    settings.endpoint_count = 1;
    settings.prefix = "/net/";
    settings.lease_ttl_seconds = 600;
    settings.renew_margin_seconds = 60;
    return settings;
  }
  /// Lists, and lets the watch settle.
  void follow() {
    const int before = heard.listings;
    registry.list();
    REQUIRE(world.run_until([&] { return heard.listings > before && world.etcd.watch_count() > 0; }));
    world.run(10);
  }
  ClaimResult claim(const std::string& net, const std::string& value, std::int64_t mod_revision = 0,
                    bool always = false) {
    const std::size_t before = heard.claims.size();
    Claim wish;
    wish.key.subnet = *parse_net4(net);
    wish.value = value;
    wish.mod_revision = mod_revision;
    wish.always_write = always;
    registry.claimer.begin(wish);
    REQUIRE(world.run_until([&] { return heard.claims.size() > before; }));
    return heard.claims.back();
  }

  World& world;
  Recorder heard;
  std::unique_ptr<io::Stream> requests;
  std::unique_ptr<io::Stream> watch;
  etcd::Assembly registry;
};

inline std::string lease_key(const std::string& name) { return "/net/subnets/" + name; }
/// A config that can be used.
inline const std::string kConfig = R"({"Network":"10.0.0.0/8"})";
inline const std::string kOne = R"({"PublicIP":"192.0.2.1"})";
inline const std::string kTwo = R"({"PublicIP":"192.0.2.2"})";
inline const std::string kRange = "/v3/kv/range";
inline const std::string kTxn = "/v3/kv/txn";
inline const std::string kGrant = "/v3/lease/grant";
inline const std::string kKeepalive = "/v3/lease/keepalive";
inline const std::string kWatch = "/v3/watch";
inline const std::string kLogin = "/v3/auth/authenticate";

/// A complete HTTP response, for ScriptedEtcd::answer_next.
inline std::string http_response(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// The key of record n.
inline std::string numbered(int n) {
  return "10." + std::to_string(n / 256) + "." + std::to_string(n % 256) + ".0-24";
}

/// What the node was heard is what etcd holds.
inline bool equal_to_truth(const Node& node, const tests::ScriptedEtcd& etcd) {
  std::map<std::string, std::int64_t> truth;
  const std::string folder = lease_key("");
  for (const auto& [key, pair] : etcd.keys()) {
    if (key.starts_with(folder)) truth[key.substr(folder.size())] = pair.mod_revision;
  }
  return node.heard.peers == truth;
}

}  // namespace flannelette::registry
