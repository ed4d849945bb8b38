// SPDX-License-Identifier: Apache-2.0
// What the parts of an inspection share.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "agent/inspection/remedies.hpp"
#include "agent/inspection/report.hpp"
#include "agent/underlay.hpp"
#include "flannelette/overlay/config.hpp"
#include "flannelette/overlay/state.hpp"

namespace flannelette::agent {

struct InspectionContext {
  const InspectionNeeds& needs;
  const Settings& settings;
  Report& report;
  const System system;
  std::optional<overlay::NodeState> node{};              ///< who this node was
  std::optional<Underlay> underlay{};                    ///< as far as it was found
  std::optional<overlay::NetworkConfig> network{};       ///< the registry's, else the node's
  std::array<Ip, UnderlayHints::kMaxServers> servers{};  ///< of the registries, as far as known
  std::size_t server_count = 0;
  bool firewalld = false;     ///< it runs here
  bool agent_runs = false;    ///< one like us does, whose network this may be
  bool tunnel_works = false;  ///< some peer answered through it

  /// What our device is made from.
  overlay::NetworkConfig config() const { return network.value_or(overlay::NetworkConfig{}); }
  std::optional<Net4> subnet() const { return node ? std::optional(node->subnet) : std::nullopt; }
};

/// The answer to `ask()`, which is repeated where a dump was interrupted, twice at most.
template <class Ask>
auto uninterrupted(const Ask& ask, int more = 2) -> decltype(ask()) {
  auto answer = ask();
  if (!answer && answer.error().code == Code::kInterrupted && more > 0) return uninterrupted(ask, more - 1);
  return answer;
}

/// "socat (4711)"
Writer& put(Writer& out, const kernel::Program& program);

/// Something that is inspected at one go.
struct Item {
  const char* name;
  void (*inspect)(InspectionContext& context);
};
std::span<const Item> machine_items();  ///< what does not depend on the network
std::span<const Item> network_items();  ///< what does
void inspect_input(InspectionContext& context);

/// With what is known of our own part of the network.
Result<UnderlayChoice> underlay_of(const InspectionContext& context);

}  // namespace flannelette::agent
