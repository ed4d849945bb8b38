// SPDX-License-Identifier: Apache-2.0
// All ports of the kernel, with tables in memory and the side effects of the real one:
//   - a new MAC flushes the device's neighbours, FDB and routes stay;
//   - down flushes neighbours and routes, FDB and addresses stay, and is counted when the loop reads of it; a
//   route on a device that is down is refused;
//   - a deleted device takes everything along;
//   - a route that is not ours to the same destination and metric is a conflict;
//   - a gateway of the underlay must be in a prefix of its link;
//   - links and IPv4 addresses ring the doorbell from the loop, our own changes too; with them, or alone, the
//   routes of others, if they are followed, and default routes always; rules only if another program changes
//   them.
// It counts writes, keeps the changes in order, and fails when told to.
#pragma once

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "flannelette/io/loop.hpp"
#include "flannelette/kernel/ports.hpp"

namespace flannelette::tests {

class FakeKernel final : public kernel::Links,
                         public kernel::DevicePort,
                         public kernel::EntryPort,
                         public kernel::EntryBatch,
                         public kernel::RulesPort,
                         public kernel::SysctlPort,
                         public kernel::OffloadPort,
                         public kernel::Notifications {
 public:
  enum class Call {
    kDumpLinks,
    kDumpAddresses,
    kDumpRoutes,
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
    kDumpDevices,
    kSetTxChecksum,
  };
  struct Route {
    int link = 0;
    Ip4 gateway;
    bool onlink = true;
    std::uint8_t protocol = 70;
  };
  using RouteKey = std::pair<Net4, std::uint32_t>;  // destination, metric
  using NeighbourKey = std::pair<int, Ip4>;
  using FdbKey = std::pair<int, Mac>;  // a unicast MAC has one remote
  struct Neighbour {
    Mac mac;
    bool permanent = true;
  };
  struct Fdb {
    Ip4 remote;  // unspecified: by a port of its own
    bool permanent = true;
  };

  explicit FakeKernel(io::Loop& loop)
      : bell_(loop, Delegate<void()>::to<&FakeKernel::ring_for_links>(this)),
        rules_bell_(loop, Delegate<void()>::to<&FakeKernel::ring_for_rules>(this)) {
    links.push_back({.index = 1, .name = "lo", .mtu = 65536, .up = true, .carrier = true, .loopback = true});
  }

  // -- the tables: tests set and read them; what others do to the machine is below --
  std::vector<kernel::Link> links;
  std::vector<kernel::Address> addresses;
  std::vector<overlay::Device> devices;  // of links that are more than a plain NIC
  std::map<NeighbourKey, Neighbour> neighbours;
  std::map<FdbKey, Fdb> fdb;
  std::map<RouteKey, Route> routes;
  std::optional<int> default_link;
  Ip4 default_gateway;
  std::uint32_t default_mtu = 0;
  std::vector<kernel::Route> more_routes;  // defaults of other metrics than 0; others with an MTU
  std::optional<overlay::RuleSpec> rules;
  std::set<Ip4> senders;  // the set in our rule table, which is empty where that is made anew
  std::vector<kernel::FirewallFinding> findings;
  bool forwarding = false;
  std::map<std::string, int> accept_ra;
  std::map<std::string, int> rp_filter;
  std::map<std::uint16_t, kernel::UdpSocket> sockets;  // by port; while one is there, a device cannot go up
  std::vector<overlay::Device> elsewhere;              // moved to another namespace: their VNI stays taken
  std::map<std::string, bool> tx_checksum;             // of a link; absent: on
  std::map<std::string, std::string> drivers;

  // -- what was asked of it --
  std::size_t writes = 0;       // requests that change something, done or refused
  std::size_t dumps = 0;        // dump_entries
  std::size_t inspections = 0;  // inspect_firewall
  bool flanneld_tables = false;
  std::vector<overlay::Change> changes;  // all that were sent, in order
  void forget() {
    writes = dumps = inspections = 0;
    changes.clear();
  }

  // -- failures --
  /// The next `times` calls of this kind fail; negative: all until heal().
  void fail(Call call, Error error, int times = 1) { faults_[call] = {error, times}; }
  void heal() { faults_.clear(); }
  /// Asked for each change; an Error refuses it.
  std::function<std::optional<Error>(const overlay::Change&)> refuse;

  // -- what others do to the machine --
  /// A NIC with one address, up; the first one has the default route.
  int add_nic(std::string_view name, Net4 address, std::uint32_t mtu = 1500) {
    const int index = next_index_++;
    links.push_back({.index = index, .name = name, .mtu = mtu, .up = true, .carrier = true});
    addresses.push_back({.link_index = index, .net = address});
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
    std::erase_if(fdb, [&](const auto& f) { return f.first.first == index; });
    std::erase_if(routes, [&](const auto& r) { return r.second.link == index; });
    if (default_link == index) default_link.reset();
    std::erase_if(more_routes, [&](const auto& r) { return r.link_index == index; });
    changed();
  }
  void set_up(int index, bool up) {
    if (kernel::Link* link = find(links, index)) link->up = up;
    if (overlay::Device* device = find(devices, index)) device->up = up;
    if (!up) {
      std::erase_if(neighbours, [&](const auto& n) { return n.first.first == index; });
      std::erase_if(routes, [&](const auto& r) { return r.second.link == index; });
      if (find(devices, index) != nullptr) ++unread_downs_;
    }
    changed();
  }
  void set_carrier(int index, bool carrier) {
    if (kernel::Link* link = find(links, index)) link->carrier = carrier;
    changed();
  }
  void remove_addresses(int index) {
    std::erase_if(addresses, [&](const auto& a) { return a.link_index == index; });
    changed();
  }
  /// Down and up again before anybody asks: what went with it stays gone.
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
  /// As Linux 6.2 and later: it may be up.
  void rename(int index, std::string_view name) {
    if (kernel::Link* link = find(links, index)) link->name = name;
    if (overlay::Device* device = find(devices, index)) device->name = name;
    changed();
  }
  void set_master(int index, int master) {
    if (overlay::Device* device = find(devices, index)) device->master_index = master;
    changed();
  }
  void move_away(int index) {
    if (const overlay::Device* device = find(devices, index)) elsewhere.push_back(*device);
    remove_link(index);
  }
  void replace_address(int index, Net4 address) {
    std::erase_if(addresses, [&](const auto& a) { return a.link_index == index; });
    addresses.push_back({.link_index = index, .net = address});
    changed();
  }
  /// A device that is no work of ours; its index is given out.
  int add_device(overlay::Device device) {
    device.index = next_index_++;
    links.push_back(
        {.index = device.index, .name = device.name, .mtu = device.mtu, .up = device.up, .carrier = true});
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
  /// An administrator's route; without a gateway by default.
  void add_route(Net4 to, int link, Ip4 gateway = {}) {
    routes[{to, 0}] = {link, gateway, false, 3};
    bell_.arm_in(0);
  }
  void remove_route(Net4 to) {
    routes.erase({to, 0});
    bell_.arm_in(0);
  }
  void changed() {
    links_changed_ = true;
    bell_.arm_in(0);
  }
  /// The default route did.
  void default_route_changed() {
    default_route_changed_ = true;
    bell_.arm_in(0);
  }
  /// After a change of the tables above: the kernel tells of this entry, as another program's work.
  void touched(const overlay::Entry& entry, bool present, std::uint32_t port = 0, std::uint8_t protocol = 0) {
    touched_.add(kernel::Touched{
        .entry = entry, .present = present, .was_foreign = false, .protocol = protocol, .port = port});
    bell_.arm_in(0);
  }
  void settings_changed() {
    touched_.add(kernel::Cause::kSysctls);
    bell_.arm_in(0);
  }
  void rules_changed(std::string_view program, std::uint32_t pid) {
    rules_ring_.add(kernel::Cause::kRules);
    rules_ring_.program = program;
    rules_ring_.pid = pid;
    rules_bell_.arm_in(0);
  }

  // -- the ports --
  kernel::Ports ports() { return {*this, *this, *this, *this, *this, *this, *this}; }
  Result<void> dump_links(kernel::LinkVisitor& visitor) override;
  Result<void> dump_addresses(kernel::AddressVisitor& visitor) override;
  Result<void> dump_routes(kernel::RouteVisitor& visitor) override;
  Result<std::optional<kernel::RouteAnswer>> route_to(const Ip& destination) override;
  Result<kernel::LinkTraffic> traffic(int link_index) override { return link_traffic[link_index]; }
  std::map<int, kernel::LinkTraffic> link_traffic{};
  Result<std::optional<overlay::Device>> find_device(std::string_view name) override;
  Result<void> dump_devices(kernel::DeviceVisitor& visitor) override;
  kernel::UdpSocket find_socket(std::uint16_t port) override { return sockets[port]; }
  Result<bool> set_tx_checksum(std::string_view link, bool on) override;
  Text<32> driver(std::string_view link) override { return std::string_view(drivers[std::string(link)]); }
  Result<void> create_device(const overlay::DeviceSpec& spec) override;
  Result<void> change_device(int index, const overlay::DeviceSpec& spec,
                             const overlay::DevicePlan& plan) override;
  Result<void> delete_device(int index) override;
  Result<bool> set_device_address(int index, const Ip& address, const Net& network) override;
  Result<void> dump_entries(const kernel::Site& site, kernel::EntryVisitor& visitor) override;
  kernel::EntryBatch& begin(const kernel::Site& site, kernel::RefusalListener* listener) override;
  /// A kernel without nexthop objects.
  void change(const overlay::Change& change) override {
    if (change.entry.kind != overlay::Entry::Kind::kNexthop) queued_.push_back(change);
  }
  Result<kernel::BatchReport> finish() override;
  Result<bool> apply_rules(const overlay::RuleSpec& spec) override;
  Result<void> inspect_firewall(const overlay::RuleSpec&, kernel::FindingVisitor& visitor) override;
  Result<bool> remove_flanneld_tables() override { return std::exchange(flanneld_tables, false); }
  Result<bool> ip_forward() override;
  Result<void> set_ip_forward() override;
  bool strict_rp_filter(std::string_view link) override;
  Result<void> disable_accept_ra(std::string_view name) override;
  void follow(const kernel::Site& site) override { follows_routes_ = site.direct; }
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

  std::optional<Error> apply(const overlay::Change& change);
  std::optional<Error> put_route(const overlay::Entry& entry, const kernel::Link& link);
  static bool direct(const Route& route) {
    return !route.onlink && route.gateway != Ip4{} && route.protocol == 70;
  }
  bool on_link(int index, Ip4 ip) const {
    return std::any_of(addresses.begin(), addresses.end(), [&](const auto& address) {
      return address.link_index == index && address.net.contains(ip);
    });
  }
  void ring_for_links() {
    times_down_ += std::exchange(unread_downs_, 0);
    kernel::Ring ring = std::exchange(touched_, kernel::Ring{});
    if (std::exchange(links_changed_, false)) {
      ring.add(kernel::Cause::kLinks);
      ring.add(kernel::Cause::kAddresses);
    }
    if (std::exchange(default_route_changed_, false) || follows_routes_) ring.add(kernel::Cause::kRoutes);
    if (doorbell_ && ring.causes != 0) doorbell_(ring);
  }
  void ring_for_rules() {
    if (doorbell_) doorbell_(rules_ring_);
  }

  io::Timer bell_;
  io::Timer rules_bell_;
  kernel::Ring rules_ring_;
  kernel::Ring touched_;
  Delegate<void(const kernel::Ring&)> doorbell_;
  std::map<Call, Fault> faults_;
  std::vector<overlay::Change> queued_;
  std::uint32_t times_down_ = 0;
  std::uint32_t unread_downs_ = 0;  // their notifications are on the way
  kernel::Site site_;
  kernel::RefusalListener* listener_ = nullptr;
  bool follows_routes_ = false;
  bool links_changed_ = false;
  bool default_route_changed_ = false;
  int next_index_ = 2;
};

}  // namespace flannelette::tests
