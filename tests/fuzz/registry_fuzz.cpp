// SPDX-License-Identifier: Apache-2.0
// The whole registry in etcd, with its two connections, the clock and the agent's calls as the input says: it
// keeps the rules of its seam, writes under a condition only, and is never in a hot loop.
//
// Each byte is a step, some take more bytes: a connection opens or ends, a piece of an answer arrives (well
// formed with numbers of the input's, or its raw bytes), time passes, the agent calls.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "flannelette/overlay/lease_table.hpp"
#include "flannelette/registry/etcd.hpp"

using namespace flannelette;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

struct FuzzClock final : Clock {
  Millis time = 1'000;
  Millis now() const override { return time; }
  std::int64_t wall_seconds() const override { return time / 1'000; }
};

struct NoSink final : LogSink {
  void line(Level, std::string_view) override {}
};

struct FuzzRandom final : Random {
  std::uint64_t state = 1;
  void fill(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      byte = static_cast<std::uint8_t>(state >> 56);
    }
  }
};

struct Input {
  std::string_view bytes;

  std::uint8_t byte() {
    if (bytes.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(bytes[0]);
    bytes.remove_prefix(1);
    return value;
  }
  std::string_view take(std::size_t size) {
    const std::string_view taken = bytes.substr(0, size);
    bytes.remove_prefix(taken.size());
    return taken;
  }
};

/// One connection to a server that says what the input wants.
struct FuzzStream final : io::Stream {
  void open(const io::Endpoint&, Listener& to) override {
    listener = &to;
    is_open = asked = false;
    ++opened;
  }
  Result<void> write(std::string_view bytes) override {
    if (!is_open) return Error{Code::kClosed, 0, "write"};
    must(!asked);  // one request at a time: the one before has its whole answer
    asked = true;
    ++requests;
    request = bytes;
    if (request.find("/v3/kv/txn ") != request.npos) must(request.find("\"compare\":[{") != request.npos);
    must(request.find("delete") == request.npos && request.find("/v3/kv/put") == request.npos);
    return {};
  }
  void close() override {
    listener = nullptr;
    is_open = asked = false;
  }

  void accept() {
    if (listener == nullptr || is_open) return;
    is_open = true;
    listener->on_open();
  }
  void send(std::string_view bytes, bool whole) {
    if (listener == nullptr || !is_open) return;
    if (whole) asked = false;
    listener->on_data(std::string(bytes));  // memory of its own size
  }
  void end(const Error& error) {
    if (listener == nullptr) return;
    Listener& to = *listener;
    close();
    to.on_close(error, {});
  }

