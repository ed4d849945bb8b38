// SPDX-License-Identifier: Apache-2.0
// Which system calls the process may make.
#pragma once

#include "flannelette/base/log.hpp"
#include "flannelette/cli/settings_reader.hpp"

namespace flannelette::cli {

/// FLANNELETTE_SANDBOX of CMakeLists.txt. A build without it ignores the setting.
inline constexpr bool kHasSandbox = FLANNELETTE_SANDBOX;

/// Installs a seccomp filter, for good and for children: system calls that the agent does not make, memory
/// that can be executed, and new namespaces are refused. kOn: a refused call is answered ENOSYS, and named
/// once in the log. kStrict: it ends the program by SIGSYS. Needs no_new_privs, which give_up_privileges()
/// sets. A kernel without filters is an error of kStrict, and else one line of the log.
Result<void> enter_sandbox(Sandbox sandbox, Log& log);

}  // namespace flannelette::cli
