// SPDX-License-Identifier: Apache-2.0
// ICMP echo with many at once.
#include "flannelette/io/echo.hpp"

#include <algorithm>
#include <array>

#include "kernel/kernel_node.hpp"

using namespace flannelette;
using namespace flannelette::tests;

TEST_SUITE("kernel/echo") {
  TEST_CASE("answers are read while requests are sent, so that the socket has room for all") {
    REQUIRE_MEANS(namespaces());
    const Node node("kecho1");
    node.inside([] {
      const SystemClock clock;
      io::Loop loop{clock};
      io::Echo echo(loop, Delegate<void()>::to<&io::Loop::stop>(&loop));
      std::array<io::EchoProbe, 64> probes;
      for (std::size_t i = 0; i < probes.size(); ++i)
        probes[i] = {Ip4{0x7f000001 + static_cast<std::uint32_t>(i)}, io::EchoProbe::kMaxSize};
      REQUIRE(echo.start(probes));
      (void)loop.run();
      CHECK(std::ranges::count(probes, true, &io::EchoProbe::answered) == 64);
    });
  }
}
