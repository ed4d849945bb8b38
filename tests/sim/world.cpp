// SPDX-License-Identifier: Apache-2.0
#include "sim/world.hpp"

#include <algorithm>

namespace flannelette::tests {
namespace {

std::string text(std::string_view view) { return std::string(view); }

struct EntryLines final : kernel::EntryVisitor {
  void entry(const overlay::Neighbour& n) override { add("neighbour ", text_of(n.ip), " ", text_of(n.mac), n.permanent ? "" : " moving"); }
  void entry(const overlay::Fdb& f) override { add("fdb ", text_of(f.mac), " ", text_of(f.remote), f.permanent ? "" : " moving"); }
  void entry(const overlay::Route& r) override {
    add("route ", text_of(r.destination), " via ", text_of(r.gateway), r.onlink ? " onlink" : "");
  }
  template <class A, class B>
  void add(const char* kind, const A& a, const char* between, const B& b, const char* rest) {
    lines.push_back(kind + text(a.view()) + between + text(b.view()) + rest);
  }
  std::vector<std::string> lines;
};

/// Whether `entries` holds all three of this peer.
bool has_all(const std::string& entries, Net4 subnet, Mac mac, Ip4 public_ip) {
  EntryLines wanted;
  wanted.entry(overlay::Neighbour{subnet.base, mac});
  wanted.entry(overlay::Fdb{mac, public_ip});
  wanted.entry(overlay::Route{subnet, subnet.base});
  return std::all_of(wanted.lines.begin(), wanted.lines.end(),
                     [&](const std::string& line) { return entries.find(line + "\n") != entries.npos; });
}

}  // namespace

// -- files and log ----------------------------------------------------------------------------------------------------

Result<std::optional<std::string_view>> MemoryFiles::read(std::string_view path, std::span<char> buffer) {
  const auto found = all.find(path);
  if (found == all.end()) return std::optional<std::string_view>();
  if (found->second.size() > buffer.size()) return Error{Code::kLimit, 0, "file"};
  std::copy(found->second.begin(), found->second.end(), buffer.begin());
  return std::optional(std::string_view(buffer.data(), found->second.size()));
}

Result<void> MemoryFiles::replace(std::string_view path, std::string_view text, unsigned) {
  if (read_only) return system_error("open", EROFS);
  ++writes;
  all[std::string(path)] = text;
  return {};
}

Result<void> MemoryFiles::write_in_place(std::string_view path, std::string_view text) { return replace(path, text, 0); }

void LogRecorder::line(Level, std::string_view text) { lines.emplace_back(text); }

int LogRecorder::count(std::string_view part) const {
  return static_cast<int>(std::count_if(lines.begin(), lines.end(), [&](const std::string& l) { return l.find(part) != l.npos; }));
}

std::string LogRecorder::text() const {
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

// -- a node -----------------------------------------------------------------------------------------------------------

/// What exists only while the program runs.
struct SimNode::Running {
  Running(SimNode& node, World& world)
      : logger(node.log, world.clock, node.settings.log_level),
        requests(world.etcd.make_stream()),
        watch(world.etcd.make_stream()),
        registry(world.loop, node.random_, *requests, *watch, node.etcd_settings),
        agent({world.loop, logger, node.kernel, registry, node.files, node.random_, Delegate<void()>::to<&SimNode::on_ready>(&node)},
              node.settings) {}

  Log logger;
  std::unique_ptr<io::Stream> requests, watch;
  registry::EtcdRegistry registry;
  agent::Agent agent;
};

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

agent::State SimNode::state() const { return running_ == nullptr ? agent::State::kStopped : running_->agent.state(); }

overlay::PeerCounts SimNode::counts() const { return running_->agent.counts(); }

std::optional<overlay::Device> SimNode::device() {
  auto found = kernel.find_device("flannel.1");
  REQUIRE(found);
  return *found;
}

Mac SimNode::mac() {
  const auto found = device();
  return found ? found->mac : Mac{};
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

std::string SimNode::entries() {
  const auto found = device();
  EntryLines lines;
  if (found) REQUIRE(kernel.dump_entries(found->index, lines));
  std::sort(lines.lines.begin(), lines.lines.end());
  std::string all;
  for (const std::string& line : lines.lines) all += line + "\n";
  return all;
}

bool SimNode::has_peer(Net4 subnet, Mac mac, Ip4 public_ip) { return has_all(entries(), subnet, mac, public_ip); }

std::size_t SimNode::routes() {
  const std::string have = entries();
  std::size_t count = 0;
  for (std::size_t at = have.find("route "); at != have.npos; at = have.find("route ", at + 1)) ++count;
  return count;
}

// -- the world --------------------------------------------------------------------------------------------------------

World::World(const char* config) {
  if (config != nullptr) put_config(config);
}

World::~World() = default;

SimNode& World::add(unsigned number) { return *nodes_.emplace_back(std::make_unique<SimNode>(*this, number)); }

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
    if (!node->running() || node->ready_count() == 0 || node->counts().peers != nodes_.size() - 1) return false;
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
  return R"({"PublicIP":")" + address + R"(","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":")" +
         text(text_of(tests::mac(number)).view()) + R"("}})";
}

std::string World::value_of(const std::string& key) {
  const auto* pair = etcd.find(kPrefix + ("subnets/" + key));
  return pair == nullptr ? "" : pair->value;
}

}  // namespace flannelette::tests
