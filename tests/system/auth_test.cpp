// SPDX-License-Identifier: Apache-2.0
// etcd behind a user and a password: what works, what is said when it does not, and that no secret shows.
#include <doctest/doctest.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/certificates.hpp"
#include "system/cluster.hpp"
#include "system/gateway.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr const char* kPassword = "s3cr3t-w0rd";

/// Users root (rootpw) and flannel (kPassword), the latter with no more rights than it needs.
void add_users(const Etcd& etcd) {
  etcd.ctl({"user", "add", "root:rootpw"});
  etcd.ctl({"user", "grant-role", "root", "root"});
  etcd.ctl({"user", "add", std::string("flannel:") + kPassword});
  etcd.ctl({"role", "add", "flannel"});
  etcd.ctl({"role", "grant-permission", "flannel", "read", "/coreos.com/network/config"});
  etcd.ctl({"role", "grant-permission", "flannel", "readwrite", "/coreos.com/network/subnets",
            "/coreos.com/network/subnett"});
  etcd.ctl({"user", "grant-role", "flannel", "flannel"});
}

void enable(Etcd& etcd, std::vector<std::string> ctl = {}) {
  etcd.ctl({"auth", "enable"});
  ctl.insert(ctl.end(), {"--user", "root:rootpw"});
  etcd.use_ctl_flags(std::move(ctl));
}

/// An INI file with flannel's name, this password in a file of its own, and these further lines of [etcd].
class Login {
 public:
  explicit Login(const std::string& password = kPassword, const std::string& more = "") {
    write_file(files_.file("password"), password + "\n");
    write_file(ini(), "[etcd]\nusername = flannel\npassword-file = " + files_.file("password") + "\n" + more +
                          "[log]\nlevel = debug\n");
  }
  std::string ini() const { return files_.file("ini"); }

 private:
  TempDir files_;
};

/// How often etcd was asked for a token, by its own count.
int tokens_asked(const Etcd& etcd) {
  const std::string all =
      must_run({.args = {"curl", "-s", etcd.url() + "/metrics"}, .netns = etcd.node().name()});
  std::istringstream in(all);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("grpc_server_started_total") && contains(line, "\"Authenticate\""))
      return std::stoi(line.substr(line.rfind(' ')));
  }
  return -1;
}

const Etcd::Options kShortTokens{.arguments = {"--auth-token", "simple", "--auth-token-ttl", "1"}};

/// A token that nobody used for a second is dropped within the next one.
void let_token_expire() {
  const auto end = steady_clock::now() + 3s;
  (void)wait_until(10s, [&] { return steady_clock::now() >= end; });
}

/// The route to a peer that is put now comes: etcd is followed.
bool follows(const Etcd& etcd, const Machine& machine, std::chrono::seconds limit) {
  static int number = 100;
  const std::string third = std::to_string(++number);
  etcd.put(kSubnetKeys + "10.64." + third + ".0-24",
           peer_value("172.30.0." + third, "02:00:00:00:01:" + third.substr(1)));
  return wait_until(limit, [&] { return contains(machine.routes(), "10.64." + third + ".0/24"); });
}

/// The lines of a PEM file with an EC key, and its private number as bytes and in hexadecimal.
void add_key(std::set<std::string>& secrets, const std::string& path) {
  std::istringstream pem(file_text(path));
  for (std::string line; std::getline(pem, line);) {
    if (!line.starts_with("-----") && line.size() > 16) secrets.insert(line);
  }
  const std::string text = must_run({.args = words("openssl ec -noout -text -in " + path)});
  const auto begin = text.find("priv:") + 5;
  std::istringstream in(text.substr(begin, text.find("pub:") - begin));
  std::string hex, bytes;
  for (char c; in >> c;) {
    if (c != ':') hex += c;
  }
  REQUIRE(hex.size() >= 64);
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  secrets.insert(hex);
  secrets.insert(bytes);
}

}  // namespace

