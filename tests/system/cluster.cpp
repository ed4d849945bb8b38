// SPDX-License-Identifier: Apache-2.0
#include "system/cluster.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

#include "support/means.hpp"
#include "support/poll.hpp"

namespace flannelette::tests {
namespace {

using namespace std::chrono_literals;

std::string sorted_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  std::string out;
  for (const auto& line : lines) out += line + "\n";
  return out;
}

}  // namespace

std::string binary() {
  const char* given = std::getenv("FLANNELETTE");
  return given != nullptr ? given : "build/flannelette";
}

std::string beside(const std::string& path, const std::string& name) {
  return path.substr(0, path.rfind('/') + 1) + name;
}

std::string etcd_program(const std::string& name) {
  const char* given = std::getenv("FLANNELETTE_ETCD");
  return given == nullptr || *given == '\0' ? name : beside(given, name);
}

std::string missing_program(const std::string& name) {
  if (name.find('/') == std::string::npos) return means::program(name);
  return access(name.c_str(), X_OK) == 0 ? "" : "no program " + name;
}

std::string flanneld() {
  const char* given = std::getenv("FLANNELD");
  return given == nullptr ? "" : given;
}

std::string flanneld_means() {
  return flanneld().empty() ? "no flanneld: FLANNELD=PATH" : missing_program(flanneld());
}

std::string machine_means() {
  if (access(binary().c_str(), X_OK) != 0) return binary() + " is not built";
  for (const std::string& missing :
       {means::namespaces(), means::program("ping"), means::link_kind("type vxlan id 77 dstport 9999")}) {
    if (!missing.empty()) return missing;
  }
  return "";
}

std::string cluster_means() {
  for (const std::string& missing :
       {machine_means(), missing_program(etcd_program("etcd")), missing_program(etcd_program("etcdctl"))}) {
    if (!missing.empty()) return missing;
  }
  return "";
}

Etcd::Etcd(Options options) : options_(std::move(options)), node_("etcd") {
  if (options_.program.empty()) options_.program = etcd_program("etcd");
  add_bridge(node_, "br0");
  node_.ip("addr add 172.30.0.1/24 dev br0");
  if (options_.process) start();
}

void Etcd::start() {
  up_ = false;
  Command command{
      .args = {options_.program, "--data-dir", data_.file("etcd"), "--listen-client-urls",
               options_.client_url, "--advertise-client-urls", options_.client_url, "--listen-peer-urls",
               "http://127.0.0.1:2380", "--log-level", "error", "--unsafe-no-fsync"},
      .netns = node_.name(),
      .output_file = data_.file("etcd.log")};
  if (run({.args = {options_.program, "--help"}}).output.find("unsafe-no-fsync") == std::string::npos)
    command.args.pop_back();
  command.args.insert(command.args.end(), options_.arguments.begin(), options_.arguments.end());
  process_ = std::make_unique<Process>(command);
  const bool up = wait_until(20s, [&] {
    if (!process_->running()) return true;
    try {
      ctl({"get", "x"});
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
  });
  if (!up || !process_->running())
    throw std::runtime_error("etcd does not start: " + file_text(data_.file("etcd.log")));
  up_ = true;
}

void Etcd::stop() { process_.reset(); }

std::string Etcd::ctl(std::vector<std::string> arguments) const {
  Command command{
      .args = {beside(options_.program, "etcdctl"), "--endpoints", options_.client_url, "--dial-timeout",
               up_ ? "10s" : "1s"},  // starting, it refuses; later a busy machine may take its time
      .env = {"ETCDCTL_API=3"},
      .netns = node_.name()};
  command.args.insert(command.args.end(), options_.ctl.begin(), options_.ctl.end());
  command.args.insert(command.args.end(), arguments.begin(), arguments.end());
  return must_run(command, 60s);
}

long Etcd::revision() const {
  const std::string fields = ctl({"get", "-w", "fields", "x"});
  const std::string word = "\"Revision\" : ";
  return std::stol(fields.substr(fields.find(word) + word.size()));
}

std::string Etcd::lease(const std::string& name) const {
  std::string value = ctl({"get", "--print-value-only", kSubnetKeys + name});
  while (!value.empty() && value.back() == '\n') value.pop_back();
  return value;
}

std::vector<std::string> Etcd::leases() const {
  std::vector<std::string> names;
  std::istringstream in(ctl({"get", "--prefix", "--keys-only", kSubnetKeys}));
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(kSubnetKeys, 0) == 0) names.push_back(line.substr(kSubnetKeys.size()));
  }
  return names;
}

