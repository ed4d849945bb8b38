// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "flannelette/overlay/lease.hpp"
#include "flannelette/registry/registry.hpp"
#include "registry/etcd/decode.hpp"
#include "registry/etcd/keys.hpp"

namespace flannelette::registry::etcd {

/// Makes lease records of the decoder's pairs. The value is parsed when it comes by, so that nobody has to
/// keep it.
class RecordBuilder {
 public:
  explicit RecordBuilder(const Keys& keys) : keys_(keys) {}

  void reset() { value_.reset(); }
  void on_value(std::string_view value) { value_ = overlay::parse_lease_value(value); }
  /// The record; nullopt for a foreign key. What must be skipped is reported to `listener` (deletions of
  /// foreign keys are not).
  std::optional<overlay::LeaseRecord> finish(const Pair& pair, MemberListener& listener) {
    const std::optional<overlay::LeaseValue> value = value_;
    value_.reset();
    if (pair.key_overlong) {
      if (!pair.removed) listener.on_skipped(pair.key, Skipped::kTooLarge);
      return std::nullopt;
    }
    const std::optional<overlay::LeaseKey> key = keys_.parse(pair.key);
    if (!key) {
      if (!pair.removed) listener.on_skipped(pair.key, Skipped::kForeignKey);
      return std::nullopt;
    }
    if (pair.value_overlong) listener.on_skipped(pair.key, Skipped::kTooLarge);
    return overlay::LeaseRecord{.key = *key,
                                .value = value.value_or(overlay::LeaseValue{}),
                                .readable = value.has_value(),
                                .created = pair.create_revision,
                                .modified = pair.mod_revision,
                                .lease = pair.lease};
  }

 private:
  const Keys& keys_;
  std::optional<overlay::LeaseValue> value_;
};

}  // namespace flannelette::registry::etcd
