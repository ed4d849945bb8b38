// SPDX-License-Identifier: Apache-2.0
// A small machine with a processor and a kernel of its own: qemu-system, Debian's kernel for that processor,
// an initramfs with busybox and the cross-compiled program. Its eth0 is a port of the etcd machine's bridge.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "support/process.hpp"
#include "support/temp_dir.hpp"
#include "system/cluster.hpp"

namespace flannelette::tests {

/// The target under test: $FLANNELETTE_TARGET, a name of toolchains/targets.
std::string target();
/// The shipped program of the target.
std::string target_binary();
/// What runs the target's programs here: $FLANNELETTE_EMULATOR; empty if the machine itself can.
std::string emulator();

/// Why there can be no virtual machine of the target here, or an empty string. For REQUIRE_MEANS.
std::string vm_means();

class Vm {
 public:
  /// Boots, and returns when its shell takes commands and eth0 is up at 172.30.0.<10 + number>/24; throws
  /// what the console shows if that takes more than two minutes.
  Vm(const Etcd& etcd, int number, int memory_mib);
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  std::string address() const { return address_; }

  /// Runs a line of shell as root in there; throws if it does not end in time.
  Outcome shell(const std::string& line, std::chrono::milliseconds limit = std::chrono::seconds{20});
  /// The same, and its output without the last line end; anything but exit status 0 throws.
  std::string must(const std::string& line, std::chrono::milliseconds limit = std::chrono::seconds{20});

 private:
  /// Reads the console until `mark` stands in it; returns all from the last call's mark on.
  std::string read_until(const std::string& mark, std::chrono::milliseconds limit);

  const Etcd& etcd_;
  std::string address_;
  std::string tap_;
  TempDir files_;
  std::unique_ptr<Process> qemu_;
  int console_ = -1;
  std::string unread_;
};

}  // namespace flannelette::tests
