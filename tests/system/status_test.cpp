// SPDX-License-Identifier: Apache-2.0
// How an agent says how it is: the verbs status, peers and support, the health check, the metrics; with many
// peers, and with clients that mean no good.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>

#include "support/forked.hpp"
#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/gateway.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr std::uint16_t kHealth = 8081;
constexpr std::uint16_t kListen = 9100;
const std::vector<std::string> kPorts = {"--healthz-port=8081", "--status-listen=127.0.0.1:9100"};

Outcome verb(const Machine& machine, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), binary());
  return run(machine.command(std::move(arguments)), 80s);
}

/// A connection to a port of the machine itself; none if nobody listens.
flannelette::UniqueFd connect_to(const Machine& machine, std::uint16_t port) {
  return machine.node().inside([&] {
    flannelette::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in in = socket_address("127.0.0.1", port);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&in), sizeof in) != 0) fd.reset();
    return fd;
  });
}

/// All that comes until the end, or until nothing comes for a while.
std::string receive_all(const flannelette::UniqueFd& fd) {
  std::string all;
  for (;;) {
    pollfd readable{fd.get(), POLLIN, 0};
    char buffer[16'384];
    if (::poll(&readable, 1, 15'000) != 1) return all;
    const ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, 0);
    if (got <= 0) return all;
    all.append(buffer, static_cast<std::size_t>(got));
  }
}

void send_all(const flannelette::UniqueFd& fd, const std::string& text) {
  (void)!::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

/// "200 flanneld is running"; empty if nobody listens.
std::string page(const Machine& machine, std::uint16_t port, const std::string& target) {
  const auto fd = connect_to(machine, port);
  if (!fd) return "";
  send_all(fd, "GET " + target + " HTTP/1.0\r\n\r\n");
  const std::string all = receive_all(fd);
  const auto body = all.find("\r\n\r\n");
  return body == all.npos ? all : all.substr(9, 3) + " " + all.substr(body + 4);
}

std::string readiness(const Machine& machine) { return page(machine, kHealth, "/readyz"); }
bool ready(const Machine& machine) { return readiness(machine) == "200 flanneld is ready"; }

const std::string kPeer = "10.64.200.0/24 172.30.0.90 02:00:00:00:00:01\n";
void put_peer(const Etcd& etcd) {
  etcd.put(kSubnetKeys + "10.64.200.0-24", peer_value("172.30.0.90", "02:00:00:00:00:01"));
}

double milliseconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
}

}  // namespace

TEST_SUITE("system/status") {
  TEST_CASE("status tells how a node is, to people, programs and scripts; peers waits for peers") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(0), a.log());
    Outcome outcome;
    CHECK(wait_until(5s, [&] { return (outcome = verb(a, {"status"})).status == 0; }));
    CHECK_MESSAGE(outcome.output.starts_with("ready\n"), outcome.output);
    CHECK_MESSAGE(contains(outcome.output, a.subnet()), outcome.output);
    CHECK_MESSAGE(contains(outcome.output, etcd.url()), outcome.output);

    outcome = verb(a, {"peers", "--wait", "1", "--timeout=1"});
    CHECK(outcome.status == 1);
    CHECK(contains(outcome.output, "0 of 1 peers are programmed"));
    put_peer(etcd);
    outcome = verb(a, {"peers", "--wait=1"});
    CHECK(outcome.status == 0);
    CHECK(outcome.output == kPeer);
    CHECK(verb(a, {"peers"}).output == kPeer);
    outcome = verb(a, {"status", "--json"});
    CHECK(outcome.status == 0);
    CHECK(outcome.output.starts_with("{\"version\":1,"));
    CHECK_MESSAGE(contains(outcome.output, "10.64.200.0/24"), outcome.output);
    CHECK(contains(verb(a, {"status"}).output, "10.64.200.0/24"));

    // An answer needs no right but to the socket, and no setting that cannot be read.
    struct stat info {};
    REQUIRE(::stat(a.file("/run/flannelette/flannelette.sock").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777U) == 0660);
    CHECK(verb(a, {"status", "--etcd-prefix=/whatever"}).status == 0);
    CHECK(verb(a, {"status", "--jsn"}).status == 2);
    CHECK(verb(a, {"peers", "--wait", "some"}).status == 2);
  }

  TEST_CASE("status of a node that runs no agent is what the kernel and the state files have") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    Outcome outcome = verb(a, {"status"});
    CHECK(outcome.status == 3);
    CHECK_MESSAGE(contains(outcome.output, "no agent answers at /run/flannelette/flannelette.sock"),
                  outcome.output);
    CHECK(verb(a, {"peers"}).status == 3);
    a.start();
    REQUIRE_MESSAGE(a.joined(0), a.log());
    put_peer(etcd);
    REQUIRE(a.joined(1));
    const std::string subnet = a.subnet();
    CHECK(a.stop() == 0);
    CHECK(std::filesystem::is_empty(a.file("/run/flannelette")));
    outcome = verb(a, {"status"});
    CHECK(outcome.status == 3);
    for (const std::string& part : {subnet, std::string("flannel.1"), std::string("10.64.200.0/24"),
                                    std::string("172.30.0.90"), std::string("02:00:00:00:00:01")})
      CHECK_MESSAGE(contains(outcome.output, part), outcome.output);
    CHECK(contains(verb(a, {"status", "--json=true"}).output, "\"ready\":false"));
  }

  TEST_CASE("an agent that is too busy, and an answer that ends early, are neither success nor no agent") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    Machine a(etcd, 1);
    std::string reply;
    SUBCASE("too busy") { reply = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\ntoo busy\n"; }
    SUBCASE("cut off") { reply = "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n10.64.200.0/24 172\n"; }
    std::filesystem::create_directories(a.file("/run/flannelette"));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = a.file("/run/flannelette/flannelette.sock");
    REQUIRE(path.copy(address.sun_path, sizeof address.sun_path - 1) == path.size());
    const flannelette::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener.get(), 8) == 0);
    const Forked server([&] {
      for (;;) {
        const flannelette::UniqueFd client(::accept(listener.get(), nullptr, nullptr));
        send_all(client, reply);
      }
    });
    for (const char* question : {"status", "peers"}) {
      const Outcome outcome = verb(a, {question});
      CAPTURE(outcome.output);
      CHECK(outcome.status == 1);
      CHECK((contains(outcome.output, "the agent is too busy") || contains(outcome.output, "cut off")));
      CHECK_FALSE(contains(outcome.output, "no agent answers"));
    }
  }

  TEST_CASE(
      "an agent that was stopped answers nothing; one that was killed leaves a socket that the next one "
      "replaces") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(0), a.log());
    a.agent().signal(SIGSTOP);
    const Outcome stopped = verb(a, {"status"});
    CHECK(stopped.status == 3);
    CHECK_MESSAGE(contains(stopped.output, "no answer in 5 seconds"), stopped.output);
    CHECK_FALSE(contains(stopped.output, "no agent runs"));
    a.agent().signal(SIGKILL);
    REQUIRE(a.agent().wait(5s));
    CHECK(std::filesystem::exists(a.file("/run/flannelette/flannelette.sock")));
    CHECK(verb(a, {"status"}).status == 3);
    a.start();
    CHECK(wait_until(10s, [&] { return verb(a, {"status"}).status == 0; }));
    CHECK_FALSE(contains(a.log(), "cannot listen"));
  }

  TEST_CASE("daemons of two networks on one machine answer each at its own socket") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.put("/b/config", R"({"Network":"10.65.0.0/16","Backend":{"Type":"vxlan","VNI":2}})");
    Machine a(etcd, 1);
    a.start();
    const std::vector<std::string> second = {"--etcd-prefix=/b", "--subnet-file=/run/b.env"};
    std::vector<std::string> words = {binary(), "--etcd-endpoints=" + etcd.url()};
    words.insert(words.end(), second.begin(), second.end());
    Process b(a.command(words));
    Outcome outcome;
    CHECK(wait_until(10s, [&] { return verb(a, {"status"}).status == 0; }));
    CHECK(wait_until(10s, [&] { return (outcome = verb(a, {"status", second[0], second[1]})).status == 0; }));
    CHECK_MESSAGE(contains(outcome.output, "10.65.0.0/16"), outcome.output);
    CHECK(contains(verb(a, {"status"}).output, "10.64.0.0/16"));
    CHECK(contains(verb(a, {"status", "--subnet-file=/run/c.env"}).output, "no agent answers"));
  }

  TEST_CASE("healthz, readyz and metrics are where they are asked for, and no secret is in a report") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    Machine a(etcd, 1);
    std::vector<std::string> settings = kPorts;
    settings.insert(settings.end(), {"--etcd-username=flannel", "--etcd-password=hunter2"});
    a.start(settings);
    CHECK(wait_until(5s, [&] { return page(a, kHealth, "/healthz") == "200 flanneld is running"; }));
    CHECK(readiness(a).starts_with("503 not ready: "));  // there is no config
    CHECK(a.stop() == 0);
    etcd.configure(kVxlanConfig);
    a.start(kPorts);
    CHECK_MESSAGE(wait_until(10s, [&] { return ready(a); }), readiness(a));
    const std::string metrics = page(a, kListen, "/metrics");
    CHECK(metrics.starts_with("200 # HELP"));
    CHECK(contains(metrics, "\nflannelette_"));
    CHECK(page(a, kListen, "/status").starts_with("200 ready\n"));
    CHECK(page(a, kHealth, "/metrics").starts_with("404"));
    settings.insert(settings.begin(), "support");
    const std::string report = verb(a, settings).output;
    CHECK_FALSE(contains(report, "hunter2"));
    for (const char* part :
         {"flannelette ", "Linux ", "--etcd-username: flannel", "--etcd-password: (not shown)",
          "\nstatus:\nready\n", "flannel.1", "link eth0", "\ncheck:\nok    capabilities\n"})
      CHECK_MESSAGE(contains(report, part), report);
  }

  TEST_CASE("a port that is taken and a /run that cannot be written stop nothing") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    auto taken = a.node().inside([] { return bound_socket(SOCK_STREAM, "0.0.0.0", kHealth); });
    a.start({"--healthz-port=8081", "--status-socket=/proc/none/agent.sock"});
    REQUIRE_MESSAGE(a.joined(0), a.log());
    CHECK(count_of(a.log(), "cannot listen") == 2);
    taken.reset();
    CHECK_MESSAGE(wait_until(15s, [&] { return ready(a); }), a.log());
    CHECK(count_of(a.log(), "cannot listen") == 2);
  }

  TEST_CASE("readyz turns within a second of a damage that goes on, and back after it") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start(kPorts);
    REQUIRE_MESSAGE(wait_until(10s, [&] { return ready(a); }), a.log());
    {
      const Process damage({.args = {"sh", "-c", "while :; do ip link del flannel.1 2>/dev/null; done"},
                            .netns = a.node().name()});
      CHECK(wait_until(1s, [&] { return readiness(a).starts_with("503 not ready: kernel"); }));
      CHECK(wait_until(5s, [&] { return verb(a, {"status"}).status == 1; }));
    }
    CHECK_MESSAGE(wait_until(70s, [&] { return ready(a); }), readiness(a));
  }

  TEST_CASE("readyz turns within 30 s of a watch that was cut silently, and back after it") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start(kPorts);
    REQUIRE_MESSAGE(wait_until(10s, [&] { return ready(a); }), a.log());
    etcd.node().ip("route add blackhole " + a.address() + "/32");
    CHECK(wait_until(30s, [&] { return readiness(a).starts_with("503 not ready: watch"); }));
    etcd.node().ip("route del blackhole " + a.address() + "/32");
    CHECK_MESSAGE(wait_until(60s, [&] { return ready(a); }), readiness(a), a.log());
  }

  TEST_CASE(
      "with a hundred slow clients and a thousand checks a second, who asks is answered and events arrive") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Gateway gateway(etcd);
    Machine a(etcd, 1);
    a.start(kPorts);
    REQUIRE_MESSAGE(wait_until(10s, [&] { return ready(a); }), a.log());
    // From the answer to the put until the route is there, polled without a pause.
    const auto delay = [&](int third) {
      char mac[18];
      std::snprintf(mac, sizeof mac, "02:00:00:00:02:%02x", third);
      const std::string number = std::to_string(third);
      const std::string net = "10.64." + number + ".0/24";
      etcd.put(kSubnetKeys + "10.64." + number + ".0-24", peer_value("172.30.0." + number, mac));
      const auto start = steady_clock::now();
      while (!contains(a.node().ip("route show " + net), net)) REQUIRE(milliseconds_since(start) < 5'000);
      return milliseconds_since(start);
    };
    double calm = 0, busy = 0;
    for (int i = 0; i < 10; ++i) calm = std::max(calm, delay(101 + i));

    const Forked slow([&] {
      std::vector<flannelette::UniqueFd> clients(100);
      for (;;) {
        for (auto& client : clients) {
          char one;
          if (!client || ::recv(client.get(), &one, 1, MSG_DONTWAIT) == 0) client = connect_to(a, kHealth);
          send_all(client, "G");
        }
        ::usleep(200'000);
      }
    });
    const Forked checks([&] {
      for (;;) {
        const auto start = steady_clock::now();
        for (int i = 0; i < 10; ++i) (void)page(a, kHealth, "/healthz");
        const double left = 10 - milliseconds_since(start);
        if (left > 0) ::usleep(static_cast<useconds_t>(left * 1000));
      }
    });
    // Who is slow gives way to who asks.
    int asked = 0, refused = 0;
    for (const auto start = steady_clock::now(); milliseconds_since(start) < 2'000; ++asked) {
      refused += page(a, kHealth, "/healthz").starts_with("200") ? 0 : 1;
    }
    CHECK(refused * 10 <= asked);
    CHECK(verb(a, {"status"}).status == 0);  // the socket has places of its own
    for (int i = 0; i < 10; ++i) busy = std::max(busy, delay(121 + i));
    MESSAGE("from put to route, ms at most: calm ", calm, ", busy ", busy);
  }

  TEST_CASE("an agent that is gone is not answered for by that of another network; one that never was is") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    etcd.put("/net2/config", R"({"Network":"10.77.0.0/16","Backend":{"Type":"vxlan","VNI":2,"Port":8473}})");
    Machine a(etcd, 1);
    const std::vector<std::string> second = {"--etcd-prefix=/net2", "--subnet-file=/run/flannel/net2.env"};
    a.start(second);
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(contains(verb(a, {"status"}).output, "10.77.0.0/16"));
    const auto other = a.take_agent();
    a.start();
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    CHECK(a.stop() == 0);
    CHECK(verb(a, {"status"}).status == 3);
    CHECK(verb(a, {"peers"}).status == 3);
    CHECK(verb(a, {"status", second[0], second[1]}).status == 0);
  }

  TEST_CASE("an output that cannot be written is said, and is no success") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.logs("ready"), a.log());
    for (const char* words :
         {"status", "status --watch", "support", "check", "check --json", "help", "version"}) {
      CAPTURE(std::string(words));
      const Outcome full = run(a.command({"sh", "-c", binary() + " " + words + " >/dev/full"}));
      CHECK(full.status != 0);
      CHECK_MESSAGE(count_of(full.output, "standard output cannot be written") == 1, full.output);
    }
  }

  TEST_CASE("ten thousand peers: the first byte comes at once, and memory stays within its budget") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(kCrowdConfig);
    Gateway gateway(etcd);
    put_peers(gateway, 1, 10'000);
    Machine a(etcd, 1);
    a.start(kPorts);
    REQUIRE_MESSAGE(wait_until(120s, [&] { return ready(a); }), a.log());
    const long before = a.memory_kib("VmHWM");
    double first = 0, whole = 0;
    for (int i = 0; i < 5; ++i) {
      const auto fd = connect_to(a, kListen);
      const auto start = steady_clock::now();
      send_all(fd, "GET /status?format=json HTTP/1.0\r\n\r\n");
      char one;
      REQUIRE(::recv(fd.get(), &one, 1, 0) == 1);
      first = std::max(first, milliseconds_since(start));
      const std::string rest = receive_all(fd);
      whole = std::max(whole, milliseconds_since(start));
      CHECK(rest.ends_with("]}\n"));
      CHECK(count_of(rest, "\"subnet\":\"10.") >= 10'000);
    }
    const long peak = a.memory_kib("VmHWM");
    MESSAGE("first byte after ", first, " ms, all after ", whole, " ms; peak ", before, " -> ", peak, " KiB");
    CHECK(peak - before < 64);
    CHECK(count_lines(verb(a, {"peers", "--wait", "10000"}).output) == 10'000);
  }
}
