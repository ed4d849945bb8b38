// SPDX-License-Identifier: Apache-2.0
// The files of TLS while the program runs: they change, break, end.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "flannelette/io/calendar.hpp"
#include "io/tls_words.hpp"
#include "unit/tls_harness.hpp"

using namespace flannelette;
using namespace flannelette::io;

namespace {

namespace fs = std::filesystem;

constexpr Millis kHour = 3'600'000;

std::string text_of_file(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// ca.pem, client.pem and client.key in a directory of their own, which the test changes.
struct Folder {
  explicit Folder(const std::string& client) {
    put("ca.pem", "ca.pem");
    identity(client);
  }
  std::string file(const std::string& name) const { return dir.file(name); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(file(name)) << text; }
  void put(const std::string& name, const std::string& of) const { write(name, original(of)); }
  void identity(const std::string& of) const {
    put("client.pem", of + ".pem");
    put("client.key", of + ".key");
  }
  static std::string original(const std::string& name) {
    return text_of_file(Certificates::get().file(name));
  }
  Result<void> load(Client& client) const {
    return client.load(file("ca.pem"), file("client.pem"), file("client.key"));
  }
  tests::TempDir dir;
};

/// Files whose server goes by a name of its own.
struct NamedMaterial final : TlsMaterial {
  explicit NamedMaterial(TlsFiles& any_files) : files(any_files) {}
  std::uint64_t digest() override { return files.digest() + server.size(); }
  Result<std::string_view> read(TlsPart part, std::span<char> memory, Place& place) override {
    return files.read(part, memory, place);
  }
  std::string_view name(TlsPart part) const override { return files.name(part); }
  std::string_view server_name() const override { return server; }
  TlsFiles& files;
  std::string server;
};

/// The server does not know the CA of "other".
constexpr const char* kStranger = "other";

}  // namespace

TEST_SUITE("io/tls files") {
  TEST_CASE("a changed certificate serves the next connection, however it was changed") {
    REQUIRE_MEANS(program("openssl"));
    Server server("server", Server::for_known_clients());
    Client client;
    const Folder folder(kStranger);
    const auto swap = [&](const char* of) { folder.identity(of); };
    const auto swap_by_rename = [&](const char* of) {
      for (const std::string end : {".pem", ".key"}) {
        folder.put("new" + end, of + end);
        fs::rename(folder.file("new" + end), folder.file("client" + end));
      }
    };
    // As Kubernetes mounts a secret: the files are links into a folder that is itself a link.
    const auto swap_folder = [&](const char* of) {
      const fs::path next = folder.file(std::string("..") + of);
      fs::create_directory(next);
      for (const std::string end : {".pem", ".key"}) {
        folder.put(std::string("..") + of + "/client" + end, of + end);
        fs::remove(folder.file("client" + end));
        fs::create_symlink("..data/client" + end, folder.file("client" + end));
      }
      fs::create_symlink(next.filename(), folder.file("..data_tmp"));
      fs::rename(folder.file("..data_tmp"), folder.file("..data"));
    };
    for (int way = 0; way < 3; ++way) {
      CAPTURE(way);
      const auto put = [&](const char* of) {
        if (way == 0) swap(of);
        if (way == 1) swap_by_rename(of);
        if (way == 2) swap_folder(of);
      };
      Client one;
      put(kStranger);
      REQUIRE(folder.load(one));
      CHECK(one.talk(server.port()).find("client certificate") != std::string::npos);
      put("client");
      CHECK(one.talk(server.port()) == "ok");
      CHECK(one.told.changed == 1);
      put("client-rsa");
      CHECK(one.talk(server.port()) == "ok");
      CHECK(one.told.changed == 2);
      CHECK(one.told.unusable.empty());
    }
  }

  TEST_CASE("a changed CA serves the next connection") {
    REQUIRE_MEANS(program("openssl"));
    Server server("server");
    const Folder folder("client");
    folder.put("ca.pem", "other.pem");
    Client client;
    REQUIRE(folder.load(client));
    CHECK(client.talk(server.port()) == "the server's certificate is not signed by the configured CA");
    folder.write("ca.pem", Folder::original("other.pem") + Folder::original("ca.pem"));
    CHECK(client.talk(server.port()) == "ok");
  }

  TEST_CASE("what cannot be used is told once, and the old files serve until it can") {
    REQUIRE_MEANS(program("openssl"));
    Server server("server", Server::for_known_clients());
    const Folder folder("client");
    Client client;
    REQUIRE(folder.load(client));
    const std::string ca = Folder::original("ca.pem");
    const std::string pem = Folder::original("client-rsa.pem");
    struct Case {
      const char* file;
      std::string text;
      const char* words;
    };
    const Case cases[] = {
        {"client.pem", pem, "client.key: the key does not belong to the certificate"},
        {"client.pem", pem.substr(0, pem.size() / 2), "client.pem: the end of the file is missing"},
        {"client.key", "", "client.key: not a valid PEM private key"},
        {"ca.pem", "", "ca.pem: not a valid PEM certificate"},
        {"ca.pem", ca + ca.substr(0, ca.size() / 2), "ca.pem: the end of the file is missing"},
    };
    for (const Case& c : cases) {
      CAPTURE(c.words);
      client.told.unusable.clear();
      const std::string before = text_of_file(folder.file(c.file));
      folder.write(c.file, c.text);
      for (int i = 0; i < 3; ++i) {
        CHECK(client.talk(server.port()) == "ok");
      }
      CHECK(client.told.unusable == c.words);
      folder.write(c.file, before);  // and here it is as it was, of which nothing is told
      CHECK(client.talk(server.port()) == "ok");
    }
    client.told.unusable.clear();
    fs::remove(folder.file("client.key"));
    CHECK(client.talk(server.port()) == "ok");
    CHECK(client.told.unusable == "client.key: there is no such file");
    CHECK(client.told.changed == 0);
    folder.identity("client-rsa");
    CHECK(client.talk(server.port()) == "ok");
    CHECK(client.told.changed == 1);
  }

  TEST_CASE("a FIFO or a device in the place of a file is named, at start and while the agent runs") {
    REQUIRE_MEANS(program("openssl"));
    const Folder folder("client");
    const auto replace_by_fifo = [&](const char* name) {
      fs::remove(folder.file(name));
      REQUIRE(::mkfifo(folder.file(name).c_str(), 0600) == 0);
    };
    Server server("server");
    Client client;
    REQUIRE(folder.load(client));
    replace_by_fifo("client.key");
    CHECK(client.talk(server.port()) == "ok");
    CHECK(client.told.unusable == "client.key: a FIFO, not a regular file");

    Client second;
    const auto failed = folder.load(second);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().context == std::string_view("a FIFO, not a regular file"));
    const auto endless = Client().load("/dev/zero", folder.file("client.pem"), folder.file("client.key"));
    REQUIRE_FALSE(endless);
    CHECK(endless.error().context == std::string_view("a device, not a regular file"));
  }

