// SPDX-License-Identifier: Apache-2.0
// What is read of a Node object.
#include "registry/kube/node.hpp"

namespace flannelette::registry::kube {

void PodCidrs::add(std::string_view text) {
  const std::optional<Net> parsed = parse_net(text);
  if (!parsed) return;
  const Net net = parsed->masked();
  const auto take = [&](auto& slot, const auto& value) {
    if (!slot) slot = value;
    contradictory |= *slot != value;
  };
  if (net.is_v4()) {
    take(v4, net.v4());
  } else {
    take(v6, Net6{net.base.v6(), net.length});
  }
}

}  // namespace flannelette::registry::kube
