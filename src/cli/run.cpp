// SPDX-License-Identifier: Apache-2.0
// The verb `run`.
#include "flannelette/cli/run.hpp"

#include <sys/sysinfo.h>

#include <optional>

#include "cli/kube_known.hpp"
#include "cli/notify.hpp"
#include "cli/process.hpp"
#include "cli/serving_known.hpp"
#include "flannelette/agent/agent.hpp"
#include "flannelette/agent/agent_status.hpp"
#include "flannelette/io/suspend_watch.hpp"
#include "flannelette/registry/etcd.hpp"
#include "flannelette/registry/kube.hpp"

namespace flannelette::cli {
namespace {

std::size_t max_leases() {
  struct sysinfo info {};
  ::sysinfo(&info);
  return overlay::LeaseTable::limit_for(std::uint64_t{info.totalram} * info.mem_unit);
}

/// The agent, until a signal.
int run_agent(Process& process, registry::Registry& registry) {
  Log& log = process.log;
  Notifier notifier(process.loop, log);
  auto& kernel = process.kernel;
  agent::Agent agent({process.loop,
                      log,
                      {kernel, kernel, kernel, kernel, kernel, kernel, process.monitor},
                      registry,
                      process.files,
                      Delegate<void()>::to<&Notifier::ready>(&notifier),
                      max_leases()},
                     process.settings.agent);
  io::SuspendWatch suspend(process.loop, io::SuspendWatch::Handler::to<&agent::Agent::on_resume>(&agent));
  suspend.watch();
  std::optional<agent::AgentStatus> status;
  if constexpr (kServes) process.serving.set_source(status.emplace(agent));
  log.info("flannelette " FLANNELETTE_VERSION " starts");
  agent.start();
  auto ran = process.loop.run();
  notifier.stopping();
  agent.stop();
  if (!ran) {
    log.error("the event loop failed", {Field(ran.error())});
    return kExitFailure;
  }
  log.info("stopped; the data plane stays up");
  return 0;
}

class RunWork final : public Work {
  int with_etcd(Process& p) override {
    registry::EtcdRegistry etcd(p.loop, p.random, p.log, p.requests, p.watch, p.settings.etcd);
    return run_agent(p, etcd);
  }
  int with_kube([[maybe_unused]] Process& p, [[maybe_unused]] registry::KubeAccess& access) override {
    if constexpr (kKnowsKube) {
      registry::KubeRegistry kube(p.loop, p.clock, p.random, p.log, p.files, access, p.requests, p.watch,
                                  *p.settings.kube);
      return run_agent(p, kube);
    }
    return kExitSettings;
  }
};

}  // namespace

int run(const RunSettings& settings, LogSink& sink) {
  RunWork work;
  if constexpr (!kServes) return carry_out(work, settings, sink);
  const SystemClock clock;
  RecentLines lines(sink, clock);
  return carry_out(work, settings, lines, &lines);
}

}  // namespace flannelette::cli
