// SPDX-License-Identifier: Apache-2.0
// The seam to the kernel: narrow ports, each for one kind of user, and the values that cross them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "flannelette/base/delegate.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/overlay/device.hpp"
#include "flannelette/overlay/entry.hpp"
#include "flannelette/overlay/rules.hpp"

/// Real: NetlinkKernel has all ports but Notifications, which is Monitor. Tests: a fake that keeps tables.
/// Calls are synchronous and short (local netlink), and queries have no side effects. A visitor must not call
/// a port from its calls.
namespace flannelette::kernel {

using overlay::InterfaceName;

// -- the machine's links and routes --

struct Link {
  int index = 0;
  InterfaceName name;
  std::uint32_t mtu = 0;
  bool up = false;       ///< IFF_UP
  bool carrier = false;  ///< IFF_LOWER_UP and IFF_RUNNING: packets get through, as far as the driver knows
  bool loopback = false;
};

struct Address {
  int link_index = 0;
  Net net;  ///< the address with its prefix length, host bits kept
  bool secondary = false;
  bool deprecated = false;
  bool link_scope = false;  ///< scope link or host
};

class LinkVisitor {
 public:
  virtual void link(const Link& link) = 0;

 protected:
  ~LinkVisitor() = default;
};
class AddressVisitor {
 public:
  virtual void address(const Address& address) = 0;

 protected:
  ~AddressVisitor() = default;
};

/// A route of table main that leads through a link.
struct Route {
  int link_index = 0;  ///< of its first next hop with a carrier
  Ip gateway;          ///< unspecified: none, or several next hops
  std::uint32_t metric = 0;
  std::uint32_t mtu = 0;  ///< as the route has it; 0: it has none
  Net4 destination;
  bool is_default() const { return destination.length == 0; }
};
class RouteVisitor {
 public:
  virtual void route(const Route& route) = 0;

 protected:
  ~RouteVisitor() = default;
};

struct RouteAnswer {
  int link_index = 0;
  Ip source;
  Ip gateway;  ///< unspecified: directly connected
};

/// What a link has carried since it was made.
struct LinkTraffic {
  std::uint64_t received_packets = 0;
  std::uint64_t sent_packets = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t dropped_packets = 0;  ///< either way, and those that could not be sent
};

class Links {
 public:
  virtual Result<void> dump_links(LinkVisitor& visitor) = 0;
  virtual Result<void> dump_addresses(AddressVisitor& visitor) = 0;  ///< IPv4
  /// The IPv4 routes of table main that are default routes or have an MTU, but for our own.
  virtual Result<void> dump_routes(RouteVisitor& visitor) = 0;
  /// Where the kernel would send a packet to `destination`; nullopt: no route.
  virtual Result<std::optional<RouteAnswer>> route_to(const Ip& destination) = 0;
  virtual Result<LinkTraffic> traffic(int link_index) = 0;

 protected:
  ~Links() = default;
};

// -- our device --

class DeviceVisitor {
 public:
  virtual void device(const overlay::Device& device) = 0;

 protected:
  ~DeviceVisitor() = default;
};

/// A socket as the kernel lists it.
struct UdpSocket {
  std::uint32_t uid = 0;
  std::uint64_t inode = 0;  ///< 0: there is none
};

class DevicePort {
 public:
  virtual Result<std::optional<overlay::Device>> find_device(std::string_view name) = 0;
  /// All VXLAN devices of this network namespace.
  virtual Result<void> dump_devices(DeviceVisitor& visitor) = 0;
  /// Who has bound this UDP port, as far as that can be read.
  virtual UdpSocket find_socket(std::uint16_t port) = 0;
  /// Creates it with MAC, MTU and all else at once, down. kUnsupported: no vxlan in this kernel (context says
  /// what to load); kExists: the name, or the VNI and port, are in use by another device.
  virtual Result<void> create_device(const overlay::DeviceSpec& spec) = 0;
  /// Applies the in-place parts of the plan, each only if set. EADDRINUSE: the UDP port is taken.
  virtual Result<void> change_device(int index, const overlay::DeviceSpec& spec,
                                     const overlay::DevicePlan& plan) = 0;
  virtual Result<void> delete_device(int index) = 0;
  /// Makes `address`, with a prefix of its own alone, the only address of the device inside `network`; other
  /// addresses stay. No write if it is so already; true if something was written.
  virtual Result<bool> set_device_address(int index, const Ip& address, const Net& network) = 0;

