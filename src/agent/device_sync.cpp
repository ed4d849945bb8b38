// SPDX-License-Identifier: Apache-2.0
// Convergence of the device: what there is, what is missing, what goes.
#include "agent/device_sync.hpp"

#include "agent/traffic_rules.hpp"
#include "flannelette/overlay/backend.hpp"

namespace flannelette::agent {

Result<void> DeviceSync::converge(const Target& t) {
  const overlay::Backend& backend = overlay::backend_of(t.config);
  if (backend.device == nullptr) {
    index_ = 0;
    mtu_ = t.underlay.mtu;
    return {};
  }
  const overlay::DeviceSpec spec = backend.device(t.config, t.underlay.local.v4(), t.underlay.mtu, t.mac);
  if (spec.mtu == 0) {
    const Error error{Code::kInvalid, 0, "MTU"};
    if (device_reported_.is_news(error, t.underlay.mtu)) {
      log_.error("the underlay's MTU is too small for VXLAN",
                 {{"interface", t.underlay.name.view()}, {"mtu", t.underlay.mtu}});
    }
    return error;
  }

  std::optional<overlay::Device> have;
  FLT_TRY(find_device(spec.name, have));
  const overlay::DevicePlan plan = plan_device(spec, have);
  if (plan.remove_first) {
    FLT_TRY(kernel_.device.delete_device(have->index));
    log_.info("recreating the device", {{"device", spec.name.view()}, {"reason", plan.reason}});
  }
  if (plan.create) FLT_TRY(create_device(spec, have));
  const int index = have->index;
  const std::uint32_t times_down = kernel_.notifications.times_down();
  if (plan.entries_lost() || index != index_ || times_down != times_down_) plan_.invalidate();
  index_ = index;
  times_down_ = times_down;

  // The address goes before a change of MAC or state, as in flanneld, so that nothing is sent with a wrong
  // source.
  set_sysctls(t, spec.name);
  FLT_TRY(kernel_.device.set_device_address(index, t.subnet.base, t.config.network));
  const overlay::DevicePlan rest = plan.create ? plan_device(spec, have) : plan;
  if (!rest.nothing()) {
    FLT_TRY(kernel_.device.change_device(index, spec, rest));
    if (!plan.create)
      log_.info("device adjusted", {{"device", spec.name.view()}, {"local", spec.local}, {"mtu", spec.mtu}});
  }
  mtu_ = spec.mtu;
  device_reported_.clear();
  return {};
}

int DeviceSync::find(std::uint32_t vni) {
  std::optional<overlay::Device> device;
  (void)find_device(overlay::device_name(vni), device);
  return device ? device->index : 0;
}

Result<void> DeviceSync::remove_former(const overlay::NodeState& former) {
  const std::uint32_t vni = former.config.vni;
  std::optional<overlay::Device> device;
  FLT_TRY(find_device(overlay::device_name(vni), device));
  if (device && device->index != index_ && device->vni == vni && device->mac == former.mac) {
    FLT_TRY(kernel_.device.delete_device(device->index));
    log_.info("device of the earlier config removed");
  }
  return {};
}

Result<void> DeviceSync::find_device(const kernel::InterfaceName& name,
                                     std::optional<overlay::Device>& have) {
  auto found = kernel_.device.find_device(name);
  if (!found) return found.error();
  have = *found;
  return {};
}

Result<void> DeviceSync::create_device(const overlay::DeviceSpec& spec,
                                       std::optional<overlay::Device>& have) {
  if (const auto created = kernel_.device.create_device(spec); !created) {
    if (device_reported_.is_news(created.error())) {
      log_.error("cannot create the VXLAN device", {{"device", spec.name.view()},
                                                    {"vni", spec.vni},
                                                    {"port", unsigned{spec.port}},
                                                    Field(created.error())});
    }
    return created.error();
  }
  log_.info("device created",
            {{"device", spec.name.view()}, {"mac", spec.mac}, {"local", spec.local}, {"mtu", spec.mtu}});
  FLT_TRY(find_device(spec.name, have));
  if (!have) return Error{Code::kNotFound, 0, "the device vanished after its creation"};
  return {};
}

void DeviceSync::set_sysctls(const Target& t, const kernel::InterfaceName& device) {
  disable_accept_ra(device);
  const bool strict = t.config.direct && kernel_.sysctl.strict_rp_filter(t.underlay.name, device);
  if (strict && rp_filter_reported_.is_news(1, 0)) {  // either end of a flow may change first
    log_.warning(
        "a strict rp_filter (1) drops packets while a peer changes between direct route and VXLAN; 2 does "
        "not");
  }
}

void DeviceSync::disable_accept_ra(const kernel::InterfaceName& device) {
  const auto done = kernel_.sysctl.disable_accept_ra(device);
  if (done) {
    (void)sysctl_reported_.clear();
  } else if (sysctl_reported_.is_news(done.error())) {
    log_.warning(
        kSysctlRefused,
        {{"path", kernel::accept_ra_path(device).view()},
         {"value", 0},
         {"consequence", "a router advertisement in the overlay would change this node's IPv6 routes"},
         Field(done.error())});
  }
}

}  // namespace flannelette::agent
