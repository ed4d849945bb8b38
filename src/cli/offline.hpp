// SPDX-License-Identifier: Apache-2.0
// What this node is while no agent runs.
#pragma once

#include <optional>

#include "flannelette/agent/known_node.hpp"
#include "flannelette/base/clock.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/cli/settings_reader.hpp"
#include "flannelette/kernel/netlink_kernel.hpp"
#include "flannelette/status/status.hpp"

namespace flannelette::cli {

/// What its state file has, and whether its device is there. Its peers are in the kernel's tables.
class Offline final : public status::Source {
 public:
  explicit Offline(const RunSettings& settings);
  void read(status::Status& status) const override;
  bool peer(std::size_t, status::PeerStatus&) const override { return false; }

  const std::optional<overlay::NodeState>& node() const { return node_; }
  kernel::NetlinkKernel& kernel() { return kernel_; }

 private:
  struct Silence final : LogSink {
    void line(Level, std::string_view) override {}
  };

  SystemFiles files_;
  SystemClock clock_;
  Silence silence_;
  Log log_{silence_, clock_};
  kernel::NetlinkKernel kernel_{files_};
  std::optional<overlay::NodeState> node_;
  std::optional<overlay::Device> device_;
};

}  // namespace flannelette::cli
