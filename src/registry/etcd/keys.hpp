// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "flannelette/base/ip.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/overlay/lease.hpp"
#include "flannelette/registry/etcd.hpp"

namespace flannelette::registry::etcd {

/// The names of flannel's schema under one prefix. The prefix is joined as flanneld does it: duplicate and
/// trailing slashes vanish, no leading one is added.
class Keys {
 public:
  /// Of a key that we write or ask for by name.
  static constexpr std::size_t kMaxText = EtcdSettings::kMaxPrefix + 16 + overlay::LeaseKey::kMaxText;
  using Key = Text<kMaxText>;

  explicit Keys(std::string_view prefix);

  const Key& config() const { return config_; }
  /// "<prefix>/subnets/", with the slash: flanneld lists without it and sees the neighbour
  /// "<prefix>/subnets2" too.
  const Key& subnets() const { return subnets_; }
  const Key& subnets_end() const { return subnets_end_; }
  Key lease(const overlay::LeaseKey& key) const;
  /// Every key of the subnet at this address, of any length, IPv4 or dual stack, lies in [subnet_first,
  /// subnet_end).
  Key subnet_first(Ip4 base) const { return subnet(base, '-'); }
  Key subnet_end(Ip4 base) const { return subnet(base, '.'); }
  /// The lease that `key` names; nullopt: a foreign key.
  std::optional<overlay::LeaseKey> parse(std::string_view key) const;

 private:
  Key subnet(Ip4 base, char last) const;

  Key config_;
  Key subnets_;
  Key subnets_end_;
};

}  // namespace flannelette::registry::etcd
