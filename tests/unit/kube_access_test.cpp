// SPDX-License-Identifier: Apache-2.0
// Where the API server is and who we are there: from a kubeconfig, from a Pod, from a URL; what changes while
// we run; and what is refused.
#include <map>

#include "flannelette/json/base64.hpp"
#include "flannelette/json/writer.hpp"
#include "flannelette/registry/kube.hpp"
#include "registry/kube/api.hpp"
#include "registry/kube/kubeconfig.hpp"
#include "unit/manual_clock.hpp"
#include "unit/tls_harness.hpp"

using namespace flannelette;
using namespace flannelette::registry;
using io::TlsPart;

namespace {

constexpr const char* kConfig = "/etc/kube/config";
constexpr const char* kTokenFile = "/etc/kube/token";
const std::string kPod = "/var/run/secrets/kubernetes.io/serviceaccount/";

struct Texts final : Files {
  Result<std::optional<std::string_view>> read(std::string_view path, std::span<char> buffer) override {
    ++reads;
    const auto found = all.find(std::string(path));
    if (found == all.end()) return std::optional<std::string_view>();
    if (found->second == "denied") return system_error("open", EACCES);
    if (found->second.size() > buffer.size()) return Error{Code::kLimit, 0, "too large"};
    std::ranges::copy(found->second, buffer.begin());
    return std::optional(std::string_view(buffer.data(), found->second.size()));
  }
  Result<bool> read_pieces(std::string_view path, std::uint64_t, Pieces& out) override {
    const auto found = all.find(std::string(path));
    if (found == all.end()) return false;
    out.piece(found->second);
    return true;
  }
  Result<void> replace_with(std::string_view, PieceSource&, unsigned) override { return Error{}; }
  Result<void> write_in_place(std::string_view, std::string_view) override { return Error{}; }
  std::map<std::string, std::string> all;
  int reads = 0;
};

std::string base64(const std::string& bytes) {
  std::vector<char> memory(json::base64_size(bytes.size()));
  Writer out(memory);
  json::encode_base64(bytes, out);
  return std::string(out.view());
}

std::string pem(const std::string& inside) {
  return "-----BEGIN X-----\n" + base64(inside) + "\n-----END X-----\n";
}

/// `cluster` and `user`: their keys, one a line.
std::string kubeconfig(const std::string& cluster, const std::string& user) {
  const auto indented = [](const std::string& lines) {
    std::string out = "    ";
    for (const char c : lines) out.append(1, c).append(c == '\n' ? "    " : "");
    return out + "\n";
  };
  return "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts:\n- name: x\n  context:\n"
         "    cluster: c\n    user: u\nclusters:\n- name: c\n  cluster:\n" +
         indented(cluster) + "users:\n- name: u\n  user:\n" + indented(user);
}

const std::string kServer = "server: https://10.0.0.1:6443\ncertificate-authority-data: " + base64(pem("ca"));

struct World {
  explicit World(const std::string& config = "") {
    if (config.empty()) return;
    files.all[kConfig] = config;
    settings.kubeconfig = kConfig;
  }
  void server(const char* url) {
    settings.servers[settings.server_count++] = *io::parse_endpoint(url, KubeRegistry::kDefaultPort);
  }
  /// "ok", or why not.
  std::string load() {
    Text<512> problem;
    const bool loaded = static_cast<bool>(access.load(settings, problem));
    CHECK(loaded == problem.empty());
    return loaded ? "ok" : std::string(problem);
  }
  std::string servers() const {
    std::string all;
    for (const io::Endpoint& server : access.servers()) {
      all.append(all.empty() ? "" : " ").append(to_text<300>([&](Writer& out) {
                                                  write(out, server);
                                                }).view());
    }
    return all;
  }
  /// What read() gives: "PLACE: TEXT", "PLACE! WHY", or "-".
  std::string part(TlsPart part) {
    std::vector<char> memory(io::TlsContext::kMaxPem + 1, 'x');
    io::TlsMaterial::Place place;
    const auto text = access.read(part, memory, place);
    if (!text) return std::string(place) + "! " + text.error().context;
    CHECK(place.empty() == (text->data() == nullptr));
    if (text->data() == nullptr) return "-";
    CHECK(text->data() >= memory.data());
    CHECK(text->data()[text->size()] == '\0');
    return std::string(place) + ": " + std::string(*text);
  }

