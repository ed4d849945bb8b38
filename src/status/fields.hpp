// SPDX-License-Identifier: Apache-2.0
// The field table: what of a status is shown, and under which names.
#pragma once

#include <cstdint>
#include <span>

#include "flannelette/status/status.hpp"

namespace flannelette::status {

/// A row of the table: a member of Status or PeerStatus, or the beginning of a section.
struct Field {
  enum class Kind : std::uint8_t {
    kSection,  ///< the fields after it: an object in JSON, a block of the text
    kNumber,
    kKnown,     ///< a number, 0: not known
    kDuration,  ///< milliseconds, 0: not known; shown in seconds, and its name says so in JSON and metrics
    kBoolean,
    kWords,
    kName,
    kNet,
    kIp,
    kMac,
    kState,
    kReason,
  };
  static constexpr std::uint8_t kCounter = 1;  ///< it never goes back while the agent runs
  static constexpr std::uint8_t kQuiet = 2;    ///< the text is without it

  std::uint16_t name_at;
  std::uint16_t help_at;
  std::uint16_t offset;
  Kind kind;
  std::uint8_t flags;

  /// In JSON; the metric's is made of it.
  const char* name() const;
  /// Of the metric; empty: there is none. A section with a label is one metric, its fields told apart by it:
  /// flannelette_repairs_total{kind="route"}. In others each field with a help is one:
  /// flannelette_registry_requests_total, of a counter. The fields without are labels of
  /// flannelette_<section>_info, if the section has a help.
  const char* help() const;
  /// Of a section; empty: it has none.
  const char* label() const;
  bool is_family() const { return *label() != '\0'; }
  bool bare() const { return kind <= Kind::kBoolean; }
  bool is(std::uint8_t flag) const { return (flags & flag) != 0; }
  bool is(Kind that) const { return kind == that; }
};

std::span<const Field> status_fields();  ///< the first section says why the node is not ready
std::span<const Field> peer_fields();

/// The value of this field, escaped as in a string of JSON, which a label of a metric is too; empty where
/// there is none.
using Value = Text<2 * Words::kCapacity>;
Value value_of(const Field& field, const void* of);

}  // namespace flannelette::status