Machine::Machine(const Etcd& etcd, int number)
    : etcd_(etcd), number_(number), address_("172.30.0." + std::to_string(10 + number)) {
  for (const char* folder : {"/run", "/var/lib"}) std::filesystem::create_directories(file(folder));
  write_file(file("/no-config"), "");
  plug_in();
}

void Machine::plug_in() {
  node_ = std::make_unique<Node>("n" + std::to_string(number_));
  connect_to_bridge(etcd_.node(), "br0", "p" + std::to_string(number_), *node_, "eth0");
  node_->ip("addr add " + address_ + "/24 dev eth0");
  node_->ip("route add default via 172.30.0.1");
}

std::string Machine::file(const std::string& path) const { return files_.path() + path; }

void Machine::add_etc(const std::string& path, const std::string& text) { write_file(file(path), text); }

void Machine::start(std::vector<std::string> more, const std::string& program) {
  more.insert(more.begin(), "--etcd-endpoints=" + etcd_.url());
  start_with(std::move(more), {}, program);
}

void Machine::start_with(std::vector<std::string> arguments, std::vector<std::string> env,
                         const std::string& program) {
  arguments.insert(arguments.begin(), program);
  start_with(command(std::move(arguments), std::move(env)));
}

void Machine::start_with(Command command) { agent_ = std::make_unique<Process>(std::move(command)); }

Command Machine::command(std::vector<std::string> arguments, std::vector<std::string> env) const {
  env.emplace_back(
      "FLANNELD_SANDBOX=strict");  // a system call that is not expected ends it, and fails the test
  Command command{.args = std::move(arguments), .env = std::move(env), .netns = node_->name()};
  if (std::filesystem::exists(file("/etc"))) {
    command.binds.emplace_back(file("/etc"), "/etc");
  } else if (std::filesystem::exists("/etc/flannelette.ini")) {
    command.binds.emplace_back(file("/no-config"), "/etc/flannelette.ini");
  }
  for (const std::string folder : {"/var/lib", "/run"}) command.binds.emplace_back(file(folder), folder);
  return command;
}

void Machine::reboot() {
  agent_->signal(SIGKILL);
  agent_->wait(5s);
  pod_.reset();
  etcd_.node().ip("link delete p" +
                  std::to_string(number_));  // else it would go some time after its namespace
  node_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(file("/run")))
    std::filesystem::remove_all(entry);
  plug_in();
}

bool Machine::logs(const std::string& text, int times) const {
  return wait_until(20s, [&] { return count_of(log(), text) >= times; });
}

int Machine::stop() {
  agent_->signal(SIGTERM);
  return agent_->wait(5s).value_or(-1);
}

std::string Machine::subnet_env(const std::string& key) const {
  const std::string text = file_text(subnet_file());
  const auto at = text.find(key + "=");
  if (at == std::string::npos) return "";
  const auto begin = at + key.size() + 1;
  return text.substr(begin, text.find('\n', at) - begin);
}

std::string Machine::subnet() const {
  const std::string subnet = subnet_env("FLANNEL_SUBNET");
  if (subnet.empty()) return "";
  const auto slash = subnet.find('/');
  return host_in(subnet.substr(0, slash), 0) + subnet.substr(slash);
}

