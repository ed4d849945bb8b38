// SPDX-License-Identifier: Apache-2.0
// The code alone, by bench_probe: parser throughput, and instructions counted by callgrind, which do not
// depend on how quiet the machine is.
#include <algorithm>
#include <stdexcept>

#include "bench/lab.hpp"

namespace flannelette::bench {
namespace {

using namespace tests;
using namespace std::chrono_literals;

constexpr int kPage = 500;
constexpr int kEvents = 200;

double instructions(const Lab& lab, const Node& node, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(),
                   {"valgrind", "--tool=callgrind", "--callgrind-out-file=" + lab.path("callgrind")});
  const std::string output = must_run({.args = arguments, .netns = node.name()}, 300s);
  const std::string key = "Collected : ";
  const auto at = output.find(key);
  if (at == std::string::npos) throw std::runtime_error("callgrind: " + output);
  return std::stod(output.substr(at + key.size()));
}

/// Watch messages with one put each, of the peers that follow `after`.
std::vector<std::string> events(int after, int count) {
  std::vector<std::string> all;
  for (int i = 1; i <= count; ++i) {
    const std::string put = put_body(after + i, "7587862094297155847");
    const std::string revision = std::to_string(1'000'000 + i);
    all.push_back(
        R"({"result":{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":")" +
        revision + R"(","raft_term":"2"},"events":[{"kv":)" + put.substr(0, put.size() - 1) +
        R"(,"create_revision":")" + revision + R"(","mod_revision":")" + revision +
        R"(","version":"1"}}]}})" + "\n");
  }
  return all;
}

std::string in_one(const std::vector<std::string>& pieces) {
  std::string text;
  for (const std::string& piece : pieces) text += piece;
  return text;
}

/// An HTTP response of these chunks.
std::string in_chunks(const std::vector<std::string>& pieces) {
  std::string text =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& piece : pieces) {
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    text += size + piece + "\r\n";
  }
  return text + "0\r\n\r\n";
}

}  // namespace

void bench_parse(const Settings& settings, Report& report) {
  report.section("Parsers over a page of " + grouped(kPage) + " peers as it came from etcd");
  Lab lab;
  lab.set_peers(kPage);
  const std::string body = lab.gateway().post("/v3/kv/range", range_body());
  lab.file("body", body);
  lab.file("watch", in_chunks(events(kPage, kPage)));
  const auto measure = [&](const char* what, const char* label, const char* file) {
    for (int round = 0; round < settings.rounds; ++round) {
      const std::string speed = must_run({.args = {settings.probe, "speed", what, lab.path(file)}});
      report.add({"", kPage, label, Unit::kMbPerSecond}, kOurs, std::stod(speed));
    }
  };
  report.add({"", kPage, "size of the page", Unit::kBytes}, kOurs, static_cast<double>(body.size()));
  measure("http", "HTTP, a watch: a chunk an event", "watch");
  measure("json", "JSON tokens", "body");
  measure("decode", "JSON to key-value pairs, base64 decoded", "body");
}

void bench_instructions(const Settings& settings, Report& report) {
  report.section("Instructions of user space a peer, by callgrind (1,000 and 2,000 peers, the difference)");
  Lab lab;
  const Node& node = lab.etcd().node();
  const auto list = [&](int peers) {
    lab.set_peers(peers);
    const std::string name = "list" + std::to_string(peers);
    return lab.file(name, lab.gateway().post("/v3/kv/range", range_body()));
  };
  const std::string one = list(1000);
  const std::string two = list(2000);
  const std::string ten = list(10'000);
  const auto hot = [&](const std::string& until) {
    return (instructions(lab, node, {settings.probe, "hot", until, two}) -
            instructions(lab, node, {settings.probe, "hot", until, one})) /
           1000;
  };
  const auto add = [&](const std::string& label, double value) {
    report.add({"", 0, label, Unit::kInstructions}, kOurs, value);
  };
  const double parse = hot("parse");
  const double table = hot("table");
  const double plan = hot("plan");
  add("list to records (JSON, base64, key, value)", parse);
  add("into the table, conflicts settled", table - parse);
  add("diff", plan - table);
  add("audit: three dumps audited, nothing to do", hot("audit") - 2 * plan);
  const double batch = [&] {
    const Node there("bare");
    const double more = instructions(lab, there, {settings.probe, "floor", "2000"});
    there.ip("link del flannel.1");
    return (more - instructions(lab, there, {settings.probe, "floor", "1000"})) / 1000;
  }();
  add("netlink requests and their answers", batch);
  add("all of a first list: parse, diff, encode", plan + batch);
  const auto event = [&](const std::string& peers, int number) {
    const std::string file = lab.file("events" + std::to_string(number), in_one(events(number, kEvents)));
    return (instructions(lab, node, {settings.probe, "hot", "event", peers, file}) -
            instructions(lab, node, {settings.probe, "hot", "plan", peers})) /
           kEvents;
  };
  add("an event (parse, diff) among 1,000 peers", event(one, 1000));
  add("an event (parse, diff) among 10,000 peers", event(ten, 10'000));
}

}  // namespace flannelette::bench
