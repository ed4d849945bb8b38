// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sstream>

#include "cli/options.hpp"
#include "cli_support.hpp"
#include "support/project.hpp"
#include "support/temp_dir.hpp"

using namespace flannelette;
using cli::Asked;
using flannelette::tests::Reading;
using Words = Reading::Words;

namespace {

const std::string kFile = FLANNELETTE_CONFIG;

/// The text is wrong in exactly these ways.
void check_problems(const std::string& text, const Words& problems) {
  const Reading reading = Reading::of_ini(text);
  INFO(text);
  CHECK(reading.asked == Asked::kWrong);
  CHECK(reading.problems == problems);
}

void check_problem(const std::string& text, const std::string& problem) {
  check_problems(text, {kFile + problem});
}

/// Lines that begin with '#' and a letter are keys; documentation has a blank there.
std::string uncommented(const std::string& text, const std::string& without) {
  std::istringstream lines(text);
  std::string all;
  for (std::string line; std::getline(lines, line);) {
    const bool key =
        line.size() > 1 && line[0] == '#' && std::isalpha(static_cast<unsigned char>(line[1])) != 0;
    if (key && line.substr(1).starts_with(without + " ")) continue;
    all += (key ? line.substr(1) : line) + "\n";
  }
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("cli/ini");

TEST_CASE("every key takes effect") {
  Reading reading;
  reading.files.texts["/secret"] = "hunter2\r\nsecond line\n";
  reading.files.texts[kFile] =
      "[etcd]\nendpoint = https://a\nendpoint = https://b:1, \nprefix = /net\nusername = u\npassword-file = "
      "/secret\n"
      "ca-file = /ca\ncert-file = /cert\nkey-file = /key\nlease-ttl = 2d\nrenew-margin = 90m\n"
      "keepalive = metered\n"
      "[node]\ninterface = eth0\ninterface = 10.0.0.1\ninterface-regex = ^en\ninterface-regex = x$\n"
      "interface-can-reach = 10.0.0.2\npublic-ip = 192.0.2.1\nsubnet-file = /s\nip-masq = true\n"
      "masq-fully-random = false\nforward-rules = 0\nclamp-mss = true\nvxlan-peers-only = true\nip-forward = "
      "set\nnexthop-objects = "
      "off\ntx-checksum = "
      "off\nstate-dir = "
      "/state\nregistry-wait = 5s\npublic-ip-file = /run/ip\nfailback-delay = 2m\nsandbox = strict\n"
      "[status]\nsocket = /run/f.sock\ngroup = 27\nlisten = [::1]:9100\nhealthz-ip = 127.0.0.1\n"
      "healthz-port = 8081\n"
      "[log]\nlevel = debug\n";
  reading.read({});
  INFO(reading.shown());
  CHECK(reading.clean());
  const auto& [agent, etcd, etcd_given, tls, tcp, serving, sandbox, nexthop_objects, kube] = reading.settings;
  CHECK(reading.endpoints() == "https://a:2379 https://b:1");
  CHECK_FALSE(nexthop_objects);
  CHECK(sandbox == cli::Sandbox::kStrict);
  CHECK(agent.state_dir.view() == "/state/prefix+net");
  CHECK(agent.registry_wait == 5000);
  CHECK(agent.interface.public_ip_file.view() == "/run/ip");
  CHECK(agent.interface.failback_delay == 120'000);
  CHECK(etcd.prefix.view() == "/net");
  CHECK(etcd.username.view() == "u");
  CHECK(etcd.password.view() == "hunter2");
  CHECK(tls.ca_file.view() == "/ca");
  CHECK(tls.cert_file.view() == "/cert");
  CHECK(tls.key_file.view() == "/key");
  CHECK(etcd.lease_ttl_seconds == 2 * 86'400);
  CHECK(etcd.renew_margin_seconds == 90 * 60);
  CHECK(tcp.keepalive_idle_seconds + tcp.keepalive_probes * tcp.keepalive_interval_seconds == 15 * 60);
  CHECK(reading.joined(agent.interface.names) == "eth0 10.0.0.1");
  CHECK(reading.joined(agent.interface.regexes) == "^en x$");
  CHECK(agent.interface.can_reach == parse_ip4("10.0.0.2"));
  CHECK(agent.interface.public_ip == parse_ip4("192.0.2.1"));
  CHECK(agent.subnet_file.view() == "/s");
  CHECK(agent.ip_masq);
  CHECK_FALSE(agent.masq_fully_random);
  CHECK_FALSE(agent.forward_rules);
  CHECK(agent.clamp_mss);
  CHECK(agent.vxlan_peers_only);
  CHECK(agent.set_ip_forward);
  CHECK(agent.tx_checksum == agent::TxChecksum::kOff);
  CHECK(serving.socket.view() == "/run/f.sock");
  CHECK(serving.group.view() == "27");
  CHECK(serving.listen_ip == Ip(*parse_ip6("::1")));
  CHECK(serving.listen_port == 9100);
  CHECK(serving.healthz_ip == Ip(*parse_ip4("127.0.0.1")));
  CHECK(serving.healthz_port == 8081);
  CHECK(agent.log_level == Level::kDebug);
  CHECK(kube == nullptr);
}

TEST_CASE("every key of [kube] takes effect") {
  const Reading reading = Reading::of_ini(
      "[kube]\nsubnet-mgr = true\napi-url = https://a, http://10.0.0.1,https://b:6443\n"
      "kubeconfig-file = /kubeconfig\nannotation-prefix = example.org/overlay\nnet-config-path = /net.json\n"
      "set-node-network-unavailable = false\nnode-name = node-7.example\n");
  INFO(reading.shown());
  CHECK(reading.clean());
  REQUIRE(reading.settings.kube != nullptr);
  const auto& kube = *reading.settings.kube;
  CHECK(reading.api_servers() == "https://a:443 http://10.0.0.1:80 https://b:6443");
  CHECK(kube.kubeconfig.view() == "/kubeconfig");
  CHECK(kube.annotation_prefix.view() == "example.org/overlay-");
  CHECK(kube.net_config_path.view() == "/net.json");
  CHECK_FALSE(kube.set_network_available);
  CHECK(kube.node_name.view() == "node-7.example");
}

TEST_CASE("the example has every key, and is valid as it is and with all of them") {
  const std::string text = flannelette::tests::project_file("board/flannelette.ini");
  REQUIRE_FALSE(text.empty());
  CHECK(Reading::of_ini(text).clean());
  for (const cli::Option& option : cli::options()) {
    if (option.key.empty()) continue;
    INFO(option.key);
    CHECK(text.find("\n#" + std::string(option.key) + " = ") != std::string::npos);
  }
  for (const char* without : {"password", "password-file"}) {
    Reading reading;
    reading.files.texts["/etc/flannelette.password"] = "secret\n";
    reading.files.texts[kFile] = uncommented(text, without);
    reading.read({});
    INFO(reading.shown());
    CHECK(reading.asked == Asked::kRun);
    CHECK(reading.settings.etcd.password.view() == "secret");
    CHECK(reading.settings.etcd.endpoint_count == 2);
  }
}

TEST_CASE("the settings of each board are valid") {
  for (const char* board : {"raspberry-pi"}) {
    INFO(board);
    const std::string text =
        flannelette::tests::project_file("board/" + std::string(board) + "/flannelette.ini");
    REQUIRE_FALSE(text.empty());
    const Reading reading = Reading::of_ini(text);
    INFO(reading.shown());
    CHECK(reading.clean());
    CHECK(reading.settings.etcd.endpoint_count > 0);
  }
}

TEST_CASE("blanks, comments, a byte order mark and CR LF are accepted") {
  const Reading reading = Reading::of_ini(
      "\xef\xbb\xbf[node]\r\n\r\n# one\r\n; two\r\n  # indented\r\ninterface=eth0\r\ninterface\t =\t eth1 "
      "\t\r\npublic-ip=");
  INFO(reading.shown());
  CHECK(reading.clean());
  CHECK(reading.joined(reading.settings.agent.interface.names) == "eth0 eth1");
  CHECK(Reading::of_ini("").clean());
  CHECK(Reading::of_ini("\n\n").clean());
}

TEST_CASE("a value may hold '=', ':', ';' and '#'") {
  const Reading reading = Reading::of_ini("[etcd]\nusername = a;b#c=d:e\npassword = ;x\n");
  check_problem("[etcd]\nusername = a\npassword = ;x\n",
                ":3: a blank before ';' or '#' would cut the value; a comment needs a line of its own");
  const Reading glued = Reading::of_ini("[etcd]\nusername = a;b#c=d:e\npassword=;x=\n");
  CHECK(glued.asked == Asked::kRun);
  CHECK(glued.settings.etcd.username.view() == "a;b#c=d:e");
  CHECK(glued.settings.etcd.password.view() == ";x=");
}

TEST_CASE("what builds of the library read differently is refused with the number of the line") {
  const std::string cut =
      ": a blank before ';' or '#' would cut the value; a comment needs a line of its own";
  check_problem("[node]\ninterface = eth0 ; lan\n", ":2" + cut);
  check_problem("[node]\ninterface = eth0 # lan\n", ":2" + cut);
  check_problem("[node]\ninterface = eth0\t;lan\n", ":2" + cut);
  check_problem("[node] ; this node\n", ":1" + cut);
  check_problem("[node]\ninterface = eth0\n  eth1\n",
                ":3: the line begins with a blank; a value cannot go on in the next line");
  check_problem("[node]\n interface = eth0\n",
                ":2: the line begins with a blank; a value cannot go on in the next line");
  check_problem("[node]\ninterface: eth0\n", ":2: `key = value` is expected");
  check_problem("[node]\ninterface: eth0=1\n", ":2: `key = value` is expected");
  check_problem(std::string("[node]\ninterface = eth\0000\n", 24), ":2: the line has a NUL byte");
}

TEST_CASE("a line is read whole up to 197 bytes and refused beyond") {
  const std::string start = "subnet-file = /";
  for (std::size_t size = 190; size <= 210; ++size) {
    for (const char* end : {"", "\n", "\r\n"}) {
      const std::string path = "/" + std::string(size - start.size(), 'x');
      const Reading reading = Reading::of_ini("[node]\n" + start + path.substr(1) + end);
      INFO(size, " ", reading.shown());
      if (size <= 197) {
        CHECK(reading.clean());
        CHECK(reading.settings.agent.subnet_file.view() == path);
      } else {
        CHECK(reading.problems == Words{kFile + ":2: the line is longer than 197 bytes"});
      }
    }
  }
  // A comment may be as long as it likes.
  CHECK(Reading::of_ini("#" + std::string(5000, 'x') + "\n[node]\ninterface = eth0\n").clean());
}

TEST_CASE("an unknown section or key names file, line and the nearest") {
  check_problem("[etcd]\nendpont = http://a\n",
                ":2: endpont: unknown key in [etcd]; the nearest is endpoint");
  check_problem("[ectd]\nendpoint = http://a\n", ":1: [ectd]: unknown section; the nearest is [etcd]");
  check_problem("[log]\nendpoint = http://a\n", ":2: endpoint: belongs in [etcd], not in [log]");
  check_problem("endpoint = http://a\n", ":1: endpoint: a key before the first [section]");
  check_problem("[etcd]\nendpoint = http://a\n[nod]\nendpoint = x\nfoo = 1\n",
                ":3: [nod]: unknown section; the nearest is [node]");
  check_problem("[etcd]\n" + std::string(60, 'k') + " = 1\n",
                ":2: " + std::string(60, 'k') + ": unknown key in [etcd]; the nearest is key-file");
}

TEST_CASE("lines that are neither section nor key are refused") {
  const std::string entry = ":2: `key = value` is expected";
  check_problem("[node]\ninterface\n", entry);
  check_problem("[node]\n= eth0\n", entry);
  const std::string section = ":1: a section is written [section], alone in its line";
  check_problem("[node\n", section);
  check_problem("[node] interface = eth0\n", section);
  check_problem("[node]]\n", section);
}

TEST_CASE("a key given twice is refused unless it is a list") {
  check_problem("[node]\npublic-ip = 192.0.2.1\n\npublic-ip = 192.0.2.1\n",
                ":4: public-ip: given twice, first in line 2");
  check_problem("[node]\nip-masq = 1\n[log]\n[node]\nip-masq = 1\n",
                ":5: ip-masq: given twice, first in line 2");
}

TEST_CASE("all problems are reported, in the order of file, environment and flags") {
  const Reading reading = Reading::of_ini("[node]\nip-masq = maybe\nfoo\n[log]\nlevel = loud\n",
                                          {"-public-ip=x"}, {"FLANNELD_IFACE=a/b"});
  CHECK(reading.problems == Words{kFile + ":2: ip-masq: \"maybe\": true or false is expected",
                                  kFile + ":3: `key = value` is expected",
                                  kFile + ":5: level: \"loud\": debug, info, warning or error is expected",
                                  "FLANNELD_IFACE: \"a/b\": an interface name (at most 15 bytes) or one of "
                                  "its IPv4 addresses is expected",
                                  "--public-ip: \"x\": an IPv4 address of a host is expected"});
}

TEST_CASE("times have units and ranges") {
  const auto ttl = [](const std::string& value) {
    return Reading::of_ini("[etcd]\nlease-ttl = " + value + "\n");
  };
  CHECK(ttl("90").settings.etcd.lease_ttl_seconds == 90);
  CHECK(ttl("90s").settings.etcd.lease_ttl_seconds == 90);
  CHECK(ttl("5").settings.etcd.lease_ttl_seconds == 5);
  CHECK(ttl("2m").settings.etcd.lease_ttl_seconds == 120);
  CHECK(ttl("3h").settings.etcd.lease_ttl_seconds == 3 * 3600);
  CHECK(ttl("365d").settings.etcd.lease_ttl_seconds == 365 * 86'400);
  for (const char* bad :
       {"4", "0", "-5", "366d", "1w", "h", "1.5h", "1 h", "99999999999999999999d", "18446744073709551615"}) {
    CHECK(ttl(bad).problems ==
          Words{kFile + ":2: lease-ttl: \"" + bad + "\": a time from 5s to 365d is expected"});
  }
  CHECK(ttl("").asked == Asked::kWrong);
  // A number alone would be minutes to those who know flanneld's flag, and seconds to those who know
  // lease-ttl.
  check_problem("[etcd]\nrenew-margin = 60\n",
                ":2: renew-margin: \"60\": a time from 1m to 1439m is expected, with a unit: s, m, h or d");
  check_problem("[etcd]\nrenew-margin = 24h\n",
                ":2: renew-margin: \"24h\": a time from 1m to 1439m is expected, with a unit: s, m, h or d");
}

TEST_CASE("a renewal margin must suit the lease; the default gives way") {
  check_problem("[etcd]\nlease-ttl = 1h\nrenew-margin = 1h\n",
                ":3: renew-margin: the margin must be shorter than lease-ttl");
  const Reading by_flag = Reading::of_ini("[etcd]\nlease-ttl = 1h\n", {"-subnet-lease-renew-margin=60"});
  CHECK(by_flag.problems == Words{"--subnet-lease-renew-margin: the margin must be shorter than lease-ttl"});
  const Reading reading = Reading::of_ini("[etcd]\nlease-ttl = 30s\n");
  CHECK(reading.clean());
  CHECK(reading.settings.etcd.renew_margin_seconds < 30);
}

TEST_CASE("TLS settings that do not go together are refused by name") {
  check_problem("[etcd]\ncert-file = /c\n",
                ":2: cert-file: a client certificate needs its key: key-file (--etcd-keyfile)");
  check_problem("[etcd]\nkey-file = /k\n",
                ":2: key-file: a client key needs its certificate: cert-file (--etcd-certfile)");
  check_problem(
      "[etcd]\nendpoint = http://a\nendpoint = https://b\n",
      ":3: endpoint: https needs ca-file (--etcd-cafile): no certificate authority is trusted by itself");
  const Reading reading({"-etcd-endpoints=https://a", "-etcd-certfile=/c"});
  CHECK(reading.problems ==
        Words{"--etcd-certfile: a client certificate needs its key: key-file (--etcd-keyfile)",
              "--etcd-endpoints: https needs ca-file (--etcd-cafile): no certificate authority is trusted by "
              "itself"});
  CHECK(Reading({"-etcd-endpoints=https://a,http://b", "-etcd-cafile=/ca"}).clean());
}

TEST_CASE("flags go before environment, environment before file, and a list replaces the lower one") {
  const std::string text =
      "[etcd]\nendpoint = http://f1\nendpoint = http://f2\nusername = f\npassword = f\n"
      "[node]\ninterface = f1\ninterface = f2\ninterface-regex = f\nip-masq = true\nmasq-fully-random = "
      "true\n[log]\nlevel = error\n";
  const Words environment = {"FLANNELD_ETCD_ENDPOINTS=http://e1,http://e2",
                             "FLANNELD_IFACE=e",
                             "FLANNELD_IFACE_REGEX=e",
                             "FLANNELD_ETCD_USERNAME=e",
                             "FLANNELD_IP_MASQ=false",
                             "FLANNELD_IP_MASQ_FULLY_RANDOM_DISABLE=true",
                             "FLANNELD_LOG_LEVEL=debug"};
  const Words flags = {"-etcd-endpoints=http://c1,http://c2",
                       "-iface=c1",
                       "-iface=c2",
                       "-iface-regex=c",
                       "-etcd-username=c",
                       "-ip-masq",
                       "-ip-masq-fully-random-disable=false",
                       "-log-level=warning"};
  struct Expected {
    Words environment, flags;
    const char *endpoints, *names, *regexes, *username;
    bool masq, random;
    Level level;
  };
  const Expected cases[] = {
      {{}, {}, "http://f1:2379 http://f2:2379", "f1 f2", "f", "f", true, true, Level::kError},
      {environment, {}, "http://e1:2379 http://e2:2379", "e", "e", "e", false, false, Level::kDebug},
      {{}, flags, "http://c1:2379 http://c2:2379", "c1 c2", "c", "c", true, true, Level::kWarning},
      {environment, flags, "http://c1:2379 http://c2:2379", "c1 c2", "c", "c", true, true, Level::kWarning},
  };
  for (const Expected& expected : cases) {
    const Reading reading = Reading::of_ini(text, expected.flags, expected.environment);
    INFO(reading.shown());
    CHECK(reading.problems.empty());
    CHECK(reading.endpoints() == expected.endpoints);
    CHECK(reading.joined(reading.settings.agent.interface.names) == expected.names);
    CHECK(reading.joined(reading.settings.agent.interface.regexes) == expected.regexes);
    CHECK(reading.settings.etcd.username.view() == expected.username);
    CHECK(reading.settings.agent.ip_masq == expected.masq);
    CHECK(reading.settings.agent.masq_fully_random == expected.random);
    CHECK(reading.settings.agent.log_level == expected.level);
  }
  // An empty flag takes back what the file says.
  const Reading back = Reading::of_ini(text, {"-iface=", "-etcd-endpoints=", "-public-ip="});
  CHECK(back.settings.agent.interface.names.empty());
  CHECK(back.endpoints() == "http://127.0.0.1:4001 http://127.0.0.1:2379");
  // What the environment asks for and a flag takes back is not asked for.
  CHECK(Reading(Words{"-kube-subnet-mgr=false"}, {"FLANNELD_KUBE_SUBNET_MGR=true"}).clean());
}

TEST_CASE("the file is that of -c; only the default one may be absent") {
  for (const Words& words :
       {Words{"-c", "/x"}, Words{"--config", "/x"}, Words{"--config=/x"}, Words{"-c=/x"}}) {
    Reading reading;
    reading.files.texts["/x"] = "[node]\ninterface = x\n";
    reading.files.texts[kFile] = "[node]\ninterface = default\n";
    reading.read(words);
    CHECK(reading.clean());
    CHECK(reading.joined(reading.settings.agent.interface.names) == "x");
    CHECK(Reading(words).problems == Words{"/x: there is no such file"});
    reading.problems.clear();
    reading.files.texts["/x"] = "[node]\ninterfaec = x\n";
    reading.read(words);
    CHECK(reading.problems == Words{"/x:2: interfaec: unknown key in [node]; the nearest is interface"});
  }
  CHECK(Reading(Words{}).clean());
}

TEST_CASE("a file that cannot be read or is too large is a problem") {
  CHECK(Reading::of_ini("(denied)").problems == Words{kFile + ": cannot be read: Permission denied"});
  CHECK(Reading::of_ini("(fifo)").problems == Words{kFile + ": cannot be read: a FIFO, not a regular file"});
  CHECK(Reading::of_ini(std::string(64 * 1024, '\n')).clean());
  CHECK(Reading::of_ini(std::string(64 * 1024 + 1, '\n')).problems == Words{kFile + ": larger than 64 KiB"});
}

TEST_CASE("a text cut at any byte is read or refused, and never shows the password") {
  const std::string text =
      "[etcd]\nendpoint = http://a:1\nusername = user\npassword = hunter2\n[node]\npublic-ip = 192.0.2.1\n";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const Reading reading = Reading::of_ini(text.substr(0, size));
    INFO(size);
    CHECK((reading.asked == Asked::kRun) == reading.problems.empty());
    CHECK(reading.shown().find("hunter") == std::string::npos);
  }
}

TEST_CASE("no secret is shown, however the line with it is wrong") {
  const std::string secret = "hunter2";
  for (const std::string& line :
       {"password = " + secret + std::string(130, 'x'), "passwrod = " + secret, "password: " + secret,
        "password " + secret, "password " + secret + " = x", "password = " + secret + " ;x",
        " password = " + secret, "password = " + secret + "\npassword = " + secret,
        "password = " + secret + std::string(300, 'x'), "endpoint = http://root:" + secret + "@a"}) {
    for (const char* section : {"[etcd]\n", "[node]\n", "[what]\n", ""}) {
      const Reading reading = Reading::of_ini(section + line + "\n");
      INFO(section, line);
      CHECK(reading.asked == Asked::kWrong);
      CHECK(reading.shown().find(secret) == std::string::npos);
    }
  }
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("cli/credentials");

TEST_CASE("the password is the first line of its file") {
  for (const char* text : {"hunter2", "hunter2\n", "hunter2\r\n", "hunter2\nmore\n"}) {
    Reading reading;
    reading.files.texts["/p"] = text;
    reading.files.texts[kFile] = "[etcd]\nusername = u\npassword-file = /p\n";
    reading.read({});
    CHECK(reading.clean());
    CHECK(reading.settings.etcd.password.view() == "hunter2");
  }
}

TEST_CASE("what asks the machine only needs no password file, which may be gone with the service") {
  Reading reading;
  reading.files.texts[kFile] = "[etcd]\nusername = u\npassword-file = /run/credentials/gone\n";
  reading.read({}, {}, cli::Purpose::kMachine);
  CHECK(reading.clean());
  reading.read({});
  CHECK(reading.problems.size() == 1);
}

TEST_CASE("a password file that cannot serve is a problem") {
  const std::string start = kFile + ":3: password-file: \"/p\": ";
  const std::pair<const char*, std::string> cases[] = {
      {"", "its first line is empty"},
      {"\nhunter2\n", "its first line is empty"},
      {"(denied)", "cannot be read: Permission denied"},
      {"(fifo)", "cannot be read: a FIFO, not a regular file"},
  };
  for (const auto& [text, what] : cases) {
    Reading reading;
    reading.files.texts["/p"] = text;
    reading.files.texts[kFile] = "[etcd]\nusername = u\npassword-file = /p\n";
    reading.read({});
    CHECK(reading.problems == Words{start + what});
  }
  CHECK(Reading::of_ini("[etcd]\nusername = u\npassword-file = /p\n").problems ==
        Words{start + "there is no such file"});
  Reading reading;
  reading.files.texts["/p"] = std::string(129, 'x');
  reading.files.texts[kFile] = "[etcd]\nusername = u\npassword-file = /p\n";
  reading.read({});
  CHECK(reading.problems == Words{start + "its first line has more than 128 bytes"});
  Reading large;
  large.files.texts["/p"] = std::string(1025, 'x');
  large.files.texts[kFile] = "[etcd]\nusername = u\npassword-file = /p\n";
  large.read({});
  CHECK(large.problems == Words{start + "cannot be read: too large"});
}

TEST_CASE("password and password-file exclude each other in one file; a higher password wins") {
  const std::string both = "[etcd]\nusername = u\npassword = a\npassword-file = /p\n";
  CHECK(Reading::of_ini(both).problems ==
        Words{kFile + ":4: password-file: there is a password too: give one of the two"});
  const Reading reading =
      Reading::of_ini("[etcd]\nusername = u\npassword-file = /missing\n", {}, {"FLANNELD_ETCD_PASSWORD=env"});
  CHECK(reading.clean());
  CHECK(reading.settings.etcd.password.view() == "env");
}

TEST_CASE("a password on the command line works, with a notice that others can see it") {
  const Reading reading({"-etcd-username=u", "-etcd-password=p"});
  CHECK(reading.asked == Asked::kRun);
  CHECK(reading.notices == Words{"--etcd-password: everybody on this machine can read it in the list of "
                                 "processes; use password-file"});
}

TEST_CASE("name or password alone means no authentication, as for flanneld, with a notice") {
  const Reading name(Words{"-etcd-username=u"});
  CHECK(name.asked == Asked::kRun);
  CHECK(name.settings.etcd.username.empty());
  CHECK(name.notices ==
        Words{"--etcd-username: there is no password: not used, etcd is asked without authentication"});
  const Reading password({}, {"FLANNELD_ETCD_PASSWORD=p"});
  CHECK(password.settings.etcd.password.empty());
  CHECK(
      password.notices ==
      Words{"FLANNELD_ETCD_PASSWORD: there is no username: not used, etcd is asked without authentication"});
}

TEST_CASE(
    "a password that travels in the clear is noticed once, not on this machine and not without a name") {
  const auto notices = [](const std::string& endpoints) {
    return Reading({"-etcd-username=u", "-etcd-cafile=/x", "-etcd-endpoints=" + endpoints},
                   {"FLANNELD_ETCD_PASSWORD=p"})
        .notices;
  };
  CHECK(
      notices("https://127.0.0.1,http://10.0.0.1,http://10.0.0.2") ==
      Words{"FLANNELD_ETCD_PASSWORD: everybody on the path can read it: http://10.0.0.1:2379 is not https"});
  CHECK(notices("http://etcd.example").size() == 1);
  CHECK(notices("http://127.0.0.1,http://localhost,http://[::1]").empty());
  CHECK(Reading({"-etcd-endpoints=http://10.0.0.1"}, {"FLANNELD_ETCD_PASSWORD=p"}).notices.size() == 1);
}

TEST_CASE("a key that everybody can read is noticed") {
  const flannelette::tests::TempDir dir;
  SystemFiles system;
  const std::string key = dir.file("client.key");
  for (const unsigned mode : {0600u, 0640u, 0644u}) {
    REQUIRE(system.replace(key, "x", mode));
    const Reading reading({"-etcd-certfile=/x", "-etcd-keyfile=" + key});
    CHECK(reading.problems.empty());
    CHECK(reading.notices == (mode != 0644
                                  ? Words{}
                                  : Words{"--etcd-keyfile: everybody on this machine can read the key in " +
                                          key + "; only the user of the agent should"}));
  }
}

TEST_CASE("a password that everybody can read in a file is noticed") {
  const flannelette::tests::TempDir dir;
  SystemFiles system;
  const std::string secret = dir.file("secret"), ini = dir.file("ini");
  for (const unsigned mode : {0600u, 0640u, 0644u}) {
    REQUIRE(system.replace(secret, "hunter2\n", mode));
    Reading file;
    file.files.texts[secret] = "hunter2\n";
    file.files.texts[ini] = "[etcd]\nusername = u\npassword-file = " + secret + "\n";
    file.read({"-c", ini});
    CHECK(file.problems.empty());
    CHECK(file.notices.size() == (mode == 0644 ? 1 : 0));

    REQUIRE(system.replace(ini, "x", mode));
    Reading inside;
    inside.files.texts[ini] = "[etcd]\nusername = u\npassword = hunter2\n";
    inside.read({"-c", ini});
    CHECK(inside.notices.size() == (mode == 0644 ? 1 : 0));
    REQUIRE(::unlink(ini.c_str()) == 0);
  }
}

TEST_SUITE_END();
