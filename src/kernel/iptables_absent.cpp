// SPDX-License-Identifier: Apache-2.0
// Instead of iptables.cpp in builds that do not inspect the kernel's older iptables interface.
#include "iptables.hpp"

namespace flannelette::kernel {

Result<void> inspect_legacy_iptables(Files&, FindingVisitor&) { return {}; }

}  // namespace flannelette::kernel