 protected:
  ~DevicePort() = default;
};

class OffloadPort {
 public:
  /// Has the checksums of what leaves by this link computed by it (`on`), or by the kernel before. No write
  /// if it is so already; true if something was written.
  virtual Result<bool> set_tx_checksum(std::string_view link, bool on) = 0;
  /// Name of the driver, as ethtool shows it; empty: unknown.
  virtual Text<32> driver(std::string_view link) = 0;

 protected:
  ~OffloadPort() = default;
};

// -- the entries of peers --

/// Where they are.
struct Site {
  int device = 0;       ///< our own; 0: there is none
  int underlay = 0;     ///< the link of Entry::underlay
  Net4 network{};       ///< what the ids of nexthop objects are counted in
  Net4 former{};        ///< Network before; 0.0.0.0/0: none
  bool direct = false;  ///< dumps show what is ours on the underlay, too
  /// The VNI whose rule table has the set of senders; nullopt: there is no set.
  std::optional<std::uint32_t> senders{};
  bool operator==(const Site&) const = default;
};

class EntryVisitor {
 public:
  /// Routes come before the nexthop objects of their link. The `onlink` of an object, and of a route that
  /// names one, is not as we make it where routes should be plain. A route on the underlay that names one may
  /// have no `via`.
  virtual void entry(const overlay::Entry& entry) = 0;

 protected:
  ~EntryVisitor() = default;
};

/// How a batch of changes went. Requests that failed did nothing; all others are done.
struct BatchReport {
  std::size_t done = 0;
  std::size_t failed = 0;
  Error first;  ///< of the first failure
  overlay::Change first_change{};
};

/// Changes are collected into large netlink messages and sent as these fill.
class EntryBatch : public overlay::ChangeSink {
 public:
  /// Sends the rest and waits for all answers.
  virtual Result<BatchReport> finish() = 0;

 protected:
  ~EntryBatch() = default;
};

/// Hears of each change that was refused, while the batch is filled or finished.
class RefusalListener {
 public:
  /// kUnavailable: the gateway is not on link. True: it does not count as failed.
  virtual bool on_refused(const overlay::Change& change, const Error& error) = 0;

 protected:
  ~RefusalListener() = default;
};

class EntryPort {
 public:
  /// Everything on the device: IPv4 routes of the main table, our nexthop objects, neighbours (permanent, and
  /// others that occupy an address), FDB entries with a remote. With Site::direct also direct routes of the
  /// underlay inside `network` or `former` that have our rtm_protocol, and our nexthop objects for such.
  /// With Site::senders what is in their set.
  /// kInterrupted: the tables changed meanwhile or the answer was cut; what was visited means nothing.
  virtual Result<void> dump_entries(const Site& site, EntryVisitor& visitor) = 0;
  /// The one batch, empty; what it held and did not finish is dropped.
  virtual EntryBatch& begin(const Site& site, RefusalListener* listener = nullptr) = 0;

 protected:
  ~EntryPort() = default;
};

// -- traffic rules --

/// Things on this machine, not ours, that stop the overlay's traffic. Reported to the operator, never
/// touched. A chain that drops in the end may accept our packets by a rule that names neither our network nor
/// our device: kForeignDrop is a hint and no proof.
struct FirewallFinding {
  enum class Kind : std::uint8_t {
    kForeignDrop,  ///< a forward filter chain of another table with policy drop, or whose last rule drops or
                   ///< rejects everything; no rule of the table accepts our network or device
    kFlanneldNftTable,  ///< `table ip flannel-ipv4`
    kFlanneldIptables,  ///< chains FLANNEL-POSTRTG / FLANNEL-FWD of flanneld's iptables mode
    kInputDrop,         ///< see HostPort::inspect_input; a hint and no proof, too
  };
  Kind kind;
  Text<16> family;  ///< "ip", "inet"
  Text<64> table;
  Text<64> chain;
  bool legacy = false;  ///< of the kernel's older interface: `iptables-legacy` shows it, `nft` does not
};
class FindingVisitor {
 public:
  virtual void finding(const FirewallFinding& finding) = 0;

