// SPDX-License-Identifier: Apache-2.0
// Which subnet is to be claimed, and what a record of our subnet means.
#include "registry/etcd/choice.hpp"

#include <algorithm>

namespace flannelette::registry::etcd {

Choice choose(const Hints& hints, const overlay::NetworkConfig& network, Ip4 public_ip,
              const std::optional<Net4>& blocked, Random& random) {
  const overlay::Allocation& leases = *hints.leases;
  const auto previous = hints.subnet && leases.fits(*hints.subnet) ? hints.subnet : std::nullopt;
  Choice choice;
  if (const auto own = leases.find_own(public_ip)) {
    if (own->usable) {
      choice.key = own->key;
      choice.modified = own->modified;
      if (own->mac.unicast() && !own->mac.zero()) choice.mac = own->mac;
      // Nothing on this machine says that this record is ours but the address in it: it may be another node's
      // that has the same one. Writing it again, even unchanged, lets that node notice.
      const bool proven = choice.mac && hints.device_mac == choice.mac;
      choice.always_write = !proven && previous != own->key.subnet;
      return choice;
    }
    choice.unfit = own->key.subnet;
  }
  if (previous && previous != blocked) {
    if (!leases.taken(*previous)) {
      choice.key = overlay::LeaseKey{*previous, {}};
      return choice;
    }
    const auto holder = leases.find_holder(*previous);
    if (holder && hints.device_mac && holder->mac == *hints.device_mac && !holder->key.subnet6) {
      // Ours under an earlier address: the MAC is the proof. Kept, and corrected in place.
      choice.key = holder->key;
      choice.modified = holder->modified;
      return choice;
    }
    // Ours under an earlier address, before a reboot, or of the node whose state was copied to here. Two
    // records with one MAC would hide each other from the peers.
    if (holder && !hints.device_mac && holder->mac == hints.saved_mac) choice.mac = random.mac();
  }
  if (const auto free = leases.choose_free(network, random)) choice.key = overlay::LeaseKey{*free, {}};
  return choice;
}

bool is_own(const overlay::Allocation::Holder& holder, const OwnRecord& own) {
  if (holder.key != own.key || holder.mac != own.mac) return false;
  return !own.mac.zero() || holder.public_ip == own.public_ip ||
         std::ranges::count(own.held_ips, holder.public_ip) != 0;
}

Finding compare(const std::optional<overlay::Allocation::Holder>& holder, const OwnRecord& own, bool held) {
  if (!holder) return Finding::kDeleted;
  const bool may_be = holder->readable && is_own(*holder, own);
  const bool ours = may_be && holder->public_ip == own.public_ip;
  // At the age that we know it is ours, also when we have asked for another value since and were refused.
  if (holder->modified == own.modified && (ours || !held)) return Finding::kOurs;
  if (holder->modified < own.modified && may_be) return Finding::kRestored;
  return ours ? Finding::kTwin : Finding::kRival;
}

}  // namespace flannelette::registry::etcd
