// SPDX-License-Identifier: Apache-2.0
// etcd behind TLS and behind a password: what works, what is said when it does not, and that no secret shows.
#include <doctest/doctest.h>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/certificates.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

/// The log names the trouble with these words, once, and the agent goes on trying.
bool troubles(Machine& machine, const std::string& words) {
  return machine.logs(words) && contains(machine.log(), "retry_in_ms=") &&
         count_of(machine.log(), words) == 1 && machine.running();
}

}  // namespace

TEST_SUITE("system/tls") {
  TEST_CASE("compat 9.26: a CA without a client certificate is used, by address") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    const Certificates certificates;
    certificates.sign("server", "/CN=etcd", "IP:172.30.0.1");
    Etcd etcd(certificates.etcd("server"));
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    a.start({"--etcd-cafile=" + certificates.file("ca.pem")});
    b.start({"-etcd-cafile", certificates.file("ca.pem")});
    CHECK_MESSAGE(a.joined(1), a.log());
    CHECK_MESSAGE(b.joined(1), b.log());
    CHECK_FALSE(contains(a.log(), "warning: registry"));

    Machine c(etcd, 3);
    c.start();
    CHECK(c.agent().wait(5s) == 2);
    CHECK_MESSAGE(contains(c.log(), "https needs ca-file"), c.log());
  }

  TEST_CASE(
      "a server is known by a DNS name of its certificate, and refused under another name or with another "
      "CA") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    const HostNames hosts("etcd.test wrong.test");
    const Certificates certificates, others;
    certificates.sign("server", "/CN=etcd", "DNS:etcd.test");
    Etcd etcd(certificates.etcd("server"));
    etcd.configure(kVxlanConfig);
    const auto arguments = [&](const Machine& m, const std::string& host, const std::string& ca) {
      return std::vector<std::string>{"--iface=eth0", "--subnet-file=" + m.subnet_file(),
                                      "--etcd-endpoints=https://" + host + ":2379", "--etcd-cafile=" + ca};
    };
    Machine a(etcd, 1), b(etcd, 2), c(etcd, 3), d(etcd, 4), e(etcd, 5);
    a.start_with(arguments(a, "etcd.test", certificates.file("ca.pem")));
    b.start_with(arguments(b, "wrong.test", certificates.file("ca.pem")));
    c.start_with(arguments(c, "172.30.0.1", certificates.file("ca.pem")));
    d.start_with(arguments(d, "etcd.test", others.file("ca.pem")));
    e.start_with(arguments(e, "nowhere.invalid", certificates.file("ca.pem")));
    CHECK_MESSAGE(a.joined(0), a.log());
    CHECK_MESSAGE(troubles(b, "not valid for this name or address"), b.log());
    CHECK_MESSAGE(troubles(c, "not valid for this name or address"), c.log());
    CHECK_MESSAGE(troubles(d, "not signed by the configured CA"), d.log());
    CHECK_MESSAGE(troubles(e, "nowhere.invalid"), e.log());
    for (Machine* m : {&b, &c, &d, &e}) {
      CHECK(m->running());
      CHECK(m->stop() == 0);
    }
    CHECK(etcd.leases().size() == 1);
  }

  TEST_CASE("a client certificate is shown where etcd wants one, and its absence is named") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    const Certificates certificates, others;
    certificates.sign("server", "/CN=etcd", "IP:172.30.0.1");
    certificates.sign("client", "/O=nodes");
    others.sign("client", "/O=nodes");
    Etcd etcd(certificates.etcd_for_known_clients("server"));
    etcd.configure(kVxlanConfig);
    const std::string ca = "--etcd-cafile=" + certificates.file("ca.pem");
    Machine a(etcd, 1), b(etcd, 2), c(etcd, 3), d(etcd, 4);
    a.start({ca, "--etcd-certfile=" + certificates.file("client.pem"),
             "--etcd-keyfile=" + certificates.file("client.key")});
    b.start({ca});
    c.start(
        {ca, "--etcd-certfile=" + others.file("client.pem"), "--etcd-keyfile=" + others.file("client.key")});
    d.start({ca, "--etcd-certfile=" + certificates.file("client.pem")});
    CHECK_MESSAGE(a.joined(0), a.log());
    CHECK_MESSAGE(troubles(b, "requires a client certificate"), b.log());
    CHECK_MESSAGE(troubles(c, "client certificate"), c.log());
    CHECK(b.running());
    CHECK(c.running());
    CHECK(d.agent().wait(5s) == 2);
    CHECK(contains(d.log(), "--etcd-certfile: a client certificate needs its key"));

    // etcd starts anew, under its old name: the agent comes back by itself.
    etcd.stop();
    CHECK(a.logs("registry trouble"));
    etcd.start();
    etcd.put(kSubnetKeys + "10.64.200.0-24", peer_value("172.30.0.90", "02:00:00:00:00:01"));
    CHECK_MESSAGE(wait_until(40s, [&] { return count_lines(a.routes()) == 1; }), a.log());
  }

  TEST_CASE("TLS 1.2 and TLS 1.3 both do, and what is not TLS is named") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"), means::program("socat"));
    const Certificates certificates;
    certificates.sign("server", "/CN=etcd", "IP:172.30.0.1");
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    const auto start = [&](int port) {
      a.start_with({"--iface=eth0", "--subnet-file=" + a.subnet_file(),
                    "--etcd-cafile=" + certificates.file("ca.pem"),
                    "--etcd-endpoints=https://172.30.0.1:" + std::to_string(port)});
    };
    for (const char* version : {"TLS1.2", "TLS1.3"}) {
      const int port = version[5] == '2' ? 2412 : 2413;
      const std::string v = version;
      Process proxy(
          {.args = {"socat",
                    "OPENSSL-LISTEN:" + std::to_string(port) +
                        ",bind=172.30.0.1,reuseaddr,fork,verify=0,cert=" + certificates.file("server.pem") +
                        ",key=" + certificates.file("server.key") + ",openssl-min-proto-version=" + v +
                        ",openssl-max-proto-version=" + v,
                    "TCP:172.30.0.1:2379"},
           .netns = etcd.node().name()});
      start(port);
      REQUIRE_MESSAGE(a.logs("ready"), v, a.log(), proxy.output());
      const std::string key = kSubnetKeys + "10.64.200.0-24";
      etcd.put(key, peer_value("172.30.0.90", "02:00:00:00:00:01"));
      CHECK_MESSAGE(wait_until(10s, [&] { return count_lines(a.routes()) == 1; }), v, a.log());
      etcd.ctl({"del", key});
      CHECK_MESSAGE(wait_until(10s, [&] { return a.routes().empty(); }), v, a.log());
      CHECK(a.stop() == 0);
    }
    start(2379);
    CHECK_MESSAGE(troubles(a, "TLS"), a.log());
    CHECK(a.running());
  }

  TEST_CASE(
      "with a user and a password the agent works with no more than its rights, survives etcd's restart, and "
      "shows no secret") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.ctl({"user", "add", "root:rootpw"});
    etcd.ctl({"user", "add", "flannel:s3cr3t-w0rd"});
    etcd.ctl({"role", "add", "flannel"});
    etcd.ctl({"role", "grant-permission", "flannel", "read", "/coreos.com/network/config"});
    etcd.ctl({"role", "grant-permission", "flannel", "readwrite", "/coreos.com/network/subnets",
              "/coreos.com/network/subnett"});
    etcd.ctl({"user", "grant-role", "flannel", "flannel"});
    etcd.ctl({"user", "grant-role", "root", "root"});
    etcd.ctl({"auth", "enable"});
    etcd.use_ctl_flags({"--user", "root:rootpw"});

    const TempDir files;
    write_file(files.file("good"), "s3cr3t-w0rd\n");
    write_file(files.file("bad"), "wr0ng-w0rd\n");
    write_file(files.file("good.ini"), "[etcd]\nusername = flannel\npassword-file = " + files.file("good") +
                                           "\n[log]\nlevel = debug\n");
    write_file(files.file("bad.ini"), "[etcd]\nusername = flannel\npassword-file = " + files.file("bad") +
                                          "\n[log]\nlevel = debug\n");
    Machine a(etcd, 1), b(etcd, 2), c(etcd, 3);
    a.start({"-c", files.file("good.ini")});
    b.start({"-c", files.file("bad.ini")});
    c.start();
    CHECK_MESSAGE(a.joined(0), a.log());
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK_MESSAGE(troubles(b, "authentication failed"), b.log());
    CHECK_MESSAGE(troubles(c, "user name is empty"), c.log());
    CHECK(b.running());
    CHECK(c.running());

    // Tokens do not outlive etcd.
    etcd.stop();
    CHECK(a.logs("registry trouble"));
    etcd.start();
    etcd.put(kSubnetKeys + "10.64.200.0-24", peer_value("172.30.0.90", "02:00:00:00:00:01"));
    CHECK_MESSAGE(wait_until(40s, [&] { return count_lines(a.routes()) == 1; }), a.log());
    etcd.ctl({"del", kSubnetKeys + lease_name(a.subnet())});
    CHECK_MESSAGE(wait_until(10s, [&] { return !etcd.lease(lease_name(a.subnet())).empty(); }), a.log());

    for (Machine* m : {&a, &b}) {
      const std::string process = "/proc/" + std::to_string(m->agent().pid());
      for (const char* secret :
           {"s3cr3t-w0rd", "wr0ng-w0rd", "czNjcjN0", "d3IwbmctdzByZA"}) {  // and in base64
        CHECK_FALSE(contains(m->log(), secret));
        CHECK_FALSE(contains(file_text(process + "/cmdline"), secret));
        CHECK_FALSE(contains(file_text(process + "/environ"), secret));
      }
    }
  }

  TEST_CASE("flanneld's password flags work, with a notice that everybody can read them") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.ctl({"user", "add", "root:rootpw"});
    etcd.ctl({"user", "grant-role", "root", "root"});
    etcd.ctl({"auth", "enable"});
    Machine a(etcd, 1);
    a.start({"--etcd-username=root", "--etcd-password=rootpw"});
    CHECK_MESSAGE(a.joined(0), a.log());
    CHECK(contains(a.log(), "use password-file"));
    CHECK_FALSE(contains(a.log(), "rootpw"));
  }
}
