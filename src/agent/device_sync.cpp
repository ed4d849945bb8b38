// SPDX-License-Identifier: Apache-2.0
// Convergence of the device: what there is, what is missing, what is in its way, what goes.
#include "agent/device_sync.hpp"

#include <cerrno>

#include "agent/rivals.hpp"
#include "agent/traffic_rules.hpp"
#include "agent/words.hpp"
#include "flannelette/base/plain_array.hpp"
#include "flannelette/overlay/backend.hpp"

namespace flannelette::agent {
namespace {

/// The kinds of damage, each of which has repairs of its own.
using Plan = overlay::DevicePlan;
constexpr bool Plan::*kPlanned[] = {
    &Plan::create,  &Plan::set_name, &Plan::clear_master,   &Plan::set_local,     &Plan::set_learning,
    &Plan::set_mtu, &Plan::set_mac,  &Plan::set_forwarding, &Plan::set_rp_filter, &Plan::set_up};
enum Damage : std::size_t { kGone = 0, kName = 1, kDown = 9, kAddress, kOffload, kDamages };
static_assert(std::size(kPlanned) == kDown + 1);
/// Of the first one among the things that are repaired.
constexpr std::uint64_t kOwnDevice = 3;
static_assert(kOwnDevice + kDamages - 1 == Repairs::kReserved);
constexpr std::uint16_t bit(std::size_t damage) { return static_cast<std::uint16_t>(1u << damage); }
constexpr Error kLeft{Code::kConflict, 0, "another program keeps changing the device"};

/// Devices that are ours by their mark.
struct Marked final : kernel::DeviceVisitor {
  void device(const overlay::Device& device) override {
    const bool by_state = former != nullptr && device.mac == former->mac && device.vni == former->config.vni;
    if (device.index == index || device.name != overlay::device_name(device.vni)) return;
    if (by_state || device.mac == mac) devices.append(device);
  }
  int index = 0;  ///< of the one that stays
  Mac mac;
  const overlay::NodeState* former = nullptr;
  PlainArray<overlay::Device> devices;
};

}  // namespace

Result<void> DeviceSync::converge(const Target& t, Millis now) {
  const overlay::Backend& backend = overlay::backend_of(t.config);
  if (backend.device == nullptr) {
    index_ = 0;
    mtu_ = t.underlay.mtu;
    return {};
  }
  const overlay::DeviceSpec spec = backend.device(t.config, t.underlay.local.v4(), t.underlay.mtu, t.mac);
  if (spec.mtu == 0) {
    const Error error{Code::kInvalid, 0, "MTU"};
    if (reported_.is_news(error, t.underlay.mtu)) {
      log_.error(kMtuTooSmall, {{"interface", t.underlay.name.view()}, {"mtu", t.underlay.mtu}});
    }
    return error;
  }

  // A change of what is wanted is nobody's damage.
  const bool same = made_ && *made_ == spec;
  left_to_others_ = left_ = repaired_ = 0;
  for (std::size_t damage = 0; same && damage < kDamages; ++damage) {
    if (repairs_.exhausted(kOwnDevice + damage, now)) left_to_others_ |= bit(damage);
  }
  FLT_TRY(converge(t, spec));
  made_ = spec;
  reported_.clear();
  for (std::size_t damage = 0; same && damage < kDamages; ++damage) {
    if ((repaired_ & bit(damage)) != 0) count_repair(damage, now);
  }
  return {};
}

void DeviceSync::count_repair(std::size_t damage, Millis now) {
  repairs_.count(Repairs::Kind::kDevice);
  if (repairs_.damaged(kOwnDevice + damage, now) != Repairs::Verdict::kRepairAndName) return;
  Plan what;
  if (damage < std::size(kPlanned)) what.*kPlanned[damage] = true;
  log_.warning("another program keeps changing the device; repaired once a minute from now on",
               {{"device", made_->name.view()}, Field::unless_empty("changed", what.changes())});
}

bool DeviceSync::is_left(std::size_t damage) {
  left_ |= left_to_others_ & bit(damage);
  return (left_to_others_ & bit(damage)) != 0;
}

/// The rest of the plan are repairs.
void DeviceSync::take_out_left(Plan& plan) {
  for (std::size_t damage = 0; damage < std::size(kPlanned); ++damage) {
    bool& planned = plan.*kPlanned[damage];
    if (!planned) continue;
    planned = !is_left(damage);
    if (planned) repaired_ |= bit(damage);
  }
}

Result<void> DeviceSync::left() const {
  if (left_ != 0) return kLeft;
  return {};
}

Result<void> DeviceSync::converge(const Target& t, overlay::DeviceSpec spec) {
  std::optional<overlay::Device> have;
  overlay::DevicePlan plan;
  FLT_TRY(plan_device(spec, have, plan));
  const bool created = plan.create;
  if (created) {
    FLT_TRY(create_device(spec, have));
  } else {
    take_out_left(plan);
  }
  const int index = have->index;
  const std::uint32_t times_down = kernel_.notifications.times_down();
  if (plan.entries_lost() || index != index_ || times_down != times_down_) plan_.invalidate();
  index_ = index;
  times_down_ = times_down;
  if (created) plan = overlay::plan_device(spec, have);
  mtu_ = spec.mtu = mtu_on(spec, *have);
  // A device that is left down takes no routes.
  if ((left_ & bit(kDown)) != 0) return kLeft;

  // The address goes before a change of MAC or state, as in flanneld, so that nothing is sent with a wrong
  // source.
  set_sysctls(t, have->name);
  if (!is_left(kOffload)) set_offload(t, have->name);
  if (!is_left(kAddress)) {
    const auto addressed = kernel_.device.set_device_address(index, t.subnet.base, t.config.network);
    if (!addressed) return addressed.error();
    if (*addressed) repaired_ |= bit(kAddress);
  }
  if (created) repaired_ = bit(kGone);  // all the rest comes with it
  const auto changes = plan.changes();
  if (changes.empty()) return {};
  FLT_TRY(change_device(spec, index, plan));
  if (!created) {
    log_.info("device adjusted",
              {{"device", spec.name.view()}, {"changed", changes}, {"local", spec.local}, {"mtu", spec.mtu}});
  }
  return {};
}

/// What is to be done to the device, once its name is its own.
Result<void> DeviceSync::plan_device(const overlay::DeviceSpec& spec, std::optional<overlay::Device>& have,
                                     overlay::DevicePlan& plan) {
  for (;;) {
    FLT_TRY(find_device(spec, have));
    plan = overlay::plan_device(spec, have);
    if (plan.create && is_left(kGone)) return kLeft;
    if (plan.remove_first) {
      FLT_TRY(kernel_.device.delete_device(have->index));
      log_.info("recreating the device", {{"device", spec.name.view()}, {"reason", plan.reason}});
    } else {
      if (!plan.set_name || is_left(kName)) return {};
      repaired_ |= bit(kName);
      overlay::DevicePlan rename;
      rename.set_name = true;
      FLT_TRY(kernel_.device.change_device(have->index, spec, rename));
      log_.info("device renamed back", {{"device", spec.name.view()}, {"was", have->name.view()}});
    }
  }
}

int DeviceSync::find(std::uint32_t vni) {
  const auto device = kernel_.device.find_device(overlay::device_name(vni));
  return device && *device ? (*device)->index : 0;
}

Result<void> DeviceSync::remove_former(const Target& target, const overlay::NodeState* former, bool rules) {
  if (former == nullptr && searched_) return {};
  const auto remove_rules = [&](std::uint32_t vni) {
    if (rules && vni != target.config.vni) (void)kernel_.rules.apply_rules(overlay::RuleSpec::none(vni));
  };
  Marked marked;
  marked.index = index_;
  marked.mac = target.mac;
  marked.former = former;
  FLT_TRY(kernel_.device.dump_devices(marked));
  for (const overlay::Device& device : marked.devices) {
    FLT_TRY(kernel_.device.delete_device(device.index));
    log_.info("device of the earlier config removed", {{"device", device.name.view()}});
    remove_rules(device.vni);
  }
  if (former != nullptr) remove_rules(former->config.vni);
  searched_ = true;
  return {};
}

/// By name; else one that was renamed.
Result<void> DeviceSync::find_device(const overlay::DeviceSpec& spec, std::optional<overlay::Device>& have) {
  const auto found = kernel_.device.find_device(spec.name);
  if (!found) return found.error();
  have = *found;
  if (have) return {};
  Rivals rivals(spec);
  FLT_TRY(kernel_.device.dump_devices(rivals));
  // By its MAC, or since it is the one that we had: another program may have changed name and MAC at once.
  const auto& same = rivals.same_vni;
  if (same && (same->mac == spec.mac || (index_ != 0 && same->index == index_))) have = same;
  return {};
}

Result<void> DeviceSync::create_device(const overlay::DeviceSpec& spec,
                                       std::optional<overlay::Device>& have) {
  const auto created = kernel_.device.create_device(spec);
  if (!created) return report("cannot create the VXLAN device", spec, created.error());
  log_.info("device created",
            {{"device", spec.name.view()}, {"mac", spec.mac}, {"local", spec.local}, {"mtu", spec.mtu}});
  FLT_TRY(find_device(spec, have));
  if (!have) return Error{Code::kNotFound, 0, "the device vanished after its creation"};
  return {};
}

Result<void> DeviceSync::change_device(const overlay::DeviceSpec& spec, int index,
                                       const overlay::DevicePlan& plan) {
  const auto changed = kernel_.device.change_device(index, spec, plan);
  if (!changed) return report("cannot change the VXLAN device", spec, changed.error());
  return {};
}

/// Logs it with who has what our device needs, where that is why.
Error DeviceSync::report(const char* text, const overlay::DeviceSpec& spec, const Error& error) {
  Text<64> holder;
  std::uint64_t which = 0;
  if (error.code == Code::kExists) {
    Rivals rivals(spec);
    (void)kernel_.device.dump_devices(rivals);
    const bool port = error.sys_errno == EADDRINUSE;
    const auto& device = port ? rivals.same_port : rivals.same_vni;
    kernel::UdpSocket socket;
    if (port && !device) socket = kernel_.device.find_socket(spec.port);
    holder = to_text<64>([&](Writer& out) {
      if (device) {
        out.put("device ").put(device->name);
      } else if (port) {
        out.put("socket of uid ").put_unsigned(socket.uid).put(", inode ").put_unsigned(socket.inode);
      } else {
        out.put("a device moved to another network namespace");
      }
    });
    which = device ? static_cast<std::uint64_t>(device->index) : socket.inode;
  }
  if (reported_.is_news(error, which)) {
    log_.error(text, {{"device", spec.name.view()},
                      {"vni", spec.vni},
                      {"port", unsigned{spec.port}},
                      Field::unless_empty("held_by", holder),
                      Field(error)});
  }
  return error;
}

/// Off where a NAT, or a NIC that is known for it, leaves the inner checksums of what it changes wrong.
void DeviceSync::set_offload(const Target& t, const kernel::InterfaceName& device) {
  bool on = settings_.tx_checksum == TxChecksum::kOn;
  if (settings_.tx_checksum == TxChecksum::kAuto) {
    if (t.underlay.public_ip == t.underlay.local &&
        kernel_.offload.driver(t.underlay.name).view() != "vmxnet3")
      return;
    on = false;
  }
  const auto done = kernel_.offload.set_tx_checksum(device, on);
  if (!done) {
    if (offload_reported_.is_news(done.error()))
      log_.warning("cannot set the device's checksum offload; going on without it",
                   {{"device", device.view()}, Field(done.error())});
    return;
  }
  offload_reported_.clear();
  if (!*done) return;
  repaired_ |= bit(kOffload);
  log_.info("checksum offload set", {{"device", device.view()}, {"tx", on ? "on" : "off"}});
}

void DeviceSync::set_sysctls(const Target& t, const kernel::InterfaceName& device) {
  disable_accept_ra(device);
  const bool strict = t.config.direct && kernel_.sysctl.strict_rp_filter(t.underlay.name);
  if (!strict) rp_filter_reported_.clear();
  if (strict && rp_filter_reported_.is_news(1, 0)) {  // either end of a flow may change first
    log_.warning(kStrictRpFilter);
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
