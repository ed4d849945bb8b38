// SPDX-License-Identifier: Apache-2.0
// What a node leaves behind when its agent has ended, and how it goes.
#pragma once

#include "flannelette/agent/settings.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/kernel/ports.hpp"

namespace flannelette::agent {

/// The shell command that removes flanneld's iptables chains, and nothing else.
constexpr const char* chain_removal(bool legacy) {
  return legacy ? "iptables-legacy-save | grep -v FLANNEL- | iptables-legacy-restore"
                : "iptables-nft-save | grep -v FLANNEL- | iptables-nft-restore";
}

struct CleanupPorts {
  kernel::Links& links;
  kernel::DevicePort& device;
  kernel::EntryPort& entries;
  kernel::RulesPort& rules;
  Files& files;
  Log& log;
};

enum class Cleaning : std::uint8_t {
  kOurs,
  kFlanneldToo,  ///< also what a flanneld left
  kForFlanneld,  ///< what a flanneld that takes over, or has, cannot use or remove
};

/// Removes the device with all that is on it, our routes and nexthop objects on other links, our nf_tables
/// table, our part of subnet.env, and, when all that went, the state files; nothing else. Each is logged. No
/// agent may be running. Idempotent. False: something stays, which was reported; a later call goes on.
///
/// kFlanneldToo: also a flanneld's devices (bound to a link), its nf_tables tables, and subnet.env whoever
/// wrote it. Its iptables chains are reported to `chains` (kFlanneldIptables), which may be null.
///
/// kForFlanneld: device, peers' entries and subnet.env stay, and no packet is lost: routes that name a
/// nexthop object, which the kernel deletes for nobody who does not name it, become plain ones. The ports
/// must be of a kernel whose routes are to be plain.
[[nodiscard]] bool clean_up(const CleanupPorts& ports, const Settings& settings, Cleaning cleaning,
                            kernel::FindingVisitor* chains);

}  // namespace flannelette::agent
