// SPDX-License-Identifier: Apache-2.0
// Keys and values of leases over any bytes, as one of both and then into a table. "<key> <value>": the first
// blank parts them.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "flannelette/overlay/lease_table.hpp"
#include "flannelette/overlay/subnet_env.hpp"

using namespace flannelette;
using namespace flannelette::overlay;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* blank =
      static_cast<const std::uint8_t*>(size != 0 ? __builtin_memchr(data, ' ', size) : nullptr);
  const std::size_t cut = blank != nullptr ? static_cast<std::size_t>(blank - data) : size;
  // Memory of its own size each, so that a read beyond it is seen.
  const std::vector<char> key_text(data, data + cut);
  const std::vector<char> value_text(data + (blank != nullptr ? cut + 1 : cut), data + size);

  previous_subnet({value_text.data(), value_text.size()});
  const auto key = parse_lease_key({key_text.data(), key_text.size()});
  if (key) {
    const auto text = to_text<LeaseKey::kMaxText>([&](Writer& out) { write(out, *key); });
    must(text.view() == std::string_view(key_text.data(), key_text.size()));
  }
  const auto value = parse_lease_value({value_text.data(), value_text.size()});
  if (value) must(value->has_vxlan || (!value->vni && value->mac.zero()));
  if (!key) return 0;

  LeaseTable table;
  LocalNode local;
  local.config.network = {{0x0a400000}, 16};
  local.config.subnet_min = {0x0a400100};
  local.config.subnet_max = {0x0a40ff00};
  local.public_ip = Ip4{0xac1e0001};
  local.subnet = Net4{{0x0a400100}, 24};
  table.set_local(local);
  LeaseRecord record;
  record.key = *key;
  record.readable = value.has_value();
  if (value) record.value = *value;
  if (table.upsert(record) != Ignored::kNo) return 0;
  const Net4 subnet = key->subnet;
  must(value && value->backend == BackendType::kVxlan && value->mac.unicast() && !value->mac.zero());
  must(local.config.network.contains(subnet) && subnet.aligned() && subnet.length > 16 &&
       subnet.length <= 30);
  must(!subnet.overlaps(*local.subnet) && is_unicast(value->public_ip) && !is_loopback(value->public_ip));
  return 0;
}
