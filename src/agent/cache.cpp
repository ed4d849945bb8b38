// SPDX-License-Identifier: Apache-2.0
#include "agent/cache.hpp"

#include <array>

namespace flannelette::agent {

using overlay::NodeState;
using overlay::PeerStateReader;

bool Cache::path_of(std::string_view name, Path& path) const {
  if (settings_.state_dir.empty()) return false;
  std::array<char, Files::kMaxPath> buffer;
  Writer out(buffer);
  out.put(settings_.state_dir).put('/').put(name);
  return !out.overflowed() && path.assign(out.view());
}

void Cache::unusable(const Path& path, const Field& why) {
  log_.warning("a state file is not used", {{"file", path.view()}, why});
}

bool Cache::report(const Path& path, const Result<void>& written, bool& failed, bool other_failed) {
  failed = !written;
  if (other_failed) return !failed;
  if (!written) {
    if (said_.is_news(written.error())) {
      log_.error("cannot keep the state; without the registry this node will not come up after a reboot",
                 {{"file", path.view()}, Field(written.error())});
    }
  } else if (said_.clear()) {
    log_.info("the state is kept again", {{"file", path.view()}});
  }
  return !failed;
}

void Cache::clean_up() {
  Path path = settings_.subnet_file;
  files_.remove_temporaries(path);
  for (const std::string_view name : {"node", "peers"}) {
    if (path_of(name, path)) files_.remove_temporaries(path);
  }
}

std::optional<NodeState> Cache::node() {
  Path path;
  if (!path_of("node", path)) return std::nullopt;
  std::array<char, NodeState::kMaxText> buffer;
  auto text = files_.read(path, buffer);
  if (!text) {
    const bool huge = text.error().code == Code::kLimit;
    unusable(path, huge ? Field("reason", name(overlay::StateProblem::kForeign)) : Field(text.error()));
    return std::nullopt;
  }
  if (!*text) return std::nullopt;
  overlay::StateProblem problem;
  const auto state = parse_node_state(**text, problem);
  if (!state) unusable(path, {"reason", name(problem)});
  return state;
}

bool Cache::keep(const NodeState& state) {
  Path path;
  if (!path_of("node", path)) return true;
  const auto text = to_text<NodeState::kMaxText>([&](Writer& out) { write(out, state); });
  std::array<char, NodeState::kMaxText> buffer;
  const auto have = files_.read(path, buffer);
  const bool same = have && *have && **have == text.view();
  return report(path, same ? Result<void>() : files_.replace(path, text, 0600), node_failed_, peers_failed_);
}

bool Cache::check_peers(const Path& path, PeerStateReader& reader) {
  const auto found = files_.read_pieces(path, PeerStateReader::kMaxFile, reader);
  if (found && !*found) return false;
  const auto problem = found ? reader.problem() : std::nullopt;
  if (found && !problem) return true;
  unusable(path, problem ? Field("reason", name(*problem)) : Field(found.error()));
  return false;
}

std::size_t Cache::load_peers(overlay::PeerTable& peers) {
  Path path;
  if (!path_of("peers", path)) return 0;
  PeerStateReader checked;
  peers_known_ = true;
  if (!check_peers(path, checked)) return 0;
  peers_digest_ = checked.digest();
  PeerStateReader reader(&peers);
  return files_.read_pieces(path, PeerStateReader::kMaxFile, reader) && !reader.problem() ? reader.records()
                                                                                          : 0;
}

bool Cache::keep(const overlay::PeerTable& peers, Millis now) {
  Path path;
  if (!path_of("peers", path)) return true;
  if (!peers_known_) {
    PeerStateReader checked;
    peers_known_ = true;
    if (check_peers(path, checked)) peers_digest_ = checked.digest();
  }
  overlay::PeerStateSource source(peers);
  const std::uint32_t digest = source.digest();
  const auto written = peers_digest_ == digest ? Result<void>() : files_.replace_with(path, source, 0600);
  if (written) peers_digest_ = digest;
  constexpr Millis kDay = 86'400'000;
  const auto bytes = static_cast<std::int64_t>(source.written());
  if (bytes > 0) peers_next_ = now + bytes * kDay / kPeersBytesPerDay;
  return report(path, written, peers_failed_, node_failed_);
}

}  // namespace flannelette::agent
