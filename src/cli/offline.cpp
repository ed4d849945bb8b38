// SPDX-License-Identifier: Apache-2.0
// What this node is while no agent runs.
#include "cli/offline.hpp"

#include "flannelette/overlay/backend.hpp"

namespace flannelette::cli {

Offline::Offline(const RunSettings& settings) {
  (void)kernel_.open(kernel::NetlinkKernel::Nexthops::kAuto);
  if (auto found = agent::find_node(kernel_, kernel_, files_, log_, settings.agent)) node_ = *found;
  if (node_) device_ = agent::vxlan_named(kernel_, overlay::device_name(node_->config.vni));
}

void Offline::read(status::Status& status) const {
  status.node.state = "no agent answers";
  status.unready.watch = std::string_view(status.node.state);
  if (!node_) return;
  const overlay::Backend& backend = overlay::backend_of(node_->config);
  auto& node = status.node;
  node.network = node_->config.network;
  node.subnet = node_->subnet;
  node.mac = node_->mac;
  node.public_ip = node_->public_ip;
  node.backend = backend.type.data();
  status.lease.state = "cached";
  if (device_) {
    node.device = device_->name.view();
    node.mtu_bytes = device_->mtu;
    node.vni = device_->vni;
    node.port = device_->port;
  } else if (backend.device != nullptr) {
    status.unready.kernel = std::string_view("the device is missing");
  }
}

}  // namespace flannelette::cli
