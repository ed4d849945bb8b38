// SPDX-License-Identifier: Apache-2.0
// Single items of an inspection, and one with a scripted registry, on a machine in memory.
#include <cerrno>
#include <functional>

#include "agent/inspection/context.hpp"
#include "flannelette/agent/inspection.hpp"
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;
using agent::Grade;
using kernel::FirewallFinding;

namespace {

using Call = FakeKernel::Call;
constexpr Error kInterrupted{Code::kInterrupted, 0, "cut"};

/// A kernel that refuses all rules.
struct OldHost final : kernel::HostPort {
  Result<void> try_vxlan() override { return vxlan; }
  Result<void> try_rules(const overlay::RuleSpec& spec) override {
    tried = spec;
    return Error{Code::kUnsupported, 0, "no nf_tables"};
  }
  Result<bool> has_nexthops() override { return nexthops; }
  Result<void> inspect_input(std::string_view, std::uint16_t, kernel::FindingVisitor& visitor) override {
    visitor.finding({FirewallFinding::Kind::kInputDrop, "inet", "fw", "in"});
    if (interruptions-- > 0) return kInterrupted;
    return {};
  }
  void visit_programs(kernel::ProgramVisitor& visitor) override {
    if (agent_runs) visitor.program({4711, "flannelette"});
  }
  kernel::Program holder_of(std::uint64_t) override { return {}; }
  bool mentions(const char*, std::string_view) override { return false; }
  Result<void> may_write(std::string_view file, Writing how) override {
    CHECK((how == Writing::kInPlace) == (file == kernel::kIpForwardPath));
    if (how == Writing::kInPlace && !proc_sys_writable) return system_error("open", EROFS);
    return {};
  }

  Result<void> vxlan;
  bool nexthops = true;
  overlay::RuleSpec tried;
  int interruptions = 0;
  bool proc_sys_writable = true;
  bool agent_runs = false;
};

/// Runs a script where it is followed, and another where joining is rehearsed.
struct ScriptedRegistry final : registry::Registry {
  explicit ScriptedRegistry(io::Loop& loop)
      : timer(loop, Delegate<void()>::to<&ScriptedRegistry::on_time>(this)) {}
  void report(registry::Standing&) override {}
  void start(registry::MemberListener& a, registry::MembershipListener& b) override {
    members = &a;
    membership = &b;
    if (server) b.on_server_address(*server);
  }
  std::string_view config_location() const override { return ""; }
  void follow() override { timer.arm_in(0); }
  void join(const registry::Self&, const registry::Hints& any_hints) override {
    joins = true;
    leases = any_hints.leases;
    timer.arm_in(0);
  }
  void update(const registry::Self&) override {}
  void reconnect() override {}
  void stop() override {}

  void list(int records) {
    members->on_snapshot_begin();
    overlay::LeaseRecord record;  // without a public IP: nobody to ping
    for (int i = 0; i < records; ++i) members->on_record(record);
    members->on_snapshot_end();
  }
  void fail(const char* operation) {
    registry::Failure failure;
    failure.operation = operation;
    failure.error = system_error("read", ECONNRESET);
    membership->on_failure(failure);
  }
  /// As OwnNode has it.
  void give_subnet() {
    if (leases->fits(subnet)) return membership->on_joined({subnet, {}, {}});
    const bool inside = config.has_subnet(subnet);
    membership->on_left({.why = registry::Left::Why::kOutside,
                         .subnet = subnet,
                         .detail = inside ? "it holds an address that must be reached directly"
                                          : "it is no part of the network in the config"});
  }
  void on_time() {
    if (joins) {
      before_subnet(*this);
      return give_subnet();
    }
    membership->on_config(config);
    list(2);
    before_watch(*this);
    membership->on_watching();
  }

  overlay::NetworkConfig config;
  std::optional<Ip> server;
  Net4 subnet;
  std::function<void(ScriptedRegistry&)> before_watch = [](ScriptedRegistry&) {};
  std::function<void(ScriptedRegistry&)> before_subnet = before_watch;
  registry::MemberListener* members = nullptr;
  registry::MembershipListener* membership = nullptr;
  const overlay::Allocation* leases = nullptr;
  bool joins = false;
  io::Timer timer;
};

struct Inspected final : agent::FindingListener {
  Inspected() { kernel.add_nic("eth0.10", Net4{ip("172.30.0.1"), 24}); }

