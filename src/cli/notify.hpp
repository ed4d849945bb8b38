// SPDX-License-Identifier: Apache-2.0
// The service manager's notification socket.
#pragma once

#include "flannelette/base/result.hpp"

namespace flannelette::cli {

/// sd_notify(3)'s READY=1 to the socket named by NOTIFY_SOCKET: a path, or an abstract name that begins with
/// '@'. Success without doing anything if the variable is not set or empty. Does not wait: EAGAIN if its
/// queue is full. The variable stays in the environment.
Result<void> notify_ready();

}  // namespace flannelette::cli
