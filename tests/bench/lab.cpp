// SPDX-License-Identifier: Apache-2.0
#include "bench/lab.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "support/poll.hpp"

namespace flannelette::bench {
namespace {

using namespace tests;
using namespace std::chrono_literals;

/// Machines have addresses 172.30.0.11 on.
constexpr int kNumbers = 200;

std::string from_env(const char* name, const char* otherwise) {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

std::vector<int> numbers(const std::string& text) {
  std::vector<int> all;
  for (const std::string& word : words(text)) all.push_back(std::stoi(word));
  return all;
}

/// The number behind `key` in a file of "key: number" lines, 0 if there is none.
double number_in(const std::string& path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key + ":", 0) == 0) return std::stod(line.substr(key.size() + 1));
  }
  return 0;
}

}  // namespace

Settings Settings::from_environment() {
  const auto number = [](const char* name, const char* otherwise) {
    return std::stoi(from_env(name, otherwise));
  };
  return {.sizes = numbers(from_env("SIZES", "100 1000 10000 50000")),
          .join_sizes = numbers(from_env("JOIN_SIZES", "1000 10000")),
          .burst_sizes = numbers(from_env("BURST_SIZES", "1000 10000")),
          .rounds = number("ROUNDS", "5"),
          .flanneld_rounds = number("FLANNELD_ROUNDS", "3"),
          .flanneld_max = number("FLANNELD_MAX", "10000"),
          .burst = number("BURST", "2000"),
          .events = number("EVENTS", "2000"),
          .idle_seconds = number("IDLE", "60"),
          .nodes = number("NODES", "100"),
          .kube_sizes = numbers(from_env("KUBE_SIZES", "1000 5000")),
          .wait_seconds = number("WAIT", "30"),
          .probe = from_env("BENCH_PROBE", "build/bench_probe")};
}

std::vector<Contender> contenders() {
  std::vector<Contender> all{{kOurs, binary()}};
  for (const std::string& path : words(from_env("FLANNELD", "")))
    all.push_back({std::filesystem::path(path).filename(), path});
  return all;
}

Usage usage_of(pid_t pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  Usage usage;
  std::error_code gone;
  for (const auto& thread : std::filesystem::directory_iterator(process + "/task", gone)) {
    const std::string path = thread.path();
    double nanoseconds = 0;
    std::ifstream(path + "/schedstat") >> nanoseconds;
    usage.cpu_seconds += nanoseconds / 1e9;
    usage.switches += number_in(path + "/status", "voluntary_ctxt_switches");
  }
  usage.rss = number_in(process + "/status", "VmRSS");
  usage.anonymous = number_in(process + "/status", "RssAnon");
  usage.peak = number_in(process + "/status", "VmHWM");
  usage.proportional = number_in(process + "/smaps_rollup", "Pss");
  return usage;
}

Traffic traffic_of(const Node& node) {
  const std::string text = node.inside([] { return file_text("/proc/thread-self/net/dev"); });
  const auto at = text.find("eth0:");
  if (at == std::string::npos) return {};
  std::istringstream in(text.substr(at + 5));
  double field[9] = {};
  for (double& number : field) in >> number;
  return {field[0], field[8]};
}

Guest::Guest(Lab& lab)
    : lab_(lab),
      number_(lab.next_number_++ % kNumbers + 1),
      machine_(std::make_unique<Machine>(lab.etcd(), number_)),
      tables_(std::make_unique<Tables>(machine_->node())) {}

Guest::~Guest() {
  const std::string subnet = machine_->subnet();
  if (machine_->running()) {
    machine_->agent().signal(SIGKILL);
    (void)machine_->agent().wait(5s);
  }
  clear_device(node());
  tables_.reset();
  machine_.reset();
  if (!subnet.empty()) {
    lab_.gateway().post("/v3/kv/deleterange",
                        R"({"key":")" + base64(kSubnetKeys + lease_name(subnet)) + R"("})");
  }
  // The kernel removes a namespace after the deletion has returned.
  const std::string port = "p" + std::to_string(number_);
  (void)wait_until(60s, [&] {
    return run({.args = {"ip", "-n", lab_.etcd().node().name(), "link", "show", port}}).status != 0;
  });
}

double Guest::start(const Contender& contender) {
  const double before = now();
  machine_->start({}, contender.program);
  return before;
}

std::optional<double> Guest::wait_for_subnet_file(double limit) const {
  const std::string path = machine_->subnet_file();
  const double end = now() + limit;
  const timespec pause{0, 100'000};
  while (access(path.c_str(), R_OK) != 0) {
    if (now() > end) return std::nullopt;
    nanosleep(&pause, nullptr);
  }
  return now();
}

Lab::Lab() : gateway_(etcd_) { etcd_.configure(kCrowdConfig); }

void Lab::set_peers(int peers, int per_transaction) {
  if (peers > peers_) put_peers(gateway_, peers_ + 1, peers, per_transaction);
  if (peers < peers_) remove_peers(gateway_, peers + 1, peers_, per_transaction);
  peers_ = peers;
}

std::string Lab::file(const std::string& name, const std::string& text) {
  write_file(path(name), text);
  return path(name);
}

std::string range_body(const std::string& first, int limit) {
  std::string end = kSubnetKeys;
  end.back() = '0';  // after the slash
  return R"({"key":")" + base64(first) + R"(","range_end":")" + base64(end) +
         (limit > 0 ? R"(","limit":")" + std::to_string(limit) : "") + R"("})";
}

void clear_device(const Node& node) {
  for (const char* command :
       {"route flush dev flannel.1", "nexthop flush dev flannel.1", "link del flannel.1"})
    (void)run({.args = words("ip " + std::string(command)), .netns = node.name()}, 60s);
}

double floor_seconds(const Settings& settings, const Node& node, int peers) {
  const Tables tables(node);
  Process probe({.args = {settings.probe, "floor", std::to_string(peers)}, .netns = node.name()});
  // The same observer as for an agent: it takes its share of the machine.
  const bool complete = tables.wait(peers, 60).has_value();
  if (probe.wait(60s) != 0 || !complete) throw std::runtime_error("bench_probe floor: " + probe.output());
  return std::stod(probe.output());
}

}  // namespace flannelette::bench
