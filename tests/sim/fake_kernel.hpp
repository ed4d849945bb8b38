// SPDX-License-Identifier: Apache-2.0
// A Kernel that keeps its tables in memory, with the side effects of the real one:
//   - a new MAC flushes the device's neighbours, FDB and routes stay;
//   - down flushes neighbours and routes, FDB and addresses stay, and is counted when the loop reads of it; a
//   route on a device that is down is refused;
//   - a deleted device takes everything along;
//   - a route of another link to the same destination and metric is a conflict;
//   - links and IPv4 addresses ring the doorbell from the loop, our own changes too; rules only if another
//   program changes them.
// It counts writes, keeps the changes in order, and fails when told to.
#pragma once

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "flannelette/io/loop.hpp"
#include "flannelette/kernel/kernel.hpp"

namespace flannelette::tests {

class FakeKernel final : public kernel::Kernel {
 public:
  enum class Call {
    kDumpLinks,
    kDumpAddresses,
    kDefaultRoute,
    kRouteTo,
    kFindDevice,
    kCreateDevice,
    kChangeDevice,
    kDeleteDevice,
    kSetDeviceAddress,
    kDumpEntries,  // kInterrupted is given after half of the entries
    kFinish,       // nothing of the batch is done
    kApplyRules,
    kInspectFirewall,
    kIpForward,
    kSetIpForward,
    kDisableAcceptRa,
  };
  struct Route {
    int link = 0;
    Ip4 gateway;
    bool onlink = true;
  };
  using RouteKey = std::pair<Net4, std::uint32_t>;  // destination, metric
  using NeighbourKey = std::pair<int, Ip4>;
  using FdbKey = std::tuple<int, Mac, Ip4>;
  struct Neighbour {
    Mac mac;
    bool permanent = true;
  };

  explicit FakeKernel(io::Loop& loop)
      : bell_(loop, Delegate<void()>::to<&FakeKernel::ring>(this)),
        rules_bell_(loop, Delegate<void()>::to<&FakeKernel::ring_for_rules>(this)) {
    links.push_back({.index = 1, .name = "lo", .mtu = 65536, .up = true, .running = true, .loopback = true});
  }

  // -- the tables: tests set and read them; what others do to the machine is below --
  std::vector<kernel::Link> links;
  std::vector<kernel::Address> addresses;
  std::vector<overlay::Device> devices;  // of links that are more than a plain NIC
  std::map<NeighbourKey, Neighbour> neighbours;
  std::map<FdbKey, bool> fdb;  // value: permanent
  std::map<RouteKey, Route> routes;
  std::optional<int> default_link;
  Ip4 default_gateway;
  std::optional<overlay::RuleSpec> rules;
  std::vector<kernel::FirewallFinding> findings;
  bool forwarding = false;
  std::map<std::string, int> accept_ra;

  // -- what was asked of it --
  std::size_t writes = 0;                // requests that change something, done or refused
  std::size_t dumps = 0;                 // dump_entries
  std::size_t inspections = 0;           // inspect_firewall
  std::vector<overlay::Change> changes;  // all that were sent, in order
  void forget() {
    writes = dumps = inspections = 0;
    changes.clear();
  }

  // -- trouble --
  /// The next `times` calls of this kind fail; negative: all until heal().
  void fail(Call call, Error error, int times = 1) { faults_[call] = {error, times}; }
  void heal() { faults_.clear(); }
  /// Asked for each change; an Error refuses it.
  std::function<std::optional<Error>(const overlay::Change&)> refuse;

