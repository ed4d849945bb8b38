// SPDX-License-Identifier: Apache-2.0
// The network config in a file, as a ConfigMap brings it.
#include "registry/kube/config_file.hpp"

#include <memory>

#include "flannelette/base/fnv.hpp"

namespace flannelette::registry::kube {

using overlay::NetworkConfig;

ConfigFile::ConfigFile(Core& core, OnRead on_read)
    : core_(core), on_read_(on_read), timer_(core.loop, Delegate<void()>::to<&ConfigFile::read>(this)) {}

void ConfigFile::begin() {
  if (!running_) timer_.arm_in(0);
}

void ConfigFile::read() {
  timer_.arm_in(KubeRegistry::kCheckConfigEvery);
  const auto buffer = std::make_unique_for_overwrite<char[]>(NetworkConfig::kMaxText);
  const auto text = core_.files.read(core_.settings.net_config_path, {buffer.get(), NetworkConfig::kMaxText});
  if (text && *text) return parse(**text);
  if (running_) return;  // a file that is gone changes nothing
  again();
  if (text) return core_.membership->on_config_missing();
  core_.membership->on_config_problem({"", text.error().context}, {});
}

void ConfigFile::parse(std::string_view text) {
  const std::uint64_t digest = Fnv1a::of(text);
  const bool same = digest == digest_;
  digest_ = digest;
  if (same && running_) return;
  NetworkConfig config;
  overlay::ConfigProblem problem;
  if (!parse_config(text, config, problem, overlay::SubnetsFrom::kRegistry)) {
    if (!running_) again();
    return core_.membership->on_config_problem(problem, text.substr(problem.offset, 1));
  }
  if (running_) {
    if (config != core_.network) core_.membership->on_config_problem({.changed = true}, {});
    return;
  }
  running_ = true;
  core_.network = config;
  core_.membership->on_config(config);
  if (!core_.stopped) on_read_();
}

}  // namespace flannelette::registry::kube
