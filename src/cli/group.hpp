// SPDX-License-Identifier: Apache-2.0
// The number of a group.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>

#include "flannelette/base/files.hpp"

namespace flannelette::cli {

/// As /etc/group has it, if that has at most 64 KiB, or the number that `name` is. nullopt: there is no
/// such group. Not libc's way, which in a static program wants libraries of its own.
std::optional<gid_t> group_id(Files& files, std::string_view name);

}  // namespace flannelette::cli