  // -- what others do to the machine --
  /// A NIC with one address, up; the first one has the default route.
  int add_nic(std::string_view name, Net4 address, std::uint32_t mtu = 1500) {
    const int index = next_index_++;
    links.push_back({.index = index, .name = name, .mtu = mtu, .up = true, .running = true});
    addresses.push_back({.link_index = index, .net = address, .permanent = true});
    if (!default_link) default_link = index;
    changed();
    return index;
  }
  void remove_link(int index) {
    if (const overlay::Device* gone = find(devices, index); gone != nullptr && gone->up) ++unread_downs_;
    std::erase_if(links, [&](const auto& l) { return l.index == index; });
    std::erase_if(addresses, [&](const auto& a) { return a.link_index == index; });
    std::erase_if(devices, [&](const auto& d) { return d.index == index; });
    std::erase_if(neighbours, [&](const auto& n) { return n.first.first == index; });
    std::erase_if(fdb, [&](const auto& f) { return std::get<0>(f.first) == index; });
    std::erase_if(routes, [&](const auto& r) { return r.second.link == index; });
    if (default_link == index) default_link.reset();
    changed();
  }
  void set_up(int index, bool up) {
    if (kernel::Link* link = find(links, index)) link->up = link->running = up;
    if (overlay::Device* device = find(devices, index)) device->up = up;
    if (!up) {
      std::erase_if(neighbours, [&](const auto& n) { return n.first.first == index; });
      std::erase_if(routes, [&](const auto& r) { return r.second.link == index; });
      if (find(devices, index) != nullptr) ++unread_downs_;
    }
    changed();
  }
  /// Down and up again before anybody looks: what went with it stays gone.
  void flap(int index) {
    set_up(index, false);
    set_up(index, true);
  }
  void set_mtu(int index, std::uint32_t mtu) {
    if (kernel::Link* link = find(links, index)) link->mtu = mtu;
    if (overlay::Device* device = find(devices, index)) device->mtu = mtu;
    changed();
  }
  void set_mac(int index, Mac mac) {
    if (overlay::Device* device = find(devices, index)) device->mac = mac;
    std::erase_if(neighbours, [&](const auto& n) { return n.first.first == index; });
    changed();
  }
  void replace_address(int index, Net4 address) {
    std::erase_if(addresses, [&](const auto& a) { return a.link_index == index; });
    addresses.push_back({.link_index = index, .net = address, .permanent = true});
    changed();
  }
  /// A device that is no work of ours; its index is given out.
  int add_device(overlay::Device device) {
    device.index = next_index_++;
    links.push_back({.index = device.index,
                     .name = device.name,
                     .mtu = device.mtu,
                     .up = device.up,
                     .running = device.up});
    accept_ra[std::string(device.name.view())] = 1;
    devices.push_back(device);
    changed();
    return device.index;
  }
  const overlay::Device* device(std::string_view name) const {
    const auto at =
        std::find_if(devices.begin(), devices.end(), [&](const auto& d) { return d.name.view() == name; });
    return at == devices.end() ? nullptr : &*at;
  }
  void changed() { bell_.arm_in(0); }
  void rules_changed(std::string_view program, std::uint32_t pid) {
    rules_ring_.cause = kernel::Ring::Cause::kRules;
    rules_ring_.program = program;
    rules_ring_.pid = pid;
    rules_bell_.arm_in(0);
  }

  // -- Kernel --
  Result<void> dump_links(kernel::LinkVisitor& visitor) override {
    FLT_TRY(fault(Call::kDumpLinks));
    for (const auto& link : links) visitor.link(link);
    return {};
  }

  Result<void> dump_addresses(kernel::AddressVisitor& visitor) override {
    FLT_TRY(fault(Call::kDumpAddresses));
    for (const auto& address : addresses) visitor.address(address);
    return {};
  }

  Result<std::optional<kernel::RouteAnswer>> default_route() override {
    FLT_TRY(fault(Call::kDefaultRoute));
    if (!default_link) return std::optional<kernel::RouteAnswer>{};
    return std::optional(kernel::RouteAnswer{*default_link, {}, default_gateway});
  }

  Result<std::optional<kernel::RouteAnswer>> route_to(Ip4 destination) override {
    FLT_TRY(fault(Call::kRouteTo));
    const kernel::Address* best = nullptr;
    for (const auto& address : addresses) {
      const kernel::Link* link = find(links, address.link_index);
      if (link == nullptr || !link->up || !address.net.contains(destination)) continue;
      if (best == nullptr || best->net.length < address.net.length) best = &address;
    }
    for (const auto& [key, route] : routes) {  // the longest prefix, ours at most in its place
      if (!key.first.contains(destination) || (best != nullptr && best->net.length >= key.first.length))
        continue;
      return std::optional(kernel::RouteAnswer{route.link, {}, route.gateway});
    }
    if (best != nullptr) return std::optional(kernel::RouteAnswer{best->link_index, best->net.base, {}});
    if (!default_link) return std::optional<kernel::RouteAnswer>{};
    kernel::RouteAnswer answer{*default_link, {}, default_gateway};
    for (const auto& address : addresses) {
      if (address.link_index == *default_link && answer.source == Ip4{}) answer.source = address.net.base;
    }
    return std::optional(answer);
  }

