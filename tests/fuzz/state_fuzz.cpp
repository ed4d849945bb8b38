// SPDX-License-Identifier: Apache-2.0
// The state files: nothing in them may upset the program, and what is taken is written again as it was.
#include <cstddef>
#include <cstdint>
#include <string>

#include "flannelette/overlay/state.hpp"

namespace {

using namespace flannelette;
using namespace flannelette::overlay;

struct Collector final : Pieces {
  void piece(std::string_view piece_text) override { text += piece_text; }
  std::string text;
};

void node(std::string_view text) {
  StateProblem problem{};
  const auto state = parse_node_state(text, problem);
  if (!state) return;
  const auto again = to_text<NodeState::kMaxText>([&](Writer& out) { write(out, *state); });
  const auto same = parse_node_state(again.view(), problem);
  if (!same || !(*same == *state)) __builtin_trap();
}

void peers(std::string_view text, std::size_t step) {
  LeaseTable table;
  LocalNode local;
  local.config.network = {{0x0a000000}, 8};
  local.public_ip = Ip4{0xc0000201};
  table.set_local(local);
  PeerStateReader reader(&table);
  for (std::size_t at = 0; at < text.size(); at += step) reader.piece(text.substr(at, step));
  Collector out;
  PeerStateSource(table).write_to(out);
  PeerStateReader again;
  again.piece(out.text);
  if (again.problem() || again.digest() != PeerStateSource(table).digest()) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  node(text);
  peers(text, std::size_t{data[0]} + 1);
  return 0;
}
