// SPDX-License-Identifier: Apache-2.0
// The field table: what of a status is shown, and under which names.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "flannelette/status/status.hpp"

namespace flannelette::status {

/// One member of a Status, a PeerStatus, or an array in them.
struct Field {
  enum class Kind : std::uint8_t { kNumber, kBoolean, kWords, kName, kNet, kIp, kMac, kState, kReason };
  static constexpr std::uint8_t kCounter = 1;  ///< it never goes back while the agent runs
  static constexpr std::uint8_t kQuiet = 2;    ///< the text is without it

  const char* name;  ///< in JSON; the metric's is made of it
  const char* help;  ///< of the metric; nullptr: there is none
  std::uint16_t offset;
  Kind kind = Kind::kNumber;
  std::uint8_t flags = 0;

  bool bare() const { return kind <= Kind::kBoolean; }
  bool is(std::uint8_t flag) const { return (flags & flag) != 0; }
};

/// Fields that go together: an object in JSON, a block of the text.
struct Section {
  const char* name;
  /// The fields are one metric, told apart by this label: flannelette_repairs_total{kind="route"}. nullptr:
  /// each is a metric of its own, flannelette_registry_requests_total. The word "_total" is a counter's.
  const char* label;
  const char* help;  ///< of that metric; without a label, of flannelette_<name>_info, which has the fields
                     ///< without help
  std::span<const Field> fields;
};

extern const std::span<const Section> kSections;  ///< of Status; the first one is `unready`
extern const std::span<const Field> kPeerFields;  ///< of PeerStatus

/// Appends the value of this field of a Status or PeerStatus, escaped as in a string of JSON, which a label
/// of a metric is too; nothing where there is none.
void put_value(Writer& out, const Field& field, const void* of);

}  // namespace flannelette::status
