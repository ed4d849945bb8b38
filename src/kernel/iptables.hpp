// SPDX-License-Identifier: Apache-2.0
// The kernel's older iptables interface.
#pragma once

#include "flannelette/base/files.hpp"
#include "flannelette/kernel/ports.hpp"

namespace flannelette::kernel {

/// Looks into the tables nat and filter of the older kernel interface (iptables-legacy), if they are in use.
/// Never loads a module.
Result<void> inspect_legacy_iptables(Files& files, FindingVisitor& visitor);

/// flanneld's chains in its iptables mode.
bool is_flanneld_chain(std::string_view name);

}  // namespace flannelette::kernel
