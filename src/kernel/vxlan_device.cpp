// SPDX-License-Identifier: Apache-2.0
// The VXLAN device: find, create, change in place, delete.
#include "vxlan_device.hpp"

#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>

namespace flannelette::kernel {
namespace {

/// IPv4 settings of the device, by IPV4_DEVCONF_...: rtnetlink has those of /proc/sys/net/ipv4/conf, also
/// where that is read-only.
bool is_forwarding(const Attributes& link) {
  const auto settings = link.nested(IFLA_AF_SPEC).nested(AF_INET).bytes(IFLA_INET_CONF);
  std::uint32_t forwarding = 1;
  if (settings.size() >= sizeof forwarding) std::memcpy(&forwarding, settings.data(), sizeof forwarding);
  return forwarding != 0;
}
static_assert(IPV4_DEVCONF_FORWARDING == 1, "it is the first one");

void put_settings(MessageWriter& out, const overlay::DevicePlan& plan) {
  const auto families = out.nest(IFLA_AF_SPEC);
  const auto family = out.nest(AF_INET);
  const auto settings = out.nest(IFLA_INET_CONF);
  if (plan.set_forwarding) out.put_u32(IPV4_DEVCONF_FORWARDING, 1);
  if (plan.set_rp_filter) out.put_u32(IPV4_DEVCONF_RP_FILTER, 2);
  out.end(settings);
  out.end(family);
  out.end(families);
}

constexpr const char* kNoVxlan =
    "no vxlan in this kernel: load the vxlan module (kmod-vxlan, linux-modules-extra-raspi)";

void read_device(const ifinfomsg& header, const Attributes& attributes, overlay::Device& device) {
  device.index = header.ifi_index;
  device.name = InterfaceName(attributes.text(IFLA_IFNAME));
  device.up = (header.ifi_flags & IFF_UP) != 0;
  device.forwarding = is_forwarding(attributes);
  device.mtu = attributes.u32(IFLA_MTU, 0);
  device.mac = attributes.mac(IFLA_ADDRESS).value_or(Mac{});
  device.master_index = static_cast<int>(attributes.u32(IFLA_MASTER, 0));
  const Attributes info = attributes.nested(IFLA_LINKINFO);
  device.is_vxlan = info.text(IFLA_INFO_KIND) == kVxlanKind;
  if (!device.is_vxlan) return;
  const Attributes data = info.nested(IFLA_INFO_DATA);
  device.external = data.u8(IFLA_VXLAN_COLLECT_METADATA).value_or(0) != 0;
  device.vni = data.u32(IFLA_VXLAN_ID, 0);
  device.port = data.be16(IFLA_VXLAN_PORT).value_or(0);
  device.local = data.ip4(IFLA_VXLAN_LOCAL, Ip4{});
  device.lower_index = static_cast<int>(data.u32(IFLA_VXLAN_LINK, 0));
  device.group = data.ip4(IFLA_VXLAN_GROUP, Ip4{});
  device.learning = data.u8(IFLA_VXLAN_LEARNING).value_or(0) != 0;
  device.gbp = data.has(IFLA_VXLAN_GBP);
}

/// The MTU of a device over this link; 0: unknown.
std::uint32_t mtu_over(Netlink& netlink, int lower_index) {
  netlink.request<ifinfomsg>(RTM_GETLINK).ifi_index = lower_index;
  netlink.out().put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  std::uint32_t mtu = 0;
  (void)netlink.get("find the device's lower link", [&](const nlmsghdr& message) {
    if (message.nlmsg_type == RTM_NEWLINK) mtu = attributes_of<ifinfomsg>(message).u32(IFLA_MTU, 0);
  });
  return mtu > overlay::kVxlanOverhead4 ? mtu - overlay::kVxlanOverhead4 : 0;
}

/// Begins RTM_NEWLINK for a link that exists.
ifinfomsg& request_change(Netlink& netlink, int index) {
  auto& request = netlink.request<ifinfomsg>(RTM_NEWLINK);
  request.ifi_index = index;
  return request;
}

Result<void> set_state(Netlink& netlink, int index, bool up) {
  ifinfomsg& request = request_change(netlink, index);
  request.ifi_flags = up ? IFF_UP : 0;
  request.ifi_change = IFF_UP;
  return netlink.run("set the device's state");
}

/// Before Linux 6.2 only what is down can be renamed.
Result<void> rename(Netlink& netlink, int index, std::string_view name) {
  const auto once = [&] {
    request_change(netlink, index);
    netlink.out().put_text(IFLA_IFNAME, name);
    return netlink.run("rename the device");
  };
  const auto renamed = once();
  if (renamed || renamed.error().sys_errno != EBUSY) return renamed;
  FLT_TRY(set_state(netlink, index, false));
  FLT_TRY(once());
  return set_state(netlink, index, true);
}

Result<void> change_vxlan(Netlink& netlink, int index, const overlay::DeviceSpec& spec,
                          const overlay::DevicePlan& plan) {
  request_change(netlink, index);
  MessageWriter& out = netlink.out();
  const auto info = out.nest(IFLA_LINKINFO);
  out.put_text(IFLA_INFO_KIND, kVxlanKind);
  const auto data = out.nest(IFLA_INFO_DATA);
  // Only what changes: the kernel refuses the port and the MTU here, even if they stay the same.
  out.put_u32(IFLA_VXLAN_ID, spec.vni);
  if (plan.set_local) out.put_ip4(IFLA_VXLAN_LOCAL, spec.local);
  if (plan.set_learning) out.put_u8(IFLA_VXLAN_LEARNING, spec.learning ? 1 : 0);
  out.end(data);
  out.end(info);
  return netlink.run("change the vxlan device");
}

}  // namespace

Result<std::optional<overlay::Device>> find_device(Netlink& netlink, std::string_view name) {
  netlink.request<ifinfomsg>(RTM_GETLINK);
  netlink.out().put_text(IFLA_IFNAME, name);
  netlink.out().put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  std::optional<overlay::Device> found;
  const auto asked = netlink.get("find the device", [&](const nlmsghdr& message) {
    const auto* header = header_of<ifinfomsg>(message);
    if (message.nlmsg_type == RTM_NEWLINK && header != nullptr) {
      read_device(*header, attributes_of<ifinfomsg>(message), found.emplace());
    }
  });
  if (!asked && asked.error().sys_errno != ENODEV) return asked.error();
  if (found && found->lower_index != 0) found->max_mtu = mtu_over(netlink, found->lower_index);
  return found;
}

Result<void> dump_devices(Netlink& netlink, DeviceVisitor& visitor) {
  netlink.request<ifinfomsg>(RTM_GETLINK);
  MessageWriter& out = netlink.out();
  out.put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  const auto info = out.nest(IFLA_LINKINFO);
  out.put_text(IFLA_INFO_KIND, kVxlanKind);
  out.end(info);
  return netlink.dump("list vxlan devices", [&](const nlmsghdr& message) {
    const auto* header = header_of<ifinfomsg>(message);
    if (message.nlmsg_type != RTM_NEWLINK || header == nullptr) return;
    overlay::Device device;
    read_device(*header, attributes_of<ifinfomsg>(message), device);
    if (device.is_vxlan) visitor.device(device);
  });
}

Result<void> create_device(Netlink& netlink, const overlay::DeviceSpec& spec) {
  netlink.request<ifinfomsg>(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  MessageWriter& out = netlink.out();
  out.put_text(IFLA_IFNAME, spec.name);
  out.put_mac(IFLA_ADDRESS, spec.mac);
  out.put_u32(IFLA_MTU, spec.mtu);
  out.put_u32(IFLA_TXQLEN, 0);
  const auto info = out.nest(IFLA_LINKINFO);
  out.put_text(IFLA_INFO_KIND, kVxlanKind);
  const auto data = out.nest(IFLA_INFO_DATA);
  out.put_u32(IFLA_VXLAN_ID, spec.vni);
  if (spec.local != Ip4{}) out.put_ip4(IFLA_VXLAN_LOCAL, spec.local);
  out.put_u8(IFLA_VXLAN_TTL, 0);
  out.put_u8(IFLA_VXLAN_TOS, 0);
  out.put_u8(IFLA_VXLAN_LEARNING, spec.learning ? 1 : 0);
  out.put_u8(IFLA_VXLAN_PROXY, 0);
  out.put_u8(IFLA_VXLAN_RSC, 0);
  out.put_u8(IFLA_VXLAN_L2MISS, 0);
  out.put_u8(IFLA_VXLAN_L3MISS, 0);
  out.put_be16(IFLA_VXLAN_PORT, spec.port);
  if (spec.gbp) out.put_flag(IFLA_VXLAN_GBP);
  out.end(data);
  out.end(info);
  const auto created = netlink.run("create the vxlan device");
  if (created) return {};
  Error error = created.error();
  if (error.code == Code::kUnsupported) {
    error.context = kNoVxlan;
  } else if (error.code == Code::kExists) {
    error.context = "create the vxlan device: its VNI and UDP port are in use";
  }
  return error;
}

Result<void> try_vxlan(Netlink& netlink) {
  netlink.request<ifinfomsg>(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  MessageWriter& out = netlink.out();
  const auto info = out.nest(IFLA_LINKINFO);
  out.put_text(IFLA_INFO_KIND, kVxlanKind);
  out.end(info);
  const auto tried = netlink.run("ask for a vxlan device");
  // Its settings are missing, as vxlan itself finds.
  if (tried || tried.error().sys_errno == EINVAL) return {};
  Error error = tried.error();
  if (error.code == Code::kUnsupported) error.context = kNoVxlan;
  return error;
}

namespace {

Result<void> change_link(Netlink& netlink, int index, const overlay::DeviceSpec& spec,
                         const overlay::DevicePlan& plan) {
  ifinfomsg& request = request_change(netlink, index);
  if (plan.set_up) {
    request.ifi_flags = IFF_UP;
    request.ifi_change = IFF_UP;
  }
  if (plan.clear_master) netlink.out().put_u32(IFLA_MASTER, 0);
  if (plan.set_mtu) netlink.out().put_u32(IFLA_MTU, spec.mtu);
  if (plan.set_mac) netlink.out().put_mac(IFLA_ADDRESS, spec.mac);
  const auto changed = netlink.run("set the device's master, MTU, MAC or state");
  if (!changed && changed.error().sys_errno == EADDRINUSE) {
    return Error{Code::kExists, EADDRINUSE, "set the device up: its UDP port is in use"};
  }
  return changed;
}

}  // namespace

Result<void> change_device(Netlink& netlink, int index, const overlay::DeviceSpec& spec,
                           const overlay::DevicePlan& plan) {
  if (plan.set_name) FLT_TRY(rename(netlink, index, spec.name));
  if (plan.set_local || plan.set_learning) FLT_TRY(change_vxlan(netlink, index, spec, plan));
  if (plan.clear_master || plan.set_mtu || plan.set_mac || plan.set_up)
    FLT_TRY(change_link(netlink, index, spec, plan));
  // Alone and last: a device whose MTU was below 68 had no IPv4 settings, and what is refused here must not
  // keep the others from being repaired.
  if (!plan.set_forwarding && !plan.set_rp_filter) return {};
  request_change(netlink, index);
  put_settings(netlink.out(), plan);
  return netlink.run("set the device's forwarding and rp_filter");
}

Result<void> delete_device(Netlink& netlink, int index) {
  auto& request = netlink.request<ifinfomsg>(RTM_DELLINK);
  request.ifi_index = index;
  const auto deleted = netlink.run("delete the device");
  if (!deleted && deleted.error().sys_errno == ENODEV) return {};
  return deleted;
}

}  // namespace flannelette::kernel
