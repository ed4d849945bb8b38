// SPDX-License-Identifier: Apache-2.0
// What is reported of a watch.
#include "registry/watch_state.hpp"

#include <algorithm>
#include <cerrno>

namespace flannelette::registry {

void WatchPast::on_end(const Error& error, Millis now) {
  constexpr Millis kAtLeast = 30'000;  // TCP_USER_TIMEOUT, the shortest silence that ends a connection
  const bool silent = error.code == Code::kTimeout || error.sys_errno == ETIMEDOUT;
  if (silent && stood == now) stood = std::max(now - kAtLeast, Millis{0});
}

void WatchPast::report(Standing& to, WatchState state, const io::Endpoint& server, Millis now) const {
  to.server = &server;
  to.watch = kWatchStates.rows[static_cast<std::size_t>(state)].name;
  to.stands = registry::stands(state);
  to.stood = stood < 0 ? -1 : now - stood;
  to.event = event < 0 ? -1 : now - event;
  to.messages = messages;
}

}  // namespace flannelette::registry