  void on_finding(Grade grade, std::string_view item, std::string_view text,
                  std::string_view repair) override {
    if (item == "registry") registry.append(text).append("; ").append(repair).append("\n");
    if (grade == Grade::kOk) notes.append(text);
    if (grade == Grade::kOk) return;
    found += std::string(grade == Grade::kFailure ? "FAIL " : "warn ").append(item).append(": ");
    found.append(text).append("; ").append(repair).append("\n");
  }
  /// What is found of the item, or of those that are named in this, where the network is known.
  const std::string& find(std::string_view item) {
    found.clear();
    notes.clear();
    agent::Report report(*this);
    agent::InspectionContext context{{loop, log, clock, files, kernel, kernel, kernel, kernel, host},
                                     settings,
                                     report,
                                     agent::System::kOther};
    context.network = config;
    context.node = node;
    agent::Underlay& underlay = context.underlay.emplace();
    underlay.name = "eth0.10";
    underlay.mtu = 1500;
    const agent::Item input[] = {{"input", agent::inspect_input}};
    for (const auto items :
         {agent::machine_items(), agent::network_items(), std::span<const agent::Item>(input)}) {
      for (const agent::Item& one : items) {
        if (item.find(one.name) == item.npos) continue;
        report.begin(one.name);
        one.inspect(context);
        report.end();
      }
    }
    return found;
  }

  /// What a whole inspection finds of the registry.
  const std::string& inspect(ScriptedRegistry& scripted) {
    registry.clear();
    agent::Inspection inspection({loop, log, clock, files, kernel, kernel, kernel, kernel, host}, settings,
                                 *this, Delegate<void()>::to<&io::Loop::stop>(&loop));
    const agent::InspectedRegistry one{"it", &scripted, false, true};
    inspection.start({&one, 1});
    (void)loop.run();
    return registry;
  }

  SystemClock clock;
  io::Loop loop{clock};
  LogRecorder sink;
  Log log{sink, clock, Level::kWarning};
  FakeKernel kernel{loop};
  MemoryFiles files;
  OldHost host;
  agent::Settings settings;
  overlay::NetworkConfig config;
  std::optional<overlay::NodeState> node;
  std::string found;
  std::string notes;
  std::string registry;
};

/// With 172.16.0.0/12, in which the machine is, and its own subnet beside it.
struct Rehearsed {
  Rehearsed() {
    registry.config.network = {ip("172.16.0.0"), 12};
    registry.config.subnet_len = 24;
    registry.config.subnet_min = ip("172.16.0.0");
    registry.config.subnet_max = ip("172.31.255.0");
    registry.subnet = {ip("172.20.5.0"), 24};
  }
  const std::string& found() { return machine.inspect(registry); }

