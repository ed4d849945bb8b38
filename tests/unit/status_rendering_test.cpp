// SPDX-License-Identifier: Apache-2.0
// The forms of a status, in buffers of every size.
#include "flannelette/status/rendering.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/process.hpp"
#include "support/project.hpp"
#include "support/temp_dir.hpp"

using namespace flannelette;
using status::Format;
using status::PeerStatus;

namespace {

PeerStatus peer_of(std::uint32_t third, PeerStatus::State state = PeerStatus::State::kProgrammed) {
  PeerStatus peer;
  peer.state = state;
  peer.subnet = Net4{{0x0a050000u + (third << 8)}, 24};
  peer.public_ip = Ip4{0xac1f0000u + third};
  peer.mac = {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(third)}};
  return peer;
}

/// Whatever a test wants it to be.
struct Given final : status::Source {
  void read(status::Status& to) const override { to = status; }
  bool peer(std::size_t index, PeerStatus& to) const override {
    if (index >= peers.size()) return false;
    to = peers[index];
    return true;
  }
  status::Status status;
  std::vector<PeerStatus> peers;
};

/// A node in order, with a peer of each state.
Given whole() {
  Given given;
  status::Status& s = given.status;
  s.node.state = "running";
  s.node.device = "flannel.1";
  s.node.network = Net4{{0x0a050000}, 16};
  s.node.subnet = Net4{{0x0a050100}, 24};
  s.node.mac = {{2, 0, 0, 0, 0, 1}};
  s.node.public_ip = Ip4{0xac1e0001};
  s.node.interface = "eth\"0\\";
  s.node.backend = "vxlan";
  s.node.mtu_bytes = 1450;
  s.node.vni = 1;
  s.node.port = 8472;
  s.lease = {"held", true, 1, 93'784'000};
  s.registry.server = "http://172.30.0.100:2379";
  s.registry.watch = "stable";
  s.registry.watch_age = 1;
  s.registry.requests = 12;
  s.failures[static_cast<std::size_t>(Code::kTimeout)] = 3;
  s.ignored[static_cast<std::size_t>(overlay::Ignored::kConflict)] = 1;
  s.peers = {3, 1, 1};
  s.repairs[3] = 2;
  PeerStatus ignored = peer_of(5, PeerStatus::State::kIgnored);
  ignored.why = overlay::Ignored::kConflict;
  ignored.shadowed_by = Net4{{0x0a050000}, 20};
  given.peers = {peer_of(1, PeerStatus::State::kOurs), peer_of(2), peer_of(3, PeerStatus::State::kPending),
                 peer_of(4, PeerStatus::State::kRefused), ignored};
  given.peers[1].direct = true;
  return given;
}

/// With a value for all that may have none.
Given whole_with_all() {
  Given given = whole();
  given.status.registry.connected = given.status.registry.event_age = 1;
  given.status.device = {1, 1, 1, 1, 1};
  given.status.process = {1, 1, 1, 1, 1, 1, 1};
  return given;
}

std::string rendered(const status::Source& source, Format format, std::size_t size = 4096) {
  status::Rendering rendering(source, format);
  std::vector<char> memory(size);
  std::string all;
  for (bool more = true; more;) {
    Writer out(memory);
    more = rendering.next(out);
    CHECK_FALSE(out.overflowed());
    if (more) CHECK(out.room() == 0);
    all += out.view();
  }
  return all;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

constexpr Format kAll[] = {Format::kText, Format::kJson, Format::kMetrics};

}  // namespace

