// SPDX-License-Identifier: Apache-2.0
// The sysctls that this program reads or sets.
#pragma once

#include <string_view>

#include "flannelette/base/files.hpp"

/// The few sysctls that we read or set, through procfs. Written only if they differ.
namespace flannelette::kernel {

Result<bool> ip_forward(Files& files);
Result<void> set_ip_forward(Files& files);
/// See Kernel::disable_accept_ra.
Result<void> disable_accept_ra(Files& files, std::string_view name);

}  // namespace flannelette::kernel
