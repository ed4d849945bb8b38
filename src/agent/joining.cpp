// SPDX-License-Identifier: Apache-2.0
// Our membership: what the registry is told of this node, and what comes of it.
#include "agent/agent_impl.hpp"
#include "agent/words.hpp"

namespace flannelette::agent {
namespace {

constexpr const char* kTakeAnother = "taking another";

}  // namespace

std::optional<Net4> Agent::Impl::previous_subnet() const {
  const auto subnet = memory_.previous_subnet();
  return subnet && config_.has_subnet(*subnet) ? subnet : std::nullopt;
}

std::optional<Mac> Agent::Impl::device_mac(std::uint32_t vni) {
  const auto device = kernel_.device.find_device(overlay::device_name(vni));
  return device && *device ? std::optional((*device)->mac) : std::nullopt;
}

/// Our record from before the restart says which of our addresses was in use, if the MAC in it proves that it
/// is ours: another node's may well stand under a virtual address that has come to us since.
void Agent::Impl::recall_address(const registry::Hints& hints) {
  if (memory_.node()) return;
  const auto own = hints.subnet ? members_.table().find_holder(*hints.subnet) : std::nullopt;
  if (!own || own->mac != hints.device_mac) return;
  if (underlay_watch_.prefer(own->public_ip)) validate_members();
}

void Agent::Impl::join() {
  if (backend_of(config_).device == nullptr && underlay().public_ip != underlay().address) {
    return log_.error("peers route by our public IP: it must be the interface's address; waiting for that");
  }
  registry::Hints hints{
      .leases = &members_.table(), .subnet = previous_subnet(), .device_mac = device_mac(config_.vni)};
  recall_address(hints);
  enter(State::kClaiming);
  if (hints.subnet && refuses_own(*hints.subnet, kTakeAnother)) hints.subnet.reset();
  if (memory_.node()) hints.saved_mac = memory_.node()->mac;
  registry_.join({underlay().public_ip}, hints);
}

void Agent::Impl::on_joined(const registry::Membership& membership) {
  log_.info("lease held", {{"subnet", membership.subnet},
                           {"public_ip", membership.public_ip},
                           {"mac", membership.mac},
                           {"ttl_s", membership.ttl_seconds},
                           {"kind", membership.reservation ? "reservation"
                                    : membership.written   ? "written"
                                                           : "kept"}});
  set_target(config_, membership.subnet, membership.mac);
  members_.set_joined();
  enter(State::kRunning);
  if (memory_.degraded()) log_.info("the registry is back; this node is no longer degraded");
  memory_.join();
  unsaved_ = {config_, membership.subnet, membership.mac, underlay().public_ip.v4()};
  save_node();
  memory_.save_peers_later();
  dataplane_.schedule_converge();
}

void Agent::Impl::on_left(const registry::Left& left) {
  using Why = registry::Left::Why;
  const auto say = [&](Level level, const char* text) { log_.write(level, text, {{"subnet", left.subnet}}); };
  switch (left.why) {
    case Why::kNoneFree:
      return log_.error("no subnet is free; waiting for one",
                        {{"network", config_.network}, {"subnet_len", unsigned{config_.subnet_len}}});
    case Why::kUnfit:
      if (protected_addresses().in_own(left.subnet) == nullptr) {
        log_.info("our earlier subnet does not fit the network config any more; taking another",
                  {{"subnet", left.subnet}, {"network", config_.network}});
      } else if (previous_subnet() != left.subnet) {
        refuses_own(left.subnet, kTakeAnother);
      }
      return;
    case Why::kTaken: return say(Level::kInfo, "the subnet was taken meanwhile; choosing another");
    case Why::kBlocked:
      if (state_ == State::kRunning)
        return say(Level::kError,
                   "another key of the registry stands in the way of our subnet; claiming it again when that "
                   "is gone");
      return say(Level::kInfo, "a key that is no lease stands in the way of the subnet; choosing another");
    case Why::kRefused:
      return log_.error("the registry refuses our lease; trying again",
                        {{"subnet", left.subnet}, Field(left.error), {"detail", left.detail}});
    case Why::kExpired:
      return say(Level::kWarning, "our lease expired or was revoked; claiming the subnet again");
    case Why::kDeleted: return say(Level::kWarning, "our lease was deleted; claiming the subnet again");
    case Why::kRestored:
      return say(Level::kWarning,
                 "the registry went back to an earlier record of ours; claiming the subnet again");
    case Why::kAwaited: return log_.warning(kNotGiven, {{"missing", left.detail}});
    case Why::kOutside:
      return log_.error(kUnusable,
                        {{"subnet", left.subnet}, {"network", config_.network}, {"reason", left.detail}});
    case Why::kNamesake:
      return log_.error(
          "another program publishes itself as this node; not fighting over it, stop it or rename one of "
          "both",
          {{"node", left.detail}, {"its_public_ip", left.public_ip}, {"its_mac", left.mac}});
    case Why::kTwin:
      return log_.error("another node wrote our lease; two nodes have one public address, give one another",
                        {{"subnet", left.subnet}, {"public_ip", left.public_ip}});
    case Why::kRival:
      return log_.error(
          "another node holds our subnet; not fighting over it, give one of the two another subnet",
          {{"subnet", left.subnet}, {"rival_public_ip", left.public_ip}, {"rival_mac", left.mac}});
  }
}

}  // namespace flannelette::agent
