// SPDX-License-Identifier: Apache-2.0
// The end of the process where nothing else can be done.
#include "flannelette/base/fatal.hpp"

#include <unistd.h>

#include <array>
#include <csignal>

#include "flannelette/base/standard_streams.hpp"
#include "flannelette/base/text.hpp"

namespace flannelette {

void die(const char* why) {
  std::array<char, 256> memory;
  Writer out(memory);
  out.put("flannelette: fatal: ").put(std::string_view(why).substr(0, 200));
  StreamSink(STDERR_FILENO).line(Level::kError, out.view());
  // As abort(3) without its lock: nobody here handles the signal.
  ::raise(SIGABRT);
  __builtin_trap();  // we were started with the signal ignored
}

}  // namespace flannelette
