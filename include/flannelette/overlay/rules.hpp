// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "flannelette/base/ip.hpp"

namespace flannelette::overlay {

/// The traffic rules of a node, equal in effect to flanneld's iptables set (N = network, P = our subnet):
///
///   chain postrouting (nat, srcnat):      mark & 0x4000 == 0x4000 -> return   (kube-proxy's own masquerade
///   mark)
///                                         P -> N return; N -> P return; !N -> P return
///                                         N -> not 224.0.0.0/4 masquerade; !N -> N masquerade
///   chain forward (filter):               N -> accept; -> N accept
struct RuleSpec {
  bool masquerade = false;
  bool fully_random = true;  ///< masquerade fully-random
  bool forward = false;
  Net4 network;
  Net4 subnet;  ///< host bits cleared
  bool operator==(const RuleSpec&) const = default;
  bool empty() const { return !masquerade && !forward; }
};

}  // namespace flannelette::overlay
