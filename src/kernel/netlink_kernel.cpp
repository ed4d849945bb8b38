// SPDX-License-Identifier: Apache-2.0
// The ports of the kernel, each call handed to the file that carries it out.
#include "flannelette/kernel/netlink_kernel.hpp"

#include <linux/netlink.h>

#include "address.hpp"
#include "entries.hpp"
#include "firewall.hpp"
#include "link.hpp"
#include "netlink_kernel_impl.hpp"
#include "offload.hpp"
#include "rule_table.hpp"
#include "senders.hpp"
#include "sysctl.hpp"
#include "udp_socket.hpp"
#include "vxlan_device.hpp"

namespace flannelette::kernel {

NetlinkKernel::NetlinkKernel(Files& files) : impl_(new Impl(files)) {}
NetlinkKernel::~NetlinkKernel() = default;

Result<void> NetlinkKernel::open(Nexthops nexthops) {
  FLT_TRY(impl_->route.open());
  auto has = has_nexthops(impl_->route);
  if (!has) return has.error();
  if (*has) impl_->nexthops = nexthops == Nexthops::kOff ? NexthopUse::kRemove : NexthopUse::kMake;
  return {};
}

Result<void> NetlinkKernel::dump_links(LinkVisitor& visitor) {
  return kernel::dump_links(impl_->route, visitor);
}
Result<void> NetlinkKernel::dump_addresses(AddressVisitor& visitor) {
  return kernel::dump_addresses(impl_->route, 0, visitor);
}
Result<void> NetlinkKernel::dump_routes(RouteVisitor& visitor) {
  return kernel::dump_routes(impl_->route, visitor);
}
Result<std::optional<RouteAnswer>> NetlinkKernel::route_to(const Ip& destination) {
  return kernel::route_to(impl_->route, destination);
}

Result<LinkTraffic> NetlinkKernel::traffic(int link_index) { return link_traffic(impl_->route, link_index); }
Result<std::optional<overlay::Device>> NetlinkKernel::find_device(std::string_view name) {
  auto found = kernel::find_device(impl_->route, name);
  // That of all links counts, too, which no message about a link has.
  if (found && *found) (*found)->strict_rp_filter = strict_rp_filter(name);
  return found;
}
Result<void> NetlinkKernel::dump_devices(DeviceVisitor& visitor) {
  return kernel::dump_devices(impl_->route, visitor);
}
UdpSocket NetlinkKernel::find_socket(std::uint16_t port) { return find_udp_socket(impl_->files, port); }
Result<void> NetlinkKernel::create_device(const overlay::DeviceSpec& spec) {
  return kernel::create_device(impl_->route, spec);
}
Result<void> NetlinkKernel::change_device(int index, const overlay::DeviceSpec& spec,
                                          const overlay::DevicePlan& plan) {
  return kernel::change_device(impl_->route, index, spec, plan);
}
Result<void> NetlinkKernel::delete_device(int index) { return kernel::delete_device(impl_->route, index); }
Result<bool> NetlinkKernel::set_device_address(int index, const Ip& address, const Net& network) {
  return kernel::set_device_address(impl_->route, index, address.v4(), network.v4());
}

Result<void> NetlinkKernel::dump_entries(const Site& site, EntryVisitor& visitor) {
  FLT_TRY(kernel::dump_entries(impl_->route, site, impl_->nexthops, visitor));
  if (!site.senders) return {};
  return dump_senders(impl_->netfilter, *site.senders, visitor);
}
EntryBatch& NetlinkKernel::begin(const Site& site, RefusalListener* listener) {
  impl_->batch.begin(site, impl_->nexthops, listener);
  return impl_->batch;
}

Result<bool> NetlinkKernel::apply_rules(const overlay::RuleSpec& spec) {
  return kernel::apply_rules(impl_->netfilter, spec);
}
Result<void> NetlinkKernel::inspect_firewall(const overlay::RuleSpec& spec, FindingVisitor& visitor) {
  return kernel::inspect_firewall(impl_->netfilter, impl_->files, spec, visitor);
}
Result<bool> NetlinkKernel::remove_flanneld_tables() {
  return kernel::remove_flanneld_tables(impl_->netfilter);
}

Result<bool> NetlinkKernel::ip_forward() { return kernel::ip_forward(impl_->files); }
Result<void> NetlinkKernel::set_ip_forward() { return kernel::set_ip_forward(impl_->files); }
bool NetlinkKernel::strict_rp_filter(std::string_view link) {
  return kernel::strict_rp_filter(impl_->files, link);
}
Result<void> NetlinkKernel::disable_accept_ra(std::string_view device) {
  return kernel::disable_accept_ra(impl_->files, device);
}

Result<bool> NetlinkKernel::set_tx_checksum(std::string_view link, bool on) {
  return kernel::set_tx_checksum(link, on);
}
Text<32> NetlinkKernel::driver(std::string_view link) { return kernel::driver(link); }

}  // namespace flannelette::kernel
