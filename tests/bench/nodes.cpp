// SPDX-License-Identifier: Apache-2.0
// Many real nodes on this machine, started in the same instant.
#include <memory>

#include "bench/lab.hpp"

namespace flannelette::bench {
namespace {

using namespace tests;

void measure(const Settings& settings, const Contender& contender, Report& report) {
  const std::string nodes = grouped(settings.nodes) + " nodes: ";
  const Report::Row exits{"", settings.nodes, nodes + "exited", Unit::kCount};
  const Report::Row incomplete{"", settings.nodes, nodes + "not knowing all in the end", Unit::kCount};
  const Report::Row all{"", settings.nodes, nodes + "start to all know all", Unit::kSeconds};

  Etcd etcd;
  etcd.configure(R"({"Network":"10.64.0.0/16","Backend":{"Type":"vxlan"}})");
  std::vector<std::unique_ptr<Machine>> machines;
  std::vector<std::unique_ptr<Tables>> tables;
  for (int i = 1; i <= settings.nodes; ++i) {
    machines.push_back(std::make_unique<Machine>(etcd, i));
    tables.push_back(std::make_unique<Tables>(machines.back()->node()));
  }
  const double start = now();
  for (auto& machine : machines) machine->start({}, contender.program);
  const double started = now();

  double last = start;
  int lost = 0;
  int unknowing = 0;
  for (std::size_t i = 0; i < machines.size(); ++i) {
    // All have the same deadline; what is complete stays so.
    const double left = start + settings.wait_seconds - now();
    const auto done = tables[i]->wait(settings.nodes - 1, left > 0.1 ? left : 0.1);
    if (done) last = std::max(last, *done);
    if (!done) ++unknowing;
  }
  Usage sum;
  for (auto& machine : machines) {
    if (!machine->running()) {
      ++lost;
      continue;
    }
    const Usage usage = usage_of(machine->agent().pid());
    sum.cpu_seconds += usage.cpu_seconds;
    sum.proportional += usage.proportional;
    sum.rss += usage.rss;
  }
  const double running = settings.nodes - lost;
  report.add({"", settings.nodes, nodes + "the starting itself", Unit::kSeconds}, contender.name,
             started - start);
  report.add(exits, contender.name, lost);
  report.add(incomplete, contender.name, unknowing);
  if (lost == 0 && unknowing == 0) {
    report.add(all, contender.name, last - start);
  } else {
    report.note(all, contender.name, "not in " + std::to_string(settings.wait_seconds) + " s");
  }
  if (running == 0) return;
  report.add({"", settings.nodes, nodes + "proportional memory (PSS), each", Unit::kKib}, contender.name,
             sum.proportional / running);
  report.add({"", settings.nodes, nodes + "RSS, each", Unit::kKib}, contender.name, sum.rss / running);
  report.add({"", settings.nodes, nodes + "CPU of all, until then", Unit::kSeconds}, contender.name,
             sum.cpu_seconds);
}

}  // namespace

void bench_nodes(const Settings& settings, Report& report) {
  report.section(grouped(settings.nodes) + " real nodes started in the same instant");
  for (const Contender& contender : contenders()) measure(settings, contender, report);
  const std::string nodes = grouped(settings.nodes) + " nodes: ";
  report.target(nodes + "all know all within 10 s", report.median(nodes + "start to all know all", kOurs),
                10);
  report.target(nodes + "none exits", report.median(nodes + "exited", kOurs), 0);
  report.target(nodes + "PSS at most 512 KiB each",
                report.median(nodes + "proportional memory (PSS), each", kOurs), 512);
}

}  // namespace flannelette::bench