  Result<std::optional<overlay::Device>> find_device(std::string_view name) override {
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

  Result<void> create_device(const overlay::DeviceSpec& spec) override {
    ++writes;
    FLT_TRY(fault(Call::kCreateDevice));
    for (const auto& link : links) {
      if (link.name == spec.name)
        return Error{Code::kExists, EEXIST, "create the vxlan device: its name is in use"};
    }
    for (const auto& other : devices) {
      if (other.is_vxlan && other.vni == spec.vni && other.port == spec.port) {
        return Error{Code::kExists, EEXIST, "create the vxlan device: its VNI and port are in use"};
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

  Result<void> change_device(int index, const overlay::DeviceSpec& spec,
                             const overlay::DevicePlan& plan) override {
    if (!plan.set_local && !plan.set_learning && !plan.set_mtu && !plan.set_mac && !plan.set_up) return {};
    ++writes;
    FLT_TRY(fault(Call::kChangeDevice));
    overlay::Device* device = find(devices, index);
    if (device == nullptr) return Error{Code::kNotFound, ENODEV, "change the vxlan device"};
    if (plan.set_local) device->local = spec.local;
    if (plan.set_learning) device->learning = spec.learning;
    if (plan.set_mtu) set_mtu(index, spec.mtu);
    if (plan.set_mac) set_mac(index, spec.mac);
    if (plan.set_up) set_up(index, true);
    changed();
    return {};
  }

  Result<void> delete_device(int index) override {
    ++writes;
    FLT_TRY(fault(Call::kDeleteDevice));
    remove_link(index);
    return {};
  }

  Result<void> set_device_address(int index, Ip4 address, Net4 network) override {
    FLT_TRY(fault(Call::kSetDeviceAddress));
    if (find(links, index) == nullptr) return Error{Code::kNotFound, ENODEV, "add the device's address"};
    const Net4 wanted{address, 32};
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
    if (present) return {};
    ++writes;
    addresses.push_back({.link_index = index, .net = wanted, .permanent = true});
    changed();
    return {};
  }

  Result<void> dump_entries(int index, Net4, kernel::EntryVisitor& visitor) override {
    ++dumps;
    const Result<void> failed = fault(Call::kDumpEntries);
    if (!failed && failed.error().code != Code::kInterrupted) return failed;
    if (find(links, index) == nullptr) return Error{Code::kNotFound, ENODEV, "list routes"};
    bool visits = true;
    const auto next = [&] {
      return failed || (visits = !visits);
    };  // every second one of an interrupted dump
    for (const auto& [key, entry] : neighbours) {
      if (key.first == index && next())
        visitor.entry(overlay::Neighbour{key.second, entry.mac, entry.permanent});
    }
    for (const auto& [key, permanent] : fdb) {
      if (std::get<0>(key) == index && next())
        visitor.entry(overlay::Fdb{std::get<1>(key), std::get<2>(key), permanent});
    }
    for (const auto& [key, route] : routes) {
      if (route.link == index && next())
        visitor.entry(overlay::Route{key.first, route.gateway, route.onlink, key.second});
    }
    return failed;
  }

  void begin(int index, Net4) override {
    batch_index_ = index;
    queued_.clear();
  }
  void queue(const overlay::Change& change) override { queued_.push_back(change); }
  Result<kernel::BatchReport> finish() override {
    writes += queued_.size();
    changes.insert(changes.end(), queued_.begin(), queued_.end());
    FLT_TRY(fault(Call::kFinish));
    kernel::BatchReport report;
    for (const auto& change : queued_) {
      const std::optional<Error> refused = apply(change);
      if (!refused) {
        ++report.done;
      } else if (report.failed++ == 0) {
        report.first = *refused;
        report.first_change = change;
      }
    }
    queued_.clear();
    return report;
  }

  Result<bool> apply_rules(const overlay::RuleSpec& spec) override {
    FLT_TRY(fault(Call::kApplyRules));
    if (spec.empty() ? !rules : rules == spec) return false;
    ++writes;
    if (spec.empty()) {
      rules.reset();
    } else {
      rules = spec;
    }
    return true;
  }

  Result<void> inspect_firewall(const overlay::RuleSpec&, kernel::FindingVisitor& visitor) override {
    ++inspections;
    FLT_TRY(fault(Call::kInspectFirewall));
    for (const auto& finding : findings) visitor.finding(finding);
    return {};
  }

  Result<bool> ip_forward() override {
    FLT_TRY(fault(Call::kIpForward));
    return forwarding;
  }
  Result<void> set_ip_forward() override {
    FLT_TRY(fault(Call::kSetIpForward));
    if (!forwarding) ++writes;
    forwarding = true;
    return {};
  }
  Result<void> disable_accept_ra(std::string_view name) override {
    FLT_TRY(fault(Call::kDisableAcceptRa));
    const auto at = accept_ra.find(std::string(name));
    if (at == accept_ra.end() || at->second == 0) return {};
    ++writes;
    at->second = 0;
    return {};
  }

  void set_doorbell(Delegate<void(const kernel::Ring&)> doorbell) override { doorbell_ = doorbell; }
  std::uint32_t times_down() const override { return times_down_; }

 private:
  struct Fault {
    Error error;
    int times;
  };

  template <class T>
  static T* find(std::vector<T>& things, int index) {
    const auto at = std::find_if(things.begin(), things.end(), [&](const T& t) { return t.index == index; });
    return at == things.end() ? nullptr : &*at;
  }

  Result<void> fault(Call call) {
    const auto at = faults_.find(call);
    if (at == faults_.end() || at->second.times == 0) return {};
    if (at->second.times > 0) --at->second.times;
    return at->second.error;
  }

  std::optional<Error> apply(const overlay::Change& change) {
    using Kind = overlay::Change::Kind;
    if (refuse) {
      if (const auto error = refuse(change)) return error;
    }
    const kernel::Link* link = find(links, batch_index_);
    if (link == nullptr) return Error{Code::kNotFound, ENODEV, "change entries"};
    switch (change.kind) {
      case Kind::kUpsertNeighbour: neighbours[{batch_index_, change.subnet.base}] = {change.mac, true}; break;
      case Kind::kDeleteNeighbour: neighbours.erase({batch_index_, change.subnet.base}); break;
      case Kind::kUpsertFdb: upsert_fdb(change); break;
      case Kind::kDeleteFdb: fdb.erase({batch_index_, change.mac, change.remote}); break;
      case Kind::kUpsertRoute: return upsert_route(change, *link);
      case Kind::kDeleteRoute: {
        const auto at = routes.find({change.subnet, change.metric});
        if (at != routes.end() && at->second.link == batch_index_) routes.erase(at);
        break;
      }
    }
    return std::nullopt;
  }

  /// Replaces the first remote of the MAC, unless this one is there already.
  void upsert_fdb(const overlay::Change& change) {
    const FdbKey wanted{batch_index_, change.mac, change.remote};
    if (fdb.find(wanted) == fdb.end()) {
      const auto at = fdb.lower_bound({batch_index_, change.mac, Ip4{}});
      if (at != fdb.end() && std::get<0>(at->first) == batch_index_ && std::get<1>(at->first) == change.mac)
        fdb.erase(at);
    }
    fdb[wanted] = true;
  }

  std::optional<Error> upsert_route(const overlay::Change& change, const kernel::Link& link) {
    if (!link.up) return Error{Code::kSystem, ENETDOWN, "set a route"};
    const auto [at, made] = routes.try_emplace({change.subnet, 0}, Route{});
    if (!made && at->second.link != batch_index_) {
      return Error{Code::kConflict, EEXIST,
                   "set a route: another program's route to this subnet is in the way"};
    }
    at->second = {batch_index_, change.subnet.base, true};
    return std::nullopt;
  }

  void ring() {
    times_down_ += std::exchange(unread_downs_, 0);
    if (doorbell_) doorbell_({});
  }
  void ring_for_rules() {
    if (doorbell_) doorbell_(rules_ring_);
  }

  io::Timer bell_;
  io::Timer rules_bell_;
  kernel::Ring rules_ring_;
  Delegate<void(const kernel::Ring&)> doorbell_;
  std::map<Call, Fault> faults_;
  std::vector<overlay::Change> queued_;
  std::uint32_t times_down_ = 0;
  std::uint32_t unread_downs_ = 0;  // their notifications are on the way
  int batch_index_ = 0;
  int next_index_ = 2;
};

}  // namespace flannelette::tests