  Listener* listener = nullptr;
  bool is_open = false;
  bool asked = false;
  int opened = 0;
  int requests = 0;
  std::string request;
};

/// Checks the order of the calls and feeds the lease table, as the agent does.
struct Agent final : registry::MemberListener, registry::MembershipListener {
  bool listing = false;
  bool configured = false;
  bool snapshot = false;  ///< one was complete
  bool stopped = false;
  overlay::LeaseTable table{1'000};

  void called() const { must(!stopped); }
  void on_snapshot_begin() override {
    called();
    must(configured && !listing);
    listing = true;
    table.begin_listing();
  }
  void on_snapshot_end() override {
    called();
    must(std::exchange(listing, false));
    snapshot = true;
    table.end_listing();
  }
  void on_snapshot_abort() override {
    called();
    must(std::exchange(listing, false));
    table.abort_listing();
  }
  void on_record(const overlay::LeaseRecord& record) override {
    called();
    table.upsert(record);
  }
  void on_removed(const overlay::LeaseKey& key, std::int64_t modified) override {
    called();
    must(!listing);
    table.remove(key, modified);
  }
  void on_events_end() override { called(); }
  void on_skipped(std::string_view, registry::Skipped) override { called(); }
  void on_config(const overlay::NetworkConfig& config) override {
    called();
    must(!std::exchange(configured, true));
    overlay::LocalNode local{};
    local.config = config;
    table.set_local(local);
  }
  void on_config_problem(const overlay::ConfigProblem&, std::string_view at) override {
    called();
    must(!configured && at.size() <= 1);
  }
  void on_config_missing() override {
    called();
    must(!configured);
  }
  void on_joined(const registry::Membership& membership) override {
    called();
    must(snapshot && !listing && membership.mac.unicast() && !membership.mac.zero());
  }
  void on_left(const registry::Left& left) override {
    called();
    (void)left;
    must(snapshot);
  }
  void on_failure(const registry::Failure& failure) override {
    called();
    must(failure.retry_in >= 0 && failure.retry_in <= 5 * 60'000);
  }
  void on_working(std::string_view) override { called(); }
  void on_server_address(const Ip&) override { called(); }
};

struct World {
  FuzzClock clock;
  NoSink sink;
  Log log{sink, clock, Level::kDebug};
  io::Loop loop{clock};
  FuzzRandom random;
  FuzzStream requests;
  FuzzStream watch;
  Agent agent;
  bool joined = false;
  registry::EtcdRegistry registry{loop, random, log, requests, watch, settings()};

  static registry::EtcdSettings settings() {
    registry::EtcdSettings made;
    made.endpoints[0] = {false, {"192.0.2.1"}, 2379};
    made.endpoints[1] = {false, {"192.0.2.2"}, 2379};
    made.endpoint_count = 2;
    made.prefix = "/n";
    made.lease_ttl_seconds = 600;
    return made;
  }

  /// Everything that is due until then; nothing answers meanwhile.
  void pass(Millis time) {
    const Millis end = clock.time + time;
    const int before = requests.opened + watch.opened + requests.requests + watch.requests;
    int turns = 0;
    for (;;) {
      const Millis next = loop.next_deadline();
      if (next < 0 || next > end) break;
      clock.time = std::max(clock.time, next);
      must(static_cast<bool>(loop.step(0)));
      must(++turns < 10'000);
    }
    clock.time = end;
    const int asked = requests.opened + watch.opened + requests.requests + watch.requests - before;
    must(asked <= 60 + time / 100);  // no hot loop: the shortest back-off is 50 ms, and it doubles
  }
};

std::string number(Input& input) {
  // Mostly small, now and then at the ends of the range.
  static constexpr std::array<const char*, 4> kEnds{"9223372036854775807", "-1", "281474976710655",
                                                    "18446744073709551615"};
  const std::uint8_t value = input.byte();
  return value < 252 ? std::to_string(value) : std::string(kEnds[value - 252u]);
}

std::string header(Input& input) {
  return R"("header":{"cluster_id":"1","raft_term":"2","revision":")" + number(input) + "\"}";
}

/// A record at /n/subnets/10.5.<0..3>.0-24, or a foreign key.
std::string pair(Input& input) {
  static constexpr std::array<const char*, 5> kKeys{
      "L24vc3VibmV0cy8xMC41LjAuMC0yNA==", "L24vc3VibmV0cy8xMC41LjEuMC0yNA==",
      "L24vc3VibmV0cy8xMC41LjIuMC0yNA==", "L24vc3VibmV0cy8xMC41LjMuMC0yNA==", "L24vc3VibmV0cy9h"};
  static constexpr std::array<const char*, 3> kValues{
      "e30=", "eyJQdWJsaWNJUCI6IjE5Mi4wLjIuOSIsIkJhY2tlbmRUeXBlIjoidnhsYW4ifQ==", "bm8ganNvbg=="};
  std::string out = R"({"key":")" + std::string(kKeys[input.byte() % kKeys.size()]);
  out += R"(","value":")" + std::string(kValues[input.byte() % kValues.size()]);
  out += R"(","create_revision":")" + number(input);
  out += R"(","mod_revision":")" + number(input);
  return out + R"(","lease":")" + number(input) + "\"}";
}

std::string pairs(Input& input, const char* before, const char* after) {
  std::string out;
  for (int left = input.byte() % 4; left > 0; --left)
    out += (out.empty() ? "" : ",") + (before + pair(input)) + after;
  return "[" + out + "]";
}

std::string body(Input& input) {
  switch (input.byte() % 12) {
    case 0: return "{" + header(input) + R"(,"kvs":)" + pairs(input, "", "") + "}";
    case 1: return "{" + header(input) + R"(,"more":true,"kvs":)" + pairs(input, "", "") + "}";
    case 2:  // {"Network":"10.5.0.0/16"}
      return "{" + header(input) +
             R"(,"kvs":[{"key":"L24vY29uZmln","value":"eyJOZXR3b3JrIjoiMTAuNS4wLjAvMTYifQ=="}]})";
    case 3: return "{" + header(input) + R"(,"succeeded":true})";
    case 4:
      return "{" + header(input) + R"(,"responses":[{"response_range":{"kvs":)" + pairs(input, "", "") +
             "}}]}";
    case 5: return "{" + header(input) + R"(,"ID":")" + number(input) + R"(","TTL":"600"})";
    case 6: return R"({"result":{"ID":")" + number(input) + R"(","TTL":")" + number(input) + "\"}}";
    case 7: return R"({"result":{)" + header(input) + R"(,"created":true}})";
    case 8: {
      const char* type = (input.byte() & 1) != 0 ? R"({"type":"DELETE","kv":)" : R"({"kv":)";
      const char* fragment = (input.byte() & 3) == 0 ? R"(,"fragment":true,"events":)" : R"(,"events":)";
      return R"({"result":{)" + header(input) + fragment + pairs(input, type, "}") + "}}";
    }
    case 9:
      return R"({"result":{)" + header(input) + R"(,"canceled":true,"compact_revision":")" + number(input) +
             "\"}}";
    case 10: return R"({"error":"x","message":"x","code":)" + std::to_string(input.byte() % 18) + "}";
    default: return std::string(input.take(input.byte()));
  }
}