 protected:
  ~FindingVisitor() = default;
};

class RulesPort {
 public:
  /// Makes overlay::rule_table exactly these rules in one atomic transaction; an empty spec removes the
  /// table. No write if the table's rules carry the marks of these rules already, all of them and in order.
  /// True if something was written; the set of senders is empty then.
  virtual Result<bool> apply_rules(const overlay::RuleSpec& spec) = 0;
  /// What stops the packets of the network and the device of these rules, which need not be applied.
  virtual Result<void> inspect_firewall(const overlay::RuleSpec& spec, FindingVisitor& visitor) = 0;
  /// The tables `ip flannel-ipv4` and `ip6 flannel-ipv6`; false: there is none.
  virtual Result<bool> remove_flanneld_tables() = 0;

 protected:
  ~RulesPort() = default;
};

// -- sysctls: /proc/sys may be read-only or absent --

inline constexpr std::string_view kIpForwardPath = "/proc/sys/net/ipv4/ip_forward";
inline Text<64> accept_ra_path(std::string_view device) {
  return to_text<64>([&](Writer& out) { out.put("/proc/sys/net/ipv6/conf/").put(device).put("/accept_ra"); });
}

class SysctlPort {
 public:
  virtual Result<bool> ip_forward() = 0;
  virtual Result<void> set_ip_forward() = 0;
  /// Whether packets that come in by this link are dropped if those to their source would leave by another,
  /// as far as it can be read.
  virtual bool strict_rp_filter(std::string_view link) = 0;
  /// accept_ra_path(device) = 0 if it is not so (no write else; absent IPv6 is fine).
  virtual Result<void> disable_accept_ra(std::string_view device) = 0;

 protected:
  ~SysctlPort() = default;
};

// -- notifications --

/// What may have changed, as bits of Ring::causes.
enum class Cause : std::uint8_t {
  kLinks = 1,
  kAddresses = 2,  ///< IPv4
  kRoutes = 4,     ///< IPv4, table main: a default route; what is none of our entries in the networks;
                   ///< by hand, of the kernel or of DHCP one with metrics, and with Site::direct all
  kEntries = 8,    ///< of the followed site, by others: see Ring::touched
  kRules = 16,     ///< another program changed nf_tables, in whatever table
  kSysctls = 32,   ///< IPv4 settings of all links together, of the device, or of the underlay
  kLost = 64,      ///< notifications were lost: the other bits are all that may have changed
};

/// An entry that another program made, changed or removed. Of one that is gone not all may be known.
struct Touched {
  overlay::Entry entry;
  bool present = false;       ///< it is there now, else it is gone
  bool was_foreign = false;   ///< another program's route to such a destination is gone, not ours
  std::uint8_t protocol = 0;  ///< rtm_protocol of a route or nexthop object
  std::uint32_t port = 0;     ///< netlink port of who did it, mostly its process id; 0: it is not known
};

/// A ring of the doorbell: read again what the causes name, nothing more.
struct Ring {
  static constexpr std::size_t kMaxTouched = 16;

  std::uint8_t causes = 0;
  bool many = false;  ///< kEntries: any entry may have changed, not these alone
  std::uint8_t touched_count = 0;
  std::array<Touched, kMaxTouched> touched;  ///< kEntries: in order
  Text<16> program;       ///< kRules: who did it last; empty: the kernel does not say, or its word was lost
  std::uint32_t pid = 0;  ///< of that program, as the first PID namespace counts, which may not be ours

  void add(Cause cause) { causes |= static_cast<std::uint8_t>(cause); }
  bool has(Cause cause) const { return (causes & static_cast<std::uint8_t>(cause)) != 0; }
  void add(const Touched& one) {
    add(Cause::kEntries);
    if (touched_count == kMaxTouched) many = true;
    if (!many) touched[touched_count++] = one;
  }
};

class Notifications {
 public:
  /// Rings from the loop. Without nf_tables, or the right to listen to it, there is no ring for rules.
  virtual void set_doorbell(Delegate<void(const Ring&)> doorbell) = 0;
  /// Where the entries of peers are, now: what concerns them rings.
  virtual void follow(const Site& site) = 0;
  /// How often a VXLAN device of this machine went down, the followed one lost an address, or either may have
  /// happened (a notification was lost), as far as the loop has read notifications. Routes and neighbours
  /// went then, although it may be up again.
  virtual std::uint32_t times_down() const = 0;

 protected:
  ~Notifications() = default;
};

/// All of them, for who passes them on.
struct Ports {
  Links& links;
  DevicePort& device;
  EntryPort& entries;
  RulesPort& rules;
  SysctlPort& sysctl;
  OffloadPort& offload;
  Notifications& notifications;
};

}  // namespace flannelette::kernel