TEST_SUITE("status/rendering") {
  TEST_CASE("every form is the same in buffers of every size, one byte too") {
    const Given given = whole();
    for (const Format format : kAll) {
      const std::string all = rendered(given, format, 1 << 16);
      CHECK(all.size() > 100);
      for (std::size_t size = 1; size < 1'000; ++size) REQUIRE(rendered(given, format, size) == all);
    }
  }

  TEST_CASE(
      "the text begins with whether it is ready, then a block for each part, then a line for each peer") {
    Given given = whole();
    const std::string text = rendered(given, Format::kText);
    CHECK(text.starts_with("ready\n\nnode:\n  state: running\n  device: flannel.1\n"));
    CHECK(has(text, "\nlease:\n  state: held\n  reservation: true\n  remaining: 1d 2h 3m 4s\n"));
    CHECK(has(text, "\n  watch age: 0s\n"));
    CHECK(has(text, "\nrepairs:\n  fdb: 2\n"));
    CHECK_FALSE(has(text, "route: 0"));  // what never happened
    CHECK(
        text.ends_with("\n\n"
                       "peer:  10.5.2.0/24  172.31.0.2  02:00:00:00:00:02  programmed\n"
                       "peer:  10.5.3.0/24  172.31.0.3  02:00:00:00:00:03  pending\n"
                       "peer:  10.5.4.0/24  172.31.0.4  02:00:00:00:00:04  refused\n"
                       "peer:  10.5.5.0/24  172.31.0.5  02:00:00:00:00:05  ignored  it conflicts with "
                       "another record  10.5.0.0/20\n"));
    given.status.unready.watch = "no word from the registry for 21 s";
    given.status.unready.lease = "none is held";
    CHECK(rendered(given, Format::kText)
              .starts_with("not ready: lease: none is held\n"
                           "not ready: watch: no word from the registry for 21 s\n\nnode:"));
  }

  TEST_CASE("JSON is one document with a version, and says of each peer what the text says") {
    Given given = whole();
    given.status.unready.watch = "a \"quote\"";
    const std::string text = rendered(given, Format::kJson);
    CHECK(text.starts_with(
        R"({"version":1,"program":"0.1.0","ready":false,"not_ready":{"watch":"a \"quote\""},)"));
    CHECK(has(text, R"("interface":"eth\"0\\","backend":"vxlan","mtu_bytes":1450,"vni":1,"port":8472},)"));
    CHECK(has(text, R"("lease":{"state":"held","reservation":true,"held":1,"remaining_seconds":93784})"));
    CHECK(has(text, R"("device":{"received_bytes":0,)"));
    CHECK(text.ends_with(
        R"("peer_list":[{"subnet":"10.5.2.0/24","public_ip":"172.31.0.2","mac":"02:00:00:00:00:02",)"
        R"("state":"programmed","direct":true},{"subnet":"10.5.3.0/24","public_ip":"172.31.0.3",)"
        R"("mac":"02:00:00:00:00:03","state":"pending"},{"subnet":"10.5.4.0/24","public_ip":"172.31.0.4",)"
        R"("mac":"02:00:00:00:00:04","state":"refused"},{"subnet":"10.5.5.0/24","public_ip":"172.31.0.5",)"
        R"("mac":"02:00:00:00:00:05","state":"ignored","reason":"it conflicts with another record",)"
        R"("shadowed_by":"10.5.0.0/20"}]})"
        "\n"));
  }

  TEST_CASE("a status of which nothing is known has every form all the same") {
    const Given nothing;
    CHECK(rendered(nothing, Format::kText) ==
          "ready\n\npeers:\n  wanted: 0\n  programmed: 0\n  refused: 0\n");
    CHECK(rendered(nothing, Format::kJson).ends_with("\"peer_list\":[]}\n"));
    CHECK(has(rendered(nothing, Format::kMetrics), "\nflannelette_peers_wanted 0\n"));
    CHECK_FALSE(has(rendered(nothing, Format::kMetrics), "-1"));
  }

  TEST_CASE("metrics: one name for each number, counters end with _total, kinds are labels") {
    Given given = whole();
    given.status.unready.kernel = "2 of 3 peers are not programmed";
    const std::string text = rendered(given, Format::kMetrics);
    CHECK(has(text,
              "# HELP flannelette_peers_wanted Nodes to be reached.\n"
              "# TYPE flannelette_peers_wanted gauge\nflannelette_peers_wanted 3\n"));
    CHECK(
        has(text,
            "# TYPE flannelette_registry_requests_total counter\nflannelette_registry_requests_total 12\n"));
    CHECK(has(text, "\nflannelette_repairs_total{kind=\"fdb\"} 2\n"));
    CHECK(has(text, "\nflannelette_repairs_total{kind=\"route\"} 0\n"));
    CHECK(has(text, "\nflannelette_registry_failures_total{error=\"timeout\"} 3\n"));
    CHECK(has(text, "\nflannelette_peers_ignored{reason=\"conflict\"} 1\n"));
    CHECK(has(text, "\nflannelette_not_ready{cause=\"kernel\"} 1\n"));
    CHECK(has(text, "\nflannelette_not_ready{cause=\"watch\"} 0\n"));
    CHECK(
        has(text, "\nflannelette_node_info{state=\"running\",device=\"flannel.1\",network=\"10.5.0.0/16\","));
    CHECK(has(text, ",interface=\"eth\\\"0\\\\\",backend=\"vxlan\",vni=\"1\",port=\"8472\"} 1\n"));
    CHECK(has(text, "flannelette_build_info{version=\"" FLANNELETTE_VERSION "\"} 1\n"));
  }

  /// As `promtool check metrics` has it, as far as it concerns us.
  TEST_CASE("metrics: every sample follows the HELP and TYPE of its name, which come once") {
    std::istringstream lines(rendered(whole(), Format::kMetrics));
    std::set<std::string> names;
    std::set<std::string> samples;
    std::string name;
    std::string type;
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      std::istringstream words(line);
      std::string first, keyword, of;
      words >> first;
      if (first == "#") {
        words >> keyword >> of;
        if (keyword == "HELP") {
          CHECK(names.insert(of).second);
          name = of;
          type.clear();
          CHECK(line.size() > std::string_view("# HELP  ").size() + of.size());
        } else {
          CHECK(keyword == "TYPE");
          CHECK(of == name);
          words >> type;
          CHECK((type == "gauge" || type == "counter"));
        }
        continue;
      }
      const std::string sample = line.substr(0, line.rfind(' '));
      CHECK(samples.insert(sample).second);
      CHECK(sample.substr(0, sample.find('{')) == name);
      CHECK(name.starts_with("flannelette_"));
      CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos);
      CHECK(name.ends_with("_total") == (type == "counter"));
      CHECK(line.find_first_not_of("0123456789", line.rfind(' ') + 1) == std::string::npos);
    }
    CHECK(names.size() > 20);
  }

  TEST_CASE("promtool, where it is at hand, finds nothing wrong with the metrics and the alerts") {
    const auto shell = [](const std::string& command) { return tests::run({.args = {"sh", "-c", command}}); };
    if (shell("command -v promtool").status != 0) return;
    const tests::TempDir folder;
    const std::string file = folder.path() + "/metrics";
    std::ofstream(file) << rendered(whole_with_all(), Format::kMetrics);
    const tests::Outcome metrics = shell("promtool check metrics <" + file);
    CHECK_MESSAGE(metrics.status == 0, metrics.output);
    const std::string rules = folder.path() + "/rules.yml";
    std::ofstream(rules) << tests::project_file("board/prometheus/rules.yml");
    const tests::Outcome alerts = shell("promtool check rules " + rules);
    CHECK_MESSAGE(alerts.status == 0, alerts.output);
  }

  TEST_CASE("every metric that the dashboard and the alerts name is there, with the label that they use") {
    const std::string text = rendered(whole_with_all(), Format::kMetrics);
    std::size_t found = 0;
    for (const char* file : {"board/prometheus/dashboard.json", "board/prometheus/rules.yml"}) {
      const std::string content = tests::project_file(file);
      constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz_";
      constexpr std::string_view kPrefix = "flannelette_";
      for (std::size_t at = 0; (at = content.find(kPrefix, at)) != content.npos; ++found) {
        const std::size_t end = content.find_first_not_of(kLetters, at);
        const std::string name = content.substr(at, end - at);
        CAPTURE(name);
        CHECK(has(text, "\n# TYPE " + name + " "));
        at = end;
      }
    }
    CHECK(found > 15);
    for (const char* label : {"{cause=", "{reason=", "{kind=", "{error="}) CHECK(has(text, label));
  }

  /// A peer list that another hand changes between two pieces.
  TEST_CASE("peers that come and go between pieces: each line is whole, and the form stays valid") {
    for (const Format format : {Format::kText, Format::kJson}) {
      Given given = whole();
      for (std::uint32_t third = 6; third < 100; ++third) given.peers.push_back(peer_of(third));
      status::Rendering rendering(given, format);
      std::vector<char> memory(40);
      std::string all;
      int turn = 0;
      for (bool more = true; more; ++turn) {
        Writer out(memory);
        more = rendering.next(out);
        all += out.view();
        // The one of this index becomes another one, goes, or one comes before it.
        if (turn % 3 == 0 && given.peers.size() > 8) given.peers.erase(given.peers.begin() + 7);
        if (turn % 7 == 0) given.peers.insert(given.peers.begin(), peer_of(200));
        if (turn % 5 == 0) given.peers[turn % 5].state = PeerStatus::State::kPending;
        if (turn == 400) given.peers.clear();
      }
      if (format == Format::kJson) {
        CHECK(all.ends_with("]}\n"));
        CHECK_FALSE(has(all, "}{"));
        CHECK_FALSE(has(all, ",]"));
        CHECK_FALSE(has(all, "[,"));
      } else {
        std::istringstream lines(all);
        for (std::string line; std::getline(lines, line);)
          if (line.starts_with("peer:")) CHECK(std::count(line.begin(), line.end(), ':') == 6);
      }
    }
  }

  TEST_CASE("what a name holds beyond printable ASCII harms no form") {
    Given given = whole();
    given.status.node.interface = "a\nb\x1b[1m\xff";
    for (const Format format : kAll) CHECK(has(rendered(given, format), "a?b?[1m?"));
  }

  TEST_CASE("ten thousand peers are streamed, one after another") {
    Given given = whole();
    for (std::uint32_t i = 0; i < 10'000; ++i) given.peers.push_back(peer_of(i & 255));
    CHECK(rendered(given, Format::kText, 1'400).size() > 10'000 * 50);
  }
}
