// SPDX-License-Identifier: Apache-2.0
// What is written on our own Node.
#pragma once

#include <string_view>

#include "flannelette/json/writer.hpp"
#include "flannelette/overlay/backend.hpp"
#include "flannelette/overlay/lease.hpp"
#include "registry/kube/annotations.hpp"
#include "registry/kube/node.hpp"

/// Bodies of PATCH /api/v1/nodes/NAME/status, application/strategic-merge-patch+json. They carry the uid of
/// the Node that was seen: where the Node was made anew meanwhile, the API server refuses them.
namespace flannelette::registry::kube {

/// Of a body.
inline constexpr std::size_t kMaxPatch = 2048;

/// Whether the Node's annotations are, byte for byte, what we would write.
bool publishes(const Node& node, const overlay::Backend& backend, const overlay::LeaseValue& value);

/// The four annotations of an IPv4 peer, as flanneld writes them: backend-data without blanks and with the
/// MAC last, since flanneld finds a MAC in it by its place.
void write_annotations(json::Writer& out, const AnnotationPrefix& prefix, std::string_view uid,
                       const overlay::Backend& backend, const overlay::LeaseValue& value);

/// Takes these four off the Node; what others have added stays.
void write_no_annotations(json::Writer& out, const AnnotationPrefix& prefix, std::string_view uid);

/// The condition NetworkUnavailable, "False", with flanneld's words; the others stay. `now`: as RFC 3339 has
/// it, "2026-11-27T10:11:12Z".
void write_network_available(json::Writer& out, std::string_view uid, std::string_view now);

}  // namespace flannelette::registry::kube
