// SPDX-License-Identifier: Apache-2.0
// TLS against openssl's server, with certificates made on the spot.
#include <doctest/doctest.h>
#include <mbedtls/ssl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "flannelette/io/net_stream.hpp"
#include "support/means.hpp"
#include "support/poll.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace flannelette;
using namespace flannelette::io;

namespace {

#ifdef MBEDTLS_SSL_PROTO_TLS1_3
constexpr bool kHave13 = true;
#else
constexpr bool kHave13 = false;
#endif

void openssl(const std::string& arguments) {
  tests::must_run({.args = tests::words("openssl " + arguments)});
}

/// A CA "ca", another "other", and certificates of the first. Made once for all tests.
class Certificates {
 public:
  static const Certificates& get() {
    static const Certificates made;
    return made;
  }
  std::string file(const std::string& name) const { return dir_.file(name); }

 private:
  Certificates() {
    for (const char* ca : {"ca", "other"}) {
      key(ca, false);
      openssl("req -x509 -new -key " + file(ca) + ".key -subj /CN=test-" + ca + " -days 10 -out " + file(ca) +
              ".pem");
    }
    std::ofstream(file("ca.cnf"))
        << "[ca]\ndefault_ca=d\n[d]\nrand_serial=yes\nunique_subject=no\ndefault_md=sha256\npolicy=p\n"
           "copy_extensions=copyall\ndatabase="
        << file("index") << "\nnew_certs_dir=" << dir_.path() << "\ncertificate=" << file("ca.pem")
        << "\nprivate_key=" << file("ca.key") << "\n[p]\ncommonName=supplied\n";
    std::ofstream(file("index")) << "";
    const std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
    certificate("server", names, false);
    certificate("rsa", names, true);
    certificate("named", "DNS:etcd.example,IP:10.0.0.1,DNS:127.0.0.1", false);
    certificate("bare", "", false);
    certificate("expired", names, false, "20200101000000Z", "20210101000000Z");
    certificate("future", names, false, "20900101000000Z", "20910101000000Z");
    certificate("client", "", false);
    certificate("client-rsa", "", true);
    openssl("ec -aes128 -passout pass:x -in " + file("client.key") + " -out " + file("encrypted.key"));
    openssl("pkcs8 -topk8 -passout pass:x -in " + file("client.key") + " -out " + file("encrypted8.key"));
    std::ofstream(file("broken.pem")) << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::ofstream(file("large.pem")) << std::string(TlsContext::kMaxPem + 1, '\n');
  }
  void key(const std::string& name, bool rsa) {
    openssl((rsa ? "genrsa -out " : "ecparam -name prime256v1 -genkey -noout -out ") + file(name) + ".key");
  }
  void certificate(const std::string& name, const std::string& alternatives, bool rsa,
                   const std::string& from = "20200101000000Z",
                   const std::string& until = "20890101000000Z") {
    key(name, rsa);
    std::string request =
        "req -new -key " + file(name) + ".key -subj /CN=localhost -out " + file(name) + ".csr";
    if (!alternatives.empty()) request += " -addext subjectAltName=" + alternatives;
    openssl(request);
    openssl("ca -batch -notext -config " + file("ca.cnf") + " -in " + file(name) + ".csr -startdate " + from +
            " -enddate " + until + " -out " + file(name) + ".pem");
  }
  tests::TempDir dir_;
};

/// openssl s_server, which sends each line back reversed.
class Server {
 public:
  explicit Server(const std::string& certificate, const std::string& more = "")
      : process_({.args = tests::words("openssl s_server -rev -accept 127.0.0.1:0 -cert " +
                                       Certificates::get().file(certificate) + ".pem -key " +
                                       Certificates::get().file(certificate) + ".key " + more)}) {
    constexpr std::string_view kSign = "ACCEPT 127.0.0.1:";
    REQUIRE(tests::wait_until(std::chrono::seconds(10), [&] {
      const std::string output = process_.output();
      const std::size_t at = output.find(kSign);
      if (at == std::string::npos || output.find('\n', at) == std::string::npos) return false;
      port_ = static_cast<std::uint16_t>(std::stoi(output.substr(at + kSign.size())));
      return true;
    }));
  }
  std::uint16_t port() const { return port_; }

