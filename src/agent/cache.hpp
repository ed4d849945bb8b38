// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "agent/dataplane.hpp"
#include "flannelette/overlay/state.hpp"

namespace flannelette::agent {

/// The state files in settings.state_dir, `node` and `peers`. With an empty directory there are none.
/// Trouble with them is logged once, and its end, and stops nothing.
class Cache {
 public:
  /// Flash memory wears out: so much a day is written for the peers in the long run, whatever they do.
  static constexpr std::int64_t kPeersBytesPerDay = 8 * 1024 * 1024;

  Cache(Files& files, Log& log, const Settings& settings) : files_(files), log_(log), settings_(settings) {}

  /// What killed runs left of files that they were writing goes.
  void clean_up();
  /// Who this node was; nullopt if there is no file that can be used.
  std::optional<overlay::NodeState> node();
  /// Adds the peers that were kept to the table; all or none. Their number.
  std::size_t load_peers(overlay::PeerTable& peers);

  /// Written at once, if it is news. False: it could not be; try again later.
  [[nodiscard]] bool keep(const overlay::NodeState& state);
  /// Written if a peer came, went or changed since the file was written; the same result.
  [[nodiscard]] bool keep(const overlay::PeerTable& peers, Millis now);
  /// How long the peers should at least wait to be written again; it grows with what was written last,
  /// whether it was of use or not.
  Millis peers_wait(Millis now) const { return peers_next_ > now ? peers_next_ - now : 0; }

 private:
  using Path = Text<Files::kMaxPath>;
  bool path_of(std::string_view name, Path& path) const;
  void unusable(const Path& path, const Field& why);
  /// Says that a file cannot be written, once for both if they fail together, and when all is well again.
  bool report(const Path& path, const Result<void>& written, bool& failed, bool other_failed);
  /// True if the file is whole.
  bool check_peers(const Path& path, overlay::PeerStateReader& reader);

  Files& files_;
  Log& log_;
  const Settings& settings_;
  std::optional<std::uint32_t> peers_digest_;  ///< of the file, once known
  bool peers_known_ = false;                   ///< the file was looked at
  bool node_failed_ = false;
  bool peers_failed_ = false;
  Millis peers_next_ = 0;
  Said said_;
};

}  // namespace flannelette::agent
