// SPDX-License-Identifier: Apache-2.0
#include "support/means.hpp"

#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "support/netns.hpp"
#include "support/process.hpp"

namespace flannelette::tests::means {

std::string namespaces() { return enter_private_namespaces(); }

std::string program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (access((folder + "/" + name).c_str(), X_OK) == 0) return "";
  }
  return "no program " + name + " in PATH";
}

std::string link_kind(const std::string& arguments) {
  if (std::string missing = namespaces(); !missing.empty()) return missing;
  const Outcome added = run({.args = words("ip link add probe0 " + arguments)});
  if (added.status != 0) return "the kernel makes no link of " + arguments + ": " + added.output;
  ip("link delete probe0");
  return "";
}

}  // namespace flannelette::tests::means