bool Machine::joined(int peers) const {
  return wait_until(20s, [&] {
    if (subnet().empty()) return false;
    const Outcome routes = run({.args = words("ip route show dev flannel.1"), .netns = node_->name()});
    return routes.status == 0 && count_lines(routes.output) == peers;
  });
}

std::string Machine::fdb() const {
  return sorted_lines(must_run({.args = words("bridge fdb show dev flannel.1"), .netns = node_->name()}));
}

std::string Machine::device(const std::string& name) const {
  std::istringstream in(node_->ip("-d link show flannel.1"));
  for (std::string word; in >> word;) {
    if (word == name && in >> word) return word;
  }
  return "";
}

long Machine::memory_kib(const std::string& field) const {
  const std::string process = "/proc/" + std::to_string(agent_->pid());
  std::istringstream in(file_text(process + "/status") + file_text(process + "/smaps_rollup"));
  for (std::string word; in >> word;) {
    if (word != field + ":") continue;
    long kib = -1;
    in >> kib;
    return kib;
  }
  return -1;
}

std::string Machine::add_pod() {
  pod_ = std::make_unique<Node>(node_->name() + "pod");
  connect(*node_, "veth0", *pod_, "eth0");
  node_->ip("link set veth0 mtu 1450");
  return address_pod("veth0", "1450");
}

std::string Machine::add_pod_on_bridge() {
  pod_ = std::make_unique<Node>(node_->name() + "pod");
  add_bridge(*node_, "cni0");
  connect_to_bridge(*node_, "cni0", "veth0", *pod_, "eth0");
  const std::string mtu = subnet_env("FLANNEL_MTU");
  for (const std::string device : {"cni0", "veth0"}) node_->ip("link set " + device + " mtu " + mtu);
  return address_pod("cni0", mtu);
}

/// `device` is the node's, which becomes the pod's gateway.
std::string Machine::address_pod(const std::string& device, const std::string& mtu) {
  const std::string gateway = host_in(subnet(), 1);
  const std::string pod = host_in(subnet(), 2);
  node_->ip("addr add " + gateway + "/24 dev " + device);
  pod_->ip("link set eth0 mtu " + mtu);
  pod_->ip("addr add " + pod + "/24 dev eth0");
  pod_->ip("route add default via " + gateway);
  shell(*node_, "echo 1 > /proc/sys/net/ipv4/ip_forward");
  return pod;
}

void Machine::remove_pod() {
  node_->ip("link delete veth0");  // with its namespace alone it would go some time later
  pod_.reset();
}

std::string lease_name(const std::string& subnet) {
  std::string name = subnet;
  std::replace(name.begin(), name.end(), '/', '-');
  return name;
}

std::string host_in(const std::string& subnet, int number) {
  return subnet.substr(0, subnet.rfind('.') + 1) + std::to_string(number);
}

bool pings(const Node& node, const std::string& address) {
  return wait_until(5s, [&] {
    return run({.args = {"ping", "-c", "1", "-W", "1", "-n", address}, .netns = node.name()}).status == 0;
  });
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string difference(const std::string& before, const std::string& after) {
  std::multiset<std::string> old_lines, lines;
  std::istringstream one(before), other(after);
  for (std::string line; std::getline(one, line);) old_lines.insert(line);
  for (std::string line; std::getline(other, line);) lines.insert(line);
  std::string found;
  for (const std::string& line : old_lines) found += lines.count(line) == 0 ? "- " + line + "\n" : "";
  for (const std::string& line : lines) found += old_lines.count(line) == 0 ? "+ " + line + "\n" : "";
  return found;
}

std::string file_text(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::absolute(path).parent_path());
  std::ofstream out(path);
  out << text;
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path);
}

std::string shell(const Node& node, const std::string& command) {
  return must_run({.args = {"sh", "-ec", command}, .netns = node.name()});
}

std::string peer_value(const std::string& public_ip, const std::string& mac) {
  return R"({"PublicIP":")" + public_ip +
         R"(","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":")" + mac + R"("}})";
}

int count_lines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace flannelette::tests
