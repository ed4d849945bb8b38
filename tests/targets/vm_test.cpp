// SPDX-License-Identifier: Apache-2.0
// The shipped program of a target on a real kernel of that target with 64 MiB of memory, in an overlay with a
// node on this machine's own processor and kernel.
#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <sstream>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"
#include "system/gateway.hpp"
#include "targets/vm.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

constexpr int kMemoryMib = 64;
constexpr int kPeers = 1000;
constexpr long kResidentKib = 1280;  // design: the budget with 10,000 peers

/// The number after `name` and a colon in text of the form of /proc/meminfo and /proc/PID/status, -1 if it
/// has none.
long field(const std::string& text, const std::string& name) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::stol(line.substr(name.size() + 1));
  }
  return -1;
}

/// Starts the agent and waits until it says that it is ready.
void start_agent(Vm& vm, const Etcd& etcd, const Machine& peer) {
  vm.must("flannelette --sandbox=strict --etcd-endpoints=" + etcd.url() +
          " --iface=eth0 --ip-masq >/run/log 2>&1 & agent=$!");
  const bool over = wait_until(
      120s, [&] { return vm.shell("grep -q '^info: ready' /run/log || ! kill -0 $agent").status == 0; });
  const std::string log = vm.shell("cat /run/log").output;
  REQUIRE_MESSAGE((over && contains(log, "info: ready")), log, peer.log());
  CHECK(field(vm.must("cat /proc/$agent/status"), "Seccomp") == 2);  // an unexpected system call ends it
}

void stop_agent(Vm& vm) { vm.must("kill $agent; wait $agent"); }

std::string subnet_of(Vm& vm) {
  const std::string gateway = vm.must(". /run/flannel/subnet.env; echo $FLANNEL_SUBNET");
  return host_in(gateway.substr(0, gateway.find('/')), 0) + "/24";
}

/// A network namespace at .2 of the subnet, with the machine as gateway at .1: what a CNI plugin makes.
void add_pod(Vm& vm, const std::string& subnet) {
  vm.must("unshare -n sleep 1000000 & pod=$!");
  REQUIRE(wait_until(20s, [&] {
    return vm.shell("[ $(readlink /proc/$pod/ns/net) != $(readlink /proc/self/ns/net) ]").status == 0;
  }));
  vm.must(
      "ip link add node-end type veth && ip link set veth0 netns $pod");  // the kernel names the other end
  vm.must("ip addr add " + host_in(subnet, 1) + "/24 dev node-end && ip link set node-end mtu 1450 up");
  vm.must("in_pod() { nsenter -t $pod -n \"$@\"; }");
  vm.must("in_pod ip addr add " + host_in(subnet, 2) +
          "/24 dev veth0 && in_pod ip link set veth0 mtu 1450 up");
  vm.must("in_pod ip route add default via " + host_in(subnet, 1));
  vm.must("echo 1 >/proc/sys/net/ipv4/ip_forward");
}

bool pod_pings(Vm& vm, const std::string& address) {
  return wait_until(20s, [&] { return vm.shell("in_pod ping -c 1 -W 1 -s 1400 " + address).status == 0; });
}

int routes(Vm& vm) { return std::stoi(vm.must("ip route show dev flannel.1 | wc -l")); }
int neighbours(Vm& vm) { return std::stoi(vm.must("ip neigh show dev flannel.1 nud permanent | wc -l")); }

/// A table of where the memory is, a column for each moment. From smaps_rollup, which counts pages: VmRSS and
/// VmHWM of /proc/PID/status lag behind by up to 256 KiB.
class MemoryTable {
 public:
  void add(Vm& vm, const std::string& moment, bool with_agent) {
    moments_.push_back(moment);
    const std::string machine = vm.must("cat /proc/meminfo");
    const std::string agent = with_agent ? vm.must("cat /proc/$agent/smaps_rollup") : "";
    for (std::size_t i = 0; i < kRows.size(); ++i)
      values_[i].push_back(field(kRows[i].of_agent ? agent : machine, kRows[i].field));
  }
  /// Row `field` of the newest column, KiB.
  long newest(const std::string& field) const {
    for (std::size_t i = 0; i < kRows.size(); ++i) {
      if (field == kRows[i].field) return values_[i].back();
    }
    return -1;
  }
  std::string text(const std::string& machine) const {
    std::string out = machine + ": KiB of " + std::to_string(kMemoryMib * 1024);
    out += "\n" + std::string(32, ' ');
    for (const std::string& moment : moments_) out += padded(moment, 16);
    for (std::size_t i = 0; i < kRows.size(); ++i) {
      out += "\n  " + std::string(kRows[i].text) + std::string(30 - std::string(kRows[i].text).size(), ' ');
      for (const long value : values_[i]) out += padded(value < 0 ? "-" : std::to_string(value), 16);
    }
    return out;
  }

