// SPDX-License-Identifier: Apache-2.0
// What a link's driver does instead of the kernel.
#pragma once

#include <string_view>

#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"

/// See OffloadPort for what each does.
namespace flannelette::kernel {

Result<bool> set_tx_checksum(std::string_view link, bool on);
Text<32> driver(std::string_view link);

}  // namespace flannelette::kernel
