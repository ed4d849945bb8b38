// SPDX-License-Identifier: Apache-2.0
// One inspection: the machine, the registry, the network, the peers.
#include "flannelette/agent/inspection.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "agent/inspection/peer_probe.hpp"
#include "agent/inspection/registry_probe.hpp"
#include "flannelette/agent/known_node.hpp"

namespace flannelette::agent {

struct Inspection::Impl final : RegistryProbe::Listener {
  Impl(const InspectionNeeds& any_needs, const Settings& settings, FindingListener& listener,
       Delegate<void()> on_done)
      : needs(any_needs),
        report(listener),
        done(on_done),
        context{needs, settings, report, system_of(needs.files)} {}

  void inspect(std::span<const Item> items) {
    for (const Item& item : items) {
      report.begin(item.name);
      item.inspect(context);
      report.end();
    }
  }

  std::span<std::optional<RegistryProbe>> probes() { return std::span(probes_).first(probe_count); }
  void start(std::span<const InspectedRegistry> registries);
  void on_network(const overlay::NetworkConfig& config) override;
  void on_record(const overlay::LeaseRecord& record) override {
    if (leases.upsert(record) == overlay::Ignored::kNo) peers.add(record);
  }
  void on_server(const Ip& address) override;
  void on_rehearsal(registry::Registry& registry) override;
  void on_probed() override;
  void on_limit();
  void on_registries();
  void on_peers();

  const InspectionNeeds needs;
  Report report;
  const Delegate<void()> done;
  InspectionContext context;
  overlay::LocalNode local;
  overlay::LeaseTable leases{0};  ///< stays empty
  std::array<std::optional<RegistryProbe>, kMaxRegistries> probes_{};
  std::size_t probe_count = 0;
  io::Timer timer{needs.loop, Delegate<void()>::to<&Impl::on_limit>(this)};
  PeerProbe peers{context, Delegate<void()>::to<&Impl::on_peers>(this)};
};

void Inspection::Impl::start(std::span<const InspectedRegistry> registries) {
  const auto node = find_node(needs.links, needs.device, needs.files, needs.log, context.settings);
  if (node) context.node = *node;
  inspect(machine_items());
  for (const InspectedRegistry& registry : registries) probes_[probe_count++].emplace(registry, *this);
  for (auto& probe : probes()) probe->start();
  timer.arm_in(probe_count == 0 ? 0 : kRegistryLimit);
}

void Inspection::Impl::on_network(const overlay::NetworkConfig& config) {
  if (context.network) return;
  context.network = local.config = config;
  local.subnet = context.subnet();
  if (context.underlay) local.public_ip = context.underlay->public_ip;
  leases.set_local(local);
}

void Inspection::Impl::on_server(const Ip& address) {
  const auto known = std::span(context.servers).first(context.server_count);
  if (known.size() == context.servers.size() || std::ranges::find(known, address) != known.end()) return;
  context.servers[context.server_count++] = address;
}

/// Our subnet is refused for the same reasons as by the agent.
void Inspection::Impl::on_rehearsal(registry::Registry& registry) {
  const auto choice = underlay_of(context);  // now that Network and the servers are known
  if (choice && choice->underlay) local.protected_addresses = choice->protected_addresses;
  leases.set_local(local);
  registry.join({local.public_ip}, {&leases});
}

/// Not from within a listener's call.
void Inspection::Impl::on_probed() {
  if (std::ranges::all_of(probes(), [](const auto& probe) { return probe->ended(); })) timer.arm_in(0);
}

void Inspection::Impl::on_limit() {
  for (auto& probe : probes()) probe->end();
  timer.cancel();
  on_registries();
}

void Inspection::Impl::on_registries() {
  const bool any = std::ranges::any_of(probes(), [](const auto& probe) { return probe->works(); });
  for (const auto& probe : probes()) {
    if (probe->matters(any)) probe->report(report, any ? Grade::kWarning : Grade::kFailure);
  }
  if (!context.network && context.node) context.network = context.node->config;
  inspect(network_items());
  peers.start();
}

void Inspection::Impl::on_peers() {
  static constexpr Item kLast[] = {{"firewall: input", inspect_input}};
  inspect(kLast);
  done();
}

Inspection::Inspection(const InspectionNeeds& needs, const Settings& settings, FindingListener& listener,
                       Delegate<void()> done)
    : impl_(new Impl(needs, settings, listener, done)) {}
Inspection::~Inspection() = default;
void Inspection::start(std::span<const InspectedRegistry> registries) { impl_->start(registries); }

}  // namespace flannelette::agent
