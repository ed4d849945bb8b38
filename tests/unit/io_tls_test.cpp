// SPDX-License-Identifier: Apache-2.0
// What a handshake accepts, what it refuses, and the words for it.
#include <mbedtls/ssl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "flannelette/io/calendar.hpp"
#include "unit/tls_harness.hpp"

using namespace flannelette;
using namespace flannelette::io;

namespace {

#ifdef MBEDTLS_SSL_PROTO_TLS1_3
constexpr bool kHave13 = true;
#else
constexpr bool kHave13 = false;
#endif

std::vector<std::string> versions() {
  std::vector<std::string> all{"-tls1_2"};
  if (kHave13) all.push_back("-tls1_3");
  return all;
}

std::string told(const Result<void>& result) { return result ? "ok" : result.error().context; }

constexpr const char* kWrongName =
    "the server's certificate is not valid for this name or address; valid for: ";

}  // namespace

TEST_SUITE("io/tls") {
  TEST_CASE("a CA alone is enough, for names and addresses, RSA and ECDSA") {
    REQUIRE_MEANS(program("openssl"));
    for (const std::string& version : versions()) {
      for (const char* certificate : {"server", "rsa", "rsa-by-rsa"}) {
        CAPTURE(version);
        CAPTURE(certificate);
        Server server(certificate, version);
        Client client;
        REQUIRE(client.load(certificate == std::string("rsa-by-rsa") ? "rsa-ca.pem" : "ca.pem"));
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
      const std::string wrong = std::string(kWrongName) + "etcd.example, 10.0.0.1, 127.0.0.1, fd00::1";
      CHECK(client.talk(named.port()) == wrong);  // a dNSName that reads like the address does not count
      CHECK(client.talk(named.port(), "localhost") == wrong);  // nor a common name beside alternative names
      Server bare("bare", version);
      const std::string no_names =
          "the server's certificate has no subjectAltName; its common name does not count";
      CHECK(client.talk(bare.port()) == no_names);
      CHECK(client.talk(bare.port(), "localhost") == no_names);
      Server many("many", version);
      const std::string words = client.talk(many.port());
      CHECK(words.starts_with(std::string(kWrongName) + "first.example, node-0.example, "));
      CHECK(words.ends_with(".example, ..."));
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
      // mbedTLS asks the machine's clock, our words the one of the test.
      right.clock.wall = unix_seconds(2050, 1, 31, 12, 0, 0);
      const std::string clock = "; the clock of this machine says 2050-01-31";
      Server expired("expired", version);
      CHECK(right.talk(expired.port()) == "the server's certificate has expired" + clock);
      Server future("future", version);
      CHECK(right.talk(future.port()) == "the server's certificate is not valid yet" + clock);
      CHECK(right.talk(server.port()) == "ok");
      Client old;
      old.clock.wall = right.clock.wall;
      REQUIRE(old.load("old-ca.pem"));
      Server by_old_ca("by-old-ca", version);
      CHECK(old.talk(by_old_ca.port()) == "the CA of the server's certificate has expired" + clock);
    }
  }

  TEST_CASE("a clock from before this program was built is named as the cause") {
    REQUIRE_MEANS(program("openssl"));
    // The certificate is what is wrong here, see above.
    Server future("future");
    Client client;
    REQUIRE(client.load("ca.pem"));
    client.clock.wall = 0;
    CHECK(client.talk(future.port()) ==
          "the server's certificate is not valid yet; the clock of this machine says 1970-01-01, before this "
          "program was built");
  }

  TEST_CASE("an IPv6 address is verified like any other") {
    REQUIRE_MEANS(program("openssl"));
    const UniqueFd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 loopback{};
    loopback.sin6_family = AF_INET6;
    loopback.sin6_addr = in6addr_loopback;
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback) != 0)
      SKIP("no ::1 here");
    Client client;
    REQUIRE(client.load("ca.pem"));
    Server server("server", "", "[::1]");
    CHECK(client.talk(server.port(), "::1") == "ok");
    Server named("named", "", "[::1]");
    CHECK(client.talk(named.port(), "::1").starts_with(kWrongName));
  }

  TEST_CASE("session tickets are read over") {
    REQUIRE_MEANS(program("openssl"));
    for (const std::string& version : versions()) {
      CAPTURE(version);
      Server server("server", version + (version == "-tls1_3" ? " -num_tickets 20" : ""));
      Client client;
      REQUIRE(client.load("ca.pem"));
      CHECK(client.talk(server.port()) == "ok");
      CHECK(client.talk_on() == "ok");
    }
  }

  TEST_CASE("a server that wants a client certificate") {
    REQUIRE_MEANS(program("openssl"));
    for (const std::string& version : versions()) {
      CAPTURE(version);
      Server server("server", version + Server::for_known_clients());
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
      Client late;
      REQUIRE(late.load("ca.pem", "client-expired.pem", "client-expired.key"));
      const std::string expired = late.talk(server.port());
      CAPTURE(expired);
      CHECK(expired.find("client certificate has expired") != std::string::npos);
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
    // Before TLS 1.2 there is no cipher that we take, either: mbedTLS 2.28 lets OpenSSL find that first.
    const std::string words = client.talk(server.port());
    CHECK_MESSAGE((words == "no TLS version in common with the server" ||
                   words.starts_with("the server ended the handshake: no cipher in common")),
                  words);
  }

  TEST_CASE("weak keys, rare curves and old ciphers are refused with every mbedTLS") {
    REQUIRE_MEANS(program("openssl"));
    const std::string weak = " -cipher DEFAULT@SECLEVEL=0";
    Client client;
    REQUIRE(client.load("ca.pem"));
    for (const std::string& version : versions()) {
      CAPTURE(version);
      for (const char* curve : {"X25519", "P-256", "P-384", "P-521"}) {
        CAPTURE(curve);
        Server server("server", version + " -curves " + curve);
        CHECK(client.talk(server.port()) == "ok");
      }
      for (const char* certificate : {"p384", "p521"}) {
        Server server(certificate, version);
        CHECK(client.talk(server.port()) == "ok");
      }
      Server rsa1024("rsa1024", version + weak);
      CHECK(client.talk(rsa1024.port()) == "the server's certificate uses a weak key or hash");
    }
    Server secp256k1("secp256k1", "-tls1_2" + weak);
    CHECK(client.talk(secp256k1.port()).find("no cipher in common") != std::string::npos);
    Server rare("server", "-tls1_2 -curves secp224r1" + weak);
    CHECK(client.talk(rare.port()).find("no cipher in common") != std::string::npos);
    for (const char* cipher : {"ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384",
                               "ECDHE-ECDSA-CAMELLIA128-SHA256", "ECDHE-ECDSA-AES128-CCM"}) {
      CAPTURE(cipher);
      Server server("server", "-tls1_2 -cipher " + std::string(cipher) + ":@SECLEVEL=0");
      CHECK(client.talk(server.port()).find("no cipher in common") != std::string::npos);
    }
    Server no_forward_secrecy("rsa", "-tls1_2 -cipher AES128-GCM-SHA256:@SECLEVEL=0");
    CHECK(client.talk(no_forward_secrecy.port()).find("no cipher in common") != std::string::npos);
  }

  TEST_CASE("ChaCha20 is preferred where there are no instructions for AES") {
    REQUIRE_MEANS(program("openssl"));
    bool aes = false;
#if defined(MBEDTLS_AESNI_C) && defined(__x86_64__)
    aes = __builtin_cpu_supports("aes") != 0;
#elif defined(MBEDTLS_AESCE_C)
    SKIP("not known here");
#endif
    Server server("server", "-tls1_2");
    Client client;
    REQUIRE(client.load("ca.pem"));
    REQUIRE(client.talk(server.port()) == "ok");
    CHECK_MESSAGE(server.output().find(aes ? "ECDHE-ECDSA-AES128-GCM-SHA256"
                                           : "ECDHE-ECDSA-CHACHA20-POLY1305") != std::string::npos,
                  server.output());
  }

  TEST_CASE("a certificate that is not meant for what it is used for is named as such") {
    REQUIRE_MEANS(program("openssl"));
    for (const std::string& version : versions()) {
      CAPTURE(version);
      Client client;
      REQUIRE(client.load("ca.pem"));
      Server for_clients("for-clients", version);
      CHECK(client.talk(for_clients.port()) ==
            "the server's certificate is not meant for servers: its extended key usage has no serverAuth");
      Server server("server", version + Server::for_known_clients());
      Client wrong;
      REQUIRE(wrong.load("ca.pem", "for-servers.pem", "for-servers.key"));
      CHECK(wrong.talk(server.port()) ==
            "the server refused our client certificate, whose extended key usage has no clientAuth");
      Client right;
      REQUIRE(right.load("ca.pem", "for-clients.pem", "for-clients.key"));
      CHECK(right.talk(server.port()) == "ok");
    }
  }

  TEST_CASE("a certificate or key of a kind that is not supported is not called broken") {
    REQUIRE_MEANS(program("openssl"));
    Client client;
    const std::string key = "its key is of a kind, curve or size that is not supported";
    const std::string extension = "it has an extension that cannot be used";
    CHECK(told(client.load("odd.pem")) == extension);
    CHECK(told(client.load("ed25519.pem")) == key);
    CHECK(told(client.load("ca.pem", "ed25519.pem", "ed25519.key")) == key);
    CHECK(std::string_view(client.failed_path).ends_with("/ed25519.pem"));
    CHECK(told(client.load("ca.pem", "client.pem", "ed25519.key")) == key);
    CHECK(std::string_view(client.failed_path).ends_with("/ed25519.key"));
    REQUIRE(client.load("ca.pem"));
    Server odd("odd");
    CHECK(client.talk(odd.port()) == "the server's certificate cannot be used; " + extension);
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
    CHECK(told(client.load("")) == "https needs a CA file");
    CHECK(told(client.load("missing.pem")) == "there is no such file");
    CHECK(std::string_view(client.failed_path).ends_with("/missing.pem"));
    CHECK_FALSE(client.context.loaded());
    CHECK(told(client.load("broken.pem")) == "not a valid PEM certificate");
    CHECK(told(client.load("ca.key")) == "not a valid PEM certificate");
    CHECK(told(client.load("large.pem")) == "larger than 1 MiB");
    CHECK(std::string_view(client.failed_path).ends_with("/large.pem"));
    const std::string both = "a client certificate and its key: both or none";
    CHECK(told(client.load("ca.pem", "client.pem")) == both);
    CHECK(told(client.load("ca.pem", "", "client.key")) == both);
    CHECK(told(client.load("ca.pem", "broken.pem", "client.key")) == "not a valid PEM certificate");
    CHECK(told(client.load("ca.pem", "client.pem", "client.pem")) == "not a valid PEM private key");
    CHECK(told(client.load("ca.pem", "client.pem", "server.key")) ==
          "the key does not belong to the certificate");
    CHECK(std::string_view(client.failed_path).ends_with("/server.key"));
    for (const char* key : {"encrypted.key", "encrypted8.key"}) {
      CHECK(told(client.load("ca.pem", "client.pem", key)) ==
            "the key is encrypted; store it without a password");
      CHECK(std::string_view(client.failed_path).ends_with(key));
    }
    CHECK(told(client.load("ca.pem", "client.pem", "client.key")) == "ok");
    CHECK(client.context.loaded());
    CHECK(client.failed_path.empty());
  }
}
