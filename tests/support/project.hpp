// SPDX-License-Identifier: Apache-2.0
// Documents of this project as tests read them.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace flannelette::tests {

/// A file of the project, looked for upwards from the test binary, then from the working directory, which is
/// the project's for ctest: a distribution may build elsewhere.
inline std::string project_path(const std::string& path) {
  namespace fs = std::filesystem;
  for (fs::path folder : {fs::read_symlink("/proc/self/exe").parent_path(), fs::current_path()}) {
    for (; folder.has_relative_path(); folder = folder.parent_path()) {
      if (fs::exists(folder / path)) return folder / path;
    }
  }
  return path;
}

/// Its text; empty if it is not there.
inline std::string project_file(const std::string& path) {
  std::ifstream file(project_path(path));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace flannelette::tests
