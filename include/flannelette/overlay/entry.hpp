// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "flannelette/base/ip.hpp"

/// What a peer is in the kernel, as values: the words in which overlay says what it wants and kernel says
/// what there is. All entries belong to our own VXLAN device.
namespace flannelette::overlay {

struct Neighbour {
  Ip4 ip;
  Mac mac;
  bool permanent = true;
};

struct Fdb {
  Mac mac;
  Ip4 remote;
  bool permanent = true;
};

struct Route {
  Net4 destination;
  Ip4 gateway;  ///< 0.0.0.0 if none
  bool onlink = true;
  std::uint32_t metric = 0;
};

/// The nexthop object of one subnet, as kernels that have them keep it beside the route. Who says "route"
/// says the object too: only what became of it without its route needs a word of its own.
struct NextHop {
  Ip4 base;           ///< of the subnet that the object's id stands for
  bool right = true;  ///< it leads there
};

/// One change to make. Upserts replace what has the same key (neighbour: ip; FDB: mac; route: destination);
/// deletions of what is not there succeed. With a neighbour goes the nexthop object of the subnet with that
/// base.
struct Change {
  enum class Kind : std::uint8_t {
    kUpsertNeighbour,
    kUpsertFdb,
    kUpsertRoute,
    kDeleteRoute,
    kDeleteNeighbour,
    kDeleteFdb,
  };
  Kind kind;
  Net4 subnet;               ///< route: destination (gateway = its base); neighbour: base is the address
  Mac mac;                   ///< neighbour, FDB
  Ip4 remote;                ///< FDB
  std::uint32_t metric = 0;  ///< kDeleteRoute only: which of the routes to this destination
};

class ChangeSink {
 public:
  virtual void change(const Change& change) = 0;

 protected:
  ~ChangeSink() = default;
};

}  // namespace flannelette::overlay
