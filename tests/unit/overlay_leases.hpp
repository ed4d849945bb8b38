// SPDX-License-Identifier: Apache-2.0
// Peers for tests: records by a number, the node that looks at them, chance that repeats.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flannelette/base/random.hpp"
#include "flannelette/overlay/lease_table.hpp"

namespace flannelette::tests {

class TestRandom final : public Random {
 public:
  explicit TestRandom(std::uint64_t seed) : state_(seed * 2 + 1) {}
  void fill(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      byte = static_cast<std::uint8_t>(state_ >> 56);
    }
  }

 private:
  std::uint64_t state_;
};

inline Ip4 ip(std::string_view text) {
  const auto parsed = parse_ip4(text);
  if (!parsed) std::abort();
  return *parsed;
}
inline Mac mac(unsigned number) {
  return {{2, 0, 0, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)}};
}

inline overlay::NetworkConfig config_of(std::string_view json) {
  overlay::NetworkConfig config;
  overlay::ConfigProblem problem;
  if (!overlay::parse_config(json, config, problem)) std::abort();
  return config;
}

/// 10.64.1.0/24 of 10.64.0.0/16 at 172.30.0.1, MAC number 1.
inline overlay::LocalNode local_node() {
  overlay::LocalNode local;
  local.config = config_of(R"({"Network":"10.64.0.0/16","Backend":{"Type":"vxlan"}})");
  local.public_ip = ip("172.30.0.1");
  local.subnet = Net4{ip("10.64.1.0"), 24};
  local.mac = mac(1);
  return local;
}

/// A vxlan record of node `number`: PublicIP 172.30.x.y and MAC made from the number.
inline overlay::LeaseRecord lease(std::string_view key, unsigned number, std::int64_t create = 5,
                                  std::int64_t mod = 0) {
  overlay::LeaseRecord record;
  const auto parsed = overlay::parse_lease_key(key);
  if (!parsed) std::abort();
  record.key = *parsed;
  record.value = {Ip4{0xac1e0000u + number}, overlay::BackendType::kVxlan, true, 1u, mac(number)};
  record.created = create;
  record.modified = mod != 0 ? mod : create;
  return record;
}

inline std::vector<std::pair<overlay::LeaseKey, overlay::Ignored>> ignored_of(
    const overlay::LeaseTable& table) {
  struct Collector final : overlay::LeaseTable::IgnoredVisitor {
    std::vector<std::pair<overlay::LeaseKey, overlay::Ignored>> all;
    void ignored(const overlay::LeaseKey& key, overlay::Ignored reason) override {
      all.emplace_back(key, reason);
    }
  } collector;
  table.visit_ignored(collector);
  return collector.all;
}

}  // namespace flannelette::tests
