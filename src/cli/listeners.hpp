// SPDX-License-Identifier: Apache-2.0
// Settings of listeners, read.
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/cli/settings_reader.hpp"

namespace flannelette::cli {

// As a Setter (options.hpp) does.

std::string_view set_port(std::uint16_t& out, std::string_view value);
std::string_view set_listener_ip(Ip& out, std::string_view value);
/// "127.0.0.1:9100", "[::1]:9100"; empty: none.
std::string_view set_listen(ServingSettings& serving, std::string_view value);

}  // namespace flannelette::cli
