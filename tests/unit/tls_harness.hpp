// SPDX-License-Identifier: Apache-2.0
// TLS against openssl's server, with certificates made on the spot, under a clock that the test moves.
#pragma once

#include <doctest/doctest.h>

#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "flannelette/io/net_stream.hpp"
#include "flannelette/io/tls_files.hpp"
#include "support/loop.hpp"
#include "support/means.hpp"
#include "support/poll.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

namespace flannelette::io {

inline void openssl(const std::string& arguments) {
  tests::must_run({.args = tests::words("openssl " + arguments)}, std::chrono::seconds(30));
}

/// A date as openssl takes it, so many days and an hour after the first call.
inline std::string in_days(int days) {
  static const std::time_t begin = std::time(nullptr) + 3600;
  const std::time_t when = begin + days * 86400;
  std::tm tm{};
  ::gmtime_r(&when, &tm);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &tm);
  return text;
}

/// NAME.pem and NAME.key. CAs: "ca", "other", "rsa-ca", "short-ca" (ends in 10 days), "old-ca" (has ended).
/// The rest is signed by "ca", unless its name says another one. Made once for all tests.
class Certificates {
 public:
  static constexpr const char* kLongAgo = "20200101000000Z";
  static constexpr const char* kFarAway = "20890101000000Z";

  static const Certificates& get() {
    static const Certificates made;
    return made;
  }
  std::string file(const std::string& name) const { return dir_.file(name); }

 private:
  Certificates() {
    std::ofstream(file("index")) << "";
    for (const char* ca : {"ca", "other"}) authority(ca, false, kFarAway);
    authority("rsa-ca", true, kFarAway);
    authority("short-ca", false, in_days(10));
    authority("old-ca", false, "20210101000000Z");

    const std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
    certificate("server", names);
    certificate("rsa", names, true);
    certificate("rsa-by-rsa", names, true, kLongAgo, kFarAway, "rsa-ca");
    certificate("by-short-ca", names, false, kLongAgo, kFarAway, "short-ca");
    certificate("by-old-ca", names, false, kLongAgo, kFarAway, "old-ca");
    certificate("named", "DNS:etcd.example,IP:10.0.0.1,DNS:127.0.0.1,IP:fd00::1");
    certificate("many", many_names());
    certificate("bare", "");
    certificate("expired", names, false, kLongAgo, "20210101000000Z");
    certificate("future", names, false, "20900101000000Z", "20910101000000Z");
    certificate("client", "");
    certificate("client-rsa", "", true);
    certificate("client-short", "", false, kLongAgo, in_days(10));
    certificate("client-expired", "", false, kLongAgo, in_days(-3));
    const std::string curve = "ecparam -genkey -noout -name ", san = " -addext subjectAltName=" + names;
    special("p384", curve + "secp384r1", san);
    special("p521", curve + "secp521r1", san);
    special("secp256k1", curve + "secp256k1", san);
    special("rsa1024", "genrsa 1024", san);
    special("ed25519", "genpkey -algorithm ed25519", san);
    special("odd", curve + "prime256v1", san + " -addext 1.2.3.4=critical,ASN1:NULL");
    special("for-clients", curve + "prime256v1", san + " -addext extendedKeyUsage=clientAuth");
    special("for-servers", curve + "prime256v1", san + " -addext extendedKeyUsage=serverAuth");
    openssl("ec -aes128 -passout pass:x -in " + file("client.key") + " -out " + file("encrypted.key"));
    openssl("pkcs8 -topk8 -passout pass:x -in " + file("client.key") + " -out " + file("encrypted8.key"));
    std::ofstream(file("broken.pem")) << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::ofstream(file("large.pem")) << std::string(TlsContext::kMaxPem + 1, '\n');
  }
  static std::string many_names() {
    std::string all = "DNS:first.example";
    for (int i = 0; i < 40; ++i) all += ",DNS:node-" + std::to_string(i) + ".example";
    return all;
  }
  std::string configuration(const std::string& ca) const {
    std::ofstream(file(ca + ".cnf"))
        << "[ca]\ndefault_ca=d\n[d]\nrand_serial=yes\nunique_subject=no\ndefault_md=sha256\npolicy=p\n"
           "copy_extensions=copyall\ndatabase="
        << file("index") << "\nnew_certs_dir=" << dir_.path() << "\ncertificate=" << file(ca + ".pem")
        << "\nprivate_key=" << file(ca + ".key") << "\n[p]\ncommonName=supplied\n";
    return file(ca + ".cnf");
  }
  void request(const std::string& name, const std::string& subject, const std::string& more, bool rsa) const {
    openssl((rsa ? "genrsa -out " : "ecparam -name prime256v1 -genkey -noout -out ") + file(name) + ".key");
    openssl("req -new -key " + file(name) + ".key -subj " + subject + " -out " + file(name) + ".csr" + more);
  }
  void sign(const std::string& name, const std::string& ca, const std::string& more) const {
    openssl("ca -batch -notext -config " + configuration(ca) + " -in " + file(name) + ".csr -out " +
            file(name) + ".pem" + more);
  }
  void authority(const std::string& name, bool rsa, const std::string& until) const {
    request(name, "/CN=test-" + name, " -addext basicConstraints=critical,CA:TRUE", rsa);
    sign(name, name, std::string(" -selfsign -startdate ") + kLongAgo + " -enddate " + until);
  }
  void certificate(const std::string& name, const std::string& alternatives, bool rsa = false,
                   const std::string& from = kLongAgo, const std::string& until = kFarAway,
                   const std::string& ca = "ca") const {
    request(name, "/CN=localhost", alternatives.empty() ? "" : " -addext subjectAltName=" + alternatives,
            rsa);
    sign(name, ca, " -startdate " + from + " -enddate " + until);
  }
  /// What the command `key` makes, with these extensions.
  void special(const std::string& name, const std::string& key, const std::string& more) const {
    const std::size_t verb = key.find(' ');
    openssl(key.substr(0, verb) + " -out " + file(name + ".key") + key.substr(verb));
    openssl("req -new -key " + file(name) + ".key -subj /CN=localhost -out " + file(name) + ".csr" + more);
    sign(name, "ca", std::string(" -startdate ") + kLongAgo + " -enddate " + kFarAway);
  }
  tests::TempDir dir_;
};

