// SPDX-License-Identifier: Apache-2.0
// The state files of this node: who it was, and the peers it had.
#pragma once

#include <cstdint>
#include <optional>

#include "flannelette/agent/settings.hpp"
#include "flannelette/base/clock.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/base/say_once.hpp"
#include "flannelette/overlay/state.hpp"

namespace flannelette::agent {

/// The files `node` and `peers` in settings.state_dir; with an empty directory there are none. A file that
/// cannot be read or written is reported once, and so is the end of it; nothing stops for it.
class StateFiles {
 public:
  /// Flash memory wears out: the peers file takes so much a day in the long run, whatever the peers do.
  static constexpr std::int64_t kPeersBytesPerDay = 8 * 1024 * 1024;

  StateFiles(Files& files, Log& log, const Settings& settings)
      : files_(files), log_(log), settings_(settings) {}

  /// Removes temporary files that killed runs left behind.
  void clean_up();
  /// Removes both files; false: there was none.
  Result<bool> remove();
  /// Who this node was; nullopt if there is no file that can be used.
  std::optional<overlay::NodeState> load_node();
  /// How many files were there that could not be used.
  int unusable() const { return unusable_; }
  /// Adds the saved peers to the table; all or none. Their number.
  std::size_t load_peers(overlay::LeaseTable& peers);

  /// Written if it differs from the file. False: that failed; try again later.
  [[nodiscard]] bool save(const overlay::NodeState& state);
  /// Written if a peer came, went or changed since the file was written; the same result.
  [[nodiscard]] bool save(const overlay::LeaseTable& peers, Millis now);
  /// Since the start; those that failed, too.
  std::uint32_t writes() const { return writes_; }
  std::uint64_t written_bytes() const { return written_bytes_; }
  /// How long the peers should at least wait to be written again; it grows with the bytes of the last
  /// writing, whether that succeeded or not.
  Millis peers_wait(Millis now) const { return peers_next_ > now ? peers_next_ - now : 0; }

 private:
  using Path = Text<Files::kMaxPath>;
  void count(std::size_t bytes) {
    ++writes_;
    written_bytes_ += bytes;
  }
  void report_unusable(const Path& path, const Field& why);
  /// Reports that a file cannot be written, once for both if they fail together, and the end of it.
  bool report(const Path& path, const Result<void>& written, bool& failed, bool other_failed);
  /// True if the file is whole; then its digest is known.
  bool check_peers(const Path& path);

  Files& files_;
  Log& log_;
  const Settings& settings_;
  std::optional<std::uint32_t> peers_digest_;  ///< of the file as far as known
  bool peers_checked_ = false;                 ///< `peers_digest_` says what there is to know
  int unusable_ = 0;
  bool node_failed_ = false;
  bool peers_failed_ = false;
  Millis peers_next_ = 0;
  std::uint32_t writes_ = 0;
  std::uint64_t written_bytes_ = 0;
  SayOnce<> failure_reported_;
};

}  // namespace flannelette::agent
