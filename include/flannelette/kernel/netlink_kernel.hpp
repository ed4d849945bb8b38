// SPDX-License-Identifier: Apache-2.0
// The real kernel, as far as requests go.
#pragma once

#include <cstdint>
#include <memory>

#include "flannelette/base/files.hpp"
#include "flannelette/kernel/ports.hpp"

namespace flannelette::kernel {

/// Requests to the real kernel, by rtnetlink and nf_tables netlink (libmnl), procfs and ethtool's ioctl.
/// Needs no loop.
class NetlinkKernel final : public Links,
                            public DevicePort,
                            public EntryPort,
                            public RulesPort,
                            public SysctlPort,
                            public OffloadPort {
 public:
  explicit NetlinkKernel(Files& files);
  ~NetlinkKernel();
  enum class Nexthops : std::uint8_t {
    kAuto,  ///< new routes get nexthop objects if the kernel has them; plain ones that are right stay
    kOff,   ///< all routes are plain
  };
  /// Opens the socket for rtnetlink. Call once, before anything else.
  Result<void> open(Nexthops nexthops = Nexthops::kAuto);

  Result<void> dump_links(LinkVisitor& visitor) override;
  Result<void> dump_addresses(AddressVisitor& visitor) override;
  Result<void> dump_routes(RouteVisitor& visitor) override;
  Result<std::optional<RouteAnswer>> route_to(const Ip& destination) override;
  Result<LinkTraffic> traffic(int link_index) override;
  Result<std::optional<overlay::Device>> find_device(std::string_view name) override;
  Result<void> dump_devices(DeviceVisitor& visitor) override;
  UdpSocket find_socket(std::uint16_t port) override;
  Result<void> create_device(const overlay::DeviceSpec& spec) override;
  Result<void> change_device(int index, const overlay::DeviceSpec& spec,
                             const overlay::DevicePlan& plan) override;
  Result<void> delete_device(int index) override;
  Result<bool> set_device_address(int index, const Ip& address, const Net& network) override;
  Result<void> dump_entries(const Site& site, EntryVisitor& visitor) override;
  EntryBatch& begin(const Site& site, RefusalListener* listener = nullptr) override;
  Result<bool> apply_rules(const overlay::RuleSpec& spec) override;
  Result<void> inspect_firewall(const overlay::RuleSpec& spec, FindingVisitor& visitor) override;
  Result<bool> remove_flanneld_tables() override;
  Result<bool> ip_forward() override;
  Result<void> set_ip_forward() override;
  bool strict_rp_filter(std::string_view link) override;
  Result<void> disable_accept_ra(std::string_view device) override;
  Result<bool> set_tx_checksum(std::string_view link, bool on) override;
  Text<32> driver(std::string_view link) override;

 private:
  friend class Monitor;
  friend class Host;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::kernel