  TEST_CASE("files are looked at when asked for, and what is unusable is told again then") {
    REQUIRE_MEANS(program("openssl"));
    const Folder folder("client");
    Client client;
    client.context.reload();  // not loaded: nothing
    REQUIRE(folder.load(client));
    client.context.reload();
    CHECK(client.told.changed == 0);
    folder.write("client.key", "");
    client.context.reload();
    client.context.reload();
    const std::string words = "client.key: not a valid PEM private key";
    CHECK(client.told.unusable == words + "; " + words);
    folder.identity("client-rsa");
    client.context.reload();
    CHECK(client.told.changed == 1);
  }

  TEST_CASE("an open connection goes on with the files that it began with") {
    REQUIRE_MEANS(program("openssl"));
    Server server("server"), second("server");
    const Folder folder("client");
    Client client;
    REQUIRE(folder.load(client));
    NetStream other(client.loop, TcpSettings{}, client.context, client.log);
    for (const char* next : {"client-rsa", "client", "client-rsa"}) {
      REQUIRE(client.talk(server.port()) == "ok");
      folder.identity(next);
      Collector others;
      Endpoint to;
      to.tls = true;
      to.host = "127.0.0.1";
      to.port = second.port();
      other.open(to, others);
      REQUIRE(client.until([&] { return others.opened; }));
      CHECK(client.talk_on() == "ok");
      client.stream.close();
    }
    CHECK(client.told.changed == 3);
  }

