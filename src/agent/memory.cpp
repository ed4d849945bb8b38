// SPDX-License-Identifier: Apache-2.0
#include "agent/memory.hpp"

#include <algorithm>
#include <array>

#include "flannelette/overlay/subnet_env.hpp"

namespace flannelette::agent {

Memory::Memory(io::Loop& loop, Log& log, Files& files, const Settings& settings, overlay::LeaseTable& peers,
               Delegate<void()> on_silent)
    : loop_(loop),
      log_(log),
      files_(files),
      settings_(settings),
      peers_(peers),
      state_files_(files, log, settings),
      on_silent_(on_silent),
      registry_wait_(loop, Delegate<void()>::to<&Memory::on_registry_wait>(this)),
      node_timer_(loop, Delegate<void()>::to<&Memory::write_node>(this)),
      peers_timer_(loop, Delegate<void()>::to<&Memory::write_peers>(this)) {}

void Memory::start() {
  state_files_.clean_up();
  node_ = state_files_.load_node();
  registry_wait_.arm_in(settings_.registry_wait);
}

void Memory::stop() {
  if (peers_timer_.armed()) write_peers();
  for (io::Timer* timer : {&registry_wait_, &node_timer_, &peers_timer_}) timer->cancel();
}

std::optional<Net4> Memory::previous_subnet() const {
  std::array<char, 4096> buffer;
  const auto text = files_.read(settings_.subnet_file, buffer);
  std::optional<Net4> subnet;
  if (text && *text) subnet = overlay::previous_subnet(**text);
  if (!subnet && node_) subnet = node_->subnet;
  return subnet;
}

void Memory::on_registry_wait() {
  if (state_.state() != MemoryState::kWaiting) return;
  state_.enter(MemoryState::kSilent, log_);
  on_silent_();
}

std::size_t Memory::degrade() {
  state_.enter(MemoryState::kDegraded, log_);
  return state_files_.load_peers(peers_);
}

void Memory::join() {
  if (state_.state() != MemoryState::kJoined) state_.enter(MemoryState::kJoined, log_);
}

void Memory::save_node(const overlay::NodeState& node) {
  to_save_ = node;
  write_node();
}

void Memory::write_node() {
  if (state_files_.save(to_save_)) {
    node_backoff_.reset();
    node_timer_.cancel();
  } else {
    node_timer_.arm_in(node_backoff_.next());
  }
}

void Memory::save_peers_later() {
  peers_timer_.arm_at_latest_in(peers_saved_ ? std::max(kSavePeersEvery, state_files_.peers_wait(loop_.now()))
                                             : kSavePeersFirst);
}

void Memory::write_peers() {
  peers_saved_ = true;
  if (state_files_.save(peers_, loop_.now())) {
    peers_backoff_.reset();
  } else {
    peers_timer_.arm_in(std::max(peers_backoff_.next(), state_files_.peers_wait(loop_.now())));
  }
}

}  // namespace flannelette::agent
