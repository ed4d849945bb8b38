// SPDX-License-Identifier: Apache-2.0
// What surrounds the work of a verb that speaks with the registry.
#pragma once

#include <csignal>

#include "cli/instance.hpp"
#include "cli/serving.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/base/random.hpp"
#include "flannelette/cli/settings_reader.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/io/net_stream.hpp"
#include "flannelette/io/tls_context.hpp"
#include "flannelette/kernel/monitor.hpp"
#include "flannelette/kernel/netlink_kernel.hpp"

namespace flannelette::cli {

inline constexpr int kExitFailure = 1;
inline constexpr int kExitSettings = 2;  // as for settings that cannot be read

/// SIGTERM and SIGINT end the loop, SIGHUP (which is no reason to end) has the TLS files checked.
struct SignalHandler {
  void on_signal(int signal) {
    if (signal != SIGHUP) return loop.stop();
    log.info(tls.loaded() ? "SIGHUP: the TLS files are read again"
                          : "SIGHUP: there are no TLS files to read");
    tls.reload();
  }
  io::Loop& loop;
  Log& log;
  io::TlsContext& tls;
};

/// Reports what happens to the TLS files.
struct TlsReporter final : io::TlsContext::Listener {
  explicit TlsReporter(Log& any_log) : log(any_log) {}
  void on_changed() override { log.info("the TLS files have changed; new connections use them"); }
  void on_unusable(std::string_view place, const Error& error) override {
    log.warning("the TLS files have changed and cannot be used; the old ones stay",
                {{"file", place}, Field(error)});
  }
  void on_expiry(const io::TlsContext::Expiry& expiry) override {
    log.warning(expiry.days_left < 0 ? "a certificate has expired" : "a certificate expires soon",
                {{"file", expiry.path}, {"days_left", expiry.days_left}, {"date", expiry.date.view()}});
  }
  Log& log;
};

/// What surrounds the work, whatever the registry is.
struct Process {
  /// All outlive this.
  Process(const RunSettings& any_settings, const Clock& any_clock, Files& any_files, Log& any_log,
          io::TlsContext::Listener& tls_listener)
      : settings(any_settings),
        clock(any_clock),
        files(any_files),
        log(any_log),
        tls(loop, clock, tls_listener) {}

  /// 0, or the exit code. `read`: as give_up_privileges() wants it. With `lines` it also says how it is.
  [[nodiscard]] int open(std::span<const std::string_view> read, const RecentLines* lines);
  /// The material outlives this.
  bool load_tls(io::TlsMaterial& material);

  const RunSettings& settings;
  const Clock& clock;
  Files& files;
  Log& log;
  SystemRandom random;
  io::Loop loop{clock};
  Instances instances;
  io::TlsContext tls;
  SignalHandler handler{loop, log, tls};
  io::Signals signals{loop, io::Signals::Handler::to<&SignalHandler::on_signal>(&handler)};
  kernel::NetlinkKernel kernel{files};
  kernel::Monitor monitor{loop, kernel};
  io::NetStream requests{loop, settings.tcp, tls, log};
  io::NetStream watch{loop, settings.tcp, tls, log};
  Serving serving;
};

/// False, and reported: another flannelette runs here.
[[nodiscard]] bool claim(Instances& instances, const RunSettings& settings, Log& log);
/// False, and reported: the kernel cannot be talked to.
[[nodiscard]] bool open(kernel::NetlinkKernel& kernel, bool nexthop_objects, Log& log);

/// What a verb does with the registry of the settings. The result is the exit code.
class Work {
 public:
  virtual int with_etcd(Process& process) = 0;
  virtual int with_kube(Process& process, registry::KubeAccess& access) = 0;

 protected:
  ~Work() = default;
};

/// Has the work done once all is open, or reports why not. `lines`: as for Process::open().
int carry_out(Work& work, const RunSettings& settings, LogSink& sink, const RecentLines* lines = nullptr);

}  // namespace flannelette::cli
