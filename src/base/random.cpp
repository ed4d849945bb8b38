// SPDX-License-Identifier: Apache-2.0
// The seam for chance.
#include "flannelette/base/random.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>

#include "flannelette/base/fatal.hpp"
#include "flannelette/base/unique_fd.hpp"

namespace flannelette {

std::uint64_t Random::below(std::uint64_t bound) {
  // Drawing again (less than once on average) instead of a modulo: no bias and no 64-bit division.
  const std::uint64_t mask = ~std::uint64_t{0} >> std::countl_zero(bound | 1);
  for (;;) {
    std::array<std::uint8_t, 8> bytes{};
    fill(bytes);
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes) value = value << 8 | byte;
    if ((value & mask) < bound) return value & mask;
  }
}

Mac Random::mac() {
  Mac mac;
  fill(mac.bytes);
  mac.bytes[0] = static_cast<std::uint8_t>((mac.bytes[0] & 0xfe) | 0x02);
  return mac;
}

void SystemRandom::fill(std::span<std::uint8_t> bytes) {
  UniqueFd device;
  while (!bytes.empty()) {
    const ssize_t got = device ? ::read(device.get(), bytes.data(), bytes.size())
                               : ::getrandom(bytes.data(), bytes.size(), GRND_NONBLOCK);
    if (got > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    } else if (got == 0 || errno != EINTR) {
      // EAGAIN: the pool is not ready yet. ENOSYS: a kernel before 3.17, or a sandbox. Without the device
      // either, there is no chance to be had, and making one up would hide it.
      if (device) die("cannot read /dev/urandom");
      device = UniqueFd(::open("/dev/urandom", O_RDONLY | O_CLOEXEC));
      if (!device) die("no random numbers: neither getrandom nor /dev/urandom");
    }
  }
}

}  // namespace flannelette
