// SPDX-License-Identifier: Apache-2.0
#include "agent/state_files.hpp"

#include <array>

namespace flannelette::agent {

using overlay::NodeState;
using overlay::PeerStateReader;

bool state_file(const Settings& settings, std::string_view name, Text<Files::kMaxPath>& path) {
  if (settings.state_dir.empty()) return false;
  std::array<char, Files::kMaxPath> buffer;
  Writer out(buffer);
  out.put(settings.state_dir).put('/').put(name);
  return !out.overflowed() && path.assign(out.view());
}

void StateFiles::report_unusable(const Path& path, const Field& why) {
  ++unusable_;
  log_.warning("a state file is not used", {{"file", path.view()}, why});
}

bool StateFiles::report(const Path& path, const Result<void>& written, bool& failed, bool other_failed) {
  failed = !written;
  if (other_failed) return !failed;
  if (!written) {
    if (failure_reported_.is_news(written.error())) {
      log_.error("cannot save the state; without the registry this node will not come up after a reboot",
                 {{"file", path.view()}, Field(written.error())});
    }
  } else if (failure_reported_.clear()) {
    log_.info("the state is saved again", {{"file", path.view()}});
  }
  return !failed;
}

void StateFiles::clean_up() {
  Path path = settings_.subnet_file;
  files_.remove_temporaries(path);
  for (const std::string_view name : {"node", "peers"}) {
    if (state_file(settings_, name, path)) files_.remove_temporaries(path);
  }
}

Result<bool> StateFiles::remove() {
  bool any = false;
  clean_up();
  for (const std::string_view name : {"peers", "node"}) {
    Path path;
    if (!state_file(settings_, name, path)) continue;
    const auto removed = files_.remove(path);
    if (!removed) return removed.error();
    any = any || *removed;
  }
  return any;
}

std::optional<NodeState> StateFiles::load_node() {
  Path path;
  if (!state_file(settings_, "node", path)) return std::nullopt;
  std::array<char, NodeState::kMaxText> buffer;
  auto text = files_.read(path, buffer);
  if (!text) {
    const bool huge = text.error().code == Code::kLimit;
    report_unusable(path,
                    huge ? Field("reason", name(overlay::StateProblem::kForeign)) : Field(text.error()));
    return std::nullopt;
  }
  if (!*text) return std::nullopt;
  overlay::StateProblem problem;
  const auto state = parse_node_state(**text, problem);
  if (!state) report_unusable(path, {"reason", name(problem)});
  return state;
}

bool StateFiles::save(const NodeState& state) {
  Path path;
  if (!state_file(settings_, "node", path)) return true;
  const auto text = to_text<NodeState::kMaxText>([&](Writer& out) { write(out, state); });
  std::array<char, NodeState::kMaxText> buffer;
  const bool same = files_.holds(path, text, buffer);
  if (!same) count(text.size());
  return report(path, same ? Result<void>() : files_.replace(path, text, 0600), node_failed_, peers_failed_);
}

bool StateFiles::check_peers(const Path& path) {
  PeerStateReader reader;
  peers_checked_ = true;
  const auto found = files_.read_pieces(path, PeerStateReader::kMaxFile, reader);
  if (found && !*found) return false;
  const auto problem = found ? reader.problem() : std::nullopt;
  if (!found || problem) {
    report_unusable(path, problem ? Field("reason", name(*problem)) : Field(found.error()));
    return false;
  }
  peers_digest_ = reader.digest();
  return true;
}

std::size_t StateFiles::load_peers(overlay::LeaseTable& peers) {
  Path path;
  if (!state_file(settings_, "peers", path) || !check_peers(path)) return 0;
  PeerStateReader reader(&peers);
  return files_.read_pieces(path, PeerStateReader::kMaxFile, reader) && !reader.problem() ? reader.records()
                                                                                          : 0;
}

bool StateFiles::save(const overlay::LeaseTable& peers, Millis now) {
  Path path;
  if (!state_file(settings_, "peers", path)) return true;
  if (!peers_checked_) check_peers(path);
  overlay::PeerStateSource source(peers);
  const std::uint32_t digest = source.digest();
  const auto written = peers_digest_ == digest ? Result<void>() : files_.replace_with(path, source, 0600);
  if (written) peers_digest_ = digest;
  constexpr Millis kDay = 86'400'000;
  const auto bytes = static_cast<std::int64_t>(source.written());
  if (bytes > 0) count(source.written());
  if (bytes > 0) peers_next_ = now + bytes * kDay / kPeersBytesPerDay;
  return report(path, written, peers_failed_, node_failed_);
}

}  // namespace flannelette::agent
