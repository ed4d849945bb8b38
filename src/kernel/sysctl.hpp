// SPDX-License-Identifier: Apache-2.0
// The sysctls that this program reads or sets.
#pragma once

#include <string_view>

#include "flannelette/base/files.hpp"

/// Through procfs. Written only if they differ.
namespace flannelette::kernel {

Result<bool> ip_forward(Files& files);
Result<void> set_ip_forward(Files& files);
/// See SysctlPort.
bool strict_rp_filter(Files& files, std::string_view link);
Result<void> disable_accept_ra(Files& files, std::string_view device);

}  // namespace flannelette::kernel
