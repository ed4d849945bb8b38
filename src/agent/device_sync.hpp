// SPDX-License-Identifier: Apache-2.0
// The device of this node.
#pragma once

#include <cstdint>
#include <optional>

#include "agent/repairs.hpp"
#include "agent/target.hpp"
#include "flannelette/agent/settings.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/base/say_once.hpp"
#include "flannelette/kernel/ports.hpp"
#include "flannelette/overlay/entry_plan.hpp"
#include "flannelette/overlay/state.hpp"

namespace flannelette::agent {

/// Keeps our device and its address as they should be. Where the entries of peers may have gone with a change
/// of it, the entry plan is invalidated.
class DeviceSync {
 public:
  DeviceSync(const kernel::Ports& kernel, Log& log, const Settings& settings, Repairs& repairs,
             overlay::EntryPlan& plan)
      : kernel_(kernel), log_(log), settings_(settings), repairs_(repairs), plan_(plan) {}

  /// Compares, and writes what differs. kExists: the name, the VNI or the UDP port is taken; who has it is
  /// logged.
  Result<void> converge(const Target& target, Millis now);
  /// The error of what the last converge() left as it was, since another program keeps changing it.
  Result<void> left() const;
  /// Of the last converge(); 0: the backend has none.
  int index() const { return index_; }
  /// For the pods: that of the device, else the underlay's.
  std::uint32_t mtu() const { return mtu_; }
  /// Index of the device of this VNI; 0: there is none.
  int find(std::uint32_t vni);
  /// Removes devices, and rules, of an earlier config. Ours is a device that has the name of its VNI, and our
  /// MAC or the one in `former`, what the state file says of the time before the restart. Without that it
  /// does so once only. Rules go only if those of the target are there (`rules`).
  Result<void> remove_former(const Target& target, const overlay::NodeState* former, bool rules);

 private:
  Result<void> converge(const Target& target, overlay::DeviceSpec spec);
  Result<void> plan_device(const overlay::DeviceSpec& spec, std::optional<overlay::Device>& have,
                           overlay::DevicePlan& plan);
  bool is_left(std::size_t damage);
  void take_out_left(overlay::DevicePlan& plan);
  void count_repair(std::size_t damage, Millis now);
  Result<void> find_device(const overlay::DeviceSpec& spec, std::optional<overlay::Device>& have);
  Result<void> create_device(const overlay::DeviceSpec& spec, std::optional<overlay::Device>& have);
  Result<void> change_device(const overlay::DeviceSpec& spec, int index, const overlay::DevicePlan& plan);
  Error report(const char* text, const overlay::DeviceSpec& spec, const Error& error);
  void set_sysctls(const Target& target, const kernel::InterfaceName& device);
  void disable_accept_ra(const kernel::InterfaceName& device);
  void set_offload(const Target& target, const kernel::InterfaceName& device);

  const kernel::Ports kernel_;
  Log& log_;
  const Settings& settings_;
  Repairs& repairs_;
  overlay::EntryPlan& plan_;
  std::optional<overlay::DeviceSpec> made_;  ///< as it was when last all was right
  // Bits of the kinds of damage, in the order of device_sync.cpp.
  std::uint16_t left_to_others_ = 0;  ///< not to be repaired now
  std::uint16_t left_ = 0;            ///< met, and left so
  std::uint16_t repaired_ = 0;
  int index_ = 0;
  std::uint32_t mtu_ = 0;
  std::uint32_t times_down_ = 0;  ///< of the kernel, when the entries were last known to be there
  bool searched_ = false;         ///< for devices of an earlier config
  SayOnce<> reported_;
  SayOnce<> sysctl_reported_;
  SayOnce<> rp_filter_reported_;
  SayOnce<> offload_reported_;
};

}  // namespace flannelette::agent
