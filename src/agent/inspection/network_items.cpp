// SPDX-License-Identifier: Apache-2.0
// What an inspection finds of the machine for a certain network.
#include <array>

#include "agent/inspection/context.hpp"
#include "agent/rivals.hpp"
#include "agent/traffic_rules.hpp"
#include "agent/words.hpp"
#include "flannelette/base/function_ref.hpp"
#include "flannelette/overlay/backend.hpp"

namespace flannelette::agent {
namespace {

using Context = InspectionContext;
using kernel::FirewallFinding;

/// The device that there should be; without a name: none.
overlay::DeviceSpec device_of(const Context& c) {
  const overlay::NetworkConfig config = c.config();
  const overlay::Backend& backend = overlay::backend_of(config);
  if (backend.device == nullptr) return {};
  const Underlay underlay = c.underlay.value_or(Underlay{});
  return backend.device(config, underlay.local.v4(), underlay.mtu, {});
}

/// As far as a state file has it.
bool differs(const overlay::NetworkConfig& config, overlay::NetworkConfig saved) {
  saved.direct = config.direct;
  saved.backend_absent = config.backend_absent;
  saved.nftables = config.nftables;
  return config != saved;
}

void inspect_network(Context& c) {
  if (!c.network) return (void)c.report.note().put("not known");
  const auto choice = underlay_of(c);
  if (choice && choice->overlap) {
    Writer& out = c.report.warn().put(kOverlap).put(": ");
    write(out, c.network->network);
    write(out.put(" and "), choice->overlap->net);
    c.report.repair().put("choose a Network that is free in the whole cluster");
  }
  // subnet.env, which knows no more than Network, has no public IP.
  if (c.agent_runs && c.node && c.node->public_ip != Ip4{} && differs(*c.network, c.node->config)) {
    c.report.warn().put(words_of({.changed = true}));
    c.report.repair().put("restart the agents of all nodes, one after another");
  }
  write(c.report.note(), c.network->network);
}

void inspect_port(Context& c) {
  const overlay::DeviceSpec spec = device_of(c);
  if (spec.name.empty()) return (void)c.report.note().put("not needed");
  std::optional<Rivals> rivals;
  const auto listed = uninterrupted([&] { return c.needs.device.dump_devices(rivals.emplace(spec)); });
  if (!listed) return (void)put_error(c.report.fail(), listed.error());
  const auto& rival = rivals->same_vni ? rivals->same_vni : rivals->same_port;
  kernel::UdpSocket socket;
  if (!rivals->port_up) socket = c.needs.device.find_socket(spec.port);
  if (!rival && socket.inode == 0) return;
  Writer& out =
      c.report.fail().put("VNI ").put_unsigned(spec.vni).put(" and UDP port ").put_unsigned(spec.port);
  out.put(" are in use by ");
  c.report.repair().put("stop it, or give the network another Port or VNI");
  if (rival) return (void)out.put("device ").put(rival->name);
  const kernel::Program holder = c.needs.host.holder_of(socket.inode);
  if (holder.pid != 0) return (void)put(out, holder);
  out.put("a socket of uid ").put_unsigned(socket.uid).put(", inode ").put_unsigned(socket.inode);
}

/// Addresses of a device but ours.
struct Strangers final : kernel::AddressVisitor {
  void address(const kernel::Address& address) override {
    if (address.link_index != index) return;
    ++count;
    if (ours != address.net.base) stranger = address.net.base;
  }
  int index = 0;
  std::optional<Ip> ours;  ///< nullopt: it is not known
  int count = 0;
  std::optional<Ip> stranger;
};

void inspect_device(Context& c) {
  const overlay::DeviceSpec spec = device_of(c);
  if (spec.name.empty()) return (void)c.report.note().put("not needed");
  const auto device = c.needs.device.find_device(spec.name);
  if (!device) return (void)put_error(c.report.fail(), device.error());
  if (!*device) return (void)c.report.note().put("there is none yet");
  Strangers strangers;
  const auto listed = uninterrupted([&] {
    strangers = {};
    strangers.index = (*device)->index;
    if (c.node) strangers.ours = c.node->subnet.base;
    return c.needs.links.dump_addresses(strangers);
  });
  if (!listed) return;
  // Without a state file a subnet's address may be ours, as that of another network cannot be.
  const bool may_be_ours = !strangers.ours && strangers.count == 1 &&
                           Net(c.config().network).contains(strangers.stranger.value_or(Ip{}));
  if (!strangers.stranger || may_be_ours) {
    c.report.note().put(spec.name);
    return;
  }
  Writer& out = c.report.fail().put(spec.name).put(" has the address ");
  write(out, *strangers.stranger);
  out.put(", which is not ours: another daemon uses VNI ").put_unsigned(spec.vni);
  c.report.repair().put("stop one of them, or give each network a VNI of its own");
}

void inspect_rp_filter(Context& c) {
  const overlay::DeviceSpec spec = device_of(c);
  if (!c.config().direct || !c.underlay || spec.name.empty()) return;
  const std::string_view link = c.underlay->name;
  if (!c.needs.sysctl.strict_rp_filter(link)) return;
  c.report.warn().put(kStrictRpFilter);
  const auto loose = to_text<64>([&](Writer& out) {
    out.put("net.ipv4.conf.");
    for (const char byte : link) out.put(byte == '.' ? '/' : byte);  // a dot would end the name
    out.put(".rp_filter=2");
  });
  set_sysctl(c.report.repair(), c.system, loose);
}

void report_firewall(Context& c, const FirewallFinding& finding) {
  const bool input = finding.kind == FirewallFinding::Kind::kInputDrop;
  c.report.warn()
      .put(input ? "a firewall table drops what comes in, and seems to accept no VXLAN" : words_of(finding))
      .put(": table ")
      .put(finding.family)
      .put(" ")
      .put(finding.table)
      .put(", chain ")
      .put(finding.chain);
  Writer& repair = c.report.repair();
  const overlay::NetworkConfig config = c.config();
  if (!input) return (void)repair.put(repair_of(finding, config.network));
  accept_port(repair, c.system, c.firewalld, finding, config.port);
}

/// Those of an inspection that was not interrupted.
struct Findings final : kernel::FindingVisitor {
  void finding(const FirewallFinding& finding) override {
    if (count < all.size()) all[count++] = finding;
  }
  std::array<FirewallFinding, 24> all;
  std::size_t count = 0;
};

void inspect_firewall(Context& c, FunctionRef<Result<void>(kernel::FindingVisitor&)> inspect) {
  Findings findings;
  const auto inspected = uninterrupted([&] {
    findings.count = 0;
    return inspect(findings);
  });
  for (const FirewallFinding& finding : std::span(findings.all).first(findings.count))
    report_firewall(c, finding);
  if (!inspected && inspected.error().code != Code::kDenied) put_error(c.report.warn(), inspected.error());
}

void inspect_forward(Context& c) {
  const overlay::RuleSpec spec = rules_of(c.settings, c.config());
  inspect_firewall(
      c, [&](kernel::FindingVisitor& findings) { return c.needs.rules.inspect_firewall(spec, findings); });
}

constexpr Item kItems[] = {{"network", inspect_network},
                           {"port", inspect_port},
                           {"device", inspect_device},
                           {"rp_filter", inspect_rp_filter},
                           {"firewall: forward", inspect_forward}};

}  // namespace

std::span<const Item> network_items() { return kItems; }

/// A peer that answers through the tunnel proves that it is let in.
void inspect_input(InspectionContext& c) {
  const overlay::DeviceSpec spec = device_of(c);
  if (spec.name.empty() || c.tunnel_works || !c.underlay) return;
  inspect_firewall(c, [&](kernel::FindingVisitor& findings) {
    return c.needs.host.inspect_input(c.underlay->name, spec.port, findings);
  });
}

}  // namespace flannelette::agent
