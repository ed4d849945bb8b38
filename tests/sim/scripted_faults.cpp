// SPDX-License-Identifier: Apache-2.0
// How a ScriptedEtcd misbehaves.
#include <algorithm>

#include "sim/scripted_etcd.hpp"
#include "sim/scripted_stream.hpp"

namespace flannelette::tests {

void ScriptedEtcd::set_down(const std::string& host, bool down) {
  if (!down) {
    down_.erase(host);
    return;
  }
  down_.insert(host);
  for (ScriptedStream* stream : streams_) {
    if (stream->host() == host) stream->cut();
  }
}

void ScriptedEtcd::cut_all() {
  for (ScriptedStream* stream : streams_) stream->cut();
}

void ScriptedEtcd::cut_idle() {
  for (ScriptedStream* stream : streams_) {
    if (std::none_of(watches_.begin(), watches_.end(), [&](const Watch& w) { return w.stream == stream; }))
      stream->cut();
  }
}

void ScriptedEtcd::refuse_next(const std::string& path, int code, const std::string& message) {
  refusals_[path].emplace_back(code, message);
}

void ScriptedEtcd::answer_next(const std::string& path, const std::string& raw) { raw_[path].push_back(raw); }

void ScriptedEtcd::forget(ScriptedStream& stream) {
  watches_.remove_if([&](const Watch& watch) { return watch.stream == &stream; });
}

void ScriptedEtcd::wipe() {
  keys_.clear();
  base_.clear();
  history_.clear();
  leases_.clear();
  revision_ = 1;
  compacted_ = 0;
  cut_all();
}

bool ScriptedEtcd::answering_wrongly() const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [](const ScriptedStream* stream) { return stream->answered_wrongly(); });
}

void ScriptedEtcd::clear_faults() {
  cut_after_.reset();
  twice = 0;
  lost_.clear();
  refusals_.clear();
  raw_.clear();
  drip_.clear();
  held_.clear();
  before_.clear();
}

void ScriptedEtcd::lose_leader() {
  leaderless_ = true;
  end_watches(14, "etcdserver: no leader");
}

void ScriptedEtcd::elect_leader() {
  leaderless_ = false;
  ++raft_term;
  // A new leader grants every lease its whole life once more.
  for (auto& [id, lease] : leases_) lease.expires = clock_.now() + lease.ttl * 1000;
}

}  // namespace flannelette::tests