 private:
  struct Row {
    const char* text;
    const char* field;
    bool of_agent;
  };
  static constexpr std::array kRows{Row{"usable", "MemTotal", false},
                                    Row{"free", "MemFree", false},
                                    Row{"available", "MemAvailable", false},
                                    Row{"kernel: slab", "Slab", false},
                                    Row{"kernel: stacks", "KernelStack", false},
                                    Row{"kernel: page tables", "PageTables", false},
                                    Row{"kernel: per CPU", "Percpu", false},
                                    Row{"kernel: vmalloc", "VmallocUsed", false},
                                    Row{"flannelette: resident", "Rss", true},
                                    Row{"flannelette: proportional", "Pss", true},
                                    Row{"flannelette: anonymous", "Anonymous", true}};
  static std::string padded(const std::string& text, std::size_t width) {
    return std::string(width - std::min(width, text.size()), ' ') + text;
  }
  std::vector<std::string> moments_;
  std::array<std::vector<long>, kRows.size()> values_;
};

}  // namespace

TEST_SUITE("targets/vm") {
  TEST_CASE(
      "on a kernel of its own with 64 MiB it joins an overlay, of one peer and of 1,000, and pods ping both "
      "ways") {
    REQUIRE_MEANS(vm_means());
    Etcd etcd;
    etcd.configure(kCrowdConfig);
    Machine here(etcd, 1);
    here.start();
    REQUIRE_MESSAGE(here.joined(0), here.log());
    Vm vm(etcd, 2, kMemoryMib);
    MemoryTable memory;
    memory.add(vm, "before", false);

    start_agent(vm, etcd, here);
    const std::string subnet = subnet_of(vm);
    REQUIRE_MESSAGE(here.joined(1), here.log());
    here.add_pod();
    add_pod(vm, subnet);
    CHECK(pod_pings(vm, host_in(here.subnet(), 2)));
    CHECK(pings(here.pod(), host_in(subnet, 2)));
    CHECK(pod_pings(vm, "172.30.0.1"));  // which knows no way back to a pod: masqueraded
    CHECK_FALSE(contains(vm.must("cat /run/log"), "warning: this node"));
    memory.add(vm, "1 peer", true);

    // It starts on an empty machine in a network of 1,000, and gets its subnet back.
    stop_agent(vm);
    vm.must("ip link del flannel.1 && rm -r /run/flannel");
    Gateway gateway(etcd);
    put_peers(gateway, 1, kPeers);
    start_agent(vm, etcd, here);
    CHECK(subnet_of(vm) == subnet);
    CHECK(routes(vm) == kPeers + 1);
    CHECK(neighbours(vm) == kPeers + 1);
    CHECK(pod_pings(vm, host_in(here.subnet(), 2)));
    CHECK(pings(here.pod(), host_in(subnet, 2)));
    memory.add(vm, "1,001 peers", true);

    // A peer leaves.
    remove_peers(gateway, 1, 1);
    CHECK(wait_until(20s, [&] { return routes(vm) == kPeers; }));
    stop_agent(vm);
    CHECK(contains(vm.must("tail -n 1 /run/log"), "stopped; the data plane stays up"));
    CHECK(pod_pings(vm, host_in(here.subnet(), 2)));

    MESSAGE(memory.text(vm.must("echo -n $(uname -m), Linux $(uname -r)")));
    CHECK(memory.newest("Rss") <= kResidentKib);
    const std::string kernel_log = vm.must("dmesg");
    for (const char* trouble : {"Oops", "BUG:", "Call trace", "Out of memory", "segfault", "nhandled fault"})
      CHECK_FALSE_MESSAGE(contains(kernel_log, trouble), kernel_log);
    // Only 32-bit ARM counts the accesses that its processor could not do.
    if (target() == "armv7") CHECK(field(vm.must("cat /proc/cpu/alignment"), "User") == 0);
    CHECK_FALSE(contains(vm.must("cat /run/log"), "error:"));

    // Modules that nobody has loaded, on a kernel that has them as such.
    const std::string check = "flannelette check --ip-masq --iface=eth0 --etcd-endpoints=" + etcd.url();
    const auto finding = [&](const std::string& item) {
      std::istringstream in(vm.shell(check, 60s).output);
      for (std::string line; std::getline(in, line);) {
        if (contains(line, " " + item)) return line;
      }
      return std::string("none of " + item);
    };
    CHECK(finding("kernel: vxlan").starts_with("ok"));
    CHECK(finding("kernel: nf_tables").starts_with("ok"));
    CHECK(finding("kernel: nexthop objects").starts_with("ok"));
    vm.must("flannelette cleanup");
    vm.must("rmmod vxlan");
    const std::string vxlan = finding("kernel: vxlan");
    CHECK_MESSAGE(vxlan.starts_with("FAIL  kernel: vxlan: "), vxlan);
    CHECK_MESSAGE(contains(vxlan, "modprobe vxlan"), vxlan);
    vm.must("rmmod nft_masq && rmmod nft_chain_nat");
    const std::string rules = finding("kernel: nf_tables");
    CHECK_MESSAGE(rules.starts_with("FAIL  kernel: nf_tables: "), rules);
    CHECK_MESSAGE(contains(rules, "modprobe -a nft_chain_nat nft_masq"), rules);
  }
}
