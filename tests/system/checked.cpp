// SPDX-License-Identifier: Apache-2.0
#include "system/checked.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <sstream>

namespace flannelette::tests {

using namespace std::chrono_literals;

void forward(const Machine& machine) { shell(machine.node(), "echo 1 > /proc/sys/net/ipv4/ip_forward"); }

Outcome check(const Machine& machine, std::vector<std::string> flags, std::vector<std::string> env) {
  flags.insert(flags.begin(), {binary(), "check"});
  return run(machine.command(std::move(flags), std::move(env)), 30s);
}

std::string etcd_flag(const Etcd& etcd) { return "--etcd-endpoints=" + etcd.url(); }

std::string found(const Outcome& outcome) {
  std::istringstream in(outcome.output);
  std::string lines;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("ok    ", 0) != 0) lines += line + "\n";
  }
  return lines;
}

void check_nothing(const Outcome& outcome) {
  CHECK_MESSAGE(outcome.status == 0, outcome.output);
  CHECK_MESSAGE(found(outcome).empty(), outcome.output);
}

void check_only(const Outcome& outcome, const std::string& grade, const std::string& item,
                std::initializer_list<const char*> words) {
  const std::string lines = found(outcome);
  CHECK_MESSAGE(outcome.status == (grade == kFailure ? 2 : 1), outcome.output);
  CHECK_MESSAGE(count_lines(lines) == 1, lines);
  CHECK_MESSAGE(lines.rfind(grade + "  " + item + ": ", 0) == 0, lines);
  for (const char* word : words) CHECK_MESSAGE(contains(lines, word), lines);
}

}  // namespace flannelette::tests
