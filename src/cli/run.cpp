// SPDX-License-Identifier: Apache-2.0
// The verb `run`.
#include "flannelette/cli/run.hpp"

#include <sys/sysinfo.h>

#include <algorithm>
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
#include "flannelette/io/suspend_watch.hpp"
#include "flannelette/io/tls_files.hpp"
#include "flannelette/kernel/monitor.hpp"
#include "flannelette/kernel/netlink_kernel.hpp"
#include "flannelette/registry/etcd.hpp"
#include "flannelette/registry/kube.hpp"

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

/// What surrounds the agent, whatever the registry is.
struct Process {
  /// All outlive this.
  Process(const RunSettings& any_settings, const Clock& any_clock, Files& any_files, Log& any_log,
          io::TlsContext::Listener& tls_listener)
      : settings(any_settings),
        clock(any_clock),
        files(any_files),
        log(any_log),
        tls(loop, clock, tls_listener) {}

  /// 0, or the exit code. `read`: as give_up_privileges() wants it.
  int open(std::span<const std::string_view> read);
  /// The material outlives this.
  bool load_tls(io::TlsMaterial& material);
  /// The agent, until a signal; the exit code.
  int run(registry::Registry& registry);

  const RunSettings& settings;
  const Clock& clock;
  Files& files;
  Log& log;
  SystemRandom random;
  io::Loop loop{clock};
  io::TlsContext tls;
  SignalHandler handler{loop, log, tls};
  io::Signals signals{loop, io::Signals::Handler::to<&SignalHandler::on_signal>(&handler)};
  kernel::NetlinkKernel kernel{files};
  kernel::Monitor monitor{loop, kernel};
  io::NetStream requests{loop, settings.tcp, tls, log};
  io::NetStream watch{loop, settings.tcp, tls, log};
};

int Process::open(std::span<const std::string_view> read) {
  give_up_privileges(settings.agent, read, log);
  if (const auto watched = watch_signals(signals); !watched) {
    log.error("cannot watch for signals", {Field(watched.error())});
    return kExitFailure;
  }
  using Nexthops = kernel::NetlinkKernel::Nexthops;
  auto opened = kernel.open(settings.nexthop_objects ? Nexthops::kAuto : Nexthops::kOff);
  if (opened) opened = monitor.open();
  if (!opened) {
    log.error("cannot talk to the kernel (CAP_NET_ADMIN is needed)", {Field(opened.error())});
    return kExitFailure;
  }
  return 0;
}

bool Process::load_tls(io::TlsMaterial& material) {
  io::TlsMaterial::Place failed;
  const auto loaded = tls.load(material, failed);
  if (loaded) return true;
  log.error("cannot load the TLS files", {{"file", failed.view()}, Field(loaded.error())});
  return false;
}

int Process::run(registry::Registry& registry) {
  Notifier notifier(loop, log);
  agent::Agent agent({loop,
                      log,
                      {kernel, kernel, kernel, kernel, kernel, kernel, monitor},
                      registry,
                      files,
                      Delegate<void()>::to<&Notifier::ready>(&notifier),
                      max_leases()},
                     settings.agent);
  io::SuspendWatch suspend(loop, io::SuspendWatch::Handler::to<&agent::Agent::on_resume>(&agent));
  suspend.watch();
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

int run_with_etcd(const RunSettings& settings, LogSink& sink) {
  const SystemClock clock;
  SystemFiles files;
  Log log(sink, clock, settings.agent.log_level);
  TlsReporter reporter(log);
  io::TlsFiles material(files, settings.tls);
  Process process(settings, clock, files, log, reporter);
  const std::string_view read[] = {settings.tls.ca_file, settings.tls.cert_file, settings.tls.key_file,
                                   settings.agent.interface.public_ip_file};
  if (const int code = process.open(read); code != 0) return code;
  if (io::TlsContext::available() && settings.any_https() && !process.load_tls(material))
    return kExitSettings;
  registry::EtcdRegistry etcd(process.loop, process.random, process.log, process.requests, process.watch,
                              settings.etcd);
  return process.run(etcd);
}

[[maybe_unused]] int run_with_kube(const RunSettings& settings, LogSink& sink) {
  const registry::KubeSettings& kube = *settings.kube;
  const SystemClock clock;
  SystemFiles files;
  Log log(sink, clock, settings.agent.log_level);
  TlsReporter reporter(log);
  registry::KubeAccess access(files);
  Process process(settings, clock, files, log, reporter);
  Text<512> problem;
  if (!access.load(kube, problem)) {
    log.error("the API server cannot be asked", {{"problem", problem.view()}});
    return kExitSettings;
  }
  // Before the privileges go: the files that a kubeconfig names are known then.
  if (std::ranges::any_of(access.servers(), &io::Endpoint::tls) && !process.load_tls(access))
    return kExitSettings;
  using io::TlsPart;
  const std::string_view read[] = {kube.kubeconfig,
                                   kube.net_config_path,
                                   access.token_file(),
                                   access.name(TlsPart::kCa),
                                   access.name(TlsPart::kCertificate),
                                   access.name(TlsPart::kKey),
                                   settings.agent.interface.public_ip_file};
  if (const int code = process.open(read); code != 0) return code;
  if (const io::Endpoint* const server = access.overheard()) {
    const auto url = to_text<300>([&](Writer& out) { write(out, *server); });
    log.warning("everybody on the path can read the token: the server is not https",
                {{"server", url.view()}});
  }
  registry::KubeRegistry registry(process.loop, clock, process.random, log, files, access, process.requests,
                                  process.watch, kube);
  return process.run(registry);
}

}  // namespace

int run(const RunSettings& settings, LogSink& sink) {
  if constexpr (kKnowsKube) {
    if (settings.kube) return run_with_kube(settings, sink);
  }
  return run_with_etcd(settings, sink);
}

}  // namespace flannelette::cli