 private:
  tests::Process process_;
  std::uint16_t port_ = 0;
};

struct Collector final : Stream::Listener {
  void on_open() override { opened = true; }
  void on_data(std::string_view bytes) override { data += bytes; }
  void on_close(const Error& why) override {
    closed = true;
    error = why;
  }
  bool opened = false, closed = false;
  std::string data;
  Error error;
};

struct Client {
  Result<void> load(const std::string& ca, const std::string& client = "", const std::string& key = "") {
    const Certificates& certificates = Certificates::get();
    TlsSettings settings;
    if (!ca.empty()) settings.ca_file = std::string_view(certificates.file(ca));
    if (!client.empty()) settings.cert_file = std::string_view(certificates.file(client));
    if (!key.empty()) settings.key_file = std::string_view(certificates.file(key));
    return context.load(settings, files, &failed_path);
  }
  template <class Condition>
  bool until(Condition condition) {
    const Millis deadline = clock.now() + 10000;
    while (!condition()) {
      if (clock.now() > deadline) return false;
      REQUIRE(loop.step(20));
    }
    return true;
  }
  /// "ok" if a line came back through the session, else what went wrong.
  std::string talk(std::uint16_t port, const std::string& host = "127.0.0.1") {
    Endpoint endpoint;
    endpoint.tls = true;
    endpoint.host = std::string_view(host);
    endpoint.port = port;
    collector = {};
    stream.open(endpoint, collector);
    if (!until([&] { return collector.opened || collector.closed; })) return "stuck";
    if (collector.opened) {
      // TLS 1.3 learns only now what the server thinks of our certificate.
      (void)stream.write("olleh\n");
      if (!until([&] { return collector.data == "hello\n" || collector.closed; })) return "no answer";
    }
    if (!collector.closed) return "ok";
    if (collector.error.sys_errno <= 0) CHECK(collector.error.code == Code::kTls);
    return collector.error.context;
  }

  SystemClock clock;
  SystemFiles files;
  Loop loop{clock};
  TlsContext context;
  Text<Files::kMaxPath> failed_path;
  NetStream stream{loop, TcpSettings{}, context};
  Collector collector;
};

std::vector<std::string> versions() {
  std::vector<std::string> all{"-tls1_2"};
  if (kHave13) all.push_back("-tls1_3");
  return all;
}

std::string told(const Result<void>& result) { return result ? "ok" : result.error().context; }

constexpr const char* kWrongName = "the server's certificate is not valid for this name or address";

}  // namespace

