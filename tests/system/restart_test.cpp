// SPDX-License-Identifier: Apache-2.0
// Stopping and starting again: what is right is not touched, what went stale meanwhile goes.
#include <doctest/doctest.h>

#include <sys/mount.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

/// Requests in a strace of the socket calls that change the kernel: rtnetlink and nf_tables writes, sysctl
/// writes.
std::string kernel_writes(const std::string& trace) {
  std::istringstream in(trace);
  std::string found;
  for (std::string line; std::getline(in, line);) {
    if (line.find("recvmsg") != std::string::npos || line.find("recvfrom") != std::string::npos) continue;
    for (const char* write :
         {"RTM_NEW", "RTM_DEL", "RTM_SET", "NFT_MSG_NEW", "NFT_MSG_DEL", "NFNL_MSG_BATCH"}) {
      if (line.find(write) != std::string::npos) found += line + "\n";
    }
    const bool opened_for_writing =
        line.find("/proc/sys") != std::string::npos && line.find("O_RDONLY") == std::string::npos;
    if (line.find("open") != std::string::npos && opened_for_writing) found += line + "\n";
  }
  return found;
}

/// A disk without space, until make_room().
class FullDisk {
 public:
  FullDisk() {
    REQUIRE(::mount("tmpfs", path().c_str(), "tmpfs", 0, "size=16k") == 0);
    (void)run({.args = words("dd if=/dev/zero bs=4k of=" + filler())});  // ends for want of space
  }
  ~FullDisk() { ::umount2(path().c_str(), MNT_DETACH); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

  const std::string& path() const { return folder_.path(); }
  std::string file(const std::string& name) const { return folder_.file(name); }
  void make_room() { std::filesystem::remove(filler()); }

 private:
  std::string filler() const { return folder_.file("filler"); }
  TempDir folder_;
};

/// The first program of an update: $FLANNELETTE_BEFORE, or the one under test.
std::string binary_before() {
  const char* given = std::getenv("FLANNELETTE_BEFORE");
  return given != nullptr ? given : binary();
}

/// Inode, size and last change of every state file: a file that was written again has another inode.
std::string state_files(const Machine& machine) {
  return must_run(
      {.args = {"stat", "-c", "%n %i %s %z", machine.state_dir() + "/node", machine.state_dir() + "/peers"}});
}

}  // namespace

