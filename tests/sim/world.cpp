// SPDX-License-Identifier: Apache-2.0
#include "sim/world.hpp"

#include <algorithm>
#include <cerrno>

#include "flannelette/agent/agent_status.hpp"
#include "flannelette/overlay/subnet_env.hpp"

namespace flannelette::tests {
namespace {

template <class T>
std::string text(const T& it) {
  return std::string(std::string_view(it));
}

std::string neighbour_line(Ip4 ip, Mac mac) {
  return "neighbour " + text(text_of(ip)) + " " + text(text_of(mac)) + "\n";
}
std::string fdb_line(Mac mac, Ip4 remote) {
  return "fdb " + text(text_of(mac)) + " " + text(text_of(remote)) + "\n";
}
std::string route_line(Net4 to, Ip4 gateway) {
  return "route " + text(text_of(to)) + " via " + text(text_of(gateway)) + "\n";
}

/// Whether `entries` holds all three of this peer.
bool has_all(const std::string& entries, Net4 subnet, Mac mac, Ip4 public_ip) {
  for (const std::string& line :
       {neighbour_line(subnet.base, mac), fdb_line(mac, public_ip), route_line(subnet, subnet.base)}) {
    if (entries.find(line) == entries.npos) return false;
  }
  return true;
}

}  // namespace

// -- files and log --

Result<std::optional<std::string_view>> MemoryFiles::read(std::string_view path, std::span<char> buffer) {
  const auto found = all.find(path);
  if (found == all.end()) return std::optional<std::string_view>();
  if (path == unreadable) return system_error("read", EIO);
  if (found->second.size() > buffer.size()) return Error{Code::kLimit, 0, "too large"};
  std::copy(found->second.begin(), found->second.end(), buffer.begin());
  return std::optional(std::string_view(buffer.data(), found->second.size()));
}

Result<bool> MemoryFiles::read_pieces(std::string_view path, std::uint64_t limit, Pieces& out) {
  const auto found = all.find(path);
  if (found == all.end()) return false;
  if (path == unreadable) return system_error("read", EIO);
  if (found->second.size() > limit) return Error{Code::kLimit, 0, "too large"};
  // As small as a reader must be able to take.
  for (std::size_t at = 0; at < found->second.size(); at += 7)
    out.piece(std::string_view(found->second).substr(at, 7));
  return true;
}

Result<bool> MemoryFiles::remove(std::string_view path) {
  if (read_only) return Error{Code::kSystem, EROFS, "unlink"};
  const auto there = all.find(path);
  if (there == all.end()) return false;
  all.erase(there);
  return true;
}

void MemoryFiles::remove_temporaries(std::string_view path) {
  std::erase_if(all, [&](const auto& file) { return file.first.starts_with(std::string(path) + ".tmp-"); });
}

Result<void> MemoryFiles::replace_with(std::string_view path, PieceSource& source, unsigned) {
  const bool below = !read_only_below.empty() && path.starts_with(read_only_below);
  if (read_only || below) return system_error("open", EROFS);
  ++writes;
  struct Collector final : Pieces {
    void piece(std::string_view piece_text) override { text += piece_text; }
    std::string text;
  } collector;
  source.write_to(collector);
  all[std::string(path)] = collector.text;
  return {};
}

Result<void> MemoryFiles::write_in_place(std::string_view path, std::string_view text) {
  return replace(path, text, 0);
}

void LogRecorder::line(Level, std::string_view text) { lines.emplace_back(text); }

int LogRecorder::count(std::string_view part) const {
  return static_cast<int>(std::count_if(lines.begin(), lines.end(),
                                        [&](const std::string& l) { return l.find(part) != l.npos; }));
}

std::string LogRecorder::text() const {
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

// -- a node --

/// What exists only while the program runs.
struct SimNode::Running {
  Running(SimNode& node, World& world)
      : logger(node.log, world.clock, node.settings.log_level),
        access(node.files),
        requests(server(node, world).make_stream()),
        watch(server(node, world).make_stream()),
        registry(make_registry(node, world)),
        agent({world.loop, logger, node.kernel.ports(), *registry, node.files,
               Delegate<void()>::to<&SimNode::on_ready>(&node), node.max_leases},
              node.settings) {}

  static ScriptedServer& server(SimNode& node, World& world) {
    if (node.kube_settings) return world.kube;
    return world.etcd;
  }
  std::unique_ptr<registry::Registry> make_registry(SimNode& node, World& world) {
    if (!node.kube_settings) {
      return std::make_unique<registry::EtcdRegistry>(world.loop, node.random_, logger, *requests, *watch,
                                                      node.etcd_settings);
    }
    Text<512> problem;
    const bool loaded = static_cast<bool>(access.load(*node.kube_settings, problem));
    REQUIRE_MESSAGE(loaded, problem.c_str());
    return std::make_unique<registry::KubeRegistry>(world.loop, world.clock, node.random_, logger, node.files,
                                                    access, *requests, *watch, *node.kube_settings);
  }

  Log logger;
  registry::KubeAccess access;
  std::unique_ptr<io::Stream> requests, watch;
  std::unique_ptr<registry::Registry> registry;
  agent::Agent agent;
  agent::AgentStatus status{agent};
};

SimNode::SimNode(World& world, unsigned number)
    : address{0xac1e0000u + number},
      kernel(world.loop),
      world_(world),
      random_(number + 1000 * world.size()) {
  kernel.add_nic("eth0", {address, 16});
  kernel.forwarding = true;
  etcd_settings.endpoints[0] = {false, {"10.0.0.1"}, 2379};
  etcd_settings.endpoint_count = 1;
}

void SimNode::change_address(Ip4 to) {
  kernel.replace_address(kNic, {to, 16});
  address = to;
}

void SimNode::set_default_route(bool on) {
  kernel.default_link = on ? std::optional<int>(kNic) : std::nullopt;
  kernel.default_route_changed();
}

void SimNode::reboot() {
  stop();
  if (device() != nullptr) kernel.remove_link(device()->index);
  kernel.rules.reset();
  std::erase_if(files.all, [](const auto& file) { return file.first.starts_with("/run/"); });
  start();
}

SimNode::~SimNode() { stop(); }

void SimNode::start() {
  REQUIRE(running_ == nullptr);
  running_ = std::make_unique<Running>(*this, world_);
  running_->agent.start();
}

void SimNode::stop() {
  if (running_ == nullptr) return;
  running_->agent.stop();
  running_.reset();
}

void SimNode::restart() {
  stop();
  start();
}

void SimNode::on_resume(Millis suspended) { running_->agent.on_resume(suspended); }

agent::State SimNode::state() const {
  return running_ == nullptr ? agent::State::kStopped : running_->agent.state();
}

overlay::PeerCounts SimNode::counts() const { return running_->agent.counts(); }
const status::Source& SimNode::status_source() const { return running_->status; }
status::Status SimNode::status() const {
  (void)world_.loop.step(0);  // a question comes from the loop, so that its time is now
  status::Status status;
  running_->status.read(status);
  return status;
}

std::string SimNode::subnet_env() const {
  const auto found = files.all.find(std::string_view(kSubnetFile));
  return found == files.all.end() ? "" : found->second;
}

Net4 SimNode::subnet() const { return overlay::previous_subnet(subnet_env()).value_or(Net4{}); }

std::string SimNode::key() const {
  overlay::LeaseKey key;
  key.subnet = subnet();
  return text(to_text<64>([&](Writer& out) { write(out, key); }).view());
}

std::string SimNode::entries() const {
  const auto* found = device();
  if (found == nullptr) return {};
  std::string all;
  for (const auto& [key, entry] : kernel.neighbours) {
    if (key.first == found->index) all += neighbour_line(key.second, entry.mac);
  }
  for (const auto& [key, entry] : kernel.fdb) {
    if (key.first == found->index) all += fdb_line(key.second, entry.remote);
  }
  for (const auto& [key, route] : kernel.routes) {
    if (route.link == found->index) all += route_line(key.first, route.gateway);
  }
  return all;
}

bool SimNode::has_peer(Net4 subnet, Mac mac, Ip4 public_ip) const {
  return has_all(entries(), subnet, mac, public_ip);
}

std::size_t SimNode::routes() const {
  const auto* found = device();
  return static_cast<std::size_t>(
      std::count_if(kernel.routes.begin(), kernel.routes.end(),
                    [&](const auto& each) { return found != nullptr && each.second.link == found->index; }));
}

// -- the world --

World::World(const char* config) {
  if (config != nullptr) put_config(config);
}

World::~World() = default;

SimNode& World::add(unsigned number) {
  return *nodes_.emplace_back(std::make_unique<SimNode>(*this, number));
}

SimNode& World::add_started(unsigned number) {
  SimNode& node = add(number);
  node.start();
  return node;
}

template <class More>
void World::run(Millis until, More more) {
  // So many turns without time going on are a circle.
  constexpr int kMaxTurns = 200'000;
  for (int turns = 0; more(); ++turns) {
    const Millis next = loop.next_deadline();
    if (next < 0 || next > until) {
      clock.time = until;
      return;
    }
    if (next > clock.time) {
      clock.time = next;
      turns = 0;
    }
    REQUIRE(turns < kMaxTurns);
    REQUIRE(loop.step(0));
  }
}

void World::advance(Millis by) {
  run(clock.time + by, [] { return true; });
}

bool World::run_until(const std::function<bool()>& done, Millis limit) {
  bool seen = false;
  run(clock.time + limit, [&] {
    seen = done();
    return !seen;
  });
  return seen || done();
}

bool World::all_know_all() {
  for (const auto& node : nodes_) {
    if (!node->running() || node->ready_count() == 0 || node->counts().peers + 1 < nodes_.size())
      return false;
  }
  for (const auto& a : nodes_) {
    const std::string entries = a->entries();
    for (const auto& b : nodes_) {
      if (a != b && !has_all(entries, b->subnet(), b->mac(), b->address)) return false;
    }
  }
  return true;
}

std::string World::peer_key(unsigned third) { return "10.5." + std::to_string(third) + ".0-24"; }

std::string World::peer_value(unsigned number, const char* public_ip) {
  const std::string address = public_ip != nullptr ? public_ip : text(text_of(peer_ip(number)).view());
  return R"({"PublicIP":")" + address +
         R"(","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":")" +
         text(text_of(tests::mac(number)).view()) + R"("}})";
}

std::string World::value_of(const std::string& key) {
  const auto* pair = etcd.find(kPrefix + ("subnets/" + key));
  return pair == nullptr ? "" : pair->value;
}

}  // namespace flannelette::tests