TEST_SUITE("io/tls") {
  TEST_CASE("a CA alone is enough, for names and addresses, RSA and ECDSA") {
    REQUIRE_MEANS(program("openssl"));
    for (const std::string& version : versions()) {
      for (const char* certificate : {"server", "rsa"}) {
        CAPTURE(version);
        CAPTURE(certificate);
        Server server(certificate, version);
        Client client;
        REQUIRE(client.load("ca.pem"));
        CHECK(client.talk(server.port()) == "ok");
        CHECK(client.talk(server.port(), "localhost") == "ok");
      }
    }
  }

  TEST_CASE("the certificate must name what we connect to") {
    REQUIRE_MEANS(program("openssl"));
    for (const std::string& version : versions()) {
      CAPTURE(version);
      Client client;
      REQUIRE(client.load("ca.pem"));
      Server named("named", version);
      CHECK(client.talk(named.port()) == kWrongName);  // a dNSName that reads like the address does not count
      CHECK(client.talk(named.port(), "localhost") ==
            kWrongName);  // nor a common name beside alternative names
      Server bare("bare", version);
      CHECK(client.talk(bare.port()) == kWrongName);
      CHECK(client.talk(bare.port(), "localhost") == "ok");
    }
  }

  TEST_CASE("a certificate of another CA, an expired and a future one are refused, each in its own words") {
    REQUIRE_MEANS(program("openssl"));
    for (const std::string& version : versions()) {
      CAPTURE(version);
      Client client;
      REQUIRE(client.load("other.pem"));
      Server server("server", version);
      CHECK(client.talk(server.port()) == "the server's certificate is not signed by the configured CA");
      Client right;
      REQUIRE(right.load("ca.pem"));
      Server expired("expired", version);
      CHECK(right.talk(expired.port()) ==
            "the server's certificate or its CA has expired (is this clock right?)");
      Server future("future", version);
      CHECK(right.talk(future.port()) == "the server's certificate is not valid yet (is this clock right?)");
      CHECK(right.talk(server.port()) == "ok");
    }
  }

  TEST_CASE("a server that wants a client certificate") {
    REQUIRE_MEANS(program("openssl"));
    for (const std::string& version : versions()) {
      CAPTURE(version);
      Server server("server", version + " -Verify 1 -verify_return_error -CAfile " +
                                  Certificates::get().file("ca.pem"));
      for (const char* name : {"client", "client-rsa"}) {
        CAPTURE(name);
        Client client;
        REQUIRE(client.load("ca.pem", std::string(name) + ".pem", std::string(name) + ".key"));
        CHECK(client.talk(server.port()) == "ok");
      }
      Client without;
      REQUIRE(without.load("ca.pem"));
      const std::string words = without.talk(server.port());
      CAPTURE(words);
      CHECK(words.find("requires a client certificate") != std::string::npos);
      Client stranger;
      REQUIRE(stranger.load("ca.pem", "other.pem", "other.key"));
      const std::string refused = stranger.talk(server.port());
      CAPTURE(refused);
      CHECK(refused.find("client certificate") != std::string::npos);
    }
  }

  TEST_CASE("large amounts pass in both directions") {
    REQUIRE_MEANS(program("openssl"));
    for (const std::string& version : versions()) {
      CAPTURE(version);
      Server server("server", version);
      Client client;
      REQUIRE(client.load("ca.pem"));
      REQUIRE(client.talk(server.port()) == "ok");
      client.collector.data.clear();
      const std::string line = std::string(999, 'x') + "\n";
      std::size_t sent = 0;
      constexpr std::size_t kAll = 1'000'000;
      const bool all = client.until([&] {
        while (sent < kAll && client.stream.write(line)) sent += line.size();
        return client.collector.data.size() >= kAll || client.collector.closed;
      });
      CHECK(all);
      CHECK(client.collector.data.size() == kAll);
    }
  }

  TEST_CASE("a server with old versions only is refused") {
    REQUIRE_MEANS(program("openssl"));
    Server server("server", "-tls1_1 -cipher DEFAULT@SECLEVEL=0");
    Client client;
    REQUIRE(client.load("ca.pem"));
    CHECK(client.talk(server.port()) == "no TLS version in common with the server");
  }

  TEST_CASE("a server that speaks plain HTTP is told apart") {
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener.get(), 1) == 0);
    REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    Client client;
    REQUIRE(client.load("ca.pem"));
    Endpoint endpoint;
    endpoint.tls = true;
    endpoint.host = "127.0.0.1";
    endpoint.port = ntohs(address.sin_port);

    client.stream.open(endpoint, client.collector);
    UniqueFd connection;
    REQUIRE(client.until([&] {
      connection = UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      return static_cast<bool>(connection);
    }));
    SUBCASE("by its answer") {
      constexpr std::string_view kAnswer = "HTTP/1.1 400 Bad Request\r\n\r\n";
      REQUIRE(::send(connection.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL) > 0);
      REQUIRE(client.until([&] { return client.collector.closed; }));
      CHECK(std::string(client.collector.error.context) == "the server does not speak TLS on this port");
    }
    SUBCASE("by its silence") {
      char hello[4096];
      REQUIRE(client.until([&] { return ::recv(connection.get(), hello, sizeof hello, MSG_DONTWAIT) > 0; }));
      connection.reset();
      REQUIRE(client.until([&] { return client.collector.closed; }));
      CHECK(std::string(client.collector.error.context) ==
            "the server cut the connection (does it speak TLS on this port?)");
    }
  }

  TEST_CASE("a connection that ends without a goodbye is an error, not an end") {
    REQUIRE_MEANS(program("openssl"));
    auto server = std::make_unique<Server>("server", "-tls1_2");
    Client client;
    REQUIRE(client.load("ca.pem"));
    REQUIRE(client.talk(server->port()) == "ok");
    server.reset();  // killed
    REQUIRE(client.until([&] { return client.collector.closed; }));
    CHECK(client.collector.error.code == Code::kSystem);
  }

  TEST_CASE("settings that cannot work name the file and the reason") {
    REQUIRE_MEANS(program("openssl"));
    Client client;
    CHECK(told(client.load("")) == "ca file: https needs one");
    CHECK(told(client.load("missing.pem")) == "ca file: does not exist");
    CHECK(std::string_view(client.failed_path).ends_with("/missing.pem"));
    CHECK_FALSE(client.context.loaded());
    CHECK(told(client.load("broken.pem")) == "ca file: not a valid PEM certificate");
    CHECK(told(client.load("ca.key")) == "ca file: not a valid PEM certificate");
    CHECK(told(client.load("large.pem")) == "ca file: larger than 64 KiB");
    CHECK(told(client.load("ca.pem", "client.pem")) == "cert file and key file: both or none");
    CHECK(told(client.load("ca.pem", "", "client.key")) == "cert file and key file: both or none");
    CHECK(told(client.load("ca.pem", "broken.pem", "client.key")) ==
          "cert file: not a valid PEM certificate");
    CHECK(told(client.load("ca.pem", "client.pem", "client.pem")) == "key file: not a valid PEM private key");
    CHECK(told(client.load("ca.pem", "client.pem", "server.key")) ==
          "key file: does not belong to the certificate");
    for (const char* key : {"encrypted.key", "encrypted8.key"}) {
      CHECK(told(client.load("ca.pem", "client.pem", key)) ==
            "key file: the key is encrypted; store it without a password");
      CHECK(std::string_view(client.failed_path).ends_with(key));
    }
    CHECK(told(client.load("ca.pem", "client.pem", "client.key")) == "ok");
    CHECK(client.context.loaded());
    CHECK(client.failed_path.empty());
  }
}
