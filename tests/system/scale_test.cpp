// SPDX-License-Identifier: Apache-2.0
// Many peers, many events, many nodes: nothing is lost, memory stays within its budget (design: 768 KiB
// idle, 1.25 MiB with 10,000).
#include <doctest/doctest.h>

#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

constexpr long kIdleKib = 768;
constexpr long kTenThousandKib = 1280;

std::string subnet_name(int i) {
  return "10." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".0";
}

std::string value(int i) {
  char mac[18];
  std::snprintf(mac, sizeof mac, "02:00:00:00:%02x:%02x", i / 256, i % 256);
  return peer_value("172.31." + std::to_string(i / 256) + "." + std::to_string(i % 256), mac);
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"') out += '\\';
    out += c;
  }
  return out + "\"";
}

/// Puts the synthetic peers first..last, `per_transaction` to a transaction (etcd allows 128).
void put_peers(const Etcd& etcd, int first, int last, int per_transaction) {
  const TempDir files;
  std::ofstream script(files.file("txn.sh"));
  script << "set -e\nexport ETCDCTL_API=3\n";
  for (int i = first; i <= last;) {
    script << "etcdctl --endpoints " << etcd.url() << " txn <<'END' >/dev/null\n\n";
    for (int n = 0; n < per_transaction && i <= last; ++n, ++i) {
      script << "put /coreos.com/network/subnets/" << subnet_name(i) << "-24 " << quoted(value(i)) << "\n";
    }
    script << "\n\nEND\n";
  }
  script.close();
  must_run({.args = {"sh", files.file("txn.sh")}, .netns = etcd.node().name()}, std::chrono::minutes{2});
}

int routes(const Machine& machine) { return count_lines(machine.routes()); }

/// Number of Range calls etcd has served.
long range_calls(const Etcd& etcd) {
  const std::string metrics =
      must_run({.args = {"curl", "-s", etcd.url() + "/metrics"}, .netns = etcd.node().name()});
  const std::string name =
      R"(grpc_server_handled_total{grpc_code="OK",grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"} )";
  const auto at = metrics.find(name);
  return at == std::string::npos ? 0 : std::stol(metrics.substr(at + name.size()));
}

}  // namespace

TEST_SUITE("system/scale") {
  TEST_CASE("idle, the agent stays within 768 KiB") {
    REQUIRE_MEANS(cluster_means());
    Etcd etcd;
    etcd.configure(R"({"Network":"10.0.0.0/8","Backend":{"Type":"vxlan"}})");
    Machine a(etcd, 1), b(etcd, 2);
    a.start();
    b.start();
    REQUIRE(a.joined(1));
    REQUIRE(b.joined(1));
    MESSAGE("VmRSS ", a.memory_kib("VmRSS"), " KiB, peak ", a.memory_kib("VmHWM"), " KiB");
    CHECK(a.memory_kib("VmRSS") <= kIdleKib);
  }

  TEST_CASE("compat 9.10: 10,000 peers are programmed with no request per peer and within 1.25 MiB") {
    REQUIRE_MEANS(cluster_means(), means::program("curl"));
    Etcd etcd;
    etcd.configure(R"({"Network":"10.0.0.0/8","SubnetMin":"10.200.0.0","Backend":{"Type":"vxlan"}})");
    put_peers(etcd, 1, 10'000, 100);
    Machine a(etcd, 1);
    const long before = range_calls(etcd);
    a.start();
    REQUIRE_MESSAGE(wait_until(120s, [&] { return a.log().find("ready") != std::string::npos; }), a.log());
    CHECK(routes(a) == 10'000);
    CHECK(count_lines(a.neighbours()) == 10'000);
    CHECK(count_lines(a.fdb()) == 10'000);
    CHECK(range_calls(etcd) - before <=
          10'000 / 500 + 1 + 2);  // pages, and the config; one to spare for our own key
    MESSAGE("VmRSS ", a.memory_kib("VmRSS"), " KiB, peak ", a.memory_kib("VmHWM"), " KiB");
    CHECK(a.memory_kib("VmHWM") <= kTenThousandKib);
  }

  TEST_CASE(
      "compat 9.4 and 9.5: 100 keys in one transaction and thousands of single puts in a row, nothing is "
      "lost") {
    REQUIRE_MEANS(cluster_means(), means::program("curl"));
    Etcd etcd;
    etcd.configure(R"({"Network":"10.0.0.0/8","SubnetMin":"10.200.0.0","Backend":{"Type":"vxlan"}})");
    Machine a(etcd, 1);
    a.start();
    REQUIRE_MESSAGE(a.joined(0), a.log());
    put_peers(etcd, 1, 100, 100);
    CHECK(wait_until(10s, [&] { return routes(a) == 100; }));

    // One connection, one put a request, as fast as etcd takes them.
    const TempDir files;
    std::ofstream config(files.file("curl"));
    const auto base64 = [](const std::string& text) {
      static const char* const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
      std::string out;
      for (std::size_t i = 0; i < text.size(); i += 3) {
        unsigned bits = 0;
        for (std::size_t j = 0; j < 3; ++j)
          bits = bits << 8 | (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0u);
        for (std::size_t j = 0; j < 4; ++j)
          out += i + j <= text.size() ? digits[bits >> (18 - 6 * j) & 63] : '=';
      }
      return out;
    };
    for (int i = 101; i <= 10'100; ++i) {
      if (i > 101) config << "next\n";
      config << "url = " << quoted(etcd.url() + "/v3/kv/put") << "\noutput = /dev/null\nsilent\ndata = "
             << quoted(R"({"key":")" + base64("/coreos.com/network/subnets/" + subnet_name(i) + "-24") +
                       R"(","value":")" + base64(value(i)) + R"("})")
             << "\n";
    }
    config.close();
    must_run({.args = {"curl", "-K", files.file("curl")}, .netns = etcd.node().name()},
             std::chrono::minutes{3});
    CHECK(wait_until(60s, [&] { return routes(a) == 10'100; }));
    CHECK(count_lines(a.neighbours()) == 10'100);
    CHECK(count_lines(a.fdb()) == 10'100);
  }

  TEST_CASE(
      "compat 9.9: fifty nodes started in the same instant get fifty subnets, and all know all within 5 s") {
    REQUIRE_MEANS(cluster_means());
    constexpr int kNodes = 50;
    Etcd etcd;
    etcd.configure(R"({"Network":"10.64.0.0/16","Backend":{"Type":"vxlan"}})");
    std::vector<std::unique_ptr<Machine>> machines;
    for (int i = 1; i <= kNodes; ++i) machines.push_back(std::make_unique<Machine>(etcd, i));
    for (auto& machine : machines) machine->start();
    const auto started = std::chrono::steady_clock::now();
    for (auto& machine : machines) REQUIRE_MESSAGE(machine->joined(kNodes - 1), machine->log());
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
    MESSAGE("all know all after ", took.count(), " ms");
    CHECK(took <= 5s);
    std::set<std::string> subnets;
    for (auto& machine : machines) {
      CHECK(machine->running());
      subnets.insert(machine->subnet());
    }
    CHECK(subnets.size() == kNodes);
  }
}
