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

void Cache::unusable(const Path& path, std::string_view why) {
  log_.warning("a state file is not used", {{"file", path.view()}, {"reason", why}});
}

void Cache::judge(const Path& path, const Result<void>& written) {
  if (written) {
    said_.clear();
  } else if (said_.is_news(written.error())) {
    log_.error("cannot keep the state; without the registry this node will not come up after a reboot",
               {{"file", path.view()}, Field(written.error())});
  }
}

std::optional<NodeState> Cache::node() {
  Path path;
  if (!path_of("node", path)) return std::nullopt;
  std::array<char, NodeState::kMaxText> buffer;
  auto text = files_.read(path, buffer);
  if (!text) {
    unusable(path,
             text.error().code == Code::kLimit ? name(overlay::StateProblem::kForeign) : "it cannot be read");
    return std::nullopt;
  }
  if (!*text) return std::nullopt;
  overlay::StateProblem problem;
  const auto state = parse_node_state(**text, problem);
  if (!state) unusable(path, name(problem));
  return state;
}

void Cache::keep(const NodeState& state) {
  Path path;
  if (!path_of("node", path)) return;
  const auto text = to_text<NodeState::kMaxText>([&](Writer& out) { write(out, state); });
  std::array<char, NodeState::kMaxText> buffer;
  const auto have = files_.read(path, buffer);
  if (have && *have && **have == text.view()) return;
  judge(path, files_.replace(path, text, 0600));
}

bool Cache::check_peers(const Path& path, PeerStateReader& reader) {
  const auto found = files_.read_pieces(path, PeerStateReader::kMaxFile, reader);
  if (found && !*found) return false;
  const auto problem = found ? reader.problem() : std::nullopt;
  if (found && !problem) return true;
  unusable(path, problem ? name(*problem) : "it cannot be read");
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

void Cache::keep(const overlay::PeerTable& peers) {
  Path path;
  if (!path_of("peers", path)) return;
  if (!peers_known_) {
    PeerStateReader checked;
    peers_known_ = true;
    if (check_peers(path, checked)) peers_digest_ = checked.digest();
  }
  overlay::PeerStateSource source(peers);
  const std::uint32_t digest = source.digest();
  if (peers_digest_ == digest) return;
  const auto written = files_.replace_with(path, source, 0600);
  if (written) peers_digest_ = digest;
  judge(path, written);
}

}  // namespace flannelette::agent
