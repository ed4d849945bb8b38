// SPDX-License-Identifier: Apache-2.0
// The seam for chance.
#pragma once

#include <cstdint>
#include <span>

#include "flannelette/base/ip.hpp"

namespace flannelette {

/// The seam for chance, so that tests repeat.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> bytes) = 0;

  /// Uniform in [0, bound), without modulo bias. bound > 0.
  std::uint64_t below(std::uint64_t bound);
  /// A random locally administered unicast address, made as flanneld makes it: first byte (b & 0xfe) | 0x02.
  Mac mac();
};

/// getrandom(2); falls back to /dev/urandom while the kernel's pool is not ready, so that boot never hangs on
/// it.
class SystemRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> bytes) override;
};

}  // namespace flannelette
