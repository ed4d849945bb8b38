// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "flannelette/base/files.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/kernel/kernel.hpp"

namespace flannelette::kernel {

/// The real kernel, by rtnetlink and nf_tables netlink (libmnl) and procfs.
class NetlinkKernel final : public Kernel {
 public:
  NetlinkKernel(io::Loop& loop, Files& files);
  ~NetlinkKernel() override;
  enum class Nexthops : std::uint8_t {
    kAuto,  ///< new routes get nexthop objects if the kernel has them; plain ones that are right stay
    kOff,   ///< all routes are plain
  };
  /// Opens the sockets and joins the notification groups. Call once, before anything else.
  Result<void> open(Nexthops nexthops = Nexthops::kAuto);

  Result<void> dump_links(LinkVisitor& visitor) override;
  Result<void> dump_addresses(AddressVisitor& visitor) override;
  Result<std::optional<RouteAnswer>> default_route() override;
  Result<std::optional<RouteAnswer>> route_to(Ip4 destination) override;
  Result<std::optional<overlay::Device>> find_device(std::string_view name) override;
  Result<void> create_device(const overlay::DeviceSpec& spec) override;
  Result<void> change_device(int index, const overlay::DeviceSpec& spec,
                             const overlay::DevicePlan& plan) override;
  Result<void> delete_device(int index) override;
  Result<void> set_device_address(int index, Ip4 address, Net4 network) override;
  Result<void> dump_entries(int index, Net4 network, EntryVisitor& visitor) override;
  void begin(int index, Net4 network) override;
  void queue(const overlay::Change& change) override;
  Result<BatchReport> finish() override;
  Result<bool> apply_rules(const overlay::RuleSpec& spec) override;
  Result<void> inspect_firewall(const overlay::RuleSpec& spec, FindingVisitor& visitor) override;
  Result<bool> ip_forward() override;
  Result<void> set_ip_forward() override;
  Result<void> disable_accept_ra(std::string_view name) override;
  void set_doorbell(Delegate<void(const Ring&)> doorbell) override;
  std::uint32_t times_down() const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::kernel
