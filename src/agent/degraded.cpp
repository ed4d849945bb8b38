// SPDX-License-Identifier: Apache-2.0
// The start without the registry, and what is kept for it.
#include "agent/agent_impl.hpp"

namespace flannelette::agent {

void Agent::Impl::on_waited() {
  waited_ = true;
  use_kept_state();
}

/// Once the registry has told all leases, it knows better than we do. The way to kRunning goes on beside
/// this, and ends it: lease_held gives the data plane its new target, and the listing has taken out who is
/// gone.
void Agent::Impl::use_kept_state() {
  const bool unheard = state_ == State::kConfig || (state_ == State::kListing && !listing_);
  if (!waited_ || degraded_ || !unheard) return;
  if (!kept_node_ || kept_node_->subnet.length == 0) return;
  if (refuses_own(kept_node_->subnet, "wait for the registry")) {
    kept_node_->subnet = {};
    return;
  }
  degraded_ = true;
  dataplane_.set_target({kept_node_->config, *underlay_, kept_node_->subnet, kept_node_->mac, protected_});
  const std::size_t peers = cache_.load_peers(peers_);
  report_harmful({});
  log_.warning("the registry does not answer; this node comes up as it was, degraded",
               {{"subnet", kept_node_->subnet}, {"peers", std::uint64_t{peers}}});
  soon();
}

void Agent::Impl::keep_node() {
  if (cache_.keep(overlay::NodeState{config_, own_->key.subnet, *mac_, underlay_->public_ip})) {
    keep_node_backoff_.reset();
  } else {
    keep_node_.arm_in(keep_node_backoff_.next());
  }
}

void Agent::Impl::on_keep() {
  if (state_ != State::kRunning) return;
  kept_ = true;
  if (cache_.keep(peers_, loop_.now())) {
    keep_backoff_.reset();
  } else {
    keep_.arm_in(std::max(keep_backoff_.next(), cache_.peers_wait(loop_.now())));
  }
}

}  // namespace flannelette::agent
