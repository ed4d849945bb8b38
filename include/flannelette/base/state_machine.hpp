// SPDX-License-Identifier: Apache-2.0
// A state machine whose states have names and whose edges are a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "flannelette/base/log.hpp"

namespace flannelette {

/// Never defined: where a table is wrong, the compiler names this call, since it is no constant.
void bad_state_table(const char* why);

/// A state: its name in the log, and where one may go from it.
struct StateRowData {
  static constexpr std::size_t kNameSize = 13;
  char name[kNameSize]{};  // no pointer: 16 bytes in all
  std::uint8_t state = 0;
  std::uint16_t next = 0;
};

template <class State>
struct StateRow : StateRowData {
  template <class... Next>
  consteval StateRow(State here, const char* text, Next... following) {
    state = static_cast<std::uint8_t>(here);
    next = static_cast<std::uint16_t>((0u | ... | (1u << static_cast<unsigned>(following))));
    for (std::size_t i = 0; text[i] != '\0'; ++i) name[i] = text[i];  // too long: out of bounds, no constant
    name[kNameSize - 1] = '\0';
  }
};

/// The table of a machine, its first row the state at the beginning:
///     enum class WatchState : std::uint8_t { kIdle, kOpening, kStreaming };
///     inline constexpr StateTable kWatchStates{"watch", {
///         StateRow(WatchState::kIdle, "idle", WatchState::kOpening), ...}};
/// Whether it is whole is checked when it is compiled: one row a state in the enum's order, every state but
/// the first is reached, no edge leads nowhere.
template <class TheState, std::size_t kStates>
struct StateTable {
  using State = TheState;
  static_assert(kStates <= 16);

  consteval StateTable(const char* name, const StateRow<State> (&states)[kStates])
      : StateTable(name, states, std::make_index_sequence<kStates>()) {
    unsigned reached = 1;
    for (std::size_t i = 0; i < kStates; ++i) {
      if (rows[i].state != i) bad_state_table("rows in the order of the enum");
      reached |= rows[i].next;
    }
    if (reached != (1u << kStates) - 1) bad_state_table("a state that is never reached, or an edge to none");
  }

  const char* machine;
  StateRowData rows[kStates];

 private:
  template <std::size_t... kIndex>
  consteval StateTable(const char* name, const StateRow<State> (&states)[kStates],
                       std::index_sequence<kIndex...>)
      : machine(name), rows{states[kIndex]...} {}
};

/// What machines of all tables share.
class StateMachineBase {
 protected:
  void enter(const char* machine, const StateRowData* rows, std::uint8_t next, Log& log);
  std::uint8_t state_ = 0;
};

/// A state that changes in enter() alone. `kTable` is the StateTable.
template <const auto& kTable>
class StateMachine : StateMachineBase {
  using State = typename std::remove_cvref_t<decltype(kTable)>::State;

 public:
  State state() const { return static_cast<State>(state_); }
  const char* name() const { return kTable.rows[state_].name; }
  bool operator==(State other) const { return state() == other; }

  /// Along an edge of the table only: anything else is a fault of the program, and ends it where assertions
  /// are on (as in the tests). Writes the debug line "watch: opening -> streaming".
  void enter(State next, Log& log) {
    StateMachineBase::enter(kTable.machine, kTable.rows, static_cast<std::uint8_t>(next), log);
  }
};

}  // namespace flannelette
