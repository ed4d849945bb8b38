// SPDX-License-Identifier: Apache-2.0
// The backends that are built in.
#include "flannelette/overlay/backend.hpp"

#include <cstddef>
#include <iterator>

#include "overlay/backend/host_gw.hpp"
#include "overlay/backend/vxlan.hpp"

namespace flannelette::overlay {
namespace {

/// In the order of BackendType, from this one on.
constexpr auto kFirst = static_cast<std::size_t>(BackendType::kVxlan);
constexpr const Backend* kBackends[] = {&kVxlanBackend, &kHostGwBackend};

}  // namespace

const Backend* built_in(BackendType type) {
  const std::size_t index = static_cast<std::size_t>(type) - kFirst;
  return index < std::size(kBackends) ? kBackends[index] : nullptr;
}

BackendType backend_type(std::string_view type, bool (*same)(std::string_view, std::string_view)) {
  for (std::size_t i = 0; i < std::size(kBackends); ++i) {
    if (same(type, kBackends[i]->type)) return static_cast<BackendType>(kFirst + i);
  }
  return BackendType::kOther;
}

LeaseValue own_value(const NetworkConfig& config, const Ip& public_ip, const Mac& mac) {
  return {public_ip, config.backend, backend_of(config).write_data != nullptr, config.vni, mac};
}

}  // namespace flannelette::overlay
