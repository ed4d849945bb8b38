// SPDX-License-Identifier: Apache-2.0
// In the place of pattern.cpp when the build has no regular expressions: none compiles.
#include "flannelette/base/pattern.hpp"

namespace flannelette {

Result<void> Pattern::compile(std::string_view, PatternProblem*) {
  return Error{Code::kUnsupported, 0, "no regular expressions"};
}
bool Pattern::available() { return false; }
bool Pattern::found_in(std::string_view) const { return false; }

}  // namespace flannelette
