// SPDX-License-Identifier: Apache-2.0
// Peers that send without end: the loop's timers and signals get their turn, and the connection its end.
#include <mbedtls/ssl.h>
#if defined(MBEDTLS_SSL_SRV_C) && defined(MBEDTLS_ENTROPY_C) && defined(MBEDTLS_CTR_DRBG_C)
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#define HAVE_SERVER 1
#endif

#include <cerrno>

#include "support/cpu_time.hpp"
#include "support/flood.hpp"
#include "unit/tls_harness.hpp"

using namespace flannelette;
using namespace flannelette::io;
using namespace std::chrono_literals;
using flannelette::tests::ForkingServer;

namespace {

const std::string kHandshakeWords = "the server sent more than 64 KiB before the handshake was done";
const std::string kReadWords = "the server sent more than 32 KiB of TLS records without data";

/// How long a server floods. What ends sooner was ended by us.
constexpr auto kFlood = 3s;

/// Steps the loop until the stream is closed; the most CPU time that one turn took.
std::chrono::nanoseconds longest_turn(Client& client) {
  using Clock = std::chrono::steady_clock;
  std::chrono::nanoseconds longest{0};
  const auto end = Clock::now() + 10s;
  while (!client.collector.closed && Clock::now() < end) {
    const auto before = tests::cpu_time();
    REQUIRE(client.loop.step(20));
    longest = std::max(longest, tests::cpu_time() - before);
  }
  return longest;
}

void open(Client& client, std::uint16_t port, bool tls = true) {
  Endpoint endpoint;
  endpoint.tls = tls;
  endpoint.host = "127.0.0.1";
  endpoint.port = port;
  client.stream.open(endpoint, client.collector);
}

#ifdef HAVE_SERVER
int send_all(void* fd, const unsigned char* bytes, std::size_t size) {
  const ssize_t sent = ::send(*static_cast<int*>(fd), bytes, size, MSG_NOSIGNAL);
  return sent >= 0 ? static_cast<int>(sent) : MBEDTLS_ERR_SSL_CONN_EOF;
}
int receive_some(void* fd, unsigned char* bytes, std::size_t size) {
  const ssize_t got = ::recv(*static_cast<int*>(fd), bytes, size, 0);
  return got >= 0 ? static_cast<int>(got) : MBEDTLS_ERR_SSL_CONN_EOF;
}

/// A TLS server whose handshake succeeds, and which then sends `alert_count` warnings, encrypted, and a line,
/// `times` times.
void warn_after_handshake(int connection, int alert_count, int times) {
  mbedtls_ssl_context ssl;
  mbedtls_ssl_config config;
  mbedtls_x509_crt certificate;
  mbedtls_pk_context key;
  mbedtls_entropy_context entropy;
  mbedtls_ctr_drbg_context random;
  mbedtls_ssl_init(&ssl);
  mbedtls_ssl_config_init(&config);
  mbedtls_x509_crt_init(&certificate);
  mbedtls_pk_init(&key);
  mbedtls_entropy_init(&entropy);
  mbedtls_ctr_drbg_init(&random);
  int bad = mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, nullptr, 0);
  bad |= mbedtls_x509_crt_parse_file(&certificate, Certificates::get().file("server.pem").c_str());
#if MBEDTLS_VERSION_MAJOR >= 3
  bad |= mbedtls_pk_parse_keyfile(&key, Certificates::get().file("server.key").c_str(), nullptr,
                                  mbedtls_ctr_drbg_random, &random);
#else
  bad |= mbedtls_pk_parse_keyfile(&key, Certificates::get().file("server.key").c_str(), nullptr);
#endif
  bad |= mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                     MBEDTLS_SSL_PRESET_DEFAULT);
  mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
  bad |= mbedtls_ssl_conf_own_cert(&config, &certificate, &key);
  bad |= mbedtls_ssl_setup(&ssl, &config);
  mbedtls_ssl_set_bio(&ssl, &connection, send_all, receive_some, nullptr);
  if (bad != 0 || mbedtls_ssl_handshake(&ssl) != 0) return;
  for (int time = 0; time < times; ++time) {
    for (int i = 0; i < alert_count; ++i) {
      if (mbedtls_ssl_send_alert_message(&ssl, MBEDTLS_SSL_ALERT_LEVEL_WARNING, 0x5a) != 0) return;
    }
    mbedtls_ssl_write(&ssl, reinterpret_cast<const unsigned char*>("line\n"), 5);
  }
  unsigned char end;
  mbedtls_ssl_read(&ssl, &end, 1);
}
#endif

}  // namespace

