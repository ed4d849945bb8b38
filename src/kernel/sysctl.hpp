// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "flannelette/base/files.hpp"

/// The few sysctls that we read or set, through procfs. Written only if they differ.
namespace flannelette::kernel {

Result<bool> ip_forward(Files& files);
Result<void> set_ip_forward(Files& files);
/// See Kernel::quiet_device.
Result<void> quiet_device(Files& files, std::string_view name);

}  // namespace flannelette::kernel
