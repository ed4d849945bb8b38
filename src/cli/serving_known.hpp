// SPDX-License-Identifier: Apache-2.0
// Whether this build says how the agent is.
#pragma once

#include <string_view>

namespace flannelette::cli {

/// FLANNELETTE_STATUS of CMakeLists.txt: over a UNIX socket, and the verbs that ask there.
inline constexpr bool kServes = FLANNELETTE_STATUS;
/// FLANNELETTE_HTTP: over TCP, too.
inline constexpr bool kServesTcp = kServes && FLANNELETTE_HTTP;

/// Where the sockets are, and that of the agent with the default subnet file.
inline constexpr std::string_view kSocketFolder = "/run/flannelette/";
inline constexpr const char* kDefaultSocket = "/run/flannelette/flannelette.sock";

}  // namespace flannelette::cli