  Inspected machine;
  ScriptedRegistry registry{machine.loop};
};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_SUITE("agent/inspection") {
  TEST_CASE("rules are needed where one of the settings asks for them, vxlan-peers-only too") {
    Inspected machine;
    machine.settings.ip_masq = machine.settings.clamp_mss = false;
    CHECK(machine.find("kernel: nf_tables").empty());
    machine.settings.vxlan_peers_only = true;
    CHECK(contains(machine.find("kernel: nf_tables"), "FAIL kernel: nf_tables: no nf_tables; modprobe"));
    CHECK(machine.host.tried.peers_only == machine.config.port);
  }

  TEST_CASE("a kernel without vxlan is a failure, one without nexthop objects is none") {
    Inspected machine;
    CHECK(machine.find("kernel: vxlan").empty());
    machine.host.vxlan = Error{Code::kUnsupported, 0, "no vxlan in this kernel"};
    CHECK(machine.find("kernel: vxlan") == "FAIL kernel: vxlan: no vxlan in this kernel; modprobe vxlan\n");
    CHECK(machine.find("kernel: nexthop objects").empty());
    CHECK(machine.notes.empty());
    machine.host.nexthops = false;
    CHECK(machine.find("kernel: nexthop objects").empty());
    CHECK(machine.notes == "not in this kernel (before Linux 5.3): routes are plain ones");
  }

  TEST_CASE("a dot in a link's name is a slash in that of a sysctl") {
    Inspected machine;
    machine.config.direct = true;
    machine.kernel.rp_filter["eth0.10"] = 1;
    const std::string& found = machine.find("rp_filter");
    CHECK(contains(found, "sysctl -w net.ipv4.conf.eth0/10.rp_filter=2; "));
    CHECK(contains(found, "echo net.ipv4.conf.eth0/10.rp_filter=2 >> "));
  }

  TEST_CASE("ip_forward is left to the agent only where it can be set, and the agent does not run yet") {
    const std::string kRefused = "FAIL ip_forward: a sysctl cannot be set; going on without it: /proc/sys/";
    Inspected machine;
    machine.kernel.forwarding = false;
    CHECK(contains(machine.find("ip_forward"), "set it, or ip-forward = set; sysctl -w"));
    machine.settings.set_ip_forward = true;
    CHECK(machine.find("ip_forward").empty());
    CHECK(machine.notes == "0; ip-forward = set sets it");
    machine.host.proc_sys_writable = false;
    CHECK(contains(machine.find("ip_forward"), kRefused));
    CHECK(contains(machine.found, "; sysctl -w net.ipv4.ip_forward=1; "));

    Inspected beside;
    beside.kernel.forwarding = false;
    beside.settings.set_ip_forward = beside.host.agent_runs = true;
    CHECK(contains(beside.find("programs ip_forward"), kRefused));
  }

  TEST_CASE("a dump that is interrupted is repeated twice, and nothing is found of those before") {
    struct {
      const char* item;
      Call call;
    } const rows[] = {{"port", Call::kDumpDevices},
                      {"firewall: forward", Call::kInspectFirewall},
                      {"interface", Call::kDumpLinks}};
    for (const auto& row : rows) {
      CAPTURE(row.item);
      Inspected machine;
      machine.kernel.fail(row.call, kInterrupted, 2);
      CHECK(machine.find(row.item).empty());
      machine.kernel.fail(row.call, kInterrupted, 3);
      CHECK(contains(machine.find(row.item), ": cut; "));
    }
    Inspected machine;
    const std::string once = machine.find("input");
    CHECK(std::count(once.begin(), once.end(), '\n') == 1);
    machine.host.interruptions = 2;
    CHECK(machine.find("input") == once);
  }

  TEST_CASE("another network config than that of the agent that runs is found, as far as its state has it") {
    const auto found = [](bool runs, const char* public_ip, std::uint32_t mtu, bool unsaved) {
      Inspected machine;
      machine.host.agent_runs = runs;
      machine.node.emplace().public_ip = ip(public_ip);
      machine.config.mtu = mtu;
      machine.config.direct = machine.config.nftables = machine.config.backend_absent = unsaved;
      return machine.find("programs network");
    };
    CHECK(
        found(true, "172.30.0.1", 1400, false) ==
        "warn network: the network config has changed; a restart of this node uses it; restart the agents of "
        "all nodes, one after another\n");
    CHECK(found(true, "172.30.0.1", 0, true).empty());
    CHECK(found(false, "172.30.0.1", 1400, false).empty());
    CHECK(found(true, "0.0.0.0", 1400, false).empty());
  }

  TEST_CASE("without a state file an address of the device may be ours, but not one outside of Network") {
    Inspected machine;
    machine.config.network = {ip("10.64.0.0"), 16};
    machine.kernel.links.push_back(
        {.index = 9, .name = "flannel.1", .mtu = 1450, .up = true, .carrier = true});
    overlay::Device device;
    device.name = "flannel.1";
    device.index = 9;
    machine.kernel.devices.push_back(device);
    machine.kernel.addresses.push_back({.link_index = 9, .net = Net4{ip("10.64.7.0"), 32}});
    CHECK(machine.find("device").empty());
    machine.config.network = {ip("10.65.0.0"), 16};
    CHECK(contains(machine.find("device"),
                   "FAIL device: flannel.1 has the address 10.64.7.0, which is not ours"));
  }

  TEST_CASE("a podCIDR that holds what must be reached directly is refused as by the agent") {
    const char* const kRefused =
        ": it holds an address that must be reached directly; let Network and --cluster-cidr hold no address";
    CHECK(Rehearsed().found() == "it, 2 leases; \n");

    Rehearsed underlay;
    underlay.registry.subnet = {ip("172.30.0.0"), 24};
    CHECK(contains(underlay.found(), std::string(": 172.30.0.0/24, Network 172.16.0.0/12") + kRefused));

    Rehearsed server;
    server.registry.server = ip("172.20.5.9");
    CHECK(contains(server.found(), std::string(": 172.20.5.0/24, Network 172.16.0.0/12") + kRefused));
  }

  TEST_CASE("a podCIDR outside of Network is shown with both") {
    Rehearsed outside;
    outside.registry.subnet = {ip("10.9.1.0"), 24};
    CHECK(contains(outside.found(),
                   ": 10.9.1.0/24, Network 172.16.0.0/12: it is no part of the network in the config; let "
                   "Network be what --cluster-cidr of the cluster is"));
  }

  TEST_CASE(
      "leases are those of the first list: another one, before the watch or in a rehearsal, is not counted") {
    Rehearsed relisted;
    relisted.registry.before_watch = relisted.registry.before_subnet = [](ScriptedRegistry& r) { r.list(1); };
    CHECK(relisted.found() == "it, 2 leases; \n");
  }

  TEST_CASE("in a rehearsal a watch or a list that fails is no finding, the join is one") {
    for (const char* operation : {"watch nodes", "list nodes", "config"}) {
      CAPTURE(operation);
      Rehearsed cut;
      cut.registry.before_subnet = [&](ScriptedRegistry& r) { r.fail(operation); };
      CHECK(cut.found() == "it, 2 leases; \n");
    }
    Rehearsed refused;
    refused.registry.before_subnet = [](ScriptedRegistry& r) { r.fail(registry::kOwnRecord); };
    CHECK(contains(refused.found(), "it: our Node: read: Connection reset"));
  }
}
