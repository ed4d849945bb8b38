// SPDX-License-Identifier: Apache-2.0
// The names of flannel's annotations on a Node.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"

namespace flannelette::registry::kube {

enum class Annotation : std::uint8_t {
  kBackendData,
  kBackendType,
  kBackendV6Data,
  kManager,
  kPublicIp,
  kPublicIpOverwrite,
  kPublicIpv6,
};
inline constexpr std::size_t kAnnotationCount = 7;

/// The name without its prefix: "backend-data".
std::string_view name(Annotation annotation);

/// What all names begin with: "flannel.alpha.coreos.com/", or "example.org/overlay-" of a cluster with more
/// than one flannel.
class AnnotationPrefix {
 public:
  /// Kubernetes' limits of a name before and after its slash.
  static constexpr std::size_t kMaxDomain = 253;
  static constexpr std::size_t kMaxName = 63;
  using Key = Text<kMaxDomain + 1 + kMaxName>;

  /// flannel's default.
  AnnotationPrefix() : text_("flannel.alpha.coreos.com/") {}
  /// As flanneld completes it: without a slash one is added, after anything behind the slash a '-'. An error
  /// says what is wrong with --kube-annotation-prefix.
  static Result<AnnotationPrefix> parse(std::string_view text);

  std::string_view view() const { return text_; }
  /// The annotation with this name; nullopt: it is none of flannel's, or has another prefix.
  std::optional<Annotation> find(std::string_view key) const;
  Key key(Annotation annotation) const;

 private:
  Key text_;
};

}  // namespace flannelette::registry::kube
