// SPDX-License-Identifier: Apache-2.0
// The kernel's older iptables interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/kernel/ports.hpp"

namespace flannelette::kernel {

/// What a rule names that lets our packets pass.
struct Passage {
  std::string_view link;
  std::uint16_t port = 0;  ///< UDP; 0: none
  Net4 network{};          ///< 0.0.0.0/0: none
};

/// Looks into the tables nat and filter of the older kernel interface (iptables-legacy), if they are in use.
/// Never loads a module. kForeignDrop: see inspect_drops().
Result<void> inspect_legacy_iptables(Files& files, const Passage& passage, FindingVisitor& visitor);

/// flanneld's chains in its iptables mode.
bool is_flanneld_chain(std::string_view name);

/// kInputDrop: its INPUT chain drops by its policy, and no rule of the table accepts UDP to `port` or what
/// comes in by `link`.
Result<void> inspect_legacy_input(Files& files, std::string_view link, std::uint16_t port,
                                  FindingVisitor& visitor);

/// Whether a match of iptables, by its name and its own bytes, is one for this UDP port, or may be; of port
/// 0: none.
bool match_names_port(std::string_view name, std::span<const std::byte> info, std::uint16_t port);

}  // namespace flannelette::kernel