TEST_SUITE("system/restart") {
  TEST_CASE(
      "the second start, of the same program or a newer one, writes nothing: kernel, registry or state") {
    REQUIRE_MEANS(cluster_means(), means::program("strace"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    for (int i = 1; i <= 20; ++i) {
      const std::string n = std::to_string(i);
      etcd.put(kSubnetKeys + "10.64." + std::to_string(100 + i) + ".0-24",
               peer_value("172.30.0.1" + std::to_string(100 + i).substr(1),
                          "02:00:00:00:01:" + std::string(i < 10 ? "0" : "") + n));
    }
    Machine a(etcd, 1);
    a.start({"--ip-masq"}, binary_before());
    REQUIRE_MESSAGE(a.joined(20), a.log());
    REQUIRE(wait_until(5s, [&] { return a.log().find("ready") != std::string::npos; }));
    REQUIRE(wait_until(10s, [&] { return !file_text(a.state_dir() + "/peers").empty(); }));
    const std::string subnet = a.subnet(), mac = a.device("link/ether");
    const std::string record = etcd.ctl({"get", "-w", "json", kSubnetKeys + lease_name(subnet)});
    CHECK(a.stop() == 0);
    const std::string state = state_files(a);

    const TempDir files;
    const std::string trace = files.file("trace");
    Process again(a.command({"strace", "-f", "-v", "-s", "4096", "-o", trace, binary(),
                             "--etcd-endpoints=" + etcd.url(), "--ip-masq"}));
    REQUIRE_MESSAGE(wait_until(20s, [&] { return again.output().find("ready") != std::string::npos; }),
                    again.output());
    must_run({.args = {"pkill", "-TERM", "-P", std::to_string(again.pid())}});
    again.wait(5s);
    CHECK(state_files(a) == state);
    const std::string calls = file_text(trace);
    REQUIRE(contains(calls, "RTM_GETROUTE"));  // strace does decode what we look for
    CHECK(kernel_writes(calls) == "");
    CHECK(a.subnet() == subnet);
    CHECK(a.device("link/ether") == mac);
    CHECK(etcd.ctl({"get", "-w", "json", kSubnetKeys + lease_name(subnet)})
              .find(record.substr(record.find("mod_revision"), 40)) != std::string::npos);
  }

  TEST_CASE(
      "compat 9.13 and 9.14: peers that left or changed while we were stopped are put right at the start") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.put(kSubnetKeys + "10.64.101.0-24", peer_value("172.30.0.101", "02:00:00:00:01:01"));
    etcd.put(kSubnetKeys + "10.64.102.0-24", peer_value("172.30.0.102", "02:00:00:00:01:02"));
    etcd.put(kSubnetKeys + "10.64.103.0-24", peer_value("172.30.0.103", "02:00:00:00:01:03"));
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(3), a.log());
    CHECK(a.stop() == 0);

    etcd.ctl({"del", kSubnetKeys + "10.64.101.0-24"});
    etcd.put(kSubnetKeys + "10.64.102.0-24", peer_value("172.30.0.102", "02:00:00:00:02:02"));
    etcd.put(kSubnetKeys + "10.64.103.0-24", peer_value("172.30.0.113", "02:00:00:00:01:03"));
    a.start();
    CHECK(wait_until(10s, [&] {
      return a.fdb() ==
             "02:00:00:00:01:03 dst 172.30.0.113 self permanent\n02:00:00:00:02:02 dst 172.30.0.102 self "
             "permanent\n";
    }));
    CHECK(count_lines(a.routes()) == 2);
    CHECK(a.routes().find("10.64.101.0") == std::string::npos);
    CHECK(count_lines(a.neighbours()) == 2);
    CHECK(a.neighbours().find("10.64.102.0 lladdr 02:00:00:00:02:02") != std::string::npos);
  }

  TEST_CASE(
      "a full disk: the node joins, reports once that a reboot would lose its state, and saves it later") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    FullDisk disk;
    Machine a(etcd, 1);
    a.start({"--state-dir=" + disk.path()});
    CHECK_MESSAGE(a.joined(0), a.log());
    CHECK(a.logs("cannot save the state"));
    disk.make_room();
    CHECK(a.logs("the state is saved again"));
    CHECK(wait_until(10s, [&] { return contains(file_text(disk.file("node")), "10.64."); }));
    CHECK(count_of(a.log(), "cannot save the state") == 1);
    CHECK(a.stop() == 0);
  }

  TEST_CASE("a node moves from plain routes to nexthop objects and back by restarts, and no packet is lost") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    for (int i = 1; i <= 50; ++i) {
      const std::string n = std::to_string(100 + i);
      etcd.put(kSubnetKeys + "10.64." + n + ".0-24",
               peer_value("172.30.1." + n, "02:00:00:00:01:" + n.substr(1)));
    }
    const TempDir files;
    write_file(files.file("plain.ini"), "[node]\nnexthop-objects = off\n");
    const std::vector<std::string> plain = {"--config=" + files.file("plain.ini")};
    Machine a(etcd, 1), b(etcd, 2);
    a.start(plain);
    b.start();
    REQUIRE_MESSAGE(a.joined(51), a.log());
    REQUIRE_MESSAGE(b.joined(51), b.log());
    CHECK(a.node().ip("nexthop show").empty());
    CHECK(count_of(b.node().ip("nexthop show"), "proto 70 onlink") == 51);
    a.add_pod();
    b.add_pod();
    REQUIRE(wait_until(5s, [&] { return pings(a.pod(), host_in(b.subnet(), 2)); }));

    Process ping({.args = {"ping", "-q", "-i", "0.01", host_in(b.subnet(), 2)}, .netns = a.pod().name()});
    const std::string plain_routes = a.routes();
    CHECK(a.stop() == 0);
    a.start();  // what is right stays
    REQUIRE(a.logs("ready"));
    CHECK(a.routes() == plain_routes);
    etcd.put(kSubnetKeys + "10.64.151.0-24", peer_value("172.30.1.151", "02:00:00:00:01:51"));
    CHECK(wait_until(5s, [&] { return contains(a.node().ip("route show 10.64.151.0/24"), "nhid"); }));
    CHECK(b.stop() == 0);
    b.start(plain);  // what is asked for is made
    REQUIRE(b.logs("ready"));
    CHECK(b.node().ip("nexthop show").empty());
    CHECK(count_of(b.routes(), "proto 70 onlink") == 52);
    CHECK_FALSE(contains(b.routes(), "nhid"));
    must_run({.args = {"kill", "-INT", std::to_string(ping.pid())}});
    ping.wait(5s);
    CHECK_MESSAGE(contains(ping.output(), " 0% packet loss"), ping.output());
  }
}
