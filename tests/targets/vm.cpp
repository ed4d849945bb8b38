// SPDX-License-Identifier: Apache-2.0
#include "targets/vm.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "support/means.hpp"
#include "support/netns.hpp"
#include "support/poll.hpp"

namespace flannelette::tests {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// The console writes it, and the exit status, when a command has ended. See tests/targets/init.
constexpr const char* kEnd = "\n#### ";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// What tests/targets/vm.sh has put together.
std::string parts() { return "build/vm/" + target(); }

int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

}  // namespace

std::string target() { return environment("FLANNELETTE_TARGET"); }
std::string target_binary() { return "build/" + target() + "/flannelette"; }
std::string emulator() { return environment("FLANNELETTE_EMULATOR"); }

std::string vm_means() {
  if (std::string missing = cluster_means(); !missing.empty()) return missing;
  if (access((parts() + "/qemu").c_str(), R_OK) != 0)
    return "no virtual machine of the target '" + target() + "' is put together";
  if (std::string missing = means::program(words(file_text(parts() + "/qemu")).at(0)); !missing.empty())
    return missing;
  const Outcome tap = run({.args = words("ip tuntap add probe1 mode tap")});
  if (tap.status != 0) return "no tap device can be made: " + tap.output;
  ip("link delete probe1");
  return "";
}

Vm::Vm(const Etcd& etcd, int number, int memory_mib)
    : etcd_(etcd), address_("172.30.0." + std::to_string(10 + number)), tap_("vm" + std::to_string(number)) {
  const Node& outside = etcd.node();
  must_run({.args = {"tests/targets/initramfs.sh", parts(), target_binary(), files_.file("initramfs")}}, 60s);
  outside.ip("tuntap add " + tap_ + " mode tap");
  outside.ip("link set " + tap_ + " master br0 up");

  Command command{.args = words(file_text(parts() + "/qemu")), .netns = outside.name()};
  const std::vector<std::string> options{
      "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
      // The machine.
      "-m", std::to_string(memory_mib), "-kernel", parts() + "/kernel", "-initrd", files_.file("initramfs"),
      "-append", "console=" + words(file_text(parts() + "/console")).at(0) + " quiet panic=-1",
      // Its network, and its console, which does not begin before somebody listens.
      "-netdev", "tap,id=net,script=no,downscript=no,ifname=" + tap_, "-chardev",
      "socket,id=console,server=on,wait=on,path=" + files_.file("console"), "-serial", "chardev:console"};
  command.args.insert(command.args.end(), options.begin(), options.end());
  qemu_ = std::make_unique<Process>(command);
  if (!wait_until(
          20s, [&] { return (console_ = connect_to(files_.file("console"))) >= 0 || !qemu_->running(); }) ||
      console_ < 0) {
    throw std::runtime_error("qemu does not start: " + qemu_->output());
  }
  (void)read_until(std::string(kEnd) + "0\n", 120s);
  must("ip link set eth0 up && ip addr add " + address_ + "/24 dev eth0");
}

Vm::~Vm() {
  qemu_.reset();
  if (console_ >= 0) close(console_);
  (void)run({.args = words("ip -n " + etcd_.node().name() + " link delete " + tap_)});
}

std::string Vm::read_until(const std::string& mark, std::chrono::milliseconds limit) {
  const auto deadline = steady_clock::now() + limit;
  for (;;) {
    if (const auto at = unread_.find(mark); at != std::string::npos) {
      std::string text = unread_.substr(0, at);
      unread_.erase(0, at + mark.size());
      return text;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
    pollfd wanted{console_, POLLIN, 0};
    if (left <= 0ms || poll(&wanted, 1, static_cast<int>(left.count())) == 0)
      throw std::runtime_error("the virtual machine is silent; its console: " + unread_);
    char buffer[4096];
    const ssize_t got = read(console_, buffer, sizeof buffer);
    if (got <= 0) throw std::runtime_error("the virtual machine has ended: " + qemu_->output() + unread_);
    unread_.append(buffer, static_cast<std::size_t>(got));
    std::erase(unread_, '\r');
  }
}

Outcome Vm::shell(const std::string& line, std::chrono::milliseconds limit) {
  const std::string bytes = line + "\n";
  if (write(console_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    throw std::runtime_error("the virtual machine's console takes nothing");
  Outcome outcome{0, read_until(kEnd, limit)};
  outcome.status = std::stoi(read_until("\n", 5s));
  return outcome;
}

std::string Vm::must(const std::string& line, std::chrono::milliseconds limit) {
  Outcome outcome = shell(line, limit);
  if (outcome.status != 0)
    throw std::runtime_error("virtual machine: " + line + " -> " + std::to_string(outcome.status) + ": " +
                             outcome.output);
  return std::move(outcome.output);
}

}  // namespace flannelette::tests
