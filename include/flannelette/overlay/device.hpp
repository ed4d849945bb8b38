// SPDX-License-Identifier: Apache-2.0
// The VXLAN device, as it is and as it should be.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "flannelette/base/ip.hpp"
#include "flannelette/base/text.hpp"

/// The VXLAN device (VTEP) as values, and the pure decision what to do about the one that is there.
namespace flannelette::overlay {

/// Length limit of a network interface's name, IFNAMSIZ - 1.
inline constexpr std::size_t kMaxInterfaceName = 15;
using InterfaceName = Text<kMaxInterfaceName>;

/// Bytes that VXLAN over IPv4 adds to a packet: outer IP 20, UDP 8, VXLAN 8, inner Ethernet 14.
inline constexpr std::uint32_t kVxlanOverhead4 = 50;

/// What we want the device to be. It is created without a lower link, so that it outlives its NIC; one that
/// is bound (flanneld's) is used as it is.
struct DeviceSpec {
  InterfaceName name;  ///< flannel.<VNI>
  std::uint32_t vni = 0;
  std::uint16_t port = 0;  ///< UDP destination port
  Ip4 local;  ///< outer source address; 0.0.0.0: the kernel chooses (PublicIP is not an address of this host)
  std::uint32_t mtu = 0;
  Mac mac;
  bool learning = false;
  bool gbp = false;
  bool operator==(const DeviceSpec&) const = default;
};

/// What the kernel has under that name.
struct Device {
  int index = 0;
  InterfaceName name;
  bool is_vxlan = false;
  bool external = false;  ///< collect-metadata mode
  bool up = false;
  std::uint32_t vni = 0;
  std::uint16_t port = 0;
  Ip4 local;
  int lower_index = 0;        ///< 0: not bound
  std::uint32_t max_mtu = 0;  ///< what the lower link allows; 0: anything
  int master_index = 0;       ///< the bridge (bond, VRF) that it is a port of; 0: none
  Ip4 group;                  ///< default remote, 0.0.0.0 if none
  std::uint32_t mtu = 0;
  Mac mac;
  bool learning = false;
  bool gbp = false;
  bool forwarding = true;         ///< IPv4: what comes in by it is forwarded
  bool strict_rp_filter = false;  ///< IPv4: what comes in by it is dropped if its source is reached otherwise
};

/// What to do, in this order: delete and create, or change in place; then set up.
struct DevicePlan {
  bool create = false;
  bool remove_first = false;  ///< something of that name exists and cannot be changed into what we want
  const char* reason = "";    ///< static: why it is made anew ("its UDP port differs"), for the log
  bool set_name = false;
  bool clear_master = false;
  bool set_local = false;
  bool set_learning = false;
  bool set_mtu = false;
  bool set_mac = false;  ///< flushes the kernel's permanent neighbours: an audit must follow
  bool set_forwarding = false;
  bool set_rp_filter = false;  ///< to loose (2), whatever that of all links is
  bool set_up = false;         ///< a device that was down has lost its routes: an audit must follow
  /// What is changed in place, for the log: "name,up". Empty: nothing.
  Text<64> changes() const;
  bool entries_lost() const { return create || set_mac || set_up; }
};

DevicePlan plan_device(const DeviceSpec& want, const std::optional<Device>& have);
/// The MTU that this device can have: the one wanted, unless its lower link allows less.
std::uint32_t mtu_on(const DeviceSpec& want, const Device& have);

/// "flannel.1"; without the dot from VNI 10,000,000 on, where flanneld's name is longer than an interface's
/// may be.
InterfaceName device_name(std::uint32_t vni);
/// MTU of the device over an underlay MTU (the interface's, or the config's MTU where that is smaller or the
/// interface allows it). 0 if the underlay is too small to carry anything (less than 68 + overhead).
std::uint32_t device_mtu(std::uint32_t interface_mtu, std::uint32_t config_mtu);

}  // namespace flannelette::overlay
