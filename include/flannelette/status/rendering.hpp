// SPDX-License-Identifier: Apache-2.0
// The forms of a status: text, JSON, metrics.
#pragma once

#include <cstddef>
#include <cstdint>

#include "flannelette/base/text.hpp"
#include "flannelette/status/status.hpp"

namespace flannelette::status {

struct Field;

enum class Format : std::uint8_t {
  kText,     ///< for people: what there is, a block for each part, and a line for each peer
  kJson,     ///< for programs: {"version":1, "ready":..., "<part>":{...}, ..., "peer_list":[...]}
  kMetrics,  ///< Prometheus' text format, 0.0.4
};

/// Streams the status of a source in one of its forms: the source is read at the beginning, its peers as they
/// are written, so that many need no memory. Peers that come or go meanwhile may be missing or double; each
/// is written as it was at that moment, and the form stays valid.
///
/// JSON: version 1 only ever grows. Names are those of the field table; what is not known is left out.
class Rendering {
 public:
  /// `source` outlives it.
  Rendering(const Source& source, Format format);
  /// Appends as much as there is room for, which may be one byte. False: that was the end of it.
  bool next(Writer& out);

 private:
  static constexpr std::size_t kMaxPiece = 768;

  void piece(Writer& out);
  void text(Writer& out, const Field& field);
  void json(Writer& out, const Field& field);
  void metric(Writer& out, const Field& field);
  void info(Writer& out) const;
  void peer(Writer& out, std::size_t index);

  const Source& source_;
  const Format format_;
  bool continued_ = false;          ///< the section has its heading; JSON: a comma is due
  const Field* section_ = nullptr;  ///< of the next row
  std::size_t row_ = 0;             ///< the next one of the field table, then of the peers
  Status status_{};
  Text<kMaxPiece> pending_;  ///< the piece under way ...
  std::size_t written_ = 0;  ///< ... of which so much was written
};

/// The body of /readyz where it is not: "not ready: watch: no word from the registry for 21 s", a line each.
void write_unready(Writer& out, const Status& status);

}  // namespace flannelette::status
