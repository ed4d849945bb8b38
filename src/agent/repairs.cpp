// SPDX-License-Identifier: Apache-2.0
// A bucket of repairs for each thing.
#include "agent/repairs.hpp"

#include <algorithm>

namespace flannelette::agent {

Repairs::Verdict Repairs::damaged(std::uint64_t digest, Millis now) {
  Thing* thing = std::ranges::find(things_, digest, &Thing::digest);
  if (thing == things_.end()) {
    const auto others = things_.begin() + kReserved;
    thing = digest <= kReserved ? things_.begin() + static_cast<std::ptrdiff_t>(digest - 1)
                                : std::min_element(others, things_.end(), [](const Thing& a, const Thing& b) {
                                    return a.refilled < b.refilled;
                                  });
    *thing = {digest, now, kBurst, false};
  }
  const Millis pauses = std::max((now - thing->refilled) / kPause, Millis{0});
  thing->refilled += pauses * kPause;
  thing->left = static_cast<std::uint32_t>(std::min<Millis>(thing->left + pauses, kBurst));
  if (thing->left > 1) thing->named = false;  // it was left alone for a while
  if (thing->left == 0) {
    thing->refilled = now + kPause;  // until then it is left as it is
    return Verdict::kPause;
  }
  const bool last = --thing->left == 0 && !thing->named;
  thing->named = thing->named || last;
  return last ? Verdict::kRepairAndName : Verdict::kRepair;
}

bool Repairs::exhausted(std::uint64_t digest, Millis now) const {
  const auto thing = std::ranges::find(things_, digest, &Thing::digest);
  return thing != things_.end() && thing->left == 0 && now - thing->refilled < kPause;
}

}  // namespace flannelette::agent
