// SPDX-License-Identifier: Apache-2.0
// A node's metrics and the alerts of board/prometheus before a real Prometheus, which $PROMETHEUS names.
#include <doctest/doctest.h>

#include <cstdlib>

#include "support/means.hpp"
#include "support/poll.hpp"
#include "support/project.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

std::string prometheus() {
  const char* const path = std::getenv("PROMETHEUS");
  return path != nullptr ? path : "";
}

std::string prometheus_means() {
  if (prometheus().empty()) return "PROMETHEUS names no Prometheus (tests/system/prometheus.sh does)";
  for (const std::string& program : {prometheus(), beside(prometheus(), "promtool"), std::string("curl")}) {
    if (const std::string why = missing_program(program); !why.empty()) return why;
  }
  return cluster_means();
}

/// A Prometheus on the machine itself, which asks its agent every second.
class Scraper {
 public:
  explicit Scraper(const Machine& machine) : machine_(machine) {
    write_file(folder_.file("prometheus.yml"),
               "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
               "rule_files: ['" +
                   project_path("board/prometheus/rules.yml") +
                   "']\n"
                   "scrape_configs:\n"
                   "  - job_name: flannelette\n"
                   "    static_configs: [{targets: ['127.0.0.1:9100']}]\n");
    process_.emplace(machine.command({prometheus(), "--config.file=" + folder_.file("prometheus.yml"),
                                      "--storage.tsdb.path=" + folder_.file("data"),
                                      "--web.listen-address=127.0.0.1:9090"}));
  }
  /// What its API answers, a line of JSON.
  std::string api(const std::string& path, const std::string& query = "") const {
    return run(machine_.command({"curl", "-sG", "http://127.0.0.1:9090/api/v1/" + path, "--data-urlencode",
                                 "query=" + query}))
        .output;
  }
  /// The value of an expression that has one, as Prometheus prints it; else all that it says.
  std::string value(const std::string& expression) const {
    const std::string answer = api("query", expression);
    const auto at = answer.rfind(",\"");
    const auto end = answer.rfind('"');
    if (count_of(answer, "\"value\":[") != 1) return answer;
    return answer.substr(at + 2, end - at - 2);
  }
  [[nodiscard]] bool becomes(const std::string& expression, const std::string& wanted) const {
    return wait_until(30s, [&] { return value(expression) == wanted; });
  }
  std::string log() const { return process_->output(); }

 private:
  const Machine& machine_;
  const TempDir folder_;
  std::optional<Process> process_;
};

}  // namespace

TEST_SUITE("prometheus") {
  TEST_CASE("a real Prometheus scrapes a node, reads its metrics as they are meant, and takes the alerts") {
    REQUIRE_MEANS(prometheus_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    for (const char* third : {"101", "102"}) {
      const std::string number = third;
      etcd.put(kSubnetKeys + "10.64." + number + ".0-24",
               peer_value("172.30.0." + number, "02:00:00:00:01:" + number.substr(1)));
    }
    etcd.put(kSubnetKeys + "10.64.103.0-24", peer_value("127.0.0.1", "02:00:00:00:01:03"));
    Machine a(etcd, 1);
    a.start({"--status-listen=127.0.0.1:9100"});
    REQUIRE_MESSAGE(a.joined(2), a.log());

    const Scraper scraper(a);
    REQUIRE_MESSAGE(scraper.becomes("up{job='flannelette'}", "1"), scraper.log());
    CHECK(scraper.becomes("sum(flannelette_not_ready)", "0"));
    CHECK(scraper.becomes("flannelette_peers_wanted", "2"));
    CHECK(scraper.becomes("flannelette_peers_programmed", "2"));
    CHECK(scraper.becomes("flannelette_peers_refused", "0"));
    CHECK(scraper.becomes("flannelette_peers_ignored{reason='bad_public_ip'}", "1"));
    CHECK(scraper.becomes("flannelette_lease_remaining_seconds > bool 86000", "1"));
    CHECK(scraper.becomes("flannelette_registry_connections_total", "1"));
    CHECK(scraper.becomes("time() - flannelette_process_start_time_seconds < bool 300", "1"));
    CHECK(scraper.becomes("flannelette_process_resident_memory_bytes > bool 100000", "1"));
    etcd.ctl({"del", kSubnetKeys + "10.64.102.0-24"});
    CHECK(scraper.becomes("flannelette_peers_programmed", "1"));
    a.node().ip("route del 10.64.101.0/24");
    CHECK(scraper.becomes("flannelette_repairs_total{kind='route'}", "1"));

    // Each alert can be evaluated, and what is to be seen is seen.
    const int alerts = count_of(project_file("board/prometheus/rules.yml"), "- alert: ");
    CHECK(alerts > 0);
    std::string rules;
    CHECK_MESSAGE(
        wait_until(30s,
                   [&] { return count_of(rules = scraper.api("rules"), "\"health\":\"ok\"") == alerts; }),
        rules);
    CHECK(scraper.becomes("count(ALERTS)", "1"));
    CHECK(scraper.becomes("ALERTS{alertname='FlannelettePeersIgnored',alertstate='pending'}", "1"));
    CHECK(a.stop() == 0);
    CHECK(scraper.becomes("up{job='flannelette'}", "0"));
    CHECK(scraper.becomes("ALERTS{alertname='FlanneletteDown',alertstate='pending'}", "1"));
  }

  TEST_CASE("promtool finds nothing wrong with the metrics of a node, nor with the alerts") {
    REQUIRE_MEANS(prometheus_means());
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    Machine a(etcd, 1);
    a.start({"--status-listen=127.0.0.1:9100"});
    REQUIRE_MESSAGE(a.joined(0), a.log());
    const std::string promtool = beside(prometheus(), "promtool");
    const auto shell_on_a = [&](const std::string& command) {
      return run(a.command({"sh", "-c", command}), 30s);
    };
    const Outcome metrics = shell_on_a("curl -sf http://127.0.0.1:9100/metrics >/run/metrics && " + promtool +
                                       " check metrics </run/metrics");
    CHECK_MESSAGE(metrics.status == 0, metrics.output);
    CHECK(metrics.output.empty());
    const Outcome rules = shell_on_a(promtool + " check rules " + project_path("board/prometheus/rules.yml"));
    CHECK_MESSAGE(rules.status == 0, rules.output);
    CHECK(contains(rules.output, "SUCCESS"));
  }
}
