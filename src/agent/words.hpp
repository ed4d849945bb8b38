// SPDX-License-Identifier: Apache-2.0
// What the log of a running agent and an inspection call by the same words.
#pragma once

#include "flannelette/base/ip.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/kernel/ports.hpp"
#include "flannelette/overlay/config.hpp"

namespace flannelette::agent {

inline constexpr const char* kForwardingOff =
    "net.ipv4.ip_forward is 0: pods behind this node are not reached; set it, or ip-forward = set";
inline constexpr const char* kStrictRpFilter =
    "a strict rp_filter (1) drops packets while a peer changes between direct route and VXLAN; 2 does not";
inline constexpr const char* kMtuTooSmall = "the underlay's MTU is too small for VXLAN";
inline constexpr const char* kNoCarrier = "the interface has no carrier, and no other can be used; waiting";
inline constexpr const char* kForwarded =
    "the public IP is no address of this machine: what is sent to it must be forwarded here";
inline constexpr const char* kOverlap =
    "Network overlaps a connected prefix of this machine; subnets that hold what it needs are refused";
inline constexpr const char* kNotGiven = "our subnet is not given to us yet; waiting for it";
inline constexpr const char* kUnusable = "the subnet that is given to us cannot be used; waiting for another";
inline constexpr const char* kConfigMissing =
    "there is no network config in the registry yet; waiting for it";

const char* words_of(const overlay::ConfigProblem& problem);
/// The key, if it is one's, and why.
void put_reason(Writer& out, const overlay::ConfigProblem& problem);

/// What a finding comes to.
const char* words_of(const kernel::FirewallFinding& finding);
/// The shell command that repairs it.
Text<400> repair_of(const kernel::FirewallFinding& finding, const Net& network);

}  // namespace flannelette::agent
