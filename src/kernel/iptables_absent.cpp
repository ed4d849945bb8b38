// SPDX-License-Identifier: Apache-2.0
// Instead of iptables.cpp in builds that do not inspect the kernel's older iptables interface.
#include "iptables.hpp"

namespace flannelette::kernel {

Result<void> inspect_legacy_iptables(Files&, const Passage&, FindingVisitor&) { return {}; }

Result<void> inspect_legacy_input(Files&, std::string_view, std::uint16_t, FindingVisitor&) { return {}; }
bool match_names_port(std::string_view, std::span<const std::byte>, std::uint16_t) { return false; }

}  // namespace flannelette::kernel
