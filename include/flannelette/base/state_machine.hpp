// SPDX-License-Identifier: Apache-2.0
// A state machine whose states have names and whose edges are a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "flannelette/base/fatal.hpp"
#include "flannelette/base/log.hpp"

namespace flannelette {

/// Never defined: where a table is wrong, the compiler names this call, since it is no constant.
void bad_state_table(const char* why);

/// A state: its name in the log, and where one may go from it.
template <class State>
struct StateRow {
  template <class... Next>
  consteval StateRow(State here, const char* text, Next... following)
      : state(here), next(static_cast<std::uint16_t>((0u | ... | (1u << static_cast<unsigned>(following))))) {
    for (std::size_t i = 0; text[i] != '\0'; ++i) name[i] = text[i];  // too long: out of bounds, no constant
    name[kNameSize - 1] = '\0';
  }

  static constexpr std::size_t kNameSize = 13;
  char name[kNameSize]{};  // no pointer: 16 bytes in all
  State state;
  std::uint16_t next;
};

/// The table of a machine, its first row the state at the beginning:
///     enum class WatchState : std::uint8_t { kIdle, kOpening, kStreaming };
///     inline constexpr StateTable kWatchStates{"watch", {
///         StateRow(WatchState::kIdle, "idle", WatchState::kOpening), ...}};
/// Whether it is whole is checked when it is compiled: one row a state in the enum's order, every state but
/// the first is reached, no edge leads nowhere.
template <class State, std::size_t kStates>
struct StateTable {
  static_assert(kStates <= 16);

  consteval StateTable(const char* name, const StateRow<State> (&states)[kStates])
      : StateTable(name, states, std::make_index_sequence<kStates>()) {
    unsigned reached = 1;
    for (std::size_t i = 0; i < kStates; ++i) {
      if (static_cast<std::size_t>(rows[i].state) != i) bad_state_table("rows in the order of the enum");
      reached |= rows[i].next;
    }
    if (reached != (1u << kStates) - 1) bad_state_table("a state that is never reached, or an edge to none");
  }

  const char* machine;
  StateRow<State> rows[kStates];

 private:
  template <std::size_t... kIndex>
  consteval StateTable(const char* name, const StateRow<State> (&states)[kStates],
                       std::index_sequence<kIndex...>)
      : machine(name), rows{states[kIndex]...} {}
};

/// A state that changes in enter() alone. `kTable` is the StateTable.
template <const auto& kTable>
class StateMachine {
  using State = decltype(kTable.rows[0].state);

 public:
  State state() const { return state_; }
  const char* name() const { return row().name; }
  bool operator==(State state) const { return state_ == state; }

  /// Along an edge of the table only: anything else is a fault of the program, and ends it where assertions
  /// are on (as in the tests). Writes the debug line "watch: opening -> streaming".
  void enter(State next, Log& log) {
#ifdef _GLIBCXX_ASSERTIONS
    if ((row().next >> static_cast<unsigned>(next) & 1) == 0) {
      const auto why = to_text<64>([&](Writer& out) {
        out.put(kTable.machine)
            .put(": ")
            .put(name())
            .put(" -> ")
            .put(kTable.rows[static_cast<std::size_t>(next)].name);
      });
      die(why.c_str());
    }
#endif
    const char* const from = name();
    state_ = next;
    log.transition(kTable.machine, from, name());
  }

 private:
  const auto& row() const { return kTable.rows[static_cast<std::size_t>(state_)]; }
  State state_{};
};

}  // namespace flannelette
