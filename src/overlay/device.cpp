// SPDX-License-Identifier: Apache-2.0
// What must be done to a device to make it the one that is wanted.
#include "flannelette/overlay/device.hpp"

#include <utility>

namespace flannelette::overlay {
namespace {

/// The smallest MTU that IPv4 allows a link (RFC 791).
constexpr std::uint32_t kMinIp4Mtu = 68;

/// Why the device cannot be changed into what we want, nullptr if it can. The kernel refuses to change these
/// in place; a default remote it lets change, but not on all kernels that we run on.
const char* obstacle(const DeviceSpec& want, const Device& have) {
  if (!have.is_vxlan) return "it is not a VXLAN device";
  if (have.external) return "it is in external (collect-metadata) mode";
  if (have.vni != want.vni) return "its VNI differs";
  if (have.port != want.port) return "its UDP port differs";
  if (have.gbp != want.gbp) return "its GBP setting differs";
  if (have.group.value != 0) return "it has a default remote";
  return nullptr;
}

}  // namespace

DevicePlan plan_device(const DeviceSpec& want, const std::optional<Device>& have) {
  DevicePlan plan;
  const char* reason = have ? obstacle(want, *have) : "it does not exist";
  if (reason != nullptr) {
    plan.create = true;
    plan.remove_first = have.has_value();
    plan.reason = reason;
    plan.set_up = true;  // created with all the rest, but down
    return plan;
  }
  plan.set_name = have->name != want.name;
  plan.clear_master = have->master_index != 0;
  plan.set_local = have->local != want.local;
  plan.set_learning = have->learning != want.learning;
  plan.set_mtu = have->mtu != mtu_on(want, *have);
  plan.set_mac = have->mac != want.mac;
  plan.set_forwarding = !have->forwarding;
  plan.set_rp_filter = have->strict_rp_filter;
  plan.set_up = !have->up;
  return plan;
}

Text<64> DevicePlan::changes() const {
  const std::pair<bool, std::string_view> all[] = {{set_name, "name"},
                                                   {clear_master, "master"},
                                                   {set_local, "local"},
                                                   {set_learning, "learning"},
                                                   {set_mtu, "mtu"},
                                                   {set_mac, "mac"},
                                                   {set_forwarding, "forwarding"},
                                                   {set_rp_filter, "rp_filter"},
                                                   {set_up, "up"}};
  return to_text<64>([&](Writer& out) {
    for (const auto& [done, name] : all) {
      if (done) out.put(out.size() > 0 ? "," : "").put(name);
    }
  });
}

std::uint32_t mtu_on(const DeviceSpec& want, const Device& have) {
  return have.max_mtu != 0 && have.max_mtu < want.mtu ? have.max_mtu : want.mtu;
}

InterfaceName device_name(std::uint32_t vni) {
  // flanneld's name, as long as it fits: from 10,000,000 on the dot must go ("flannel16777215" has just the
  // 15 bytes).
  return to_text<kMaxInterfaceName>(
      [&](Writer& out) { out.put(vni < 10'000'000 ? "flannel." : "flannel").put_unsigned(vni); });
}

std::uint32_t device_mtu(std::uint32_t interface_mtu, std::uint32_t config_mtu) {
  const std::uint32_t underlay = config_mtu != 0 && config_mtu < interface_mtu ? config_mtu : interface_mtu;
  return underlay < kMinIp4Mtu + kVxlanOverhead4 ? 0 : underlay - kVxlanOverhead4;
}

}  // namespace flannelette::overlay
