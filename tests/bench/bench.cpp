// SPDX-License-Identifier: Apache-2.0
// Measures what tests/bench/README.md says and prints one table: `bench [PART...]`, all parts without a name.
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <fstream>
#include <string>
#include <thread>

#include "bench/lab.hpp"

namespace {

using namespace flannelette::bench;

struct Part {
  const char* name;
  void (*run)(const Settings&, Report&);
};
constexpr Part kParts[] = {
    {"start", bench_start},       {"sync", bench_sync},
    {"latency", bench_latency},   {"change", bench_change},
    {"idle", bench_idle},         {"nodes", bench_nodes},
    {"parse", bench_parse},       {"instructions", bench_instructions},
    {"gateways", bench_gateways}, {"kube", bench_kube},
    {"clients", bench_clients},
};

/// "Intel ..., 2 cores, Linux 6.1.0, 2025-01-31"
std::string machine() {
  std::ifstream cpus("/proc/cpuinfo");
  std::string model = "unknown processor";
  for (std::string line; std::getline(cpus, line);) {
    if (line.rfind("model name", 0) == 0) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  }
  utsname kernel{};
  uname(&kernel);
  char date[16];
  const std::time_t today = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&today));
  const unsigned cores = std::thread::hardware_concurrency();
  return model + ", " + std::to_string(cores) + (cores == 1 ? " core" : " cores") + ", Linux " +
         kernel.release + ", " + date;
}

bool wanted(const Part& part, int argc, char** argv) {
  return argc == 1 ||
         std::any_of(argv + 1, argv + argc, [&](const char* name) { return name == std::string(part.name); });
}

}  // namespace

int main(int argc, char** argv) {
  for (char** name = argv + 1; name < argv + argc; ++name) {
    if (std::none_of(std::begin(kParts), std::end(kParts),
                     [&](const Part& p) { return *name == std::string(p.name); })) {
      std::fprintf(stderr, "no part '%s'; there are:", *name);
      for (const Part& part : kParts) std::fprintf(stderr, " %s", part.name);
      std::fprintf(stderr, "\n");
      return 2;
    }
  }
  Report report;
  std::vector<std::string> columns{kOurs, kFloor};
  for (const Contender& contender : contenders()) {
    if (!contender.ours()) columns.push_back(contender.name);
  }
  report.declare_columns(columns);
  int status = 0;
  try {
    if (const std::string missing = flannelette::tests::cluster_means(); !missing.empty())
      throw std::runtime_error(missing);
    const Settings settings = Settings::from_environment();
    for (const Part& part : kParts) {
      if (!wanted(part, argc, argv)) continue;
      std::fprintf(stderr, "%s\n", part.name);
      part.run(settings, report);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    status = 1;
  }
  std::printf("%s\n\n", machine().c_str());
  report.print();
  if (const char* const file = std::getenv("BENCH_RESULTS")) {
    report.save(file);
    std::ofstream(file, std::ios::app) << "machine\t0\t" << machine() << '\n';
  }
  return status;
}
