// SPDX-License-Identifier: Apache-2.0
// What the running program may still do, and that it is enough.
#include <doctest/doctest.h>

#include <filesystem>
#include <sstream>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/certificates.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;

namespace {

constexpr const char* kNetAdmin = "0000000000001000";

/// A field of /proc/PID/status.
std::string status(Machine& machine, const std::string& field) {
  std::istringstream in(file_text("/proc/" + std::to_string(machine.agent().pid()) + "/status"));
  for (std::string word; in >> word;) {
    if (word == field + ":" && in >> word) return word;
  }
  return "";
}

/// Effective and permitted; nothing can be inherited in any case.
void check_capabilities(Machine& machine, const std::string& expected) {
  CHECK(status(machine, "CapEff") == expected);
  CHECK(status(machine, "CapPrm") == expected);
  CHECK(status(machine, "CapBnd") == expected);
  CHECK(status(machine, "CapInh") == "0000000000000000");
  CHECK(status(machine, "CapAmb") == "0000000000000000");
}

/// Whether a process that has all capabilities but CAP_SYS_PTRACE may look into this one.
bool sees(const Process& process) {
  const std::string link = "/proc/" + std::to_string(process.pid()) + "/exe";
  return run({.args = words("setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace readlink " + link)})
             .status == 0;
}

void set_mode(const std::string& path, unsigned mode) {
  std::filesystem::permissions(path, static_cast<std::filesystem::perms>(mode));
}

}  // namespace

TEST_SUITE("system/privileges") {
  TEST_CASE("started as root it keeps CAP_NET_ADMIN alone, which is enough, also after a restart") {
    REQUIRE_MEANS(cluster_means(), means::program("setpriv"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    const TempDir ini;
    write_file(ini.file("ini"), "[node]\nip-forward = set\n");
    const bool has_sandbox =
        !contains(run({.args = {binary(), "help", "all"}}).output, "this build has no sandbox");
    for (int run_number = 0; run_number < 2; ++run_number) {
      shell(a.node(), "echo 0 >/proc/sys/net/ipv4/ip_forward");
      std::filesystem::remove(a.subnet_file());
      a.start({"--ip-masq", "-c", ini.file("ini")});
      REQUIRE_MESSAGE(a.joined(0), a.log());
      check_capabilities(a, kNetAdmin);
      CHECK(status(a, "NoNewPrivs") == "1");
      CHECK(status(a, "Seccomp") == (has_sandbox ? "2" : "0"));
      CHECK_FALSE(contains(a.log(), "a capability stays"));
      CHECK(wait_until(std::chrono::seconds(5),
                       [&] { return shell(a.node(), "cat /proc/sys/net/ipv4/ip_forward") == "1\n"; }));
      CHECK(shell(a.node(), "cat /proc/sys/net/ipv6/conf/flannel.1/accept_ra") == "0\n");
      CHECK(contains(shell(a.node(), "nft list table ip flannelette"), "masquerade"));
      CHECK(std::filesystem::exists(a.state_dir()));

      // Not dumpable: who may not trace everybody may not even see which program it is, unlike another's.
      Process other({.args = words("setpriv --bounding-set=-all,+net_admin --inh-caps=-all sleep 60")});
      REQUIRE(wait_until(std::chrono::seconds(5), [&] { return sees(other); }));
      CHECK_FALSE(sees(a.agent()));
      CHECK(a.stop() == 0);
      if (run_number == 0) a.node().ip("link del flannel.1");
    }
  }

  TEST_CASE(
      "a TLS key that permissions hide is read by the one capability that this takes, and the log says so") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    const Certificates certificates;
    certificates.sign("server", "/CN=etcd", "IP:172.30.0.1");
    certificates.sign("client", "/O=nodes");
    Etcd etcd(certificates.etcd_for_known_clients("server"));
    etcd.configure(kVxlanConfig);
    const std::vector<std::string> files{"--etcd-cafile=" + certificates.file("ca.pem"),
                                         "--etcd-certfile=" + certificates.file("client.pem"),
                                         "--etcd-keyfile=" + certificates.file("client.key")};
    Machine a(etcd, 1), b(etcd, 2);
    set_mode(certificates.file("client.key"), 0600);
    a.start(files);
    CHECK_MESSAGE(a.joined(0), a.log());
    check_capabilities(a, kNetAdmin);

    set_mode(certificates.file("client.key"), 0);  // as another user's is
    b.start(files);
    CHECK_MESSAGE(b.joined(1), b.log());
    check_capabilities(b, "0000000000001004");
    CHECK(count_of(b.log(), "cannot be read without it capability=CAP_DAC_READ_SEARCH file=" +
                                certificates.file("client.key")) == 1);
    set_mode(certificates.file("client.key"), 0600);
  }

  TEST_CASE("a folder that permissions close is written to, and the log says by which capability") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    const TempDir closed;
    set_mode(closed.path(), 0555);
    Machine a(etcd, 1), b(etcd, 2);
    const auto subnet_file = [&](Machine& m, const std::string& path) {
      m.start_with({"--etcd-endpoints=" + etcd.url(), "--iface=eth0", "--subnet-file=" + path});
      return wait_until(std::chrono::seconds(20),
                        [&] { return contains(file_text(path), "FLANNEL_SUBNET"); });
    };
    CHECK_MESSAGE(subnet_file(a, closed.file("subnet.env")), a.log());
    CHECK_MESSAGE(subnet_file(b, closed.file("more/and/more/subnet.env")), b.log());
    for (Machine* m : {&a, &b}) {
      check_capabilities(*m, "0000000000001002");
      CHECK(count_of(m->log(), "cannot be written to without it capability=CAP_DAC_OVERRIDE") == 1);
    }
  }

  TEST_CASE("in a container that has little more than CAP_NET_ADMIN it runs, with what it was given") {
    REQUIRE_MEANS(cluster_means(), means::program("setpriv"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    const auto start = [&](Machine& m, const std::string& capabilities) {
      m.start_with(
          {"--bounding-set=-all," + capabilities, "--inh-caps=-all", binary(),
           "--etcd-endpoints=" + etcd.url(), "--iface=eth0", "--subnet-file=" + m.subnet_file(), "-v=1"},
          {}, "setpriv");
    };
    start(a, "+net_admin");
    start(b, "+net_admin,+dac_override,+chown,+net_raw");
    for (Machine* m : {&a, &b}) {
      CHECK_MESSAGE(m->joined(1), m->log());
      CHECK(status(*m, "CapEff") == kNetAdmin);
      CHECK(status(*m, "CapPrm") == kNetAdmin);
    }
  }
}
