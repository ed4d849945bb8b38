// SPDX-License-Identifier: Apache-2.0
// The program.
#include <unistd.h>

#include "flannelette/base/standard_streams.hpp"
#include "flannelette/cli/verbs.hpp"

int main(int count, char** words) {
  flannelette::prepare_standard_streams();
  std::size_t variables = 0;
  while (environ[variables] != nullptr) ++variables;
  return flannelette::cli::execute({words + (count > 0 ? 1 : 0), words + count}, {environ, variables});
}
