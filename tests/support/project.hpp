// SPDX-License-Identifier: Apache-2.0
// Documents of this project as tests read them.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace flannelette::tests {

/// A file of the project, looked for upwards from the test binary.
inline std::string project_path(const std::string& path) {
  auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  while (folder.has_relative_path() && !std::filesystem::exists(folder / path)) folder = folder.parent_path();
  return folder / path;
}

/// Its text; empty if it is not there.
inline std::string project_file(const std::string& path) {
  std::ifstream file(project_path(path));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace flannelette::tests