/// openssl s_server, which sends each line back reversed.
class Server {
 public:
  explicit Server(const std::string& certificate, const std::string& more = "",
                  const std::string& address = "127.0.0.1")
      : process_({.args = tests::words("openssl s_server -rev -accept " + address + ":0 -cert " +
                                       Certificates::get().file(certificate) + ".pem -key " +
                                       Certificates::get().file(certificate) + ".key " + more)}) {
    const std::string sign = "ACCEPT " + address + ":";
    REQUIRE_MESSAGE(
        tests::wait_until(std::chrono::seconds(10),
                          [&] {
                            const std::string output = process_.output();
                            const std::size_t at = output.find(sign);
                            if (at == std::string::npos || output.find('\n', at) == std::string::npos)
                              return false;
                            port_ = static_cast<std::uint16_t>(std::stoi(output.substr(at + sign.size())));
                            return true;
                          }),
        process_.output());
  }
  std::uint16_t port() const { return port_; }
  std::string output() const { return process_.output(); }

  /// Arguments of a server that lets in only who has a certificate of "ca".
  static std::string for_known_clients() {
    return " -Verify 1 -verify_return_error -CAfile " + Certificates::get().file("ca.pem");
  }

 private:
  tests::Process process_;
  std::uint16_t port_ = 0;
};

struct Collector final : Stream::Listener {
  void on_open() override { opened = true; }
  void on_data(std::string_view bytes) override { data += bytes; }
  void on_close(const Error& why, std::string_view more) override {
    closed = true;
    error = why;
    detail = more;
  }
  bool opened = false, closed = false;
  std::string data;
  Error error;
  std::string detail;
};

struct NoLog final : LogSink {
  void line(Level, std::string_view) override {}
};

/// The machine's clocks, moved by the test.
struct MovableClock final : Clock {
  Millis now() const override { return SystemClock().now() + moved; }
  std::int64_t wall_seconds() const override { return wall >= 0 ? wall : SystemClock().wall_seconds(); }
  Millis moved = 0;
  std::int64_t wall = -1;  ///< not negative: this instead of the machine's
};

/// What a context told.
struct Told final : TlsContext::Listener {
  void on_changed() override { ++changed; }
  void on_unusable(std::string_view path, const Error& error) override {
    add(unusable, std::string(path.substr(path.rfind('/') + 1)) + ": " + error.context);
  }
  void on_expiry(const TlsContext::Expiry& expiry) override {
    add(expiries, std::string(expiry.path.substr(expiry.path.rfind('/') + 1)) + " " +
                      std::to_string(expiry.days_left) + " " + std::string(expiry.date.view()));
  }
  int changed = 0;
  std::string unusable, expiries;  ///< the lines, with semicolons between

 private:
  static void add(std::string& lines, const std::string& line) {
    lines += (lines.empty() ? "" : "; ") + line;
  }
};

struct Client {
  /// Names of files of the Certificates, or absolute paths.
  Result<void> load(const std::string& ca, const std::string& client = "", const std::string& key = "") {
    settings.ca_file = std::string_view(path(ca));
    settings.cert_file = std::string_view(path(client));
    settings.key_file = std::string_view(path(key));
    return context.load(tls_files, failed_path);
  }
  static std::string path(const std::string& name) {
    return name.empty() || name[0] == '/' ? name : Certificates::get().file(name);
  }
  template <class Condition>
  bool until(Condition condition) {
    return tests::run_until(loop, condition);
  }
  /// Lets time pass, and what is due happen.
  void wait(Millis time) {
    clock.moved += time;
    REQUIRE(loop.step(0));
  }
  /// "ok" if a line came back through the session, else what went wrong. It stays open.
  std::string talk(std::uint16_t port, const std::string& host = "127.0.0.1") {
    Endpoint endpoint;
    endpoint.tls = true;
    endpoint.host = std::string_view(host);
    endpoint.port = port;
    collector = {};
    stream.open(endpoint, collector);
    if (!until([&] { return collector.opened || collector.closed; })) return "stuck";
    // TLS 1.3 learns only now what the server thinks of our certificate.
    return collector.opened ? talk_on() : end();
  }
  /// The same through the session that is open.
  std::string talk_on() {
    collector.data.clear();
    (void)stream.write("olleh\n");
    if (!until([&] { return collector.data == "hello\n" || collector.closed; })) return "no answer";
    return collector.closed ? end() : "ok";
  }
  std::string end() {
    if (collector.error.sys_errno <= 0) CHECK(collector.error.code == Code::kTls);
    return collector.error.context + (collector.detail.empty() ? "" : "; " + collector.detail);
  }

  MovableClock clock;
  SystemFiles files;
  Loop loop{clock};
  Told told;
  TlsSettings settings;
  TlsFiles tls_files{files, settings};
  TlsContext context{loop, clock, told};
  TlsMaterial::Place failed_path;
  NoLog no_log;
  Log log{no_log, clock};
  NetStream stream{loop, TcpSettings{}, context, log};
  Collector collector;
};

}  // namespace flannelette::io
