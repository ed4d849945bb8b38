// SPDX-License-Identifier: Apache-2.0
// A cluster on one machine: a bridge as the underlay, a real etcd on it, nodes as network namespaces that run
// the shipped binary. Everything lives in namespaces of this test binary and ends with them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "support/netns.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

namespace flannelette::tests {

/// The binary under test: $FLANNELETTE, or build/flannelette.
std::string binary();

/// "etcd" or "etcdctl": of PATH, or those beside each other at $FLANNELETTE_ETCD (the path of an etcd).
std::string etcd_program(const std::string& name);
/// `name` in the folder of the program `path`.
std::string beside(const std::string& path, const std::string& name);

/// Skips the test (REQUIRE_MEANS) where namespaces, vxlan, etcd or the binary are missing; give its result to
/// REQUIRE_MEANS.
std::string cluster_means();
/// The same but for etcd.
std::string machine_means();
/// Why `name`, a path or one of PATH, cannot be run; empty if it can.
std::string missing_program(const std::string& name);
/// $FLANNELD, to stand beside ours; empty: there is none.
std::string flanneld();
/// REQUIRE_MEANS.
std::string flanneld_means();

/// etcd with the underlay bridge, at 172.30.0.1 in a namespace of its own.
class Etcd {
 public:
  struct Options {
    std::vector<std::string> arguments{};  ///< more flags
    std::string client_url = "http://172.30.0.1:2379";
    std::vector<std::string> ctl{};  ///< more flags for etcdctl
    bool process = true;    ///< false: the bridge alone; who answers at client_url is somebody else's
    std::string program{};  ///< another etcd than etcd_program's, with its etcdctl beside it
  };
  Etcd() : Etcd(Options{}) {}
  explicit Etcd(Options options);

  const Node& node() const { return node_; }
  const std::string& url() const { return options_.client_url; }
  /// From now on etcdctl gets these flags: how it identifies itself.
  void use_ctl_flags(std::vector<std::string> flags) { options_.ctl = std::move(flags); }
  /// Standard output of `etcdctl ARGS...`; throws if it fails.
  std::string ctl(std::vector<std::string> arguments) const;
  void put(const std::string& key, const std::string& value) const { ctl({"put", key, value}); }
  /// The network config.
  void configure(const std::string& json) const { put("/coreos.com/network/config", json); }
  /// Value of `<prefix>/subnets/<name>`, empty if absent.
  std::string lease(const std::string& name) const;
  /// Names of all keys below `<prefix>/subnets/`.
  std::vector<std::string> leases() const;
  void stop();
  void start();  ///< again, with the same data
  /// Its data folder, to be replaced while it is stopped.
  std::string data_dir() const { return data_.file("etcd"); }
  /// The newest revision.
  long revision() const;
  void compact() const { ctl({"compact", std::to_string(revision())}); }

 private:
  Options options_;
  TempDir data_;
  Node node_;
  std::unique_ptr<Process> process_;
  bool up_ = false;
};

/// One machine on the underlay: eth0 at 172.30.0.<10 + number>/24. What it runs sees a /run and a /var/lib of
/// its own, and no configuration file of this host.
class Machine {
 public:
  Machine(const Etcd& etcd, int number);

  const Node& node() const { return *node_; }
  std::string address() const { return address_; }
  /// Where the machine's own files are for us: what it calls `path`, below /run, /var/lib or /etc.
  std::string file(const std::string& path) const;
  std::string subnet_file() const { return file("/run/flannel/subnet.env"); }
  std::string state_dir() const { return file("/var/lib/flannelette"); }
  /// From now on it has a /etc of its own, with this file.
  void add_etc(const std::string& path, const std::string& text);

  /// Starts the agent with the etcd's URL and what else is given.
  void start(std::vector<std::string> more = {}, const std::string& program = binary());
  /// Starts the agent with exactly these arguments.
  void start_with(std::vector<std::string> arguments, std::vector<std::string> env = {},
                  const std::string& program = binary());
  void start_with(Command command);
  /// For a program that is to run on this machine.
  Command command(std::vector<std::string> arguments, std::vector<std::string> env = {}) const;
  /// The power fails and comes back: the disk is as it was, eth0 has its address, nothing runs.
  void reboot();
  /// SIGTERM; the exit status.
  int stop();
  bool running() { return agent_ && agent_->running(); }
  Process& agent() { return *agent_; }
  /// The caller's from now on, so that another can be started beside it.
  std::unique_ptr<Process> take_agent() { return std::move(agent_); }
  std::string log() const { return agent_ ? agent_->output() : ""; }
  /// Waits until the log has `text`, `times` times.
  [[nodiscard]] bool logs(const std::string& text, int times = 1) const;

  /// A value of subnet.env, empty until it has one.
  std::string subnet_env(const std::string& key) const;
  /// "10.64.7.0/24" as subnet.env says, empty until it does.
  std::string subnet() const;
  /// Waits until subnet.env is there and `peers` routes stand on flannel.1.
  [[nodiscard]] bool joined(int peers) const;

  /// Text of the device's tables as the tools print them, sorted lines.
  std::string routes() const { return node_->ip("route show dev flannel.1"); }
  std::string neighbours() const { return node_->ip("neigh show dev flannel.1 nud permanent"); }
  std::string fdb() const;
  /// One field of `ip -d link show flannel.1`, the word after `name`.
  std::string device(const std::string& name) const;
  /// A field of /proc/PID/status or smaps_rollup of the agent in KiB: VmRSS, RssAnon, VmHWM, Pss.
  long memory_kib(const std::string& field) const;

  /// A pod in this machine's subnet at .2, with the node as gateway at .1. Returns the address.
  std::string add_pod();
  /// The same as flannel's CNI plugin makes it: behind a bridge cni0, with the MTU that subnet.env has.
  std::string add_pod_on_bridge();
  const Node& pod() const { return *pod_; }
  void remove_pod();

 private:
  void plug_in();
  std::string address_pod(const std::string& device, const std::string& mtu);

  const Etcd& etcd_;
  TempDir files_;
  int number_;
  std::string address_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<Node> pod_;
  std::unique_ptr<Process> agent_;
};

/// "10.64.7.0/24" -> "10.64.7.0-24"
std::string lease_name(const std::string& subnet);
/// "10.64.7.0/24", 2 -> "10.64.7.2"
std::string host_in(const std::string& subnet, int number);
/// One ping reaches `address` from inside `node`.
bool pings(const Node& node, const std::string& address);
int count_lines(const std::string& text);
bool contains(const std::string& text, const std::string& part);
int count_of(const std::string& text, const std::string& part);
/// Lines that only one of both has, behind "- " and "+ ".
std::string difference(const std::string& before, const std::string& after);
/// The whole file, empty if it cannot be read.
std::string file_text(const std::string& path);
/// Makes its folders, too.
void write_file(const std::string& path, const std::string& text);
/// A shell command inside `node`; throws if it fails.
std::string shell(const Node& node, const std::string& command);

/// Where the leases are.
inline const std::string kSubnetKeys = "/coreos.com/network/subnets/";
/// Nodes choose from 10.64.30.0 to 10.64.90.0, so that a test can use the rest for peers that it invents.
inline const char* const kVxlanConfig =
    R"({"Network":"10.64.0.0/16","SubnetMin":"10.64.30.0","SubnetMax":"10.64.90.0","Backend":{"Type":"vxlan"}})";
/// The value that a vxlan node with VNI 1 writes.
std::string peer_value(const std::string& public_ip, const std::string& mac);

}  // namespace flannelette::tests
