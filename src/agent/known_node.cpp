// SPDX-License-Identifier: Apache-2.0
// Who this node is, as what it left behind says.
#include "flannelette/agent/known_node.hpp"

#include <array>

#include "agent/state_files.hpp"
#include "flannelette/overlay/subnet_env.hpp"

namespace flannelette::agent {
namespace {

using overlay::Device;
using overlay::NodeState;

struct AddressSearch final : kernel::AddressVisitor {
  AddressSearch(int on_link, Ip4 ip) : link_index(on_link), wanted{ip, 32} {}
  void address(const kernel::Address& address) override {
    found = found || (address.link_index == link_index && address.net == Net(wanted));
  }
  int link_index;
  Net4 wanted;
  bool found = false;
};

}  // namespace

std::optional<Device> vxlan_named(kernel::DevicePort& port, std::string_view name) {
  const auto found = port.find_device(name);
  return found && *found && (*found)->is_vxlan ? *found : std::nullopt;
}

Result<std::optional<NodeState>> find_node(kernel::Links& links, kernel::DevicePort& port, Files& files,
                                           Log& log, const Settings& settings) {
  StateFiles state(files, log, settings);
  std::optional<NodeState> node = state.load_node();
  if (node) return node;
  const std::optional<NodeState> nobody;
  std::array<char, overlay::kMaxSubnetFile> buffer;
  const auto text = files.read(settings.subnet_file, buffer);
  const std::string_view env = text ? text->value_or("") : std::string_view{};
  const auto network = overlay::previous_network(env);
  const auto subnet = overlay::previous_subnet(env);
  const auto device = vxlan_named(port, overlay::device_name(overlay::NetworkConfig{}.vni));
  // flanneld binds its own.
  if (network && subnet && device && device->lower_index == 0) {
    AddressSearch search(device->index, subnet->base);
    if (links.dump_addresses(search) && search.found) {
      node.emplace();
      node->config.network = *network;
      node->subnet = *subnet;
      node->mac = device->mac;
      return node;
    }
  }
  if (state.unusable() != 0) return Error{Code::kInvalid, 0, "the state file cannot be used"};
  return nobody;
}

}  // namespace flannelette::agent
