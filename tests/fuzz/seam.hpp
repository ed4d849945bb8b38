// SPDX-License-Identifier: Apache-2.0
// What surrounds a registry that is fuzzed as a whole: clock, chance, connections, and an agent that checks
// the rules of the seam.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "flannelette/io/loop.hpp"
#include "flannelette/io/stream.hpp"
#include "flannelette/overlay/lease_table.hpp"
#include "flannelette/registry/registry.hpp"

namespace flannelette::fuzz {

inline void must(bool holds) {
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

inline std::string number(Input& input) {
  // Mostly small, now and then at the ends of the range.
  static constexpr std::array<const char*, 4> kEnds{"9223372036854775807", "-1", "281474976710655",
                                                    "18446744073709551615"};
  const std::uint8_t value = input.byte();
  return value < 252 ? std::to_string(value) : std::string(kEnds[value - 252u]);
}

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
    must(allowed(request));
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

  bool (*allowed)(std::string_view request) = nullptr;  ///< whether the registry may ask that
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
  bool follows_config = false;  ///< what becomes of it later is told, too
  bool given = false;           ///< the subnet is, so that it does not depend on the list
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
    must((!configured || follows_config) && at.size() <= 1);
  }
  void on_config_missing() override {
    called();
    must(!configured);
  }
  void on_joined(const registry::Membership& membership) override {
    called();
    must(snapshot && (!listing || given) && membership.mac.unicast() && !membership.mac.zero());
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

/// Everything that is due within `time`; nothing answers meanwhile.
inline void pass(Millis time, FuzzClock& clock, io::Loop& loop, const FuzzStream& requests,
                 const FuzzStream& watch) {
  const auto count = [&] { return requests.opened + watch.opened + requests.requests + watch.requests; };
  const Millis end = clock.time + time;
  const int before = count();
  int turns = 0;
  for (;;) {
    const Millis next = loop.next_deadline();
    if (next < 0 || next > end) break;
    clock.time = std::max(clock.time, next);
    must(static_cast<bool>(loop.step(0)));
    must(++turns < 10'000);
  }
  clock.time = end;
  must(count() - before <= 60 + time / 100);  // no hot loop: the shortest back-off is 50 ms, and it doubles
}

/// The complete answer that holds these bytes, or a piece of a stream, as `how` says.
inline void answer(std::uint8_t how, std::string text, FuzzStream& stream) {
  const char* status = (how & 7) == 7 ? "HTTP/1.1 503 No\r\n" : "HTTP/1.1 200 OK\r\n";
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

}  // namespace flannelette::fuzz
