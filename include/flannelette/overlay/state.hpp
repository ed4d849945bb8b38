// SPDX-License-Identifier: Apache-2.0
// What a node remembers over a reboot.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/overlay/config.hpp"
#include "flannelette/overlay/lease_table.hpp"

/// What a node remembers over a reboot, so that it comes up without the registry: who it is, and its peers.
/// Two files, because the first is small and must be right at once, and the second is large and may lag. Both
/// carry a version and a CRC-32: a file that is torn, foreign or of another version is as good as none. Pure.
namespace flannelette::overlay {

/// Why a file is not used.
enum class StateProblem : std::uint8_t {
  kForeign,       ///< not one of ours
  kOtherVersion,  ///< written by another version of this program
  kDamaged,
};
std::string_view name(StateProblem problem);

/// Who we are. Text, one "key value" a line.
struct NodeState {
  static constexpr std::size_t kMaxText = 512;

  NetworkConfig config;  ///< without port: host-gw, which has no MAC either
  Net4 subnet;
  Mac mac;
  Ip4 public_ip;
  bool operator==(const NodeState&) const = default;
};
void write(Writer& out, const NodeState& state);
/// nullopt, with the problem, also for values that cannot be ours (a subnet outside Network, a MAC that is
/// none).
std::optional<NodeState> parse_node_state(std::string_view text, StateProblem& problem);

/// The valid records of the table but our own, 32 bytes each.
class PeerStateSource final : public PieceSource {
 public:
  explicit PeerStateSource(const LeaseTable& peers) : peers_(peers) {}
  void write_to(Pieces& out) override;
  /// Tells contents apart. Ages, which every renewal changes, do not count.
  std::uint32_t digest() const;
  /// Bytes that write_to() gave last; 0: it was not asked.
  std::size_t written() const { return written_; }

 private:
  const LeaseTable& peers_;
  std::size_t written_ = 0;
};

/// Reads what PeerStateSource wrote, cut anywhere. Without a table it only checks: a file should be read for
/// that first, because records go into the table before the end shows whether all is well.
class PeerStateReader final : public Pieces {
  static constexpr std::size_t kRecord = 32;

 public:
  /// Of the largest file: every record, the header and the sum.
  static constexpr std::uint64_t kMaxFile = (LeaseTable::kMaxRecords + 2) * std::uint64_t{kRecord};
  explicit PeerStateReader(LeaseTable* into = nullptr) : into_(into) {}
  void piece(std::string_view text) override;
  /// After the last piece; nullopt: all is well.
  std::optional<StateProblem> problem() const;
  std::uint32_t digest() const { return digest_; }
  std::size_t records() const { return total_; }

 private:
  void take_header();
  void take_record();

  LeaseTable* into_;
  std::array<char, kRecord> unit_{};  ///< the header, a record or the sum under way
  std::size_t filled_ = 0;
  bool header_read_ = false;
  std::optional<StateProblem> problem_;
  std::uint32_t digest_ = 0;
  std::uint32_t total_ = 0;
  std::uint32_t read_ = 0;
  std::uint32_t crc_ = 0;
  bool ended_ = false;  ///< the sum was read
};

}  // namespace flannelette::overlay
