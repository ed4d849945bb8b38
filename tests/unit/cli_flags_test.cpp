// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "cli/options.hpp"
#include "cli/verb_table.hpp"
#include "cli_support.hpp"
#include "flannelette/cli/help.hpp"
#include "support/process.hpp"
#include "support/project.hpp"

using namespace flannelette;
using cli::Asked;
using flannelette::tests::Reading;
using Words = Reading::Words;

namespace {

std::string help(std::string_view topic) {
  bool known = false;
  const auto text = to_text<cli::kMaxHelp>([&](Writer& out) {
    known = cli::write_help(out, topic);
    CHECK_FALSE(out.overflowed());
  });
  CHECK(known);
  return std::string(text.view());
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

/// A flag of flanneld, a value that is not its default, and how to see that it took effect.
struct Case {
  const char* flag;
  const char* value;
  bool (*effect)(const Reading&);
};

template <class T>
bool is(const T& text, std::string_view expected) {
  return std::string_view(text) == expected;
}

const Case kSettings[] = {
    {"etcd-endpoints", "http://a:1,https://b",
     [](const Reading& r) { return r.endpoints() == "http://a:1 https://b:2379"; }},
    {"etcd-prefix", "/net", [](const Reading& r) { return is(r.settings.etcd.prefix, "/net"); }},
    {"etcd-cafile", "/ca", [](const Reading& r) { return is(r.settings.tls.ca_file, "/ca"); }},
    {"etcd-certfile", "/cert", [](const Reading& r) { return is(r.settings.tls.cert_file, "/cert"); }},
    {"etcd-keyfile", "/key", [](const Reading& r) { return is(r.settings.tls.key_file, "/key"); }},
    {"etcd-username", "u", [](const Reading& r) { return is(r.settings.etcd.username, "u"); }},
    {"etcd-password", "p", [](const Reading& r) { return is(r.settings.etcd.password, "p"); }},
    {"iface", "eth1", [](const Reading& r) { return r.joined(r.settings.agent.interface.names) == "eth1"; }},
    {"iface-regex", "^eth[0-9]$",
     [](const Reading& r) { return r.joined(r.settings.agent.interface.regexes) == "^eth[0-9]$"; }},
    {"iface-can-reach", "10.0.0.1",
     [](const Reading& r) { return r.settings.agent.interface.can_reach == parse_ip4("10.0.0.1"); }},
    {"public-ip", "192.0.2.1",
     [](const Reading& r) { return r.settings.agent.interface.public_ip == parse_ip4("192.0.2.1"); }},
    {"subnet-file", "/s", [](const Reading& r) { return is(r.settings.agent.subnet_file, "/s"); }},
    {"subnet-lease-renew-margin", "1439",
     [](const Reading& r) { return r.settings.etcd.renew_margin_seconds == 1439 * 60; }},
    {"ip-masq", "true", [](const Reading& r) { return r.settings.agent.ip_masq; }},
    {"ip-masq-fully-random-disable", "true",
     [](const Reading& r) { return !r.settings.agent.masq_fully_random; }},
    {"iptables-forward-rules", "false", [](const Reading& r) { return !r.settings.agent.forward_rules; }},
    {"status-socket", "/r.sock", [](const Reading& r) { return is(r.settings.serving.socket, "/r.sock"); }},
    {"status-group", "adm", [](const Reading& r) { return is(r.settings.serving.group, "adm"); }},
    {"status-listen", "127.0.0.1:9100",
     [](const Reading& r) {
       return r.settings.serving.listen_ip == Ip(*parse_ip4("127.0.0.1")) &&
              r.settings.serving.listen_port == 9100;
     }},
    {"healthz-ip", "::1",
     [](const Reading& r) { return r.settings.serving.healthz_ip == Ip(*parse_ip6("::1")); }},
    {"healthz-port", "8081", [](const Reading& r) { return r.settings.serving.healthz_port == 8081; }},
    {"v", "2", [](const Reading& r) { return r.settings.agent.log_level == Level::kDebug; }},
    {"log-level", "error", [](const Reading& r) { return r.settings.agent.log_level == Level::kError; }},
};

/// Those that take effect with kube-subnet-mgr, in a Pod.
const Case kKube[] = {
    {"kube-api-url", "https://a,http://b,https://c:6443",
     [](const Reading& r) { return r.api_servers() == "https://a:443 http://b:80 https://c:6443"; }},
    {"kubeconfig-file", "/k", [](const Reading& r) { return is(r.settings.kube->kubeconfig, "/k"); }},
    {"kube-annotation-prefix", "x.example",
     [](const Reading& r) { return is(r.settings.kube->annotation_prefix, "x.example/"); }},
    {"net-config-path", "/n", [](const Reading& r) { return is(r.settings.kube->net_config_path, "/n"); }},
    {"set-node-network-unavailable", "false",
     [](const Reading& r) { return !r.settings.kube->set_network_available; }},
};

const Words kPod = {"NODE_NAME=node-1", "KUBERNETES_SERVICE_HOST=10.43.0.1", "KUBERNETES_SERVICE_PORT=443"};

const Case kIgnored[] = {
    {"iptables-resync", "60", nullptr},
    {"vmodule", "a=1", nullptr},
    {"log_backtrace_at", "a.go:1", nullptr},
};

const Case kRefused[] = {
    {"public-ipv6", "fd00::1", nullptr},
    {"ip-blackhole-route", "true", nullptr},
};

/// Flags that are complete only with others.
Words with_companions(std::string_view flag, Words words) {
  if (flag == "etcd-endpoints" || flag == "etcd-certfile") words.push_back("-etcd-cafile=/ca");
  if (flag == "etcd-certfile") words.push_back("-etcd-keyfile=/key");
  if (flag == "etcd-keyfile") words.push_back("-etcd-certfile=/cert");
  if (flag == "etcd-username") words.push_back("-etcd-password=p");
  if (flag == "etcd-password") words.push_back("-etcd-username=u");
  return words;
}

bool is_boolean(const char* flag) { return cli::find_flag(flag)->boolean(); }

std::vector<Words> all_forms(const Case& c) {
  const std::string flag = c.flag, value = c.value;
  std::vector<Words> forms = {{"-" + flag + "=" + value}, {"--" + flag + "=" + value}};
  if (!is_boolean(c.flag)) {
    forms.push_back({"-" + flag, value});
    forms.push_back({"--" + flag, value});
  } else if (value == "true") {
    forms.push_back({"-" + flag});
    forms.push_back({"--" + flag});
  }
  return forms;
}

std::string variable(std::string flag) {
  for (char& c : flag) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return "FLANNELD_" + flag;
}

bool wrong(const Reading& reading, const std::string& problem) {
  INFO(reading.shown());
  return reading.asked == Asked::kWrong && reading.problems == Words{problem};
}

}  // namespace

TEST_SUITE_BEGIN("cli/flags");

TEST_CASE("every flag of flanneld takes effect with one dash or two, with '=' or a blank") {
  for (const Case& c : kSettings) {
    for (const Words& form : all_forms(c)) {
      const Reading reading(with_companions(c.flag, form));
      INFO(form.front(), "\n", reading.shown());
      CHECK(reading.asked == Asked::kRun);
      CHECK(c.effect(reading));
    }
  }
}

TEST_CASE("every flag can be given in the environment") {
  for (const Case& c : kSettings) {
    const Reading reading(with_companions(c.flag, {}), {variable(c.flag) + "=" + c.value});
    INFO(c.flag, "\n", reading.shown());
    CHECK(reading.asked == Asked::kRun);
    CHECK(c.effect(reading));
  }
}

TEST_CASE("with kube-subnet-mgr every flag of it takes effect, in whatever form and from the environment") {
  for (const Case& c : kKube) {
    for (Words form : all_forms(c)) {
      form.push_back("-kube-subnet-mgr");
      const Reading reading(form, kPod);
      INFO(c.flag, "\n", reading.shown());
      CHECK(reading.clean());
      CHECK(c.effect(reading));
    }
    Words environment = kPod;
    environment.push_back(variable(c.flag) + "=" + c.value);
    environment.push_back("FLANNELD_KUBE_SUBNET_MGR=true");
    const Reading reading({}, environment);
    INFO(c.flag, "\n", reading.shown());
    CHECK(reading.clean());
    CHECK(reading.settings.kube != nullptr);
    CHECK(c.effect(reading));
  }
}

TEST_CASE("what is not needed here is accepted with one notice, in whatever form and however often") {
  std::vector<Case> cases(std::begin(kIgnored), std::end(kIgnored));
  cases.insert(cases.end(), std::begin(kKube), std::end(kKube));  // without kube-subnet-mgr
  for (const Case& c : cases) {
    for (const Words& form : all_forms(c)) {
      Words twice = form;
      twice.insert(twice.end(), form.begin(), form.end());
      const Reading reading(twice, {variable(c.flag) + "=" + c.value});
      INFO(c.flag, "\n", reading.shown());
      CHECK(reading.asked == Asked::kRun);
      REQUIRE(reading.notices.size() == 1);
      CHECK(reading.notices[0].starts_with(std::string("--") + c.flag + ": accepted without effect: "));
    }
    const Reading reading({}, {variable(c.flag) + "=" + c.value});
    REQUIRE(reading.notices.size() == 1);
    CHECK(reading.notices[0].starts_with(variable(c.flag) + ": accepted without effect: "));
  }
}

TEST_CASE("what is not built yet is refused by name") {
  for (const Case& c : kRefused) {
    for (const Words& form : all_forms(c)) {
      const Reading reading(form);
      INFO(c.flag, "\n", reading.shown());
      CHECK(reading.asked == Asked::kWrong);
      REQUIRE(reading.problems.size() == 1);
      CHECK(reading.problems[0].starts_with(std::string("--") + c.flag + ": "));
      CHECK(reading.problems[0].ends_with("not built yet"));
    }
  }
  CHECK(wrong(Reading({}, {"FLANNELD_PUBLIC_IPV6=fd00::1"}),
              "FLANNELD_PUBLIC_IPV6: \"fd00::1\": IPv6 is not built yet"));
}

TEST_CASE("a flag at its default changes nothing and says nothing") {
  const Reading plain{Words{}};
  REQUIRE(plain.clean());
  for (const cli::Option& option : cli::options()) {
    if (option.flag.empty() || option.fate == cli::Fate::kControl) continue;
    const std::string flag(option.flag), value(option.fallback);
    for (const Reading& reading :
         {Reading(Words{"--" + flag + "=" + value}), Reading({}, {variable(flag) + "=" + value})}) {
      INFO(flag, "\n", reading.shown());
      CHECK(reading.clean());
      CHECK(reading.endpoints() == plain.endpoints());
      CHECK(is(reading.settings.agent.subnet_file, plain.settings.agent.subnet_file));
      CHECK(reading.settings.agent.log_level == plain.settings.agent.log_level);
      CHECK(reading.settings.etcd.renew_margin_seconds == plain.settings.etcd.renew_margin_seconds);
    }
  }
  CHECK(Reading(Words{"-kube-subnet-mgr=0", "-set-node-network-unavailable=T"}).clean());
}

TEST_CASE("the defaults are flanneld's, and the table tells them") {
  const Reading plain{Words{}};
  CHECK(plain.endpoints() == "http://127.0.0.1:4001 http://127.0.0.1:2379");
  CHECK(is(plain.settings.etcd.prefix, cli::find_flag("etcd-prefix")->fallback));
  CHECK(is(plain.settings.agent.subnet_file, cli::find_flag("subnet-file")->fallback));
  CHECK(plain.settings.etcd.lease_ttl_seconds == 24 * 3600);
  CHECK(plain.settings.etcd.renew_margin_seconds == 60 * 60);
  CHECK_FALSE(plain.settings.agent.ip_masq);
  CHECK(plain.settings.agent.masq_fully_random);
  CHECK(plain.settings.agent.forward_rules);
  CHECK_FALSE(plain.settings.agent.set_ip_forward);
  CHECK(plain.settings.agent.log_level == Level::kInfo);
}

TEST_CASE("booleans are Go's") {
  for (const char* yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    CHECK(Reading(Words{std::string("-ip-masq=") + yes}).settings.agent.ip_masq);
  }
  for (const char* no : {"0", "f", "F", "FALSE", "false", "False"}) {
    CHECK_FALSE(Reading(Words{"-ip-masq", std::string("-ip-masq=") + no}).settings.agent.ip_masq);
  }
  CHECK(wrong(Reading(Words{"-ip-masq=yes"}), "--ip-masq: \"yes\": true or false is expected"));
  CHECK(wrong(Reading(Words{"-ip-masq="}), "--ip-masq: \"\": true or false is expected"));
}

TEST_CASE("a stray argument is named, with the right way to write a boolean") {
  CHECK(wrong(Reading({"-ip-masq", "true", "-iface", "eth0"}),
              "\"true\": unexpected argument; write --ip-masq=true"));
  CHECK(wrong(Reading({"-iface", "eth0", "eth1"}),
              "\"eth1\": unexpected argument; flags begin with -, the value of a boolean follows '='"));
  CHECK(wrong(Reading({"--", "eth1"}),
              "\"eth1\": unexpected argument; flags begin with -, the value of a boolean follows '='"));
  CHECK(Reading({"-iface", "eth0", "--"}).clean());
  CHECK(Reading({"-iface", "eth0", "-"}).asked == Asked::kWrong);
  // As in Go, nothing behind it is read.
  CHECK(Reading({"x", "--version"}).asked == Asked::kWrong);
}

TEST_CASE(
    "an argument that is empty, as systemd's ${OPTS} without options, is passed over; a value may be empty") {
  for (const Words& words : std::initializer_list<Words>{
           {""}, {"", ""}, {"-iface", "eth0", ""}, {"", "-iface=eth0"}, {"", "-iface", "eth0", "", "--"}})
    CHECK(Reading(words).clean());
  CHECK(Reading({"", "-public-ip=192.0.2.1", "", "-public-ip", "", "-ip-masq", ""}).clean());
  CHECK_FALSE(Reading({"-public-ip=192.0.2.1", "-public-ip", ""}).settings.agent.interface.public_ip);
  CHECK(Reading({"", "--version"}).asked == Asked::kVersion);
}

TEST_CASE("blanks around a value and around the commas of a list do not count, in a password they do") {
  const std::string list = " http://a , http://b:1,\thttp://10.0.0.1\r";
  for (const Reading& reading :
       {Reading({"-etcd-endpoints", list, "-iface", " eth0 ", "-public-ip", "192.0.2.1 ", "-ip-masq= true"}),
        Reading({}, {"FLANNELD_ETCD_ENDPOINTS=" + list, "FLANNELD_IFACE=eth0\r",
                     "FLANNELD_PUBLIC_IP= 192.0.2.1", "FLANNELD_IP_MASQ=true\r"})}) {
    INFO(reading.shown());
    CHECK(reading.clean());
    CHECK(reading.endpoints() == "http://a:2379 http://b:1 http://10.0.0.1:2379");
    CHECK(reading.joined(reading.settings.agent.interface.names) == "eth0");
    CHECK(reading.settings.agent.interface.public_ip == parse_ip4("192.0.2.1"));
    CHECK(reading.settings.agent.ip_masq);
  }
  CHECK(Reading(Words{"-etcd-endpoints=,http://a,,http://b,"}).endpoints() == "http://a:2379 http://b:2379");
  CHECK(Reading({}, {"FLANNELD_IFACE= ", "FLANNELD_PUBLIC_IP=\r"}).clean());
  const Reading secret({"-etcd-username=u"}, {"FLANNELD_ETCD_PASSWORD= p "});
  CHECK(is(secret.settings.etcd.password, " p "));
}

TEST_CASE("every variable that is empty is as one that is not set, as for flanneld") {
  for (const cli::Option& option : cli::options()) {
    if (option.flag.empty()) continue;
    INFO(option.flag);
    CHECK(Reading({}, {variable(std::string(option.flag)) + "="}).clean());
  }
}

TEST_CASE("what the README says is refused is refused, with that sentence") {
  std::istringstream in(tests::project_file("README.md"));
  int rows = 0;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) inside = line == "## What is refused";
    if (!inside || !line.starts_with("| `")) continue;
    ++rows;
    INFO(line);
    const auto middle = line.find("` | `"), end = line.rfind("` |");
    REQUIRE(middle < end);
    const std::string typed = line.substr(3, middle - 3),
                      sentence = line.substr(middle + 5, end - middle - 5);
    const auto section = typed.find("] ");
    const Reading reading =
        typed[0] == '['
            ? Reading::of_ini(typed.substr(0, section + 1) + "\n" + typed.substr(section + 2) + "\n")
            : Reading(tests::words(typed), {"NODE_NAME=node-1"});
    const std::string ini = "/etc/flannelette.ini";  // as it is packaged
    CHECK(reading.problems ==
          Words{sentence.starts_with(ini) ? FLANNELETTE_CONFIG + sentence.substr(ini.size()) : sentence});
  }
  CHECK(rows >= 12);
}

