// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "agent/dataplane.hpp"
#include "flannelette/overlay/state.hpp"

namespace flannelette::agent {

/// The state files in settings.state_dir, `node` and `peers`. With an empty directory there are none.
/// Trouble with them is logged once and stops nothing.
class Cache {
 public:
  Cache(Files& files, Log& log, const Settings& settings) : files_(files), log_(log), settings_(settings) {}

  /// Who this node was; nullopt if there is no file that can be used.
  std::optional<overlay::NodeState> node();
  /// Adds the peers that were kept to the table; all or none. Their number.
  std::size_t load_peers(overlay::PeerTable& peers);

  /// Written at once, if it is news.
  void keep(const overlay::NodeState& state);
  /// Written if a peer came, went or changed since the file was written.
  void keep(const overlay::PeerTable& peers);

 private:
  using Path = Text<Files::kMaxPath>;
  bool path_of(std::string_view name, Path& path) const;
  void unusable(const Path& path, std::string_view why);
  void judge(const Path& path, const Result<void>& written);
  /// True if the file is whole.
  bool check_peers(const Path& path, overlay::PeerStateReader& reader);

  Files& files_;
  Log& log_;
  const Settings& settings_;
  std::optional<std::uint32_t> peers_digest_;  ///< of the file, once known
  bool peers_known_ = false;                   ///< the file was looked at
  Said said_;
};

}  // namespace flannelette::agent
