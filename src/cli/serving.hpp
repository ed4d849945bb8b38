// SPDX-License-Identifier: Apache-2.0
// Where the agent says how it is: its listeners, and what they answer.
#pragma once

#include <memory>

#include "cli/recent_lines.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/cli/settings_reader.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/status/status.hpp"

namespace flannelette::cli {

/// Over the UNIX socket: /status (?format=json), /peers, /metrics, /log, /healthz, /readyz. Over TCP the last
/// two, or /metrics and /status. A listener that cannot be had is reported once and tried again; nothing else
/// stops for it.
class Serving {
 public:
  struct Needs {
    io::Loop& loop;
    Log& log;
    Files& files;
    const ServingSettings& settings;
    const RecentLines& lines;
  };
  Serving();
  ~Serving();
  /// Listens, before privileges are given up: ports below 1024 and the group of the socket may need them. All
  /// of `needs` outlives it.
  void open(const Needs& needs);
  /// To be called before the loop runs.
  void set_source(const status::Source& source);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::cli