TEST_SUITE("io/flood") {
  TEST_CASE("a server that floods before the handshake is done is left, and holds nobody up") {
    REQUIRE_MEANS(program("openssl"));
    for (const std::string& record : {tests::kWarningAlert, tests::kChangeCipherSpec}) {
      CAPTURE(record.size());
      ForkingServer server("127.0.0.1", 0, [&](int c) { tests::flood(c, record, kFlood); });
      Client client;
      REQUIRE(client.load("ca.pem"));
      open(client, server.port());
      CHECK(longest_turn(client) < 500ms);
      CHECK_FALSE(client.collector.opened);
      // mbedTLS 2.28 takes no ChangeCipherSpec before the hello.
      if (client.end() != "the TLS handshake failed") CHECK(client.end() == kHandshakeWords);
      if (record == tests::kWarningAlert) CHECK(client.end() == kHandshakeWords);
    }
  }

  TEST_CASE("a server that floods after the handshake is left, and holds nobody up") {
    REQUIRE_MEANS(program("openssl"));
#ifdef HAVE_SERVER
    ForkingServer server("127.0.0.1", 0, [](int c) { warn_after_handshake(c, 300'000, 1); });
    Client client;
    REQUIRE(client.load("ca.pem"));
    open(client, server.port());
    REQUIRE(client.until([&] { return client.collector.opened || client.collector.closed; }));
    REQUIRE(client.collector.opened);
    CHECK(longest_turn(client) < 500ms);
    CHECK(client.end() == kReadWords);
    CHECK(client.collector.data.empty());
#else
    SKIP("this mbedTLS has no server");
#endif
  }

  TEST_CASE("some records without data are legitimate, again after each piece of data") {
    REQUIRE_MEANS(program("openssl"));
#ifdef HAVE_SERVER
    ForkingServer server("127.0.0.1", 0, [](int c) { warn_after_handshake(c, 500, 5); });
    Client client;
    REQUIRE(client.load("ca.pem"));
    open(client, server.port());
    const std::string all = "line\nline\nline\nline\nline\n";
    CHECK(client.until([&] { return client.collector.data == all || client.collector.closed; }));
    CHECK(client.collector.data == all);
#else
    SKIP("this mbedTLS has no server");
#endif
  }

  TEST_CASE("a peer without TLS that sends without end gets one read a turn") {
    ForkingServer server("127.0.0.1", 0, [](int c) { tests::flood(c, std::string(1000, 'x'), kFlood); });
    Client client;
    struct Beat {
      void on_timer() {
        ++beats;
        timer.arm_in(0);
      }
      int beats = 0;
      Timer timer;
      explicit Beat(Loop& loop) : timer(loop, Delegate<void()>::to<&Beat::on_timer>(this)) {
        timer.arm_in(0);
      }
    } beat(client.loop);
    open(client, server.port(), false);
    std::size_t most = 0;
    std::size_t all = 0;
    int turns = 0;
    REQUIRE(client.until([&] {
      ++turns;
      most = std::max(most, client.collector.data.size());
      all += std::exchange(client.collector.data, {}).size();
      return all > 10'000'000;
    }));
    CHECK(most <= 16 * 1024);
    CHECK(beat.beats >= turns - 1);
  }
}