TEST_CASE("every command line of the README is accepted without a word") {
  std::istringstream in(tests::project_file("README.md"));
  int lines = 0;
  const std::string start = "    flannelette ";
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(start)) continue;
    ++lines;
    Words words = tests::words(line.substr(start.size()));
    if (!words[0].starts_with("-")) words.erase(words.begin());  // a verb
    const Reading reading(words, {"NODE_NAME=node-1"});
    INFO(line, "\n", reading.shown());
    CHECK(reading.clean());
  }
  CHECK(lines >= 2);
}

TEST_CASE("an unknown flag names the nearest, and the others are looked at all the same") {
  CHECK(wrong(Reading(Words{"--etcd-endpoint=http://a"}),
              "--etcd-endpoint: unknown flag; the nearest is --etcd-endpoints"));
  CHECK(wrong(Reading({"-ifcae", "eth0"}), "--ifcae: unknown flag; the nearest is --iface"));
  CHECK(wrong(Reading(Words{"--hlep"}), "--hlep: unknown flag; the nearest is --help"));
  const Reading reading({"-ifcae", "eth0", "--ip-msq", "-public-ip", "here"});
  CHECK(reading.problems == Words{"--ifcae: unknown flag; the nearest is --iface",
                                  "--ip-msq: unknown flag; the nearest is --ip-masq",
                                  "--public-ip: \"here\": an IPv4 address of a host is expected"});
}