  TEST_CASE("the server is asked for, and verified, by the material's name for it where there is one") {
    REQUIRE_MEANS(program("openssl"));
    Server named("named", "-servername etcd.example -cert2 " + Certificates::get().file("server.pem") +
                              " -key2 " + Certificates::get().file("server.key"));
    Client client;
    client.settings.ca_file = std::string_view(Client::path("ca.pem"));
    NamedMaterial material(client.tls_files);
    REQUIRE(client.context.load(material, client.failed_path));
    const std::string none_of_them =
        "the server's certificate is not valid for this name or address; "
        "valid for: etcd.example, 10.0.0.1, 127.0.0.1, fd00::1";
    CHECK(client.talk(named.port()) == none_of_them);  // the address is no address in it
    material.server = "10.0.0.1";
    CHECK(client.talk(named.port()) == "ok");
    material.server = "other.example.";
    CHECK(client.talk(named.port()) == none_of_them);
    material.server = "etcd.example";  // to which the server answers with its other certificate
    CHECK(client.talk(named.port()).find("valid for: localhost") != std::string::npos);
    material.server = "localhost";
    CHECK(client.talk(named.port()) == none_of_them);
    material.server = "";
    CHECK(client.talk(named.port()) == none_of_them);
    CHECK(client.told.changed == 5);
    CHECK(client.told.unusable.empty());
  }

  TEST_CASE("a material that cannot be read any more is named with its place, and the old one serves") {
    REQUIRE_MEANS(program("openssl"));
    struct Broken final : TlsMaterial {
      std::uint64_t digest() override { return broken ? 1 : files->digest(); }
      Result<std::string_view> read(TlsPart part, std::span<char> memory, Place& place) override {
        if (!broken) return files->read(part, memory, place);
        place = "/kubeconfig:7: server";
        return Error{Code::kInvalid, 0, "what it is"};
      }
      std::string_view name(TlsPart part) const override { return files->name(part); }
      std::string_view server_name() const override { return broken ? "nobody" : ""; }
      TlsFiles* files = nullptr;
      bool broken = false;
    } material;
    Server server("server");
    Client client;
    client.settings.ca_file = std::string_view(Client::path("ca.pem"));
    material.files = &client.tls_files;
    REQUIRE(client.context.load(material, client.failed_path));
    REQUIRE(client.talk(server.port()) == "ok");
    material.broken = true;
    for (int i = 0; i < 2; ++i) CHECK(client.talk(server.port()) == "ok");
    CHECK(client.told.unusable == "kubeconfig:7: server: what it is");
  }

