// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/fatal.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "flannelette/base/text.hpp"

namespace flannelette {

void die(const char* why) {
  std::array<char, 256> memory;
  Writer out(memory);
  out.put("flannelette: fatal: ").put(std::string_view(why).substr(0, 200)).put('\n');
  // A full pipe that nobody reads must not hold up the end.
  pollfd err{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&err, 1, 0) > 0) [[maybe_unused]]
    const auto written = ::write(STDERR_FILENO, out.view().data(), out.size());
  std::abort();
}

}  // namespace flannelette
