// SPDX-License-Identifier: Apache-2.0
// Leases packed and unpacked, and their validation.
#include "peer_record.hpp"

#include "flannelette/overlay/backend.hpp"

namespace flannelette::overlay {
namespace {

constexpr std::uint32_t kMaxVni = (1u << 24) - 1;

VxlanData data_of(const LeaseValue& value) {
  if (!value.has_vxlan) return VxlanData::kNone;
  if (!value.vni) return VxlanData::kAnyVni;
  return *value.vni > kMaxVni ? VxlanData::kWrongVni : VxlanData::kVni;
}

}  // namespace

PeerRecord make_record(const LeaseRecord& lease) {
  PeerRecord record{};
  record.base = lease.key.subnet.base.value;
  record.length = lease.key.subnet.length & 63;
  record.net6 = lease.key.subnet6 ? kNet6Unset : 0;
  record.public_ip = lease.value.public_ip.v4().value;
  record.created = Age(lease.created);
  record.modified = Age(lease.modified);
  record.mac = lease.value.mac;
  record.form = (static_cast<std::uint32_t>(lease.value.backend) |
                 static_cast<std::uint32_t>(data_of(lease.value)) << 3 | (lease.readable ? 32u : 0u)) &
                63;
  record.vni = lease.value.vni.value_or(0) & kMaxVni;
  return record;
}

LeaseValue value_of(const PeerRecord& record) {
  LeaseValue value;
  value.public_ip = Ip4{record.public_ip};
  value.backend = record.backend();
  value.has_vxlan = record.data() != VxlanData::kNone;
  value.mac = record.mac;
  if (record.data() == VxlanData::kVni) value.vni = record.vni;
  return value;
}

Ignored validate(const PeerRecord& record, const LocalNode& local) {
  if (!record.readable()) return Ignored::kUnreadable;
  const Net4 subnet = record.subnet();
  const Ip4 public_ip{record.public_ip};
  if (local.subnet && subnet == *local.subnet && record.net6 == 0 &&
      (public_ip == local.public_ip || (local.mac && record.mac == *local.mac))) {
    return Ignored::kOurs;
  }
  if (record.backend() != local.config.backend) return Ignored::kOtherBackend;

  const Net4 network = local.config.network;
  // A network of length 0 is a config that is not there yet; it must not let anything in.
  if (network.length == 0 || !network.contains(subnet) || subnet.length <= network.length ||
      subnet.length > 30 || !subnet.aligned()) {
    return Ignored::kBadSubnet;
  }
  if (local.subnet && subnet.overlaps(*local.subnet)) return Ignored::kOverlapsOurs;
  if (!is_unicast(public_ip) || is_loopback(public_ip) || public_ip == local.broadcast)
    return Ignored::kBadPublicIp;
  if (public_ip == local.public_ip) return Ignored::kOurPublicIp;
  if (local.protected_addresses.in(subnet) != nullptr) return Ignored::kHoldsProtected;
  if (subnet.contains(public_ip)) return Ignored::kHoldsPublicIp;
  return backend_of(local.config).validate(record, local);
}

}  // namespace flannelette::overlay
