// SPDX-License-Identifier: Apache-2.0
// When all is listed again where no watch can be had.
#include "registry/relisting.hpp"

#include <algorithm>

namespace flannelette::registry {

Relisting::Relisting(io::Loop& loop, Random& random, const Session& session, Act act)
    : loop_(loop),
      random_(random),
      session_(session),
      act_(act),
      timer_(loop, Delegate<void()>::to<&Relisting::on_timer>(this)) {}

void Relisting::begin() {
  if (!timer_.armed()) arm();
}

void Relisting::end() {
  timer_.cancel();
  lists_ = 0;
}

void Relisting::report(Health& health, const char* operation, const io::Endpoint& server) const {
  if (lists_ > 0)
    health.failed(Health::kWatch, operation, server, {{Code::kUnavailable, 0, kNoWatch}}, interval());
}

Millis Relisting::interval() const { return std::min(kFirst << std::min(lists_, 4), kMax); }

/// Half an interval before it may ask, and half before it may list.
void Relisting::arm() {
  const Millis half = interval() / 2;
  probed_ = 0;
  timer_.arm_in(half + static_cast<Millis>(random_.below(static_cast<std::uint64_t>(half / 8))));
}

void Relisting::on_timer() {
  const Millis now = loop_.now();
  const bool answered = probed_ != 0 && session_.answered() >= probed_;
  if (!act_(answered)) return timer_.arm_in(kWatchStable);
  if (answered) {
    ++lists_;
  } else {
    arm();
    probed_ = now;
  }
}

}  // namespace flannelette::registry
