// SPDX-License-Identifier: Apache-2.0
// The calls of the ports, on the fake kernel's tables.
#include "sim/fake_kernel.hpp"

namespace flannelette::tests {

Result<void> FakeKernel::dump_links(kernel::LinkVisitor& visitor) {
  FLT_TRY(fault(Call::kDumpLinks));
  for (const auto& link : links) visitor.link(link);
  return {};
}

Result<void> FakeKernel::dump_addresses(kernel::AddressVisitor& visitor) {
  FLT_TRY(fault(Call::kDumpAddresses));
  for (const auto& address : addresses) visitor.address(address);
  return {};
}

Result<void> FakeKernel::dump_routes(kernel::RouteVisitor& visitor) {
  FLT_TRY(fault(Call::kDumpRoutes));
  if (default_link) visitor.route({*default_link, default_gateway, 0, default_mtu, {}});
  for (const auto& route : more_routes) visitor.route(route);
  return {};
}

Result<std::optional<kernel::RouteAnswer>> FakeKernel::route_to(const Ip& destination) {
  FLT_TRY(fault(Call::kRouteTo));
  const kernel::Address* best = nullptr;
  for (const auto& address : addresses) {
    const kernel::Link* link = find(links, address.link_index);
    if (link == nullptr || !link->up || !address.net.contains(destination)) continue;
    if (best == nullptr || best->net.length < address.net.length) best = &address;
  }
  const std::pair<const RouteKey, Route>* longest = nullptr;
  for (const auto& each : routes) {
    const Net4 to = each.first.first;
    if (!Net(to).contains(destination) || (best != nullptr && best->net.length >= to.length)) continue;
    if (longest == nullptr || longest->first.first.length < to.length) longest = &each;
  }
  if (longest != nullptr)
    return std::optional(kernel::RouteAnswer{longest->second.link, {}, longest->second.gateway});
  if (best != nullptr) return std::optional(kernel::RouteAnswer{best->link_index, best->net.base, {}});
  if (!default_link) return std::optional<kernel::RouteAnswer>{};
  kernel::RouteAnswer answer{*default_link, {}, default_gateway};
  for (const auto& address : addresses) {
    if (address.link_index == *default_link && answer.source == Ip{}) answer.source = address.net.base;
  }
  return std::optional(answer);
}

Result<std::optional<overlay::Device>> FakeKernel::find_device(std::string_view name) {
  FLT_TRY(fault(Call::kFindDevice));
  const overlay::Device* found = device(name);
  if (found != nullptr) return std::optional(*found);
  for (const auto& link : links) {
    if (link.name.view() != name) continue;
    overlay::Device other;
    other.index = link.index;
    other.name = link.name;
    other.up = link.up;
    other.mtu = link.mtu;
    return std::optional(other);
  }
  return std::optional<overlay::Device>{};
}

Result<void> FakeKernel::dump_devices(kernel::DeviceVisitor& visitor) {
  FLT_TRY(fault(Call::kDumpDevices));
  for (const auto& device : devices) {
    if (device.is_vxlan) visitor.device(device);
  }
  return {};
}

Result<void> FakeKernel::create_device(const overlay::DeviceSpec& spec) {
  ++writes;
  FLT_TRY(fault(Call::kCreateDevice));
  for (const auto& link : links) {
    if (link.name == spec.name)
      return Error{Code::kExists, EEXIST, "create the vxlan device: its name is in use"};
  }
  for (const auto* list : {&devices, &elsewhere}) {
    for (const auto& other : *list) {
      if (other.is_vxlan && !other.external && other.vni == spec.vni && other.port == spec.port)
        return Error{Code::kExists, EEXIST, "create the vxlan device: its VNI and UDP port are in use"};
    }
  }
  overlay::Device made;
  made.name = spec.name;
  made.is_vxlan = true;
  made.vni = spec.vni;
  made.port = spec.port;
  made.local = spec.local;
  made.mtu = spec.mtu;
  made.mac = spec.mac;
  made.learning = spec.learning;
  made.gbp = spec.gbp;
  add_device(made);
  return {};
}

Result<void> FakeKernel::change_device(int index, const overlay::DeviceSpec& spec,
                                       const overlay::DevicePlan& plan) {
  if (plan.changes().empty()) return {};
  ++writes;
  FLT_TRY(fault(Call::kChangeDevice));
  overlay::Device* device = find(devices, index);
  if (device == nullptr) return Error{Code::kNotFound, ENODEV, "change the vxlan device"};
  if (plan.set_name) rename(index, spec.name);
  if (plan.clear_master) set_master(index, 0);
  if (plan.set_local) device->local = spec.local;
  if (plan.set_learning) device->learning = spec.learning;
  if (plan.set_mtu && device->max_mtu != 0 && spec.mtu > device->max_mtu)
    return Error{Code::kInvalid, EINVAL, "set the device's MTU"};
  if (plan.set_mtu) set_mtu(index, spec.mtu);
  if (plan.set_mac) set_mac(index, spec.mac);
  if (plan.set_forwarding) device->forwarding = true;
  if (plan.set_rp_filter) device->strict_rp_filter = false;
  const auto taken = [&](const auto& other) { return other.external && other.up && other.port == spec.port; };
  if (plan.set_up && (sockets[spec.port].inode != 0 || std::any_of(devices.begin(), devices.end(), taken)))
    return Error{Code::kExists, EADDRINUSE, "set the device up: its UDP port is in use"};
  if (plan.set_up) set_up(index, true);
  changed();
  return {};
}

Result<void> FakeKernel::delete_device(int index) {
  ++writes;
  FLT_TRY(fault(Call::kDeleteDevice));
  remove_link(index);
  return {};
}

Result<bool> FakeKernel::set_device_address(int index, const Ip& address, const Net& network) {
  FLT_TRY(fault(Call::kSetDeviceAddress));
  if (find(links, index) == nullptr) return Error{Code::kNotFound, ENODEV, "add the device's address"};
  const Net wanted(address, 32);
  const auto before = writes;
  bool present = false;
  std::erase_if(addresses, [&](const auto& a) {
    if (a.link_index != index || !network.contains(a.net.base)) return false;
    if (a.net == wanted) {
      present = true;
      return false;
    }
    ++writes;
    changed();
    return true;
  });
  if (present) return writes != before;
  ++writes;
  addresses.push_back({.link_index = index, .net = wanted});
  changed();
  return true;
}

Result<void> FakeKernel::dump_entries(const kernel::Site& site, kernel::EntryVisitor& visitor) {
  const int index = site.device;
  site_ = site;
  ++dumps;
  const Result<void> failed = fault(Call::kDumpEntries);
  if (!failed && failed.error().code != Code::kInterrupted) return failed;
  if (index != 0 && find(links, index) == nullptr) return Error{Code::kNotFound, ENODEV, "list routes"};
  bool visits = true;
  const auto next = [&] { return failed || (visits = !visits); };  // every second one of an interrupted dump
  for (const auto& [key, entry] : neighbours) {
    if (key.first == index && next()) {
      overlay::Entry shown = overlay::Entry::neighbour(Net4{key.second, 32}, entry.mac);
      shown.permanent = entry.permanent;
      visitor.entry(shown);
    }
  }
  for (const auto& [key, entry] : fdb) {
    if (key.first == index && next()) {
      overlay::Entry shown = overlay::Entry::fdb(key.second, entry.remote);
      shown.permanent = entry.permanent;
      visitor.entry(shown);
    }
  }
  for (const auto& [key, route] : routes) {
    const bool inside =
        site.network.contains(key.first) || (site.former.length != 0 && site.former.contains(key.first));
    if ((route.link == index || (site.direct && direct(route) && inside)) && next()) {
      overlay::Entry shown = overlay::Entry::route(key.first, route.gateway, key.second);
      shown.underlay = route.link != index;
      shown.onlink = shown.underlay ? route.link != site.underlay : route.onlink;
      visitor.entry(shown);
    }
  }
  for (const Ip4 sender : site.senders ? senders : std::set<Ip4>()) {
    if (next()) visitor.entry(overlay::Entry::sender(sender));
  }
  return failed;
}

kernel::EntryBatch& FakeKernel::begin(const kernel::Site& site, kernel::RefusalListener* listener) {
  site_ = site;
  listener_ = listener;
  queued_.clear();
  return *this;
}

Result<kernel::BatchReport> FakeKernel::finish() {
  writes += queued_.size();
  changes.insert(changes.end(), queued_.begin(), queued_.end());
  FLT_TRY(fault(Call::kFinish));
  kernel::BatchReport report;
  for (const auto& change : queued_) {
    const std::optional<Error> refused = apply(change);
    if (!refused || (listener_ != nullptr && listener_->on_refused(change, *refused))) {
      ++report.done;
    } else if (report.failed++ == 0) {
      report.first = *refused;
      report.first_change = change;
    }
  }
  queued_.clear();
  return report;
}

Result<bool> FakeKernel::apply_rules(const overlay::RuleSpec& spec) {
  FLT_TRY(fault(Call::kApplyRules));
  if (spec.empty() ? !rules : rules == spec) return false;
  ++writes;
  senders.clear();
  if (spec.empty()) {
    rules.reset();
  } else {
    rules = spec;
  }
  return true;
}

Result<void> FakeKernel::inspect_firewall(const overlay::RuleSpec&, kernel::FindingVisitor& visitor) {
  ++inspections;
  FLT_TRY(fault(Call::kInspectFirewall));
  for (const auto& finding : findings) visitor.finding(finding);
  return {};
}

Result<bool> FakeKernel::ip_forward() {
  FLT_TRY(fault(Call::kIpForward));
  return forwarding;
}

Result<void> FakeKernel::set_ip_forward() {
  FLT_TRY(fault(Call::kSetIpForward));
  if (!forwarding) ++writes;
  forwarding = true;
  return {};
}

bool FakeKernel::strict_rp_filter(std::string_view link) { return rp_filter[std::string(link)] == 1; }

Result<void> FakeKernel::disable_accept_ra(std::string_view name) {
  FLT_TRY(fault(Call::kDisableAcceptRa));
  const auto at = accept_ra.find(std::string(name));
  if (at == accept_ra.end() || at->second == 0) return {};
  ++writes;
  at->second = 0;
  return {};
}

Result<bool> FakeKernel::set_tx_checksum(std::string_view link, bool on) {
  FLT_TRY(fault(Call::kSetTxChecksum));
  bool& have = tx_checksum.try_emplace(std::string(link), true).first->second;
  if (have == on) return false;
  ++writes;
  have = on;
  return true;
}

std::optional<Error> FakeKernel::apply(const overlay::Change& change) {
  using Kind = overlay::Entry::Kind;
  if (refuse) {
    if (const auto error = refuse(change)) return error;
  }
  if (change.entry.kind == Kind::kSender) {
    const Ip4 sender = change.entry.via.v4();
    if (change.op == overlay::Change::Op::kRemove) {
      senders.erase(sender);
    } else if (rules && rules->peers_only != 0) {
      senders.insert(sender);
    }
    return std::nullopt;
  }
  const int index = change.entry.underlay ? site_.underlay : site_.device;
  const kernel::Link* link = find(links, index);
  if (link == nullptr) return Error{Code::kNotFound, ENODEV, "change entries"};
  const overlay::Entry& entry = change.entry;
  const bool put = change.op == overlay::Change::Op::kPut;
  switch (entry.kind) {
    case Kind::kNexthop:
    case Kind::kSender: break;
    case Kind::kNeighbour:
      if (!put) neighbours.erase({index, entry.net.base.v4()});
      if (put) neighbours[{index, entry.net.base.v4()}] = {entry.mac, true};
      break;
    case Kind::kFdb:
      if (!put) fdb.erase({index, entry.mac});
      if (put) fdb[{index, entry.mac}] = {entry.via.v4(), true};
      break;
    case Kind::kRoute: {
      if (put) return put_route(entry, *link);
      const auto at = routes.find({entry.net.v4(), entry.metric});
      if (at == routes.end()) break;
      if (entry.underlay ? direct(at->second) : at->second.link == index) routes.erase(at);
      break;
    }
  }
  return std::nullopt;
}

std::optional<Error> FakeKernel::put_route(const overlay::Entry& entry, const kernel::Link& link) {
  if (!link.up) return Error{Code::kSystem, ENETDOWN, "set a route"};
  if (entry.underlay && !on_link(link.index, entry.via.v4()))
    return Error{Code::kUnavailable, ENETUNREACH, "set a route"};
  const auto [at, made] = routes.try_emplace({entry.net.v4(), 0}, Route{});
  const bool alike = at->second.link == link.index && at->second.gateway == entry.via.v4();
  const bool ours = at->second.link == site_.device || at->second.protocol == 70;
  if (!made && !ours && !alike) {
    return Error{Code::kConflict, EEXIST,
                 "set a route: another program's route to this subnet is in the way"};
  }
  at->second = {link.index, entry.via.v4(), entry.onlink};
  return std::nullopt;
}

}  // namespace flannelette::tests
