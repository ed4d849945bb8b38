// SPDX-License-Identifier: Apache-2.0
// The verb `install-cni`: for a container of an image that has neither a shell nor cp.
#pragma once

#include <span>
#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/cli/settings_reader.hpp"

namespace flannelette::cli {

/// flannel's CNI list, which is installed where no other is given: the text of its ConfigMap as one line.
extern const char kCniList[];
inline constexpr const char* kCniListName = "10-flannel.conflist";

/// Whether it is a JSON object that has at least the members that a runtime wants in a list.
bool is_cni_list(std::string_view text);

/// Writes kCniListName in a directory that is there, by replacing: flannel's CNI list, or the file of --from.
/// A file with the same text is left alone, and needs no right to write. `words`: those behind the verb. It
/// changes the working directory. The result is the exit code: 2 if words or text are wrong, 1 if it cannot
/// be written.
int install_cni(std::span<const char* const> words, Files& files, Reporter& reporter);

}  // namespace flannelette::cli