  Texts files;
  KubeSettings settings;
  KubeAccess access{files};
};

}  // namespace

TEST_SUITE("registry/kube access") {
  TEST_CASE("a kubeconfig names the server and the token") {
    World w(kubeconfig(kServer, "token: secret"));
    CHECK(w.load() == "ok");
    CHECK(w.servers() == "https://10.0.0.1:6443");
    CHECK_FALSE(w.access.in_cluster());
    CHECK(w.access.authorization() == "Bearer secret");
    CHECK(w.access.problem().empty());
    CHECK(w.access.overheard() == nullptr);
    CHECK(w.access.token_file() == kConfig);
    CHECK(w.access.name(TlsPart::kCa) == kConfig);
    CHECK(w.access.name(TlsPart::kKey).empty());
  }

  TEST_CASE("servers that are given replace the kubeconfig's") {
    World w(kubeconfig(kServer, "token: secret"));
    w.server("https://[fd00::1]:1");
    w.server("https://api.example");
    CHECK(w.load() == "ok");
    CHECK(w.servers() == "https://[fd00::1]:1 https://api.example:443");
    CHECK(w.access.authorization() == "Bearer secret");
    World without(kubeconfig("server: http://127.0.0.1:8001", "token: secret"));
    without.server("https://10.0.0.1");
    CHECK(without.load() ==
          "/etc/kube/config: https needs certificate-authority or certificate-authority-data");
  }

  TEST_CASE("in a Pod there are its service account and the Service of the API server") {
    for (const auto& [host, url] : {std::pair{"10.96.0.1", "https://10.96.0.1:443"},
                                    {"fd00:96::1", "https://[fd00:96::1]:443"},
                                    {"kubernetes.default", "https://kubernetes.default:443"}}) {
      World w;
      w.settings.service_host = host;
      w.files.all = {{kPod + "token", "first\n"}, {kPod + "ca.crt", pem("ca")}};
      CHECK(w.load() == "ok");
      CHECK(w.servers() == url);
      CHECK(w.access.in_cluster());
      CHECK(w.access.name(TlsPart::kCa) == kPod + "ca.crt");
      CHECK(w.access.name(TlsPart::kKey).empty());
      CHECK(w.access.token_file() == kPod + "token");
      CHECK(w.access.authorization() == "Bearer first");
      w.files.all[kPod + "token"] = "second";
      CHECK(w.access.authorization() == "Bearer second");
      CHECK(w.part(TlsPart::kCa) == kPod + "ca.crt: " + pem("ca"));
      CHECK(w.part(TlsPart::kCertificate) == "-");
      CHECK(w.part(TlsPart::kKey) == "-");
      CHECK(w.access.name(TlsPart::kCa) == kPod + "ca.crt");
      CHECK(w.access.server_name().empty());
      const std::uint64_t digest = w.access.digest();
      CHECK(w.access.digest() == digest);
      w.files.all[kPod + "ca.crt"] = pem("other");
      CHECK(w.access.digest() != digest);
    }
  }

  TEST_CASE("what is missing in a Pod is named") {
    World w;
    w.settings.service_host = "10.96.0.1";
    CHECK(w.load() == kPod +
                          "token: there is no such file: let the Pod have its service account "
                          "(automountServiceAccountToken), or give kubeconfig-file");
    World odd;
    odd.settings.service_host = "10.96.0.1/x";
    odd.files.all = {{kPod + "token", "first"}};
    CHECK(odd.load() == "https://10.96.0.1/x:443: a path is not allowed");
    CHECK(World().load() == "no API server is known: give kubeconfig-file or api-url, or run in a Pod");
  }

  TEST_CASE("a bare URL is asked without credentials, and only over http") {
    World w;
    w.server("http://10.0.0.1:8080");
    w.server("http://127.0.0.1:8080");
    w.settings.service_host = "10.96.0.1";  // even in a Pod, as with flanneld
    w.files.all = {{kPod + "token", "first"}};
    CHECK(w.load() == "ok");
    CHECK(w.servers() == "http://10.0.0.1:8080 http://127.0.0.1:8080");
    CHECK_FALSE(w.access.in_cluster());
    CHECK(w.access.authorization().empty());
    CHECK(w.access.token_file().empty());
    CHECK(w.access.overheard() == nullptr);
    CHECK(w.part(TlsPart::kCa) == "-");
    w.server("https://10.0.0.2");
    CHECK(w.load() == "https://10.0.0.2:443: https needs kubeconfig-file, for the CA of the server");
  }

  TEST_CASE("a token that everybody on the path can read is found") {
    for (const char* url : {"http://127.0.0.1", "http://localhost:1", "http://[::1]"}) {
      World w(kubeconfig("server: " + std::string(url), "token: secret"));
      CHECK(w.load() == "ok");
      CHECK(w.access.overheard() == nullptr);
    }
    World w(kubeconfig("server: http://127.0.0.1", "token: secret"));
    w.server("http://localhost");
    w.server("http://10.0.0.1");
    CHECK(w.load() == "ok");
    CHECK(w.access.overheard() == &w.access.servers()[1]);
    World without(kubeconfig("server: http://10.0.0.1", "anonymous: x"));
    CHECK(without.load() == "ok");
    CHECK(without.access.overheard() == nullptr);
  }

  TEST_CASE("a token's file is read at each call, and wins over a token") {
    World w(kubeconfig(kServer, "token: old\ntokenFile: token"));
    w.files.all[kTokenFile] = " \t\nfirst\r\n\n";
    CHECK(w.load() == "ok");
    CHECK(w.access.authorization() == "Bearer first");
    w.files.all[kTokenFile] = "second";
    CHECK(w.access.authorization() == "Bearer second");
    CHECK(w.access.problem().empty());
    CHECK(w.access.token_file() == kTokenFile);
  }

  TEST_CASE("a token that cannot be used is named, and the last good one stays") {
    const std::string limit(kube::Kubeconfig::kMaxToken, 't');
    World w(kubeconfig(kServer, "tokenFile: token"));
    w.files.all[kTokenFile] = limit;
    CHECK(w.load() == "ok");
    const std::pair<std::string, std::string> cases[] = {
        {"", "no token is in it"},
        {" \n\t", "no token is in it"},
        {"se cret", "a blank or a byte beyond printable ASCII is in it"},
        {"se\ncret", "a blank or a byte beyond printable ASCII is in it"},
        {"secret\x01", "a blank or a byte beyond printable ASCII is in it"},
        {"secr\xc3\xa9t", "a blank or a byte beyond printable ASCII is in it"},
        {limit + "t", "a token of more than 8 KiB"},
        {std::string(70'000, 't'), "longer than 64 KiB"},
        {"denied", "open: Permission denied"},
    };
    for (const auto& one : cases) {
      const std::string& text = one.first;
      const std::string& why = one.second;
      CAPTURE(why);
      w.files.all[kTokenFile] = text;
      CHECK(w.access.authorization() == "Bearer " + limit);
      CHECK(w.access.problem() == std::string(kTokenFile) + ": " + why);
      World other(kubeconfig(kServer, "tokenFile: token"));
      other.files.all[kTokenFile] = text;
      CHECK(other.load() == std::string(kTokenFile) + ": " + why);
    }
    w.files.all.erase(kTokenFile);
    CHECK(w.access.authorization() == "Bearer " + limit);
    CHECK(w.access.problem() == std::string(kTokenFile) + ": there is no such file");
    w.files.all[kTokenFile] = "next";
    CHECK(w.access.authorization() == "Bearer next");
    CHECK(w.access.problem().empty());
  }

  TEST_CASE("that a token cannot be read again is reported once, and once more for another reason") {
    World w(kubeconfig(kServer, "tokenFile: token"));
    w.files.all[kTokenFile] = "secret";
    REQUIRE(w.load() == "ok");
    struct Lines final : LogSink {
      void line(Level, std::string_view text) override { all.emplace_back(text); }
      std::vector<std::string> all;
    } lines;
    ManualClock clock;
    io::Loop loop(clock);
    NoRandom random;
    Log log(lines, clock);
    kube::Core core{loop, clock, random, log, w.files, w.access, w.settings, kube::AnnotationPrefix()};
    const auto ask = [&](const char* token) {
      w.files.all[kTokenFile] = token;
      lines.all.clear();
      for (int i = 0; i < 3; ++i) CHECK(core.authorization() == "Bearer secret");
      return lines.all.size();
    };
    CHECK(ask("secret") == 0);
    CHECK(ask("") == 1);
    CHECK(lines.all[0].find(std::string(kTokenFile) + ": no token is in it") != std::string::npos);
    CHECK(ask("a b") == 1);
    CHECK(ask("secret") == 0);
    CHECK(ask("a b") == 1);
  }

  TEST_CASE("a kubeconfig that changes is followed; one that breaks leaves the token that there was") {
    World w(kubeconfig(kServer, "token: first"));
    CHECK(w.load() == "ok");
    w.files.all[kConfig] = kubeconfig(kServer, "token: second");
    CHECK(w.access.authorization() == "Bearer second");
    w.files.all[kConfig] = kubeconfig(kServer, "token: sec ret");
    CHECK(w.access.authorization() == "Bearer second");
    CHECK(w.access.problem() ==
          "/etc/kube/config:17: token: a blank or a byte beyond printable ASCII is in it");
    w.files.all[kConfig] = kubeconfig(kServer, "token: " + std::string(9'000, 't'));
    CHECK(w.access.authorization() == "Bearer second");
    CHECK(w.access.problem() == "/etc/kube/config:17: token: a token of more than 8 KiB");
    w.files.all[kConfig] = std::string(70'000, '#');
    CHECK(w.access.authorization() == "Bearer second");
    CHECK(w.access.problem() == "/etc/kube/config: longer than 64 KiB");
    w.files.all.erase(kConfig);
    CHECK(w.access.authorization() == "Bearer second");
    CHECK(w.access.problem() == "/etc/kube/config: there is no such file");
    w.files.all[kConfig] = kubeconfig(kServer, "tokenFile: token");
    w.files.all[kTokenFile] = "third";
    CHECK(w.access.authorization() == "Bearer third");
    w.files.all[kConfig] = kubeconfig(
        kServer, "client-certificate-data: " + base64(pem("a")) + "\nclient-key-data: " + base64(pem("b")));
    CHECK(w.access.authorization().empty());
    CHECK(w.access.problem().empty());
    CHECK(w.servers() == "https://10.0.0.1:6443");
  }

  TEST_CASE("a kubeconfig that cannot be used is refused with file, line, key and what to do") {
    CHECK(World(kubeconfig(kServer, "token: a\nexec: {}")).load() ==
          "/etc/kube/config:18: exec: no credential plugin is run: use a token, a tokenFile or a client "
          "certificate");
    CHECK(World(kubeconfig("server: https://10.0.0.1/path", "token: a")).load() ==
          "/etc/kube/config:12: server: a path is not allowed");
    CHECK(World(kubeconfig(kServer, "anonymous: x")).load() ==
          "/etc/kube/config:15: user \"u\": https needs a token, a tokenFile or a client certificate");
    CHECK(World("[]").load().starts_with("/etc/kube/config:1: "));
    CHECK(World("denied").load() == "/etc/kube/config: open: Permission denied");
    World absent;
    absent.settings.kubeconfig = kConfig;
    CHECK(absent.load() == "/etc/kube/config: there is no such file");
  }

  TEST_CASE("no secret is in a reason") {
    for (const char* user : {"token: sec ret", "token: secret\nexec: {}", "token: \"secret",
                             "token: secret\ntoken: secret", "client-key-data: secret"}) {
      CAPTURE(user);
      const std::string why = World(kubeconfig(kServer, user)).load();
      CHECK(why != "ok");
      CHECK(why.find("sec") == why.npos);
    }
  }

  TEST_CASE("certificates and the key come from the kubeconfig, or from the files that it names") {
    World w(kubeconfig(kServer + "\ntls-server-name: api.example",
                       "client-certificate-data: " + base64(pem("cert")) + "\nclient-key: sub/key.pem"));
    w.files.all["/etc/kube/sub/key.pem"] = pem("key");
    CHECK(w.load() == "ok");
    CHECK(w.access.name(TlsPart::kCertificate) == kConfig);
    CHECK(w.access.name(TlsPart::kKey) == "/etc/kube/sub/key.pem");
    CHECK(w.access.authorization().empty());
    CHECK(w.access.token_file().empty());
    CHECK(w.part(TlsPart::kCa) == "/etc/kube/config: certificate-authority-data: " + pem("ca"));
    CHECK(w.part(TlsPart::kCertificate) == "/etc/kube/config: client-certificate-data: " + pem("cert"));
    CHECK(w.part(TlsPart::kKey) == "/etc/kube/sub/key.pem: " + pem("key"));
    CHECK(w.access.server_name() == "api.example");
    CHECK(w.access.name(TlsPart::kCa) == kConfig);
    CHECK(w.access.name(TlsPart::kCertificate) == kConfig);
    CHECK(w.access.name(TlsPart::kKey) == "/etc/kube/sub/key.pem");
    w.files.all.erase("/etc/kube/sub/key.pem");
    CHECK(w.part(TlsPart::kKey) == "/etc/kube/sub/key.pem! there is no such file");
    w.files.all["/etc/kube/sub/key.pem"] = std::string(io::TlsContext::kMaxPem + 1, 'x');
    CHECK(w.part(TlsPart::kKey) == "/etc/kube/sub/key.pem! larger than 1 MiB");
    w.files.all[kConfig] = kubeconfig(kServer, "token: a");
    CHECK(w.part(TlsPart::kCertificate) == "-");
    CHECK(w.part(TlsPart::kKey) == "-");
    CHECK(w.access.server_name().empty());
    w.files.all[kConfig] = kubeconfig(kServer + "!", "token: a");
    CHECK(w.part(TlsPart::kCa) == "/etc/kube/config:13: certificate-authority-data! not base64, or cut");
    w.files.all.erase(kConfig);
    CHECK(w.part(TlsPart::kCa) == "/etc/kube/config! there is no such file");
  }

  TEST_CASE("the digest changes with what TLS needs, and with nothing else") {
    const std::string certified =
        "client-certificate: cert.pem\nclient-key-data: " + base64(pem("key")) + "\n";
    World w(kubeconfig(kServer, certified + "token: a"));
    w.files.all["/etc/kube/cert.pem"] = pem("cert");
    CHECK(w.load() == "ok");
    std::uint64_t before = w.access.digest();
    const auto changed = [&] { return w.access.digest() != std::exchange(before, w.access.digest()); };
    CHECK_FALSE(changed());
    const auto put = [&](const std::string& config) { w.files.all[kConfig] = config; };
    put("# a comment\n" + kubeconfig(kServer, certified + "token: b"));
    CHECK_FALSE(changed());
    put(kubeconfig(kServer + "\ntls-server-name: api.example", certified));
    CHECK(changed());
    put(kubeconfig(kServer, certified));
    CHECK(changed());
    w.files.all["/etc/kube/cert.pem"] = pem("other");
    CHECK(changed());
    put(kubeconfig(kServer, "client-certificate: cert.pem\nclient-key-data: " + base64(pem("other"))));
    CHECK(changed());
    put(kubeconfig(kServer, "token: a"));
    CHECK(changed());
    put(kubeconfig(kServer, ""));
    CHECK(changed());
    CHECK_FALSE(changed());
    put("[]");
    CHECK(changed());
    w.files.all.erase(kConfig);
    CHECK(changed());
    CHECK_FALSE(changed());
  }
}

TEST_SUITE("registry/kube access and TLS") {
  using io::Certificates;
  using io::Server;

  std::string original(const std::string& name) {
    std::ifstream in(Certificates::get().file(name));
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string certified(const std::string& name) {
    return "client-certificate-data: " + base64(original(name + ".pem")) +
           "\nclient-key-data: " + base64(original(name + ".key"));
  }

  std::string cluster(const std::string& more = "") {
    return "server: https://127.0.0.1\ncertificate-authority-data: " + base64(original("ca.pem")) + more;
  }

  TEST_CASE("a client certificate in the kubeconfig is shown to the server, and followed as it changes") {
    REQUIRE_MEANS(program("openssl"));
    Server server("server", Server::for_known_clients());
    World w(kubeconfig(cluster(), certified("client")));
    REQUIRE(w.load() == "ok");
    io::Client client;
    REQUIRE(client.context.load(w.access, client.failed_path));
    CHECK(client.talk(server.port()) == "ok");

    w.files.all[kConfig] = kubeconfig(cluster(), certified("other"));
    CHECK(client.talk(server.port()).find("client certificate") != std::string::npos);
    CHECK(client.told.changed == 1);
    w.files.all[kConfig] = kubeconfig(cluster(), certified("client-rsa"));
    CHECK(client.talk(server.port()) == "ok");
    CHECK(client.told.changed == 2);
    CHECK(client.told.unusable.empty());

    w.files.all[kConfig].resize(w.files.all[kConfig].size() / 2);
    for (int i = 0; i < 2; ++i) CHECK(client.talk(server.port()) == "ok");
    CHECK(client.told.unusable.starts_with("config:"));
    client.told.unusable.clear();
    const std::string key = "client-key-data: " + base64(original("client.key"));
    w.files.all[kConfig] =
        kubeconfig(cluster(), "client-certificate-data: " + base64(original("client-rsa.pem")) + "\n" + key);
    CHECK(client.talk(server.port()) == "ok");
    CHECK(client.told.unusable == "config: client-key-data: the key does not belong to the certificate");
    w.files.all[kConfig] = kubeconfig(cluster(), certified("client"));
    CHECK(client.talk(server.port()) == "ok");
    CHECK(client.told.changed == 3);
  }

  TEST_CASE("the server is verified by tls-server-name") {
    REQUIRE_MEANS(program("openssl"));
    Server named("named");
    World w(kubeconfig(cluster("\ntls-server-name: etcd.example"), "token: a"));
    REQUIRE(w.load() == "ok");
    io::Client client;
    REQUIRE(client.context.load(w.access, client.failed_path));
    CHECK(client.talk(named.port()) == "ok");
    w.files.all[kConfig] = kubeconfig(cluster(), "token: a");
    CHECK(client.talk(named.port()).find("not valid for this name or address") != std::string::npos);
  }

  TEST_CASE("what cannot be loaded is named with its key, as is a certificate that ends soon") {
    REQUIRE_MEANS(program("openssl"));
    World w(kubeconfig("server: https://127.0.0.1\ncertificate-authority-data: " + base64(pem("nothing")),
                       certified("client-short")));
    REQUIRE(w.load() == "ok");
    io::Client client;
    const auto failed = client.context.load(w.access, client.failed_path);
    REQUIRE_FALSE(failed);
    CHECK(client.failed_path.view() == "/etc/kube/config: certificate-authority-data");
    CHECK(failed.error().context == std::string_view("not a valid PEM certificate"));
    w.files.all[kConfig] = kubeconfig(cluster(), certified("client-short"));
    REQUIRE(client.context.load(w.access, client.failed_path));
    CHECK(client.told.expiries.starts_with("config 10 "));
  }
}