TEST_CASE("malformed flags and missing values are problems") {
  CHECK(wrong(Reading(Words{"---iface"}), "a malformed flag: - or --, a name, then perhaps = and a value"));
  CHECK(wrong(Reading(Words{"-=x"}), "a malformed flag: - or --, a name, then perhaps = and a value"));
  CHECK(wrong(Reading(Words{"-iface"}), "--iface: a value is missing"));
  // What some probe for a version with; it must not start the agent.
  CHECK(wrong(Reading(Words{"-v"}), "--v: a value is missing"));
  CHECK(Reading(Words{"-V"}).asked == Asked::kWrong);
  CHECK(Reading(Words{"-?"}).asked == Asked::kWrong);
}

TEST_CASE("the value of a flag may look like a flag") {
  const Reading reading({"-etcd-prefix", "--help", "-etcd-username=a=b", "-etcd-password=-x"});
  CHECK(reading.asked == Asked::kRun);
  CHECK(is(reading.settings.etcd.prefix, "--help"));
  CHECK(is(reading.settings.etcd.username, "a=b"));
}

TEST_CASE("the last of several flags counts, lists collect") {
  const Reading reading({"-iface=a", "-public-ip=192.0.2.1", "-iface", "b", "-public-ip=192.0.2.2",
                         "-etcd-endpoints=http://a", "-etcd-endpoints=http://b", "-iface-regex=x",
                         "-iface-regex=y"});
  CHECK(reading.clean());
  CHECK(reading.joined(reading.settings.agent.interface.names) == "a b");
  CHECK(reading.joined(reading.settings.agent.interface.regexes) == "x y");
  CHECK(reading.settings.agent.interface.public_ip == parse_ip4("192.0.2.2"));
  CHECK(reading.endpoints() == "http://b:2379");
}

