// SPDX-License-Identifier: Apache-2.0
// The verb `check`.
#include "cli/check.hpp"

#include <algorithm>
#include <array>

#include "cli/kube_known.hpp"
#include "cli/process.hpp"
#include "flannelette/agent/inspection.hpp"
#include "flannelette/base/standard_streams.hpp"
#include "flannelette/io/tls_files.hpp"
#include "flannelette/json/writer.hpp"
#include "flannelette/registry/etcd.hpp"
#include "flannelette/registry/kube.hpp"

namespace flannelette::cli {
namespace {

using agent::Grade;
using agent::InspectedRegistry;

constexpr std::string_view kGrades[] = {"ok", "warn", "FAIL"};

/// Prints findings as they come.
class Printer final : public agent::FindingListener {
 public:
  explicit Printer(bool json) : json_(json) {}

  void on_finding(Grade grade, std::string_view item, std::string_view text,
                  std::string_view repair) override {
    worst_ = std::max(worst_, grade);
    const std::string_view word = kGrades[static_cast<std::size_t>(grade)];
    std::array<char, 2048> memory;
    if (json_) {
      json::Writer out(memory);
      out.begin_object().key("item").string(item).key("grade").string(word);
      out.key("text").string(text).key("repair").string(repair).end_object();
      put(first_ ? "{\"version\":1,\"findings\":[\n" : ",\n");
      put(out.view());
    } else {
      Writer out(memory);
      out.put(word).put(std::string_view("      ").substr(word.size())).put(item);
      if (!text.empty()) append_printable(out.put(": "), text);
      if (!repair.empty()) out.put("; ").put(repair);
      put(out.put('\n').view());
    }
    first_ = false;
  }

  int end() {
    if (json_) put("]}\n");
    return std::max<int>(static_cast<int>(worst_), unheard_);
  }

 private:
  void put(std::string_view text) { unheard_ |= print(text); }

  const bool json_;
  bool first_ = true;
  int unheard_ = 0;  ///< 1: not all of it could be printed
  Grade worst_ = Grade::kOk;
};

/// What is logged on the way is a finding, too.
class LogFindings final : public LogSink {
 public:
  LogFindings(Printer& printer, std::string_view item) : printer_(printer), item_(item) {}
  void line(Level level, std::string_view text) override {
    const std::size_t word = name(level).size() + 2;  // "warning: "
    printer_.on_finding(level == Level::kError ? Grade::kFailure : Grade::kWarning, item_,
                        text.substr(std::min(word, text.size())), {});
  }

 private:
  Printer& printer_;
  const std::string_view item_;
};

/// One server of etcd, asked over connections of its own.
struct EtcdServer {
  EtcdServer(Process& p, const registry::EtcdSettings& settings)
      : requests(p.loop, p.settings.tcp, p.tls, p.log),
        watch(p.loop, p.settings.tcp, p.tls, p.log),
        registry(p.loop, p.random, p.log, requests, watch, settings) {}
  io::NetStream requests;
  io::NetStream watch;
  registry::EtcdRegistry registry;
};

InspectedRegistry named(const io::Endpoint& server, registry::Registry& registry) {
  return {to_text<280>([&](Writer& out) { write(out, server); }), &registry};
}

int inspect(Process& p, Printer& printer, std::span<const InspectedRegistry> registries) {
  kernel::Host host(p.kernel, p.files);
  auto& kernel = p.kernel;
  agent::Inspection inspection({p.loop, p.log, p.clock, p.files, kernel, kernel, kernel, kernel, host},
                               p.settings.agent, printer, Delegate<void()>::to<&io::Loop::stop>(&p.loop));
  inspection.start(registries);
  (void)p.loop.run();
  return printer.end();
}

int check_with_etcd(Process& p, Printer& printer) {
  io::TlsFiles material(p.files, p.settings.tls);
  const bool https = io::TlsContext::available() && p.settings.any_https();
  std::array<std::unique_ptr<EtcdServer>, registry::EtcdSettings::kMaxEndpoints> servers;
  std::array<InspectedRegistry, registry::EtcdSettings::kMaxEndpoints> registries;
  std::size_t count = 0;
  if (!https || p.load_tls(material)) {
    for (const io::Endpoint& endpoint : p.settings.endpoints()) {
      registry::EtcdSettings alone = p.settings.etcd;
      alone.endpoints[0] = endpoint;
      alone.endpoint_count = 1;
      servers[count].reset(new EtcdServer(p, alone));
      registries[count] = named(endpoint, servers[count]->registry);
      registries[count].optional = !p.settings.etcd_given;
      ++count;
    }
  }
  return inspect(p, printer, std::span(registries).first(count));
}

[[maybe_unused]] int check_with_kube(Process& p, Printer& printer) {
  const registry::KubeSettings& kube = *p.settings.kube;
  registry::KubeAccess access(p.files);
  Text<512> problem;
  if (!access.load(kube, problem)) {
    printer.on_finding(Grade::kFailure, "registry", problem, {});
    return inspect(p, printer, {});
  }
  if (std::ranges::any_of(access.servers(), &io::Endpoint::tls) && !p.load_tls(access))
    return inspect(p, printer, {});
  registry::KubeRegistry registry(p.loop, p.clock, p.random, p.log, p.files, access, p.requests, p.watch,
                                  kube);
  InspectedRegistry only = named(access.servers().front(), registry);
  only.rehearses = true;
  return inspect(p, printer, {&only, 1});
}

}  // namespace

bool can_check() { return true; }

int check(RunSettings& settings, bool json) {
  if (settings.kube) settings.kube->rehearsal = true;
  settings.tcp.connect_timeout = agent::Inspection::kRegistryLimit - 1'000;
  Printer printer(json);
  const SystemClock clock;
  SystemFiles files;
  LogFindings of_files(printer, "files"), of_certificates(printer, "certificates");
  Log log(of_files, clock, Level::kWarning), tls_log(of_certificates, clock, Level::kWarning);
  TlsReporter reporter(tls_log);
  Process process(settings, clock, files, log, reporter);
  if (!open(process.kernel, settings.nexthop_objects, log)) return printer.end();
  if constexpr (kKnowsKube) {
    if (settings.kube) return check_with_kube(process, printer);
  }
  return check_with_etcd(process, printer);
}

}  // namespace flannelette::cli
