// SPDX-License-Identifier: Apache-2.0
// etcd behind TLS: what works, what is said when it does not, and what happens when certificates change.
#include <doctest/doctest.h>

#include <filesystem>

#include "support/flood.hpp"
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

/// Puts the files of `from` in the place of those of `to`, as one that rotates certificates does: each by a
/// rename.
void replace(const Certificates& to, const Certificates& from, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    write_file(to.file("new"), file_text(from.file(name)));
    std::filesystem::rename(to.file("new"), to.file(name));
  }
}

/// `name`.pem and `name`.key of the other kind: RSA.
void sign_rsa(const Certificates& certificates, const std::string& name, const std::string& names) {
  must_run({.args = words("openssl req -x509 -config " + certificates.file("conf") +
                          " -newkey rsa:2048 -nodes -days 2 -subj /CN=etcd -CA " +
                          certificates.file("ca.pem") + " -CAkey " + certificates.file("ca.key") +
                          " -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=" + names +
                          " -keyout " + certificates.file(name + ".key") + " -out " +
                          certificates.file(name + ".pem"))},
           30s);
}

/// A program of a distribution with mbedTLS 2.28: it has no TLS 1.3, and no ChangeCipherSpec is let through.
bool links_mbedtls_2() { return contains(file_text(binary()), "libmbedtls.so.14"); }

