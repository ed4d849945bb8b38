// SPDX-License-Identifier: Apache-2.0
// Asks a running agent of this machine how it is.
#pragma once

#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/cli/settings_reader.hpp"

namespace flannelette::cli {

using SocketPath = Text<io::Acceptor::kMaxPath>;

/// Where to ask: as the settings say. Where they name no socket of their own, and no agent with the default
/// one has been here, the only socket beside it.
SocketPath find_socket(const RunSettings& settings);

/// The status of the answer, whose body goes to `out` if that is 200, else to `other` if given. It waits for
/// kPatience at most where nothing comes. An error: nobody answers there, or the answer was cut.
inline constexpr int kPatienceSeconds = 5;
Result<int> ask(const SocketPath& socket, std::string_view target, Pieces& out, Pieces* other = nullptr);

}  // namespace flannelette::cli
