// SPDX-License-Identifier: Apache-2.0
// The network config over any bytes: what is accepted keeps the rules, what is refused names a reason and
// changes nothing.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "flannelette/overlay/config.hpp"

using namespace flannelette;
using namespace flannelette::overlay;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<char> text(data,
                               data + size);  // memory of its own size, so that a read beyond it is seen
  NetworkConfig config;
  ConfigProblem problem;
  const Result<void> parsed = parse_config({text.data(), text.size()}, config, problem);
  if (!parsed) {
    must(config == NetworkConfig{} && std::strlen(problem.why) > 0 && problem.offset <= size);
    must(parsed.error().code == (problem.unsupported ? Code::kUnsupported : Code::kInvalid));
    return 0;
  }
  must(size <= NetworkConfig::kMaxText && config.network.aligned() && config.network.length >= 1);
  must(config.subnet_len >= config.network.length + 2 && config.subnet_len <= 30);
  must(config.subnet_min <= config.subnet_max);
  for (const Ip4 end : {config.subnet_min, config.subnet_max}) {
    must(config.network.contains(end) && Net4{end, config.subnet_len}.aligned());
  }
  must(config.vni < 1u << 24 && config.port != 0 &&
       (config.mtu == 0 || (config.mtu >= 118 && config.mtu <= 65535)));
  return 0;
}