void answer(Input& input, FuzzStream& stream) {
  const std::uint8_t how = input.byte();
  const char* status = (how & 7) == 7 ? "HTTP/1.1 503 No\r\n" : "HTTP/1.1 200 OK\r\n";
  std::string text = body(input);
  if ((how & 8) != 0) text += body(input);
  if ((how & 16) != 0) {  // a stream goes on
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", text.size());
    text = ((how & 32) != 0 ? "" : std::string(status) + "Transfer-Encoding: chunked\r\n\r\n") + size + text +
           "\r\n";
    return stream.send(text, false);
  }
  text = std::string(status) + "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
  if ((how & 64) != 0) return stream.send(std::string_view(text).substr(0, text.size() / 2), false);
  stream.send(text, true);
}

void step(Input& input, World& world) {
  const std::uint8_t what = input.byte();
  FuzzStream& stream = (what & 0x80) != 0 ? world.watch : world.requests;
  switch (what & 0x0f) {
    case 0:
    case 1:
    case 2:
    case 3:
      world.pass(0);
      stream.accept();
      return answer(input, stream);
    case 4: return stream.accept();
    case 5: return stream.end({Code::kClosed, 0, "closed"});
    case 6: return stream.end({Code::kSystem, 111, "connect"});
    case 7: return stream.send(std::string(input.take(input.byte() % 64)), false);
    case 8: return world.pass(input.byte());
    case 9: return world.pass(input.byte() * 1'000);
    case 10: return world.pass(input.byte() * 60'000);
    case 11: return world.registry.reconnect();
    case 12:
    case 13: {
      if (!world.agent.snapshot || world.agent.stopped || std::exchange(world.joined, true)) return;
      registry::Hints hints{.leases = &world.agent.table};
      if ((what & 16) != 0) hints.subnet = *parse_net4("10.5.1.0/24");
      if ((what & 32) != 0) hints.device_mac = Mac{{2, 0, 0, 0, 0, 1}};
      return world.registry.join({Ip4{0xc0000209}}, hints);
    }
    case 14: return world.registry.update({Ip4{0xc0000200u + input.byte() % 3}});
    default:
      if (input.byte() % 8 != 0) return;
      world.registry.stop();
      world.agent.stopped = true;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World world;
  world.registry.start(world.agent, world.agent);
  world.registry.follow();
  Input input{{reinterpret_cast<const char*>(data), size}};
  while (!input.bytes.empty()) step(input, world);
  world.pass(120'000);
  world.registry.stop();
  world.agent.stopped = true;
  world.pass(3'600'000);
  return 0;
}
