// SPDX-License-Identifier: Apache-2.0
// The forms of a status: text, JSON, metrics.
#pragma once

#include <cstddef>
#include <cstdint>

#include "flannelette/base/text.hpp"
#include "flannelette/status/status.hpp"

namespace flannelette::status {

enum class Format : std::uint8_t {
  kText,     ///< for people
  kJson,     ///< for programs: "version": 1
  kMetrics,  ///< Prometheus' text format, 0.0.4
};

/// Streams the status of a source in one of its forms: the source is read at the beginning, its peers as they
/// are written, so that many need no memory. Peers that come or go meanwhile may be missing or double; each
/// is written as it was at that moment, and the form stays valid.
class Rendering {
 public:
  /// `source` outlives it.
  Rendering(const Source& source, Format format);
  /// Appends as much as there is room for, which may be one byte. False: that was the end of it.
  bool next(Writer& out);
  const Status& status() const { return status_; }

 private:
  void piece(Writer& out);

  const Source& source_;
  const Format format_;
  std::uint8_t part_ = 0;
  std::size_t row_ = 0;
  Status status_;
  Text<511> pending_;        ///< the piece under way ...
  std::size_t written_ = 0;  ///< ... of which so much was written
};

/// The body of /readyz where it is not: "not ready: watch: no word from the registry for 21 s", a line each.
void write_unready(Writer& out, const Status& status);

}  // namespace flannelette::status
