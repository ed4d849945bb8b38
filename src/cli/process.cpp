// SPDX-License-Identifier: Apache-2.0
// What surrounds the work of a verb that speaks with the registry.
#include "cli/process.hpp"

#include <algorithm>

#include "cli/kube_known.hpp"
#include "cli/privileges.hpp"
#include "cli/sandbox.hpp"
#include "flannelette/io/tls_files.hpp"

namespace flannelette::cli {
namespace {

constexpr const char* kNoKernel = "cannot talk to the kernel (CAP_NET_ADMIN is needed)";

/// Those that SignalHandler knows.
Result<void> watch_signals(io::Signals& signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return signals.watch(set);
}

}  // namespace

bool claim(Instances& instances, const RunSettings& settings, Log& log) {
  const std::string_view file = settings.agent.subnet_file, folder = settings.agent.state_dir;
  if (!instances.subnet_file.claim(file)) {
    log.error("another flannelette serves this subnet file; stop it, or give each one of its own",
              {{"file", file}});
  } else if (!folder.empty() && !instances.state_folder.claim(folder)) {
    log.error("another flannelette has this state folder; stop it, or give each one of its own",
              {{"folder", folder}});
  } else {
    return true;
  }
  return false;
}

bool open(kernel::NetlinkKernel& kernel, bool nexthop_objects, Log& log) {
  using Nexthops = kernel::NetlinkKernel::Nexthops;
  const auto opened = kernel.open(nexthop_objects ? Nexthops::kAuto : Nexthops::kOff);
  if (!opened) log.error(kNoKernel, {Field(opened.error())});
  return static_cast<bool>(opened);
}

int Process::open(std::span<const std::string_view> read, const RecentLines* lines) {
  if (!claim(instances, settings, log)) return kExitFailure;
  for (Instance* held : {&instances.subnet_file, &instances.state_folder}) held->answer(loop);
  if (!may_administer_network()) {
    log.error(kNoKernel);
    return kExitFailure;
  }
  if (lines != nullptr) serving.open({loop, log, files, settings.serving, *lines});
  give_up_privileges(settings.agent, read, log);
  if (const auto watched = watch_signals(signals); !watched) {
    log.error("cannot watch for signals", {Field(watched.error())});
    return kExitFailure;
  }
  if (!cli::open(kernel, settings.nexthop_objects, log)) return kExitFailure;
  if (const auto opened = monitor.open(); !opened) {
    log.error(kNoKernel, {Field(opened.error())});
    return kExitFailure;
  }
  if constexpr (kHasSandbox) {
    if (const auto entered = enter_sandbox(settings.sandbox, log); !entered) {
      log.error("cannot restrict system calls, as sandbox = strict wants", {Field(entered.error())});
      return kExitFailure;
    }
  } else if (settings.sandbox == Sandbox::kStrict) {
    log.debug("sandbox = strict is ignored: this build has no sandbox");
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

namespace {

int carry_out_with_etcd(Work& work, const RunSettings& settings, LogSink& sink, const RecentLines* lines) {
  const SystemClock clock;
  SystemFiles files;
  Log log(sink, clock, settings.agent.log_level);
  TlsReporter reporter(log);
  io::TlsFiles material(files, settings.tls);
  Process process(settings, clock, files, log, reporter);
  const std::string_view read[] = {settings.tls.ca_file, settings.tls.cert_file, settings.tls.key_file,
                                   settings.agent.interface.public_ip_file};
  if (const int code = process.open(read, lines); code != 0) return code;
  if (io::TlsContext::available() && settings.any_https() && !process.load_tls(material))
    return kExitSettings;
  return work.with_etcd(process);
}

[[maybe_unused]] int carry_out_with_kube(Work& work, const RunSettings& settings, LogSink& sink,
                                         const RecentLines* lines) {
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
  if (const int code = process.open(read, lines); code != 0) return code;
  if (const io::Endpoint* const server = access.overheard()) {
    const auto url = to_text<300>([&](Writer& out) { write(out, *server); });
    log.warning("everybody on the path can read the token: the server is not https",
                {{"server", url.view()}});
  }
  return work.with_kube(process, access);
}

}  // namespace

int carry_out(Work& work, const RunSettings& settings, LogSink& sink, const RecentLines* lines) {
  if constexpr (kKnowsKube) {
    if (settings.kube) return carry_out_with_kube(work, settings, sink, lines);
  }
  return carry_out_with_etcd(work, settings, sink, lines);
}

}  // namespace flannelette::cli