/// mbedTLS 3 of a distribution knows no RSA-PSS in TLS 1.2.
bool links_mbedtls_3() { return contains(file_text(binary()), "libmbedtls.so.") && !links_mbedtls_2(); }

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
    const auto arguments = [](const std::string& host, const std::string& ca) {
      return std::vector<std::string>{"--etcd-endpoints=https://" + host + ":2379", "--etcd-cafile=" + ca};
    };
    Machine a(etcd, 1), b(etcd, 2), c(etcd, 3), d(etcd, 4), e(etcd, 5);
    a.start_with(arguments("etcd.test", certificates.file("ca.pem")));
    b.start_with(arguments("wrong.test", certificates.file("ca.pem")));
    c.start_with(arguments("172.30.0.1", certificates.file("ca.pem")));
    d.start_with(arguments("etcd.test", others.file("ca.pem")));
    e.start_with(arguments("nowhere.invalid", certificates.file("ca.pem")));
    CHECK_MESSAGE(a.joined(0), a.log());
    CHECK_MESSAGE(troubles(b, "not valid for this name or address"), b.log());
    CHECK(contains(b.log(), "detail=\"valid for: etcd.test\""));
    CHECK_MESSAGE(troubles(c, "not valid for this name or address"), c.log());
    CHECK_MESSAGE(troubles(d, "not signed by the configured CA"), d.log());
    CHECK_MESSAGE(troubles(e, "nowhere.invalid"), e.log());
    for (Machine* m : {&b, &c, &d, &e}) {
      CHECK(m->running());
      CHECK(m->stop() == 0);
    }
    CHECK(etcd.leases().size() == 1);
  }

  TEST_CASE("a TLS 1.2 server that goes by its own order signs with RSA-PSS: it is understood") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    if (links_mbedtls_3()) SKIP("this mbedTLS cannot");
    const Certificates certificates;
    sign_rsa(certificates, "rsa", "IP:172.30.0.1");
    Etcd etcd;
    Process server(
        {.args = {"openssl", "s_server", "-tls1_2", "-serverpref", "-rev", "-accept", "172.30.0.1:2413",
                  "-cert", certificates.file("rsa.pem"), "-key", certificates.file("rsa.key")},
         .netns = etcd.node().name()});
    Machine a(etcd, 1);
    a.start_with(
        {"--etcd-endpoints=https://172.30.0.1:2413", "--etcd-cafile=" + certificates.file("ca.pem")});
    CHECK_MESSAGE(a.logs("this is no HTTP/1 response"), a.log());
    CHECK_FALSE(contains(a.log(), "handshake"));
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
    CHECK(a.logs("registry request failed"));
    etcd.start();
    etcd.put(kSubnetKeys + "10.64.200.0-24", peer_value("172.30.0.90", "02:00:00:00:00:01"));
    CHECK_MESSAGE(wait_until(40s, [&] { return count_lines(a.routes()) == 1; }), a.log());
  }

  TEST_CASE("TLS 1.2 and TLS 1.3 both do, with ECDSA and with RSA, and what is not TLS is named") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"), means::program("socat"));
    const Certificates certificates;
    certificates.sign("server", "/CN=etcd", "IP:172.30.0.1");
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    const auto start = [&](int port) {
      a.start_with({"--etcd-cafile=" + certificates.file("ca.pem"),
                    "--etcd-endpoints=https://172.30.0.1:" + std::to_string(port)});
    };
    sign_rsa(certificates, "rsa", "IP:172.30.0.1");
    int port = 2412;
    for (const std::string v : {"TLS1.2", "TLS1.3"}) {
      if (v == "TLS1.3" && links_mbedtls_2()) continue;
      for (const std::string kind : {"server", "rsa"}) {
        CAPTURE(v);
        CAPTURE(kind);
        Process proxy(
            {.args = {"socat",
                      "OPENSSL-LISTEN:" + std::to_string(++port) +
                          ",bind=172.30.0.1,reuseaddr,fork,verify=0,cert=" +
                          certificates.file(kind + ".pem") + ",key=" + certificates.file(kind + ".key") +
                          ",openssl-min-proto-version=" + v + ",openssl-max-proto-version=" + v,
                      "TCP:172.30.0.1:2379"},
             .netns = etcd.node().name()});
        start(port);
        REQUIRE_MESSAGE(a.logs("ready"), a.log(), proxy.output());
        const std::string key = kSubnetKeys + "10.64.200.0-24";
        etcd.put(key, peer_value("172.30.0.90", "02:00:00:00:00:01"));
        CHECK_MESSAGE(wait_until(10s, [&] { return count_lines(a.routes()) == 1; }), a.log());
        etcd.ctl({"del", key});
        CHECK_MESSAGE(wait_until(10s, [&] { return a.routes().empty(); }), a.log());
        CHECK(a.stop() == 0);
      }
    }
    start(2379);
    CHECK_MESSAGE(troubles(a, "TLS"), a.log());
    CHECK(a.running());
  }

  TEST_CASE("all certificates are replaced while the agent runs, and it comes back by itself") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    const Certificates certificates, fresh;
    for (const Certificates* c : {&certificates, &fresh}) {
      c->sign("server", "/CN=etcd", "IP:172.30.0.1");
      c->sign("client", "/O=nodes");
      c->sign("admin", "/O=admins");
    }
    Etcd::Options options = certificates.etcd_for_known_clients("server");
    for (std::string& word : options.ctl) {
      if (word == certificates.file("client.pem")) word = certificates.file("admin.pem");
      if (word == certificates.file("client.key")) word = certificates.file("admin.key");
    }
    Etcd etcd(options);
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start({"--etcd-cafile=" + certificates.file("ca.pem"),
             "--etcd-certfile=" + certificates.file("client.pem"),
             "--etcd-keyfile=" + certificates.file("client.key")});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    const std::string subnet = a.subnet();

    // Half of it is there, the new certificate with the old key: the old pair goes on.
    replace(certificates, fresh, {"client.pem"});
    etcd.stop();
    etcd.start();
    CHECK_MESSAGE(a.logs("cannot be used; the old ones stay file=" + certificates.file("client.key") +
                         " error=\"the key does not belong to the certificate"),
                  a.log());
    etcd.put(kSubnetKeys + "10.64.201.0-24", peer_value("172.30.0.91", "02:00:00:00:00:02"));
    CHECK_MESSAGE(wait_until(40s, [&] { return count_lines(a.routes()) == 1; }), a.log());

    etcd.stop();
    replace(certificates, fresh,
            {"client.key", "ca.pem", "server.pem", "server.key", "admin.pem", "admin.key"});
    etcd.start();  // it knows the new CA alone
    etcd.put(kSubnetKeys + "10.64.200.0-24", peer_value("172.30.0.90", "02:00:00:00:00:01"));
    CHECK_MESSAGE(wait_until(60s, [&] { return count_lines(a.routes()) == 2; }), a.log());
    CHECK(a.subnet() == subnet);
    CHECK(count_of(a.log(), "the TLS files have changed; new connections use them") == 1);
    CHECK(count_of(a.log(), "the old ones stay") == 1);
  }

  TEST_CASE("SIGHUP reads the TLS files again, and never ends the program") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    const Certificates certificates, fresh;
    certificates.sign("server", "/CN=etcd", "IP:172.30.0.1");
    Etcd etcd(certificates.etcd("server"));
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1), b(etcd, 2);
    a.start({"--etcd-cafile=" + certificates.file("ca.pem")});
    b.start_with(
        {"--iface=eth0", "--subnet-file=" + b.subnet_file(), "--etcd-endpoints=http://172.30.0.1:1"});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    REQUIRE_MESSAGE(b.logs("interface chosen"), b.log());
    replace(certificates, fresh, {"ca.pem"});
    for (Machine* m : {&a, &b}) m->agent().signal(SIGHUP);
    CHECK_MESSAGE(a.logs("SIGHUP: the TLS files are read again"), a.log());
    CHECK_MESSAGE(a.logs("the TLS files have changed; new connections use them"), a.log());
    CHECK_MESSAGE(b.logs("SIGHUP: there are no TLS files to read"), b.log());
    for (Machine* m : {&a, &b}) CHECK(m->stop() == 0);
  }

  TEST_CASE("certificates that end soon are named with file, days and date, once") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    const Certificates certificates;  // of two days
    certificates.sign("server", "/CN=etcd", "IP:172.30.0.1");
    certificates.sign("client", "/O=nodes");
    Etcd etcd(certificates.etcd_for_known_clients("server"));
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start({"--etcd-cafile=" + certificates.file("ca.pem"),
             "--etcd-certfile=" + certificates.file("client.pem"),
             "--etcd-keyfile=" + certificates.file("client.key")});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    for (const char* name : {"ca.pem", "client.pem"}) {
      const std::string line =
          "warning: a certificate expires soon file=" + certificates.file(name) + " days_left=";
      CHECK_MESSAGE(count_of(a.log(), line) == 1, a.log());
      // Two whole days only in the second in which they were made.
      CHECK((contains(a.log(), line + "1 date=20") || contains(a.log(), line + "2 date=20")));
    }
  }

  TEST_CASE("etcd at an IPv6 address, in the clear and by TLS, and packets between the pods") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    const Certificates certificates;
    certificates.sign("server", "/CN=etcd", "IP:fd00:30::1");
    const auto run_with = [&](Etcd::Options options, const std::string& url, const std::string& flag) {
      Etcd etcd(std::move(options));
      etcd.node().ip("addr add fd00:30::1/64 dev br0 nodad");
      etcd.configure(kVxlanConfig);
      Machine a(etcd, 1), b(etcd, 2);
      for (Machine* m : {&a, &b}) {
        m->node().ip("addr add fd00:30::1" + std::to_string(m == &a ? 1 : 2) + "/64 dev eth0 nodad");
        m->start_with({"--etcd-endpoints=" + url, flag});
      }
      REQUIRE_MESSAGE(a.joined(1), a.log());
      REQUIRE_MESSAGE(b.joined(1), b.log());
      const std::string pod = b.add_pod();
      a.add_pod();
      CHECK_MESSAGE(pings(a.pod(), pod), a.log());
      CHECK_FALSE(contains(a.log(), "registry request failed"));
    };
    Etcd::Options plain;
    plain.client_url = "http://[::]:2379";
    run_with(plain, "http://[fd00:30::1]:2379", "--log-level=info");
    Etcd::Options tls = certificates.etcd("server");
    tls.client_url = "https://[::]:2379";
    run_with(tls, "https://[fd00:30::1]:2379", "--etcd-cafile=" + certificates.file("ca.pem"));
  }

  TEST_CASE("a server that floods the handshake or the session is left for the next one, and SIGTERM works") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    const Certificates certificates;
    certificates.sign("server", "/CN=etcd", "IP:172.30.0.1");
    Etcd etcd(certificates.etcd("server"));
    etcd.configure(kVxlanConfig);
    const std::string ca = "--etcd-cafile=" + certificates.file("ca.pem");
    const struct {
      const std::string& record;
      bool after;
      const char* words;
    } floods[] = {{kWarningAlert, false, "more than 64 KiB before the handshake was done"},
                  {kChangeCipherSpec, false, "more than 64 KiB before the handshake was done"},
                  {kChangeCipherSpec, true, "more than 32 KiB of TLS records without data"}};
    int machines = 0;
    for (const auto& kind : floods) {
      if (kind.record == kChangeCipherSpec && links_mbedtls_2()) continue;
      CAPTURE(kind.words);
      const auto serve = [&](int connection) {
        if (kind.after) relay_until_quiet(connection, connect_or_exit("172.30.0.1", 2379));
        flood(connection, kind.record, 60s);
      };
      const auto server =
          etcd.node().inside([&] { return std::make_unique<ForkingServer>("172.30.0.1", 0, serve); });
      const std::string url = "https://172.30.0.1:" + std::to_string(server->port());
      Machine a(etcd, ++machines), b(etcd, ++machines);
      a.start_with({"--iface=eth0", "--subnet-file=" + a.subnet_file(), ca,
                    "--etcd-endpoints=" + url + "," + etcd.url()});
      b.start_with({"--iface=eth0", "--subnet-file=" + b.subnet_file(), ca, "--etcd-endpoints=" + url});
      CHECK_MESSAGE(wait_until(12s, [&] { return !a.subnet().empty(); }), a.log());
      CHECK_MESSAGE(b.logs(kind.words), b.log());
      for (Machine* m : {&a, &b}) CHECK(m->stop() == 0);
    }
  }
}
