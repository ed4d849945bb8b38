// SPDX-License-Identifier: Apache-2.0
// What an inspection finds of the machine, whatever the network is.
#include "agent/inspection/context.hpp"
#include "agent/public_ip_file.hpp"
#include "agent/traffic_rules.hpp"
#include "agent/words.hpp"
#include "flannelette/agent/known_node.hpp"
#include "flannelette/io/calendar.hpp"

namespace flannelette::agent {
namespace {

using Context = InspectionContext;

void inspect_privilege(Context& c) {
  const auto tried = c.needs.host.try_vxlan();
  if (!tried && tried.error().code == Code::kDenied) {
    c.report.fail().put("CAP_NET_ADMIN is missing");
    c.report.repair().put("run it as root, or with AmbientCapabilities=CAP_NET_ADMIN");
  }
}

/// Modules are missing. `package`, `modules`: as of load_modules().
void fail_without(Context& c, const Error& error, const char* package, const char* modules) {
  put_error(c.report.fail(), error);
  load_modules(c.report.repair(), c.system, package, modules);
}

void inspect_vxlan(Context& c) {
  const auto tried = c.needs.host.try_vxlan();
  if (tried || tried.error().code == Code::kDenied) return;
  fail_without(c, tried.error(), "vxlan", "vxlan");
}

void inspect_nf_tables(Context& c) {
  const overlay::RuleSpec spec = rules_of(c.settings, c.node ? c.node->config : c.config());
  const auto tried = c.needs.host.try_rules(spec);
  if (tried || tried.error().code == Code::kDenied) return;
  if (!spec.empty()) return fail_without(c, tried.error(), "nft-nat", "nft_chain_nat nft_masq");
  c.report.note().put("not in this kernel, and not needed without ip-masq, clamp-mss and vxlan-peers-only");
}

void inspect_nexthops(Context& c) {
  const auto has = c.needs.host.has_nexthops();
  if (has && !*has) c.report.note().put("not in this kernel (before Linux 5.3): routes are plain ones");
}

void inspect_clock(Context& c) {
  const std::int64_t now = c.needs.clock.wall_seconds();
  if (now >= io::kBuilt) return;
  c.report.fail().put("the clock says ").put(io::date_of(now)).put(", before this program was built");
  c.report.repair().put("set it (NTP); certificates are refused until then");
}

void inspect_file(Context& c, Grade grade, std::string_view file, const char* consequence) {
  const auto may = c.needs.host.may_write(file, kernel::HostPort::Writing::kReplace);
  if (may) return;
  put_error(c.report.put(grade).put(file).put(" cannot be written: "), may.error()).put(consequence);
  c.report.repair().put("make it writable for us, or name another");
}

void inspect_files(Context& c) {
  inspect_file(c, Grade::kFailure, c.settings.subnet_file, "; there will be no subnet file");
  Text<Files::kMaxPath> node;
  if (!state_file(c.settings, "node", node))
    return (void)c.report.note().put("no state folder: this node cannot start without the registry");
  inspect_file(c, Grade::kWarning, node,
               "; this node cannot start without the registry, and may get another subnet");
}

void inspect_interface(Context& c) {
  const auto choice = underlay_of(c);
  if (!choice) return (void)put_error(c.report.fail(), choice.error());
  if (!choice->underlay) {
    c.report.fail().put(choice->missing);
    c.report.repair().put("give it its address, or name another by iface");
    return;
  }
  const Underlay& underlay = c.underlay.emplace(*choice->underlay);
  if (!choice->carrier) c.report.warn().put(kNoCarrier);
  if (overlay::device_mtu(underlay.mtu, 0) == 0) c.report.fail().put(kMtuTooSmall);
  if (choice->forwarded) {
    c.report.warn().put(kForwarded);
    c.report.repair().put("have UDP to it forwarded to this machine, or leave public-ip out");
  }
  Writer& out = c.report.note().put(underlay.name).put(", ");
  write(out, underlay.address);
  out.put(", MTU ").put_unsigned(underlay.mtu);
}

/// Programs that do what ours does, or take our device for theirs unless they are told not to.
struct Known {
  const char* name;  ///< as the kernel has it, at most 15 bytes
  const char* text;
  const char* repair = nullptr;  ///< nullptr: to be stopped
  std::initializer_list<const char*> told{};
};
constexpr Known kKnown[] = {
    {"flanneld", " runs here, too: both change the same device and routes"},
    {"NetworkManager",
     " runs here and may take our device for its own",
     "[keyfile] unmanaged-devices=interface-name:flannel* in /etc/NetworkManager/conf.d/flannelette.conf",
     {"/etc/NetworkManager/conf.d", "/run/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d"}},
    {"systemd-network",
     " runs here and may remove our routes",
     "Unmanaged=yes for Name=flannel* in /etc/systemd/network, ManageForeignRoutes=no and "
     "ManageForeignNextHops=no in /etc/systemd/networkd.conf.d",
     {"/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network"}},
    {"dhcpcd",
     " runs here and may give our device an address of its own",
     "denyinterfaces flannel* in /etc/dhcpcd.conf",
     {"/etc/dhcpcd.conf"}},
    {"connmand",
     " runs here and may take our device for its own",
     "NetworkInterfaceBlacklist=flannel in /etc/connman/main.conf",
     {"/etc/connman/main.conf"}}};

struct Programs final : kernel::ProgramVisitor {
  void program(const kernel::Program& program) override {
    firewalld = firewalld || program.name == "firewalld";
    agent = agent || program.name == "flannelette";
    for (std::size_t i = 0; i < std::size(kKnown); ++i) {
      if (program.name.view() == kKnown[i].name) found[i] = program;
    }
  }
  std::array<kernel::Program, std::size(kKnown)> found{};
  bool firewalld = false;
  bool agent = false;
};

void inspect_programs(Context& c) {
  Programs programs;
  c.needs.host.visit_programs(programs);
  c.firewalld = programs.firewalld;
  c.agent_runs = programs.agent;
  for (std::size_t i = 0; i < std::size(kKnown); ++i) {
    const Known& known = kKnown[i];
    const kernel::Program& program = programs.found[i];
    bool told = program.pid == 0;
    for (const char* path : known.told) told = told || c.needs.host.mentions(path, "flannel");
    if (told) continue;
    const bool rival = known.repair == nullptr;
    put(c.report.put(rival ? Grade::kFailure : Grade::kWarning), program).put(known.text);
    if (rival) {
      stop_service(c.report.repair(), c.system, known.name);
    } else {
      c.report.repair().put(known.repair);
    }
  }
}

void inspect_forwarding(Context& c) {
  const auto on = c.needs.sysctl.ip_forward();
  if (on && *on) return;
  if (!on) return (void)put_error(c.report.warn(), on.error());
  if (!c.settings.set_ip_forward) {
    c.report.fail().put(kForwardingOff);
  } else if (!c.agent_runs &&
             c.needs.host.may_write(kernel::kIpForwardPath, kernel::HostPort::Writing::kInPlace)) {
    return (void)c.report.note().put("0; ip-forward = set sets it");
  } else {
    c.report.fail().put(kSysctlRefused).put(": ").put(kernel::kIpForwardPath);
  }
  set_sysctl(c.report.repair(), c.system, "net.ipv4.ip_forward=1");
}

constexpr Item kItems[] = {{"capabilities", inspect_privilege},
                           {"kernel: vxlan", inspect_vxlan},
                           {"kernel: nf_tables", inspect_nf_tables},
                           {"kernel: nexthop objects", inspect_nexthops},
                           {"clock", inspect_clock},
                           {"files", inspect_files},
                           {"programs", inspect_programs},
                           {"ip_forward", inspect_forwarding},
                           {"interface", inspect_interface}};

}  // namespace

Writer& put(Writer& out, const kernel::Program& program) {
  return out.put(program.name).put(" (").put_signed(program.pid).put(")");
}

std::span<const Item> machine_items() { return kItems; }

Result<UnderlayChoice> underlay_of(const InspectionContext& c) {
  const InspectionNeeds& needs = c.needs;
  PublicIpFile file(needs.loop, needs.log, needs.files, c.settings.interface, {});
  UnderlayHints hints;
  if (c.node) hints.in_use = c.node->public_ip;
  file.start(c.node ? std::optional(c.node->public_ip) : std::nullopt);
  hints.public_ip = file.read();
  if (c.network) hints.network = c.network->network;
  hints.subnet = c.subnet();
  hints.registry = std::span(c.servers).first(c.server_count);
  return uninterrupted([&] { return find_underlay(c.settings.interface, needs.links, hints); });
}

}  // namespace flannelette::agent
