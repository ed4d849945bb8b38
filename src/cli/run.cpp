// SPDX-License-Identifier: Apache-2.0
// The verb `run`.
#include "flannelette/cli/run.hpp"

#include <sys/sysinfo.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "cli/kube_known.hpp"
#include "cli/notify.hpp"
#include "cli/privileges.hpp"
#include "flannelette/agent/agent.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/base/random.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/io/net_stream.hpp"
#include "flannelette/io/tls_files.hpp"
#include "flannelette/kernel/monitor.hpp"
#include "flannelette/kernel/netlink_kernel.hpp"
#include "flannelette/registry/etcd.hpp"

namespace flannelette::cli {
namespace {

constexpr int kExitFailure = 1;
constexpr int kExitSettings = 2;  // as for settings that cannot be read

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

/// Those that SignalHandler knows.
Result<void> watch_signals(io::Signals& signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return signals.watch(set);
}

/// Notifies the service manager, without ever waiting for it.
struct Notifier {
  Notifier(io::Loop& loop, Log& any_log)
      : log(any_log), timer(loop, Delegate<void()>::to<&Notifier::ready>(this)) {}
  void ready() {
    const auto notified = notify_ready();
    if (notified) return;
    const bool busy = notified.error().sys_errno == EAGAIN;
    if (busy) timer.arm_in(kRetry);
    if (std::exchange(waiting, busy)) return;
    log.warning(busy ? "the service manager reads no messages; READY=1 is sent when it does"
                     : "cannot notify the service manager that we are ready",
                {Field(notified.error())});
  }
  static constexpr Millis kRetry = 1000;
  Log& log;
  io::Timer timer;
  bool waiting = false;
};

std::size_t max_leases() {
  struct sysinfo info {};
  ::sysinfo(&info);
  return overlay::LeaseTable::limit_for(std::uint64_t{info.totalram} * info.mem_unit);
}

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

Result<void> open_kernel(kernel::NetlinkKernel& kernel, kernel::Monitor& monitor, bool nexthop_objects) {
  using Nexthops = kernel::NetlinkKernel::Nexthops;
  FLT_TRY(kernel.open(nexthop_objects ? Nexthops::kAuto : Nexthops::kOff));
  return monitor.open();
}

}  // namespace

int run(const RunSettings& settings, LogSink& sink) {
  SystemClock clock;
  SystemFiles files;
  SystemRandom random;
  Log log(sink, clock, settings.agent.log_level);
  io::Loop loop(clock);
  give_up_privileges(settings, log);
  if (kKnowsKube && settings.kube) {
    log.error("the Kubernetes subnet manager is not built yet");
    return kExitSettings;
  }

  TlsReporter reporter(log);
  io::TlsFiles tls_files(files, settings.tls);
  io::TlsContext tls(loop, clock, reporter);
  SignalHandler handler{loop, log, tls};
  io::Signals signals(loop, io::Signals::Handler::to<&SignalHandler::on_signal>(&handler));
  if (const auto watched = watch_signals(signals); !watched) {
    log.error("cannot watch for signals", {Field(watched.error())});
    return kExitFailure;
  }

  kernel::NetlinkKernel kernel(files);
  kernel::Monitor monitor(loop, kernel);
  if (const auto opened = open_kernel(kernel, monitor, settings.nexthop_objects); !opened) {
    log.error("cannot talk to the kernel (CAP_NET_ADMIN is needed)", {Field(opened.error())});
    return kExitFailure;
  }

  if (io::TlsContext::available() && settings.any_https()) {  // else it was refused
    io::TlsMaterial::Place failed;
    if (auto loaded = tls.load(tls_files, failed); !loaded) {
      log.error("cannot load the TLS files", {{"file", failed.view()}, Field(loaded.error())});
      return kExitSettings;
    }
  }
  io::NetStream requests(loop, settings.tcp, tls, log);
  io::NetStream watch(loop, settings.tcp, tls, log);
  registry::EtcdRegistry etcd(loop, random, log, requests, watch, settings.etcd);

  Notifier notifier(loop, log);
  agent::Agent agent({loop,
                      log,
                      {kernel, kernel, kernel, kernel, kernel, monitor},
                      etcd,
                      files,
                      Delegate<void()>::to<&Notifier::ready>(&notifier),
                      max_leases()},
                     settings.agent);
  log.info("flannelette " FLANNELETTE_VERSION " starts");
  agent.start();
  auto ran = loop.run();
  agent.stop();
  if (!ran) {
    log.error("the event loop failed", {Field(ran.error())});
    return kExitFailure;
  }
  log.info("stopped; the data plane stays up");
  return 0;
}

}  // namespace flannelette::cli
