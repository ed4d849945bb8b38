// SPDX-License-Identifier: Apache-2.0
// What a Node is to the overlay.
#include "registry/kube/node_record.hpp"

#include "flannelette/json/document.hpp"
#include "flannelette/overlay/backend.hpp"

namespace flannelette::registry::kube {
namespace {

/// False: flannel would pass over the Node.
bool read_value(const Node& node, overlay::LeaseValue& value) {
  const std::optional<Ip> ip = parse_ip(node.annotation(Annotation::kPublicIp));
  if (!ip || !ip->is_v4()) return false;
  value.public_ip = *ip;
  value.backend = overlay::backend_type_of(node.annotation(Annotation::kBackendType));
  const overlay::Backend* backend = overlay::built_in(value.backend);
  if (backend == nullptr || backend->read_data == nullptr) return true;  // whatever its data are
  json::Document data(node.annotation(Annotation::kBackendData));
  return backend->read_data(data, value) && data.ends();
}

}  // namespace

std::optional<overlay::LeaseRecord> record_of(const Node& node, const PodCidrs& cidrs) {
  if (!node.managed() || !cidrs.v4 || cidrs.contradictory) return std::nullopt;
  overlay::LeaseRecord record{.key = {*cidrs.v4, cidrs.v6},
                              .value = {},
                              .readable = true,
                              .created = node.created,
                              .modified = node.created,
                              .lease = 0};
  if (node.overlong || !read_value(node, record.value)) {
    record.value = {};
    record.readable = false;
  }
  return record;
}

}  // namespace flannelette::registry::kube
