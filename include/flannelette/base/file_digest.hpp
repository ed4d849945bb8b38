// SPDX-License-Identifier: Apache-2.0
// The digest of a file.
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/base/fnv.hpp"

namespace flannelette {

/// Mixes in what a file of at most `limit` bytes holds, and whether it can be read.
void mix_file(Fnv1a& hash, Files& files, std::string_view path, std::uint64_t limit);

}  // namespace flannelette
