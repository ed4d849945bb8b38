// SPDX-License-Identifier: Apache-2.0
// The documented default of every option is the value of a run without it: in the help text, in README.md and
// in the example of the INI file.
#include <doctest/doctest.h>

#include <set>
#include <sstream>

#include "cli/options.hpp"
#include "cli_support.hpp"
#include "support/project.hpp"

using namespace flannelette;
using cli::Option;
using tests::Reading;

namespace {

/// All settings, one a line. A setting that is missing here does not compile.
std::string described(const Reading& reading) {
  const auto& [agent, etcd, etcd_given, tls, tcp, serving, sandbox, nexthop_objects, kube] = reading.settings;
  const auto& [socket, group, listen_ip, listen_port, healthz_ip, healthz_port] = serving;
  const auto& [interface, subnet_file, state_dir, registry_wait, ip_masq, fully_random, forward_rules,
               clamp_mss, peers_only, set_forward, tx_checksum, log_level] = agent;
  const auto& [names, regexes, can_reach, public_ip, public_ip_file, failback_delay] = interface;
  const auto& [endpoints, endpoint_count, prefix, username, password, ttl, margin] = etcd;
  const auto& [ca, cert, key] = tls;
  const auto& [connect, idle, interval, probes, user_timeout] = tcp;
  std::ostringstream out;
  const auto address = [](const std::optional<Ip4>& ip) {
    return ip ? std::string(text_of(*ip).view()) : "none";
  };
  out << "subnet_file " << subnet_file.view() << "\nstate_dir " << state_dir.view() << "\nregistry_wait "
      << registry_wait << "\nip_masq " << ip_masq << "\nfully_random " << fully_random << "\nforward_rules "
      << forward_rules << "\nclamp_mss " << clamp_mss << "\npeers_only " << peers_only << "\nset_forward "
      << set_forward << "\ntx_checksum " << static_cast<int>(tx_checksum) << "\nlog_level " << name(log_level)
      << "\nnames " << Reading::joined(names) << "\nregexes " << Reading::joined(regexes) << "\ncan_reach "
      << address(can_reach) << "\npublic_ip " << address(public_ip) << "\npublic_ip_file "
      << public_ip_file.view() << "\nfailback_delay " << failback_delay << "\nendpoints "
      << reading.endpoints() << "\nprefix " << prefix.view() << "\nusername " << username.view()
      << "\npassword " << password.view() << "\nttl " << ttl << "\nmargin " << margin << "\ntls " << ca.view()
      << ' ' << cert.view() << ' ' << key.view() << "\ntcp " << connect << ' ' << idle << ' ' << interval
      << ' ' << probes << ' ' << user_timeout << "\nserving " << socket.view() << ' ' << group.view() << ' '
      << text_of(listen_ip).view() << ' ' << listen_port << ' ' << text_of(healthz_ip).view() << ' '
      << healthz_port << "\nsandbox " << static_cast<int>(sandbox) << "\nnexthop_objects " << nexthop_objects
      << '\n';
  if (kube == nullptr) return out.str();
  const auto& [servers, server_count, kubeconfig, node_name, pod_name, pod_namespace, annotations, net_config,
               network_available, rehearsal, service_host, service_port] = *kube;
  out << "kube " << server_count << ' ' << kubeconfig.view() << "\nnode_name " << node_name.view() << ' '
      << pod_name.view() << ' ' << pod_namespace.view() << "\nannotations " << annotations.view()
      << "\nnet_config " << net_config.view() << "\nnetwork_available " << network_available << "\nservice "
      << service_host.view() << ' ' << service_port << '\n';
  return out.str();
}

/// A run in which one option is given, perhaps beside others.
Reading with(const Option& option, const std::string& value, Reading::Words words = {},
             const Reading::Words& environment = {}) {
  if (option.flag.empty()) {
    return Reading::of_ini(
        "[" + std::string(option.section) + "]\n" + std::string(option.key) + " = " + value + "\n", words,
        environment);
  }
  words.push_back("--" + std::string(option.flag) + "=" + value);
  return Reading(words, environment);
}

/// "| a | b |" -> {"a", "b"}, without the back quotes of code.
std::vector<std::string> cells(const std::string& row) {
  std::vector<std::string> all;
  std::istringstream in(row.substr(1));
  for (std::string cell; std::getline(in, cell, '|');) {
    std::erase(cell, '`');
    const auto first = cell.find_first_not_of(' ');
    all.push_back(first == cell.npos ? "" : cell.substr(first, cell.find_last_not_of(' ') - first + 1));
  }
  return all;
}

/// The option of one row of README's table, by the first flag or key that it names.
const Option* option_of(const std::string& flags, const std::string& keys) {
  if (flags.starts_with("--")) return cli::find_flag(flags.substr(2, flags.find(',') - 2));
  const auto end = keys.find("] ");
  return cli::find_key(keys.substr(1, end - 1), keys.substr(end + 2, keys.find(',') - end - 2));
}

bool speaks_of(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_SUITE_BEGIN("cli/defaults");

TEST_CASE("a run without an option uses the default that the help tells") {
  const std::string plain = described(Reading(Reading::Words{}));
  for (const Option& option : cli::options()) {
    if (option.fate == cli::Fate::kControl) continue;
    const Reading given = with(option, std::string(option.fallback));
    INFO(std::string(option.flag), " ", std::string(option.key), "\n", given.shown());
    CHECK(given.clean());
    CHECK(described(given) == plain);
  }
}

TEST_CASE("so does a run with kube-subnet-mgr") {
  const Reading::Words kube = {"-kube-subnet-mgr"},
                       pod = {"KUBERNETES_SERVICE_HOST=10.43.0.1", "NODE_NAME=n"};
  const std::string plain = described(Reading(kube, pod));
  for (const Option& option : cli::options()) {
    if (option.fate != cli::Fate::kKube) continue;
    const Reading given = with(option, std::string(option.fallback), kube, pod);
    INFO(std::string(option.flag), " ", std::string(option.key), "\n", given.shown());
    CHECK(given.clean());
    CHECK(described(given) == plain);
  }
}

TEST_CASE("without any option the state is kept in the build's folder") {
  CHECK(Reading(Reading::Words{}).settings.agent.state_dir.view() == FLANNELETTE_STATE_DIR);
  CHECK(with(*cli::find_flag("state-dir"), "").settings.agent.state_dir.empty());
}

TEST_CASE(
    "two networks on one machine, known by their prefixes, share no state; the default one has the plain "
    "folder") {
  const auto folder = [](const std::string& prefix) {
    const Reading reading({"--state-dir=/s", "--etcd-prefix=" + prefix});
    CHECK(reading.clean());
    return std::string(reading.settings.agent.state_dir.view());
  };
  // Prefixes of the same keys, as flanneld joins them, are the same network.
  for (const char* same : {"/coreos.com/network", "/coreos.com/network/", "//coreos.com//network//"})
    CHECK(folder(same) == "/s");
  CHECK(folder("/k3s-flannel/Net_2") == "/s/prefix+k3s-flannel+Net_2");
  CHECK(folder("/k3s-flannel//Net_2///") == "/s/prefix+k3s-flannel+Net_2");
  CHECK(folder("/a b+\xe4") == "/s/prefix+a%20b%2b%e4");
  std::set<std::string> all;
  const Reading::Words others = {"",
                                 "/",
                                 "coreos.com/network",
                                 "coreos.com+network",
                                 "a",
                                 "/a",
                                 "/a/b",
                                 "/a+b",
                                 "/a%2bb",
                                 "/a-b",
                                 "/A",
                                 "/..",
                                 "..",
                                 "node",
                                 "peers",
                                 "/node",
                                 "/node.tmp-01234567",
                                 "/coreos.com/network2"};
  for (const std::string& prefix : others) {
    CHECK(folder(prefix).starts_with("/s/prefix"));
    CHECK(folder(prefix).find('/', 3) == std::string::npos);
    all.insert(folder(prefix));
  }
  CHECK(all.size() == others.size());
}

TEST_CASE("daemons with several subnet files have several sockets, the default one a plain name") {
  const auto socket = [](const Reading::Words& words) {
    return std::string(Reading(words).settings.serving.socket.view());
  };
  CHECK(socket({}) == "/run/flannelette/flannelette.sock");
  CHECK(socket({"--subnet-file=/run/flannel/subnet.env"}) == socket({}));
  CHECK(socket({"--etcd-prefix=/other"}) == socket({}));
  const std::string other = socket({"--subnet-file=/run/b.env"});
  CHECK(other.starts_with("/run/flannelette/"));
  CHECK(other.ends_with(".sock"));
  CHECK(other != socket({}));
  CHECK(other != socket({"--subnet-file=/run/c.env"}));
  CHECK(socket({"--status-socket="}) == "");
}

TEST_CASE("a state folder whose files would have too long a path is not used, with a notice") {
  const std::string longest = "/" + std::string(Files::kMaxPath - 1 - 6, 's');
  CHECK(Reading(Reading::Words{"--state-dir=" + longest}).settings.agent.state_dir.view() == longest);
  const Reading reading(Reading::Words{"--state-dir=" + longest + "s"});
  CHECK(reading.settings.agent.state_dir.empty());
  CHECK(reading.notices ==
        Reading::Words{"--state-dir: the paths of the state files are too long; no state is saved"});
  const Reading prefix(Reading::Words{"--etcd-prefix=" + std::string(128, '~')});
  CHECK(prefix.asked == cli::Asked::kRun);
  CHECK(prefix.settings.agent.state_dir.empty());
  CHECK(prefix.notices == Reading::Words{"the paths of the state files are too long; no state is saved"});
}

TEST_CASE("README's table tells the defaults that are used") {
  const std::string text = tests::project_file("README.md");
  const std::string head = "| flag | INI | default | |\n|---|---|---|---|\n";
  REQUIRE(speaks_of(text, head));
  std::istringstream rows(text.substr(text.find(head) + head.size()));
  int count = 0;
  for (std::string row; std::getline(rows, row) && row.starts_with("|"); ++count) {
    INFO(row);
    const auto columns = cells(row);
    REQUIRE(columns.size() == 4);
    const Option* option = option_of(columns[0], columns[1]);
    REQUIRE(option != nullptr);
    if (option->key.empty()) option = option_of("", columns[1]);  // the flag has no unit
    REQUIRE(option != nullptr);
    if (option->fallback.empty()) continue;  // nothing, or words for it
    CHECK(columns[2] == std::string(option->fallback));
  }
  CHECK(count > 15);
}

TEST_CASE("the example of the INI file shows the default of every key that has one") {
  const std::string text = tests::project_file("board/flannelette.ini");
  for (const Option& option : cli::options()) {
    if (option.key.empty() || option.fallback.empty()) continue;
    const std::string key(option.key), fallback(option.fallback);
    INFO(key);
    if (key == "endpoint") {  // an example; the default is in its comment
      for (const char* url : {"http://127.0.0.1:4001", "http://127.0.0.1:2379"}) {
        CHECK(speaks_of(text, url));
        CHECK(speaks_of(fallback, url));
      }
    } else {
      CHECK(speaks_of(text, "\n#" + key + " = " + fallback + "\n"));
    }
  }
}

TEST_SUITE_END();
