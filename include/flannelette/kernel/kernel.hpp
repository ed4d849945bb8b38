// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "flannelette/base/delegate.hpp"
#include "flannelette/base/ip.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/overlay/device.hpp"
#include "flannelette/overlay/entry.hpp"
#include "flannelette/overlay/rules.hpp"

/// The seam to the kernel. Real: NetlinkKernel. Tests: a fake that keeps tables, and a faulty one.
/// Calls are synchronous and short (local netlink); nothing here knows the registry. A visitor must not call
/// the Kernel from its calls.
namespace flannelette::kernel {

using overlay::InterfaceName;

struct Link {
  int index = 0;
  InterfaceName name;
  std::uint32_t mtu = 0;
  bool up = false;       ///< IFF_UP
  bool running = false;  ///< carrier
  bool loopback = false;
};

struct Address {
  int link_index = 0;
  Net4 net;                ///< the address with its prefix length, host bits kept
  bool permanent = false;  ///< IFA_F_PERMANENT: not dynamic
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
class EntryVisitor {
 public:
  virtual void entry(const overlay::Neighbour& neighbour) = 0;
  virtual void entry(const overlay::Fdb& fdb) = 0;
  virtual void entry(const overlay::Route& route) = 0;
  virtual void entry(const overlay::NextHop& object) = 0;  ///< after all routes

 protected:
  ~EntryVisitor() = default;
};

struct RouteAnswer {
  int link_index = 0;
  Ip4 source;
  Ip4 gateway;  ///< 0.0.0.0: directly connected
};

/// How a batch of changes went. Requests that failed did nothing; all others are done.
struct BatchReport {
  std::size_t done = 0;
  std::size_t failed = 0;
  Error first;  ///< of the first failure
  overlay::Change first_change{};
};

/// Things on this machine, not ours, that stop the overlay's traffic. Named to the operator, never touched. A
/// chain that drops in the end may well accept our network in an earlier rule: that is not looked into, so a
/// kForeignDrop is a hint and no proof.
struct FirewallFinding {
  enum class Kind : std::uint8_t {
    kForeignDrop,  ///< a forward filter chain of another table with policy drop, or whose last rule drops or
                   ///< rejects everything
    kFlanneldNftTable,  ///< `table ip flannel-ipv4`
    kFlanneldIptables,  ///< chains FLANNEL-POSTRTG / FLANNEL-FWD of flanneld's iptables mode
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

inline constexpr std::string_view kIpForwardPath = "/proc/sys/net/ipv4/ip_forward";
inline Text<64> accept_ra_path(std::string_view device) {
  return to_text<64>([&](Writer& out) { out.put("/proc/sys/net/ipv6/conf/").put(device).put("/accept_ra"); });
}

/// Why the doorbell rings. It says "look again", nothing more.
struct Ring {
  enum class Cause : std::uint8_t {
    kLinks,  ///< links or IPv4 addresses changed
    kRules,  ///< another program changed nf_tables, in whatever table
  };
  Cause cause = Cause::kLinks;
  Text<16> program;       ///< kRules: who did it last; empty: the kernel does not say, or its word was lost
  std::uint32_t pid = 0;  ///< ... as the first PID namespace counts, which may not be ours
};

class Kernel {
 public:
  virtual ~Kernel() = default;

  // -- looking around --
  virtual Result<void> dump_links(LinkVisitor& visitor) = 0;
  virtual Result<void> dump_addresses(AddressVisitor& visitor) = 0;  ///< IPv4
  /// The IPv4 default route of the main table with the lowest metric; nullopt if there is none. `source` is
  /// not filled in, nor is `gateway` where there are several.
  virtual Result<std::optional<RouteAnswer>> default_route() = 0;
  /// What the kernel would do with a packet to `destination`; nullopt: no route.
  virtual Result<std::optional<RouteAnswer>> route_to(Ip4 destination) = 0;

  // -- the device --
  virtual Result<std::optional<overlay::Device>> find_device(std::string_view name) = 0;
  /// Creates it with MAC, MTU and all else at once, down. kUnsupported: no vxlan in this kernel (context says
  /// what to load); kExists: the name, or the VNI and port, are in use by another device.
  virtual Result<void> create_device(const overlay::DeviceSpec& spec) = 0;
  /// Applies the in-place parts of the plan (local, learning, mtu, mac, up), each only if set.
  virtual Result<void> change_device(int index, const overlay::DeviceSpec& spec,
                                     const overlay::DevicePlan& plan) = 0;
  virtual Result<void> delete_device(int index) = 0;
  /// Makes `address`/32 the only IPv4 address of the device inside `network`; other addresses stay. No write
  /// if it is so already.
  virtual Result<void> set_device_address(int index, Ip4 address, Net4 network) = 0;

  // -- a peer's entries --
  /// Everything on the device: IPv4 routes of the main table, our nexthop objects, neighbours (permanent and
  /// those in the way), FDB entries with a remote. kInterrupted: the tables changed under way or the answer
  /// was cut; what was visited means nothing. `network` is what the ids of nexthop objects are counted in.
  virtual Result<void> dump_entries(int index, Net4 network, EntryVisitor& visitor) = 0;
  /// Changes are queued into large netlink messages and sent as they fill; finish() sends the rest and waits
  /// for all answers.
  virtual void begin(int index, Net4 network) = 0;
  virtual void queue(const overlay::Change& change) = 0;
  virtual Result<BatchReport> finish() = 0;

  // -- traffic rules --
  /// Makes overlay::rule_table exactly these rules in one atomic transaction; an empty spec removes the
  /// table. No write if the table's rules carry the marks of these rules already, all of them and in order.
  /// True if something was written.
  virtual Result<bool> apply_rules(const overlay::RuleSpec& spec) = 0;
  virtual Result<void> inspect_firewall(const overlay::RuleSpec& spec, FindingVisitor& visitor) = 0;

  // -- sysctl: /proc/sys may be read-only or absent --
  virtual Result<bool> ip_forward() = 0;
  virtual Result<void> set_ip_forward() = 0;
  /// accept_ra_path(name) = 0 if it is not so (no write else; absent IPv6 is fine).
  virtual Result<void> disable_accept_ra(std::string_view name) = 0;

  /// Rings when something of a Ring::Cause changes, or when that cannot be told (a notification was lost). A
  /// ring comes from the loop. Without nf_tables, or the right to listen to it, there is no ring for rules.
  virtual void set_doorbell(Delegate<void(const Ring&)> doorbell) = 0;
  /// How often a VXLAN device of this machine went down, or may have gone (a notification was lost), as far
  /// as the loop has read notifications. Its routes and neighbours went then, although it may be up again.
  virtual std::uint32_t times_down() const = 0;
};

}  // namespace flannelette::kernel
