// SPDX-License-Identifier: Apache-2.0
#include "sim/scripted_server.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "sim/scripted_stream.hpp"

namespace flannelette::tests {

ScriptedServer::~ScriptedServer() = default;

std::unique_ptr<io::Stream> ScriptedServer::make_stream() {
  return std::make_unique<ScriptedStream>(*this, loop_);
}

// --- Faults. ---

void ScriptedServer::set_down(const std::string& host, bool down) {
  if (!down) {
    down_.erase(host);
    return;
  }
  down_.insert(host);
  for (ScriptedStream* stream : streams_) {
    if (stream->host() == host) stream->cut();
  }
}

void ScriptedServer::cut_all() {
  for (ScriptedStream* stream : streams_) stream->cut();
}

void ScriptedServer::time_out_all() {
  for (ScriptedStream* stream : std::set<ScriptedStream*>(streams_)) stream->time_out();
}

void ScriptedServer::cut_idle() {
  for (ScriptedStream* stream : streams_) {
    if (!watches(*stream)) stream->cut();
  }
}

void ScriptedServer::hang_up_all() {
  for (ScriptedStream* stream : streams_) stream->hang_up();
}

bool ScriptedServer::answering_wrongly() const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [](const ScriptedStream* stream) { return stream->answered_wrongly(); });
}

void ScriptedServer::clear_faults() {
  cut_after_.reset();
  lost_.clear();
  raw_.clear();
  drip_.clear();
  held_.clear();
  before_.clear();
}

// --- Counting. ---

std::size_t ScriptedServer::requests(const std::string& kind) const {
  const auto found = counts_.find(kind);
  return found == counts_.end() ? 0 : found->second;
}

std::size_t ScriptedServer::requests() const {
  std::size_t sum = 0;
  for (const auto& [kind, count] : counts_) sum += count;
  return sum;
}

std::size_t ScriptedServer::bytes_sent(const std::string& kind) const {
  const auto found = sent_.find(kind);
  return found == sent_.end() ? 0 : found->second;
}

void ScriptedServer::reset_counts() {
  counts_.clear();
  sent_.clear();
  connections_ = 0;
  bytes_sent_ = 0;
}

// --- A request. ---

template <class T>
std::optional<T> ScriptedServer::take(Queues<T>& queues, const std::string& kind) {
  auto& queue = queues[kind];
  if (queue.empty()) return std::nullopt;
  T first = std::move(queue.front());
  queue.pop_front();
  return first;
}

void ScriptedServer::receive(ScriptedStream& stream, const std::string& kind,
                             const ScriptedRequest& request) {
  ++counts_[kind];
  last_[kind] = request;
  if (const auto action = take(before_, kind)) (*action)();
  const auto lost = take(lost_, kind);
  if (lost && !*lost) return stream.cut();
  if (const auto raw = take(raw_, kind)) {
    return raw->wrong ? stream.send_wrongly(raw->bytes) : stream.send(raw->bytes);
  }
  if (take(drip_, kind)) return stream.drip();
  if (take(held_, kind)) stream.hold();
  serve(stream, request);
  if (lost) stream.cut();
}

std::string chunk(const std::string& bytes) {
  char size[24];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return size + bytes + "\r\n";
}

}  // namespace flannelette::tests