TEST_CASE("help and version are asked for in all usual forms, whatever else is there") {
  for (const char* flag : {"-h", "--h", "-help", "--help"})
    CHECK(Reading({"-bogus=1", flag}).asked == Asked::kHelp);
  for (const char* flag : {"-version", "--version", "--version=true"}) {
    const Reading reading({flag, "-bogus"});
    CHECK(reading.asked == Asked::kVersion);
    CHECK(reading.shown().empty());
  }
  CHECK(Reading(Words{"--version=false"}).clean());
  CHECK(wrong(Reading(Words{"--version=maybe"}), "--version: \"maybe\": true or false is expected"));
  CHECK(Reading({}, {"FLANNELD_VERSION=true"}).clean());
}

TEST_CASE("a bad value tells flag, value and what is expected") {
  const auto margin = [](const std::string& value) {
    return "--subnet-lease-renew-margin: \"" + value + "\": a number of minutes from 1 to 1439 is expected";
  };
  for (const char* value : {"0", "1440", "-1", "60m", "1.5", "99999999999999999999"}) {
    CHECK(wrong(Reading({"-subnet-lease-renew-margin", value}), margin(value)));
  }
  for (const char* value :
       {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.0.0.01", "fd00::1", "eth0"}) {
    CHECK(wrong(Reading({"--public-ip", value}),
                std::string("--public-ip: \"") + value + "\": an IPv4 address of a host is expected"));
  }
  for (const char* value : {"a-name-too-long-", "a b", "a/b", "a:1", "\"eth0\"", ".."}) {
    CHECK(wrong(Reading({"-iface", value}),
                std::string("--iface: \"") + value +
                    "\": an interface name (at most 15 bytes) or one of its IPv4 addresses is expected"));
  }
  CHECK(wrong(Reading(Words{"-subnet-file="}), "--subnet-file: \"\": a path is expected"));
  for (const std::string port : {"http", "65536", "-1", ""}) {
    CHECK(wrong(Reading({"-healthz-port=" + port}),
                "--healthz-port: \"" + port + "\": a port from 0 to 65535 is expected"));
  }
  CHECK(wrong(Reading({"-healthz-ip=localhost"}), "--healthz-ip: \"localhost\": an address is expected"));
  for (const std::string place :
       {"9100", "127.0.0.1", "127.0.0.1:0", "localhost:9100", "::1:9100", ":9100"}) {
    CHECK(wrong(Reading({"-status-listen=" + place}),
                "--status-listen: \"" + place + "\": an address and a port are expected, as 127.0.0.1:9100"));
  }
  CHECK(wrong(Reading({"-iptables-resync", "5s"}), "--iptables-resync: \"5s\": a number is expected"));
  CHECK(wrong(Reading({"-log-level", "trace"}),
              "--log-level: \"trace\": debug, info, warning or error is expected"));
}

TEST_CASE("endpoints are given by the user, or the defaults") {
  CHECK_FALSE(Reading(Reading::Words{}).settings.etcd_given);
  CHECK(Reading({"-etcd-endpoints", "http://127.0.0.1:2379"}).settings.etcd_given);
}

TEST_CASE("of several endpoints the wrong one is shown") {
  CHECK(wrong(Reading({"-etcd-endpoints", "http://a,10.0.0.1:2379"}),
              "--etcd-endpoints: \"10.0.0.1:2379\": must begin with http:// or https://"));
  std::string many = "http://a";
  for (int i = 0; i < 16; ++i) many += ",http://a";
  CHECK(wrong(Reading({"-etcd-endpoints", many}), "--etcd-endpoints: \"http://a\": more than 16 endpoints"));
}

TEST_CASE(
    "regular expressions are read as flanneld reads them; what is not supported is refused, not "
    "misunderstood") {
  for (const char* good :
       {"eth0", "^(eth|en).*", "192\\.168\\.[0-9]+", "[[:digit:]]$", "a{2}", "^eth\\d+$", "(?i)ETH"}) {
    CHECK_MESSAGE(Reading({"-iface-regex", good}).clean(), good);
  }
  CHECK(wrong(Reading({"-iface-regex", "eth\\pN"}),
              "--iface-regex: \"eth\\pN\": at byte 4: \"\\p\" is not supported"));
  CHECK(wrong(Reading({"-iface-regex", "eth(?i)"}),
              "--iface-regex: \"eth(?i)\": at byte 4: \"(?i\" is not supported"));
  CHECK(wrong(Reading({"-iface-regex", "x[a"}), "--iface-regex: \"x[a\": at byte 2: \"[\" is not closed"));
  CHECK(wrong(Reading({"-iface-regex", "a{2,1}"}),
              "--iface-regex: \"a{2,1}\": at byte 2: \"{2,1}\" is in the wrong order"));
  CHECK(wrong(Reading({"-iface-regex", "a\n\\"}),
              "--iface-regex: \"a?\\\": at byte 3: \"\\\" escapes nothing"));
  CHECK(wrong(Reading::of_ini("[node]\ninterface-regex = ^eth[z-a]\n"), FLANNELETTE_CONFIG
              ":2: interface-regex: \"^eth[z-a]\": at byte 6: \"z-a\" is in the wrong order"));
  CHECK(wrong(Reading({}, {"FLANNELD_IFACE_REGEX=*"}),
              "FLANNELD_IFACE_REGEX: \"*\": at byte 1: \"*\" has nothing to repeat"));
  const std::string longest(127, 'a');
  CHECK(Reading({"-iface-regex", longest}).clean());
  CHECK(wrong(Reading({"-iface-regex", longest + std::string(400, 'b')}),
              "--iface-regex: \"" + longest + std::string(33, 'b') + "...\": at byte 128: \"" +
                  std::string(32, 'b') + "\" is beyond the longest pattern"));
}

TEST_CASE("a bad value in the environment names the variable; an empty one is unset") {
  CHECK(wrong(Reading({}, {"PATH=/bin", "FLANNELD_IP_MASQ=yes"}),
              "FLANNELD_IP_MASQ: \"yes\": true or false is expected"));
  CHECK(Reading({}, {"FLANNELD_IP_MASQ=", "FLANNELD_IFACE=", "FLANNELD_V="}).clean());
  CHECK(Reading({}, {"FLANNELD_SERVICE_HOST=10.0.0.1", "FLANNELD_", "FLANNELD", "=", ""}).clean());
}

TEST_CASE("no secret is shown, however the command line is wrong") {
  const std::string secret = "hunter2";
  const std::string too_long = secret + std::string(130, 'x');
  for (const Words& words :
       std::initializer_list<Words>{{"-etcd-password", secret},
                                    {"-etcd-password=" + too_long},
                                    {"-etcd-passwrod", secret},
                                    {"-etcd-passwrod=" + secret},
                                    {"-etcd-password" + secret},
                                    {"-etcd-password=a", secret},
                                    {"-etcd-password", "a", secret},
                                    {"-etcd-endpoints", "http://root:" + secret + "@a"},
                                    {"-etcd-endpoints", "http://root:" + secret + "@a,x"}}) {
    const Reading reading(words);
    INFO(words.front(), "\n", reading.shown());
    CHECK_FALSE(reading.shown().empty());
    CHECK(reading.shown().find(secret) == std::string::npos);
  }
  const Reading reading({}, {"FLANNELD_ETCD_PASSWORD=" + too_long});
  CHECK(wrong(reading, "FLANNELD_ETCD_PASSWORD: at most 128 bytes are expected"));
}

TEST_CASE("what is shown of a value cannot command the terminal, and is cut") {
  CHECK(wrong(
      Reading({"-iface", "\x1b[2J\n"}),
      "--iface: \"?[2J?\": an interface name (at most 15 bytes) or one of its IPv4 addresses is expected"));
  CHECK(Reading({"-iface", std::string(5000, 'x')}).shown().size() < 400);
}

TEST_CASE("help has a screen for each verb and each group of flags, and all flags by name on the first one") {
  const std::string first = help(""), all = help("all");
  std::set<std::string> topics{"", "flanneld"};
  for (const cli::VerbEntry& verb : cli::verbs()) topics.emplace(verb.name);
  for (const cli::Option& option : cli::options()) {
    const std::string flag(option.flag), key(option.key), sentence = std::string(option.help) + ".\n";
    INFO(flag, key);
    topics.emplace(option.section);
    if (!flag.empty()) {
      CHECK(contains(first, "-" + flag));
      if (option.fate != cli::Fate::kControl) CHECK(contains(help("--" + flag), sentence));
    }
    if (!key.empty()) CHECK(contains(all, "[" + std::string(option.section) + "] " + key));
    CHECK(contains(all, sentence));
    CHECK_FALSE(sentence.ends_with("..\n"));
  }
  for (const std::string& topic : topics) {
    const std::string screen = help(topic);
    INFO(screen);
    CHECK(contains(all, screen));
    CHECK(std::ranges::count(screen, '\n') <= 48);
    std::istringstream lines(screen);
    for (std::string line; std::getline(lines, line);) CHECK(line.size() <= (topic.empty() ? 80 : 100));
  }
  CHECK(to_text<10>([](Writer& out) { CHECK_FALSE(cli::write_help(out, "etdc")); }).empty());
}

TEST_CASE("the nearest name is the one with the fewest edits") {
  constexpr std::string_view kVerbs[] = {"run", "cleanup", "leave", "version", "help"};
  CHECK(cli::nearest("rnu", kVerbs) == "run");
  CHECK(cli::nearest("verison", kVerbs) == "version");
  CHECK(cli::nearest("", kVerbs) == "run");
  CHECK(cli::nearest(std::string(1000, 'h'), kVerbs) == "help");
  CHECK(cli::nearest("x", {}) == "");
}

TEST_SUITE_END();
