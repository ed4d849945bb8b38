// SPDX-License-Identifier: Apache-2.0
// A node with peers that are records, at rest, and what another program does to it.
#pragma once

#include <initializer_list>

#include "sim/world.hpp"

namespace flannelette::tests {

struct RestingNode {
  World world;
  SimNode& node = world.add(1);

  RestingNode(std::initializer_list<unsigned> peers, Millis rest) {
    node.settings.ip_masq = true;
    node.start();
    for (const unsigned third : peers) world.put_peer(third);
    REQUIRE(world.run_until([&] { return node.routes() == peers.size(); }));
    world.advance(rest);
  }
  static Net4 subnet(unsigned third) { return World::peer_subnet(third); }
  void delete_route(unsigned third) {
    node.kernel.routes.erase({subnet(third), 0});
    node.kernel.touched(overlay::Entry::route(subnet(third), subnet(third).base), false);
  }
};

}  // namespace flannelette::tests
