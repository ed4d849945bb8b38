// SPDX-License-Identifier: Apache-2.0
// How a ScriptedEtcd misbehaves.
#include <algorithm>

#include "sim/scripted_etcd.hpp"
#include "sim/scripted_stream.hpp"

namespace flannelette::tests {

void ScriptedEtcd::refuse_next(const std::string& path, int code, const std::string& message) {
  refuse_next_with(path, refusal(code, message));
}

bool ScriptedEtcd::watches(const ScriptedStream& stream) const {
  return std::any_of(watches_.begin(), watches_.end(), [&](const Watch& w) { return w.stream == &stream; });
}

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

void ScriptedEtcd::clear_faults() {
  ScriptedServer::clear_faults();
  twice = 0;
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
