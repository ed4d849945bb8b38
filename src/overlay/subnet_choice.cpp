// SPDX-License-Identifier: Apache-2.0
// Questions about subnets: ours from before the restart, somebody's, a free one.
#include <algorithm>

#include "flannelette/base/function_ref.hpp"
#include "lease_table_impl.hpp"

namespace flannelette::overlay {
namespace {

/// It takes addresses away from the network, and not just all of them at once.
bool takes(const PeerRecord& record, Net4 network) {
  return record.length > network.length && network.contains(record.subnet());
}

/// A run of free subnets; false ends the walk.
using GapVisit = FunctionRef<bool(std::uint64_t first, std::uint64_t count)>;

/// Walks the runs of free subnets in order. Slots are the subnets from SubnetMin on, numbered from 0.
void for_each_gap(const PlainArray<PeerRecord>& records, const NetworkConfig& config,
                  const ProtectedAddresses& protected_addresses, GapVisit visit) {
  const int shift = 32 - config.subnet_len;
  const std::uint32_t min = config.subnet_min.value;
  const std::uint64_t slots = (std::uint64_t{config.subnet_max.value - min} >> shift) + 1;
  const auto visit_unprotected = [&](std::uint64_t first, std::uint64_t end) {
    while (first < end) {
      std::uint64_t stop = end;
      for (const ProtectedAddress& address : protected_addresses) {
        const std::uint64_t slot = (std::uint64_t{address.ip.value} - min) >> shift;
        if (address.ip.value >= min && slot >= first && slot < stop) stop = slot;
      }
      if (stop > first && !visit(first, stop - first)) return false;
      first = stop + 1;
    }
    return true;
  };
  std::uint64_t next = 0;
  for (const PeerRecord& record : records) {
    if (!takes(record, config.network) || record.end() < min) continue;
    const std::uint64_t first = record.start() <= min ? 0 : (record.start() - min) >> shift;
    const std::uint64_t last = (record.end() - min) >> shift;
    if (first >= slots) break;
    if (!visit_unprotected(next, first)) return;
    next = std::max(next, last + 1);
  }
  visit_unprotected(next, slots);
}

}  // namespace

std::optional<LeaseTable::Own> LeaseTable::find_own(Ip4 public_ip) const {
  impl_->ensure_sorted();
  if (public_ip.value == 0) return std::nullopt;
  const PeerRecord* best = nullptr;
  const auto usable = [&](const PeerRecord& record) { return record.net6 == 0 && fits(record.subnet()); };
  const auto same_backend = [&](const PeerRecord& record) {
    return record.backend() == impl_->local.config.backend;
  };
  const auto better = [&](const PeerRecord& a, const PeerRecord& b) {
    if (usable(a) != usable(b)) return usable(a);
    if (same_backend(a) != same_backend(b)) return same_backend(a);
    return a.modified.value() > b.modified.value();
  };
  for (const PeerRecord& record : impl_->records) {
    if (!record.readable() || record.public_ip != public_ip.value) continue;
    if (best == nullptr || better(record, *best)) best = &record;
  }
  if (best == nullptr) return std::nullopt;
  return Own{impl_->key_of(*best),  best->mac, same_backend(*best), usable(*best), best->created.value(),
             best->modified.value()};
}

std::optional<LeaseTable::Holder> LeaseTable::find_holder(Net4 subnet) const {
  impl_->ensure_sorted();
  const std::size_t index = impl_->find_place({subnet, nullptr});
  if (index == impl_->records.size() || impl_->records[index].subnet() != subnet) return std::nullopt;
  const PeerRecord& record = impl_->records[index];
  return Holder{
      impl_->key_of(record), {record.public_ip}, record.mac, record.modified.value(), record.readable()};
}

bool LeaseTable::fits(Net4 subnet) const {
  return impl_->local.config.has_subnet(subnet) && impl_->local.protected_addresses.in_own(subnet) == nullptr;
}

bool LeaseTable::taken(Net4 subnet) const {
  impl_->ensure_sorted();
  return std::ranges::any_of(impl_->records, [&](const PeerRecord& record) {
    return takes(record, impl_->local.config.network) && record.subnet().overlaps(subnet);
  });
}

std::optional<Net4> LeaseTable::choose_free(const NetworkConfig& config, Random& random) const {
  impl_->ensure_sorted();
  std::uint64_t free = 0;
  const auto& avoided = impl_->local.protected_addresses;
  for_each_gap(impl_->records, config, avoided, [&](std::uint64_t, std::uint64_t count) {
    free += count;
    return true;
  });
  if (free == 0) return std::nullopt;
  std::uint64_t wanted = random.below(free);
  std::uint64_t slot = 0;
  for_each_gap(impl_->records, config, avoided, [&](std::uint64_t first, std::uint64_t count) {
    slot = first + wanted;
    if (wanted < count) return false;
    wanted -= count;
    return true;
  });
  const auto offset = static_cast<std::uint32_t>(slot << (32 - config.subnet_len));
  return Net4{{config.subnet_min.value + offset}, config.subnet_len};
}

}  // namespace flannelette::overlay
