// SPDX-License-Identifier: Apache-2.0
// What stops the overlay on this machine, or will: found without changing anything, whether an agent runs or
// not.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "flannelette/agent/settings.hpp"
#include "flannelette/base/delegate.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/kernel/host.hpp"
#include "flannelette/registry/registry.hpp"

namespace flannelette::agent {

enum class Grade : std::uint8_t {
  kOk,
  kWarning,  ///< may be an obstacle, or is a small one
  kFailure,
};

/// Hears what was found, as it is found.
class FindingListener {
 public:
  static constexpr std::size_t kMaxText = 512;  ///< of `text`, and of `repair`
  /// `item` is what was inspected ("kernel: vxlan"), `text` what was found there, may be empty with kOk;
  /// `repair` is what a person does about it, may be empty.
  virtual void on_finding(Grade grade, std::string_view item, std::string_view text,
                          std::string_view repair) = 0;

 protected:
  ~FindingListener() = default;
};

struct InspectionNeeds {
  io::Loop& loop;
  Log& log;
  const Clock& clock;
  Files& files;
  kernel::Links& links;
  kernel::DevicePort& device;
  kernel::RulesPort& rules;
  kernel::SysctlPort& sysctl;
  kernel::HostPort& host;
};

/// A server of the registry, or a group of servers that are asked in turn.
struct InspectedRegistry {
  Text<280> name;  ///< its URL
  registry::Registry* registry = nullptr;
  bool optional = false;   ///< that it fails matters only if all do
  bool rehearses = false;  ///< its join() writes nothing
};

/// One inspection: the machine, the registry (the config is read, the leases are listed and watched, and
/// joining is rehearsed where it can be; nothing is written), then what the config asks of the machine, and
/// the way to at most kMaxPeers peers.
class Inspection {
 public:
  static constexpr std::size_t kMaxPeers = 16;
  static constexpr std::size_t kMaxRegistries = 16;
  /// For each registry from the first question to the watch.
  static constexpr Millis kRegistryLimit = 5'000;

  /// All outlive this; `done` is called from the loop, once.
  Inspection(const InspectionNeeds& needs, const Settings& settings, FindingListener& listener,
             Delegate<void()> done);
  ~Inspection();
  /// Once, with at most kMaxRegistries, which outlive this; none, where none can be asked.
  void start(std::span<const InspectedRegistry> registries);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::agent
