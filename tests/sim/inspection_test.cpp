// SPDX-License-Identifier: Apache-2.0
// Single items of an inspection, on a machine in memory.
#include "agent/inspection/context.hpp"
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
  void visit_programs(kernel::ProgramVisitor&) override {}
  kernel::Program holder_of(std::uint64_t) override { return {}; }
  bool mentions(const char*, std::string_view) override { return false; }
  Result<void> may_write(std::string_view) override { return {}; }

  Result<void> vxlan;
  bool nexthops = true;
  overlay::RuleSpec tried;
  int interruptions = 0;
};

struct Inspected final : agent::FindingListener {
  Inspected() { kernel.add_nic("eth0.10", Net4{ip("172.30.0.1"), 24}); }

  void on_finding(Grade grade, std::string_view item, std::string_view text,
                  std::string_view repair) override {
    if (grade == Grade::kOk) notes.append(text);
    if (grade == Grade::kOk) return;
    found += std::string(grade == Grade::kFailure ? "FAIL " : "warn ").append(item).append(": ");
    found.append(text).append("; ").append(repair).append("\n");
  }
  /// What is found of the item, where the network is known.
  const std::string& find(std::string_view item) {
    found.clear();
    notes.clear();
    agent::Report report(*this);
    agent::InspectionContext context{{loop, log, clock, files, kernel, kernel, kernel, kernel, host},
                                     settings,
                                     report,
                                     agent::System::kOther};
    context.network = config;
    agent::Underlay& underlay = context.underlay.emplace();
    underlay.name = "eth0.10";
    underlay.mtu = 1500;
    const agent::Item input[] = {{"input", agent::inspect_input}};
    for (const auto items :
         {agent::machine_items(), agent::network_items(), std::span<const agent::Item>(input)}) {
      for (const agent::Item& one : items) {
        if (one.name != item) continue;
        report.begin(item);
        one.inspect(context);
        report.end();
      }
    }
    return found;
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
  std::string found;
  std::string notes;
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
}
