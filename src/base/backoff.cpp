// SPDX-License-Identifier: Apache-2.0
// The delays between attempts.
#include "flannelette/base/backoff.hpp"

#include <algorithm>

namespace flannelette {

Millis Backoff::next() {
  last_ = failing() ? std::min(2 * last_, max_) : first_;
  return last_;
}

Millis Backoff::next(Random& random) {
  const Millis half = next() / 2;
  return half + static_cast<Millis>(random.below(static_cast<std::uint64_t>(half + 1)));
}

}  // namespace flannelette
