// SPDX-License-Identifier: Apache-2.0
// What is read of a Node object.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "flannelette/base/ip.hpp"
#include "flannelette/base/text.hpp"
#include "registry/kube/annotations.hpp"

namespace flannelette::registry::kube {

/// The pod CIDRs of a Node: at most one a family. They never change for a uid.
struct PodCidrs {
  std::optional<Net4> v4;
  std::optional<Net6> v6;
  /// Two different ones of a family, as only forged managed fields have them. Neither is to be used.
  bool contradictory = false;

  /// What is no prefix is passed over; host bits are masked off, as flanneld does it.
  void add(std::string_view text);
};

/// Of a full Node or of its metadata alone.
struct Node {
  static constexpr std::size_t kMaxName = 253;        ///< Kubernetes': a DNS subdomain
  static constexpr std::size_t kMaxUid = 64;          ///< a UUID has 36
  static constexpr std::size_t kMaxAnnotation = 256;  ///< of a value

  Text<kMaxName> name;
  Text<kMaxUid> uid;
  std::int64_t resource_version = 0;  ///< 0: absent, or no number
  /// The digits of creationTimestamp, "2026-11-27T10:11:12Z", as one number: 20261127101112. It serves as an
  /// age, so no calendar is needed. 0: absent or malformed.
  std::int64_t created = 0;
  std::array<Text<kMaxAnnotation>, kAnnotationCount> annotations;  ///< empty: absent, or over its limit
  PodCidrs spec_cidrs;                                             ///< of spec
  PodCidrs managed_cidrs;                                          ///< that managedFields show in spec
  bool full = false;                                               ///< with spec and status
  bool has_managed_fields = false;
  bool overlong = false;           ///< name, uid or one of these annotations is over its limit, and empty
  bool network_available = false;  ///< full, and its condition NetworkUnavailable is "False"

  std::string_view annotation(Annotation which) const { return annotations[static_cast<std::size_t>(which)]; }
  /// Whether a flannel runs there; without it flannel does not see the Node.
  bool managed() const { return annotation(Annotation::kManager) == "true"; }
  const PodCidrs& pod_cidrs() const { return full ? spec_cidrs : managed_cidrs; }
  /// False: its pod CIDRs are not assigned yet, or its managed fields were stripped or contradict each other.
  /// Only a read of the full Node tells.
  bool shows_pod_cidrs() const {
    return full || (!managed_cidrs.contradictory && (managed_cidrs.v4 || managed_cidrs.v6));
  }
};

}  // namespace flannelette::registry::kube
