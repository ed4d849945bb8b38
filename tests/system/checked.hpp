// SPDX-License-Identifier: Apache-2.0
// What the tests of the verb check share: how it is run, what it found, and the machines that it looks at.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "system/cluster.hpp"

namespace flannelette::tests {

inline constexpr const char* kWarning = "warn";
inline constexpr const char* kFailure = "FAIL";

void forward(const Machine& machine);

/// What check prints on this machine, and how it exits. It takes less than ten seconds.
Outcome check(const Machine& machine, std::vector<std::string> flags = {}, std::vector<std::string> env = {});

std::string etcd_flag(const Etcd& etcd);

/// The lines that are not ok.
std::string found(const Outcome& outcome);

/// Nothing is found.
void check_nothing(const Outcome& outcome);

/// It is found, named so, and nothing else is.
void check_only(const Outcome& outcome, const std::string& grade, const std::string& item,
                std::initializer_list<const char*> words);

/// A machine on which no agent runs yet, and an etcd with a config.
struct Bare {
  explicit Bare(const Etcd::Options& options = {}, const char* config = kVxlanConfig) : etcd(options) {
    etcd.configure(config);
    forward(machine);
  }
  Etcd etcd;
  Machine machine{etcd, 1};
};

}  // namespace flannelette::tests
