// SPDX-License-Identifier: Apache-2.0
// Transitions of state machines, whatever their tables.
#include "flannelette/base/state_machine.hpp"

#include "flannelette/base/fatal.hpp"

namespace flannelette {

void StateMachineBase::enter(const char* machine, const StateRowData* rows, std::uint8_t next, Log& log) {
  const StateRowData& from = rows[state_];
#ifdef _GLIBCXX_ASSERTIONS
  if ((from.next >> next & 1) == 0) {
    const auto why = to_text<64>(
        [&](Writer& out) { out.put(machine).put(": ").put(from.name).put(" -> ").put(rows[next].name); });
    die(why.c_str());
  }
#endif
  state_ = next;
  log.transition(machine, from.name, rows[next].name);
}

}  // namespace flannelette
