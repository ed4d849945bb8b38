// SPDX-License-Identifier: Apache-2.0
// The traffic rules of a node, as a value.
#pragma once

#include <cstdint>

#include "flannelette/base/ip.hpp"
#include "flannelette/base/text.hpp"

namespace flannelette::overlay {

/// The traffic rules of a node, equal in effect to flanneld's iptables set (N = network, P = our subnet):
///
///   chain postrouting (nat, srcnat):      mark & 0x4000 == 0x4000 -> return   (kube-proxy's own masquerade
///   mark)
///                                         P -> N return; N -> P return; !N -> P return
///                                         N -> not 224.0.0.0/4 masquerade; !N -> N masquerade
///   chain forward (filter):               N -> accept; -> N accept
///
/// and in front of these two, where the MSS is clamped, for TCP SYN packets from N, and to N: MSS at most
/// what the MTU of the route allows. Where VXLAN is accepted from peers only:
///
///   set peers                             addresses, entries of the kind kSender
///   chain input (filter, raw):            UDP to `port`, of this VNI, from no address in the set -> drop,
///                                         while 0.0.0.0 is in the set, that is, while it is complete
struct RuleSpec {
  bool masquerade = false;
  bool fully_random = true;  ///< masquerade fully-random
  bool forward = false;
  bool clamp_mss = false;
  std::uint16_t peers_only = 0;  ///< UDP port of VXLAN; 0: it is accepted from everybody
  std::uint32_t vni = 1;         ///< names the table
  Net network;
  Net subnet;  ///< host bits cleared
  bool operator==(const RuleSpec&) const = default;
  /// What removes the table of this VNI.
  static RuleSpec none(std::uint32_t of_vni) {
    RuleSpec spec;
    spec.vni = of_vni;
    return spec;
  }
  bool empty() const { return !masquerade && !forward && !clamp_mss && peers_only == 0; }
};

/// The table (of family ip) that these rules are in: each overlay of a host, told apart by its VNI, has one
/// of its own. VNI 1, flannel's default, has the plain name, others "flannelette-<VNI>".
inline Text<24> rule_table(std::uint32_t vni) {
  return to_text<24>([&](Writer& out) {
    out.put("flannelette");
    if (vni != 1) out.put("-").put_unsigned(vni);
  });
}

}  // namespace flannelette::overlay