  TEST_CASE("without a new connection the files are looked at every hour") {
    REQUIRE_MEANS(program("openssl"));
    Server server("server");
    const Folder folder("client");
    Client client;
    REQUIRE(folder.load(client));
    REQUIRE(client.talk(server.port()) == "ok");
    CHECK(client.loop.next_deadline() - client.clock.now() > kHour - 20'000);
    folder.identity("client-rsa");
    client.wait(kHour);
    CHECK(client.told.changed == 1);
    CHECK(client.talk_on() == "ok");
    client.wait(kHour);
    CHECK(client.told.changed == 1);
  }

  TEST_CASE("a client certificate that ends within 14 days is reported once a day") {
    REQUIRE_MEANS(program("openssl"));
    Client client;
    REQUIRE(client.load("ca.pem", "client-short.pem", "client-short.key"));
    const std::string line = "client-short.pem 10 " + in_days(10).insert(6, "-").insert(4, "-").substr(0, 10);
    CHECK(client.told.expiries == line);
    for (int hour = 1; hour < 24; ++hour) client.wait(kHour);
    CHECK(client.told.expiries == line);
    client.wait(kHour);
    CHECK(client.told.expiries == line + "; " + line);

    Client late;
    REQUIRE(late.load("ca.pem", "client-expired.pem", "client-expired.key"));
    CHECK(late.told.expiries.starts_with("client-expired.pem -3 "));

    Client fine;
    REQUIRE(fine.load("ca.pem", "client.pem", "client.key"));
    CHECK(fine.told.expiries.empty());
    fine.clock.wall = unix_seconds(2088, 12, 18, 0, 0, 0);
    fine.wait(kHour);
    CHECK(fine.told.expiries.empty());
    fine.clock.wall += 1;
    fine.wait(kHour);
    CHECK(fine.told.expiries == "client.pem 13 2089-01-01");
  }

  TEST_CASE("of many CAs only the end of the one that counts is told") {
    REQUIRE_MEANS(program("openssl"));
    const Folder folder("client");
    folder.write("ca.pem", Folder::original("old-ca.pem") + Folder::original("short-ca.pem") +
                               Folder::original("ca.pem"));
    Server server("server"), by_short_ca("by-short-ca");
    Client client;
    REQUIRE(folder.load(client));
    REQUIRE(client.talk(server.port()) == "ok");
    CHECK(client.told.expiries.empty());
    REQUIRE(client.talk(by_short_ca.port()) == "ok");
    const std::string once = client.told.expiries;
    CHECK(once.starts_with("ca.pem 10 "));
    REQUIRE(client.talk(by_short_ca.port()) == "ok");
    CHECK(client.told.expiries == once);
  }

  TEST_CASE("a bundle as large as a distribution's serves") {
    REQUIRE_MEANS(program("openssl"));
    const Folder folder("client");
    std::string bundle;
    while (bundle.size() < 300'000) bundle += "# a comment\n" + Folder::original("other.pem");
    folder.write("ca.pem", bundle + Folder::original("ca.pem"));
    Server server("server");
    Client client;
    REQUIRE(folder.load(client));
    CHECK(client.talk(server.port()) == "ok");
  }
}

TEST_SUITE("io/calendar") {
  TEST_CASE("seconds and dates are those of the Gregorian calendar") {
    CHECK(unix_seconds(1970, 1, 1, 0, 0, 0) == 0);
    CHECK(unix_seconds(2000, 2, 29, 12, 34, 56) == 951827696);
    CHECK(unix_seconds(2038, 1, 19, 3, 14, 8) == 2147483648);
    CHECK(unix_seconds(9999, 12, 31, 23, 59, 59) == 253402300799);
    for (std::int64_t day = 0; day < 130 * 365; ++day) {
      const std::int64_t seconds = day * 86'400 + 43'200;
      const auto time = static_cast<std::time_t>(seconds);
      if (time != seconds) break;  // a libc of 2038
      std::tm tm{};
      ::gmtime_r(&time, &tm);
      REQUIRE(unix_seconds(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, 12, 0, 0) == seconds);
    }
    CHECK(date_of(0).view() == "1970-01-01");
    CHECK(date_of(951827696).view() == "2000-02-29");
  }
}

TEST_SUITE("io/tls words") {
  TEST_CASE("the names of a certificate are listed as far as there is room, and that there are more") {
    CertificateNames none;
    CHECK(none.text() == "valid for: ");
    CertificateNames few;
    few.add("etcd.example");
    few.add(*parse_ip("10.0.0.1"));
    few.add(*parse_ip("2001:db8::1"));
    CHECK(few.text() == "valid for: etcd.example, 10.0.0.1, 2001:db8::1");
    CertificateNames exact;  // with the room that ", ..." would take
    const std::string fill(Detail::kCapacity - std::string_view("valid for: ").size() - 7, 'x');
    exact.add(fill);
    CHECK(exact.text() == "valid for: " + fill);
    exact.add("y");
    exact.add("z");
    CHECK(exact.text() == "valid for: " + fill + ", ...");
    CertificateNames long_one;
    long_one.add(fill + "x");
    CHECK(long_one.text() == "valid for: ...");
  }
}