TEST_SUITE("system/auth") {
  TEST_CASE("with a user the agent works with no more than its rights, and survives etcd's restart") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    add_users(etcd);
    enable(etcd);
    const Login login;
    Machine a(etcd, 1), c(etcd, 3);
    a.start({"-c", login.ini()});
    c.start();
    CHECK_MESSAGE(a.joined(0), a.log());
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK_MESSAGE(c.logs("user name is empty"), c.log());
    CHECK(c.running());

    // Tokens outlive etcd by as much as its log is read again, or not at all.
    etcd.stop();
    CHECK(a.logs("registry request failed"));
    etcd.start();
    CHECK_MESSAGE(follows(etcd, a, 40s), a.log());
    etcd.ctl({"del", kSubnetKeys + lease_name(a.subnet())});
    CHECK_MESSAGE(wait_until(10s, [&] { return !etcd.lease(lease_name(a.subnet())).empty(); }), a.log());
  }

  TEST_CASE("flanneld's password flags work, with a notice that everybody can read them") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    add_users(etcd);
    enable(etcd);
    Machine a(etcd, 1);
    a.start({"--etcd-username=root", "--etcd-password=rootpw"});
    CHECK_MESSAGE(a.joined(0), a.log());
    CHECK(contains(a.log(), "use password-file"));
    CHECK_FALSE(contains(a.log(), "rootpw"));
  }

  TEST_CASE("a wrong password is named, and tried again ever more rarely") {
    REQUIRE_MEANS(cluster_means(), means::program("curl"));
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    add_users(etcd);
    enable(etcd);
    const Login login("wr0ng-w0rd");
    Machine a(etcd, 1);
    const int before = tokens_asked(etcd);
    const auto begin = steady_clock::now();
    a.start({"-c", login.ini()});
    CHECK_MESSAGE(a.logs("authentication failed"), a.log());
    CHECK_MESSAGE(wait_until(15s, [&] { return tokens_asked(etcd) - before >= 6; }), a.log());
    // The pauses are at least 50, 100, 200, 400, 800 ms: six attempts take 1.55 s.
    CHECK(steady_clock::now() - begin > 1500ms);
    CHECK(a.running());
  }

  TEST_CASE("authentication is switched on and off under running agents") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    add_users(etcd);
    const Login login;
    Machine a(etcd, 1), b(etcd, 2);
    a.start();
    b.start({"-c", login.ini()});  // it has a user, and there is no authentication yet
    REQUIRE_MESSAGE(a.joined(1), a.log());
    REQUIRE_MESSAGE(b.joined(1), b.log());
    const std::string subnet = a.subnet();

    enable(etcd);
    for (Machine* m : {&a, &b}) etcd.ctl({"del", kSubnetKeys + lease_name(m->subnet())});
    CHECK_MESSAGE(wait_until(15s, [&] { return !etcd.lease(lease_name(b.subnet())).empty(); }), b.log());
    CHECK_MESSAGE(follows(etcd, b, 15s), b.log());
    // The other one has no user. What it has stays; it says what is missing, and does not go.
    CHECK_MESSAGE(a.logs("user name is empty"), a.log());
    CHECK(etcd.lease(lease_name(subnet)).empty());
    CHECK(a.running());
    CHECK_FALSE(contains(b.log(), "user name is empty"));

    CHECK(a.stop() == 0);
    a.start({"-c", login.ini()});
    CHECK_MESSAGE(wait_until(15s, [&] { return !etcd.lease(lease_name(subnet)).empty(); }), a.log());
    CHECK_MESSAGE(follows(etcd, a, 15s), a.log());
    CHECK(a.subnet() == subnet);

    etcd.ctl({"auth", "disable"});
    etcd.use_ctl_flags({});
    etcd.ctl({"del", kSubnetKeys + lease_name(subnet)});
    CHECK_MESSAGE(wait_until(15s, [&] { return !etcd.lease(lease_name(subnet)).empty(); }), a.log());
    CHECK_MESSAGE(follows(etcd, a, 15s), a.log());
  }

  TEST_CASE("an expired token is replaced at once, and only when it is needed") {
    REQUIRE_MEANS(cluster_means(), means::program("curl"));
    Etcd etcd(kShortTokens);
    etcd.configure(kVxlanConfig);
    add_users(etcd);
    enable(etcd);
    const Login login;
    Machine a(etcd, 1);
    a.start({"-c", login.ini()});
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    const std::string name = lease_name(a.subnet());
    for (int round = 0; round < 3; ++round) {
      let_token_expire();
      const int before = tokens_asked(etcd);
      int ours = 2;  // etcdctl asks for a token each time: del and put
      etcd.ctl({"del", kSubnetKeys + name});
      CHECK_MESSAGE(wait_until(10s,
                               [&] {
                                 ++ours;
                                 return !etcd.lease(name).empty();
                               }),
                    a.log());
      CHECK(follows(etcd, a, 10s));  // the watch outlives its token
      const int theirs = tokens_asked(etcd) - before - ours;
      CHECK(theirs >= 1);
      CHECK(theirs <= 4);  // a token may expire again on a machine as slow as that
    }
    CHECK_FALSE(contains(a.log(), "invalid auth token"));
    CHECK_FALSE(contains(a.log(), "registry request failed"));
  }

  TEST_CASE("a client certificate and a password go together, unless the certificate has a common name") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"));
    const Certificates certificates;
    certificates.sign("server", "/O=etcd", "IP:172.30.0.1");
    certificates.sign("client", "/O=nodes");
    certificates.sign("named", "/CN=flannel");
    const Etcd::Options options = certificates.etcd_for_known_clients("server");
    Etcd etcd(options);
    etcd.configure(kVxlanConfig);
    add_users(etcd);
    enable(etcd, options.ctl);
    const Login login;
    const auto arguments = [&](const std::string& client) {
      return std::vector<std::string>{"-c", login.ini(), "--etcd-cafile=" + certificates.file("ca.pem"),
                                      "--etcd-certfile=" + certificates.file(client + ".pem"),
                                      "--etcd-keyfile=" + certificates.file(client + ".key")};
    };
    Machine a(etcd, 1), b(etcd, 2);
    a.start(arguments("client"));
    b.start(arguments("named"));
    CHECK_MESSAGE(a.joined(0), a.log());
    CHECK_MESSAGE(b.logs("CommonName of client"), b.log());
  }

  TEST_CASE("no password, token or key shows in log, process list or files, at level debug and in trouble") {
    REQUIRE_MEANS(cluster_means(), means::program("openssl"), means::program("socat"));
    const Certificates certificates;
    certificates.sign("server", "/CN=etcd", "IP:172.30.0.1");
    certificates.sign("client", "/O=nodes");
    Etcd etcd(kShortTokens);
    etcd.configure(kVxlanConfig);
    add_users(etcd);
    enable(etcd);
    // It undoes TLS on the way to etcd, and shows what passes: from there we know the tokens.
    Process proxy({.args = {"socat", "-v",
                            "OPENSSL-LISTEN:2443,bind=172.30.0.1,reuseaddr,fork,verify=1,cafile=" +
                                certificates.file("ca.pem") + ",cert=" + certificates.file("server.pem") +
                                ",key=" + certificates.file("server.key"),
                            "TCP:172.30.0.1:2379"},
                   .netns = etcd.node().name()});
    const Login good, bad("wr0ng-w0rd");
    Machine a(etcd, 1), b(etcd, 2);
    for (Machine* m : {&a, &b}) {
      m->start_with({"-c", m == &a ? good.ini() : bad.ini(), "--etcd-endpoints=https://172.30.0.1:2443",
                     "--etcd-cafile=" + certificates.file("ca.pem"),
                     "--etcd-certfile=" + certificates.file("client.pem"),
                     "--etcd-keyfile=" + certificates.file("client.key")});
    }
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    REQUIRE_MESSAGE(b.logs("authentication failed"), b.log());
    std::set<std::string> secrets{kPassword, "wr0ng-w0rd"};
    add_key(secrets, certificates.file("client.key"));
    add_key(secrets, certificates.file("server.key"));
    etcd.stop();
    CHECK(a.logs("registry request failed"));
    write_file(certificates.file("client.key"), file_text(certificates.file("server.key")));
    CHECK_MESSAGE(a.logs("the key does not belong to the certificate"), a.log());
    etcd.start();
    CHECK_MESSAGE(follows(etcd, a, 60s), a.log());
    let_token_expire();
    etcd.ctl({"del", kSubnetKeys + lease_name(a.subnet())});
    CHECK_MESSAGE(wait_until(10s, [&] { return !etcd.lease(lease_name(a.subnet())).empty(); }), a.log());

    const std::string passed = proxy.output();
    const std::string header = "Authorization: ";
    int tokens = 0;
    for (auto at = passed.find(header); at != std::string::npos; at = passed.find(header, at + 1)) {
      const auto begin = at + header.size();
      const std::string token = passed.substr(begin, passed.find_first_of("\r\n\\", begin) - begin);
      REQUIRE(token.size() > 8);
      tokens += secrets.insert(token).second ? 1 : 0;
    }
    CHECK(tokens >= 2);
    for (const std::string& secret : std::set<std::string>(secrets)) {
      const std::string encoded = base64(secret);
      secrets.insert(encoded.substr(0, encoded.size() / 4 * 4 - 4));  // the last ones depend on what follows
    }

    for (Machine* m : {&a, &b}) {
      const std::string process = "/proc/" + std::to_string(m->agent().pid());
      std::string seen = m->log() + file_text(process + "/cmdline") + file_text(process + "/environ") +
                         file_text(m->subnet_file());
      if (std::filesystem::exists(m->state_dir())) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(m->state_dir()))
          seen += file_text(entry.path());
      }
      for (const std::string& secret : secrets) {
        CAPTURE(secret);
        CHECK_FALSE(contains(seen, secret));
      }
    }
  }
}
