// SPDX-License-Identifier: Apache-2.0
// The table behind flags, environment, INI keys and the help text.
#include "cli/options.hpp"

#include <algorithm>

#include "cli/draft.hpp"
#include "cli/kube_known.hpp"
#include "cli/listeners.hpp"
#include "cli/serving_known.hpp"
#include "flannelette/base/pattern.hpp"

namespace flannelette::cli {
namespace {

using std::string_view;

constexpr string_view kOk;
constexpr string_view kNumber = "a number is expected";
constexpr string_view kBool = "true or false is expected";
constexpr string_view kPath = "a path is expected";

constexpr std::int64_t kMinute = 60;
constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kMinTtl = 5;  // etcd's own minimum is about twice its election timeout
constexpr std::int64_t kMaxTtl = 365 * kDay;
constexpr std::int64_t kMaxWait = 3600;
constexpr std::int64_t kMinMargin = kMinute;  // flanneld's range of minutes
constexpr std::int64_t kMaxMargin = 1439 * kMinute;

string_view set_bool(bool& out, string_view value, bool inverted = false) {
  const auto parsed = parse_bool(value);
  if (!parsed) return kBool;
  out = *parsed != inverted;
  return kOk;
}

/// One of two words.
string_view set_choice(bool& out, string_view value, string_view yes, string_view no, string_view expected) {
  out = value == yes;
  return out || value == no ? kOk : expected;
}

/// One of these words, which are those of the enum in its order.
template <class Enum>
string_view set_word(Enum& out, string_view value, std::initializer_list<string_view> words,
                     string_view expected) {
  const auto* const word = std::ranges::find(words, value);
  if (word == words.end()) return expected;
  out = static_cast<Enum>(word - words.begin());
  return kOk;
}

template <std::size_t N>
string_view set_text(Text<N>& out, string_view value, string_view complaint) {
  return out.assign(value) ? kOk : complaint;
}

string_view set_path(Text<Files::kMaxPath>& out, string_view value) {
  return set_text(out, value, "a path of at most 255 bytes is expected");
}

string_view set_credential(Text<registry::EtcdSettings::kMaxCredential>& out, string_view value) {
  return set_text(out, value, "at most 128 bytes are expected");
}

/// A number of seconds, or with the unit s, m, h or d; -1 if it is none or too large to mean anything.
std::int64_t parse_duration(string_view text, bool unit_needed) {
  constexpr std::uint64_t kMax = 1'000'000'000;
  std::uint64_t unit = 1;
  const char last = text.empty() ? '\0' : text.back();
  if (last == 'm') unit = 60;
  if (last == 'h') unit = 3600;
  if (last == 'd') unit = kDay;
  if (unit != 1 || last == 's') {
    text.remove_suffix(1);
  } else if (unit_needed) {
    return -1;
  }
  std::uint64_t number = 0;
  if (!parse_unsigned(text, number) || number > kMax / unit) return -1;
  return static_cast<std::int64_t>(number * unit);
}

/// True if the list holds elements of a lower source, which the new ones replace.
bool replaces(Source& from, Source source) { return std::exchange(from, source) != source; }

/// etcd's, or the API servers: what is set once there are settings of Kubernetes is of those.
string_view set_servers(Draft& draft, string_view value) {
  auto& etcd = draft.settings.etcd;
  registry::KubeSettings* const kube = kKnowsKube ? draft.settings.kube.get() : nullptr;
  const std::span<io::Endpoint> servers = kube ? std::span<io::Endpoint>(kube->servers) : etcd.endpoints;
  std::size_t& count = kube ? kube->server_count : etcd.endpoint_count;
  // flanneld's flag is one comma list, the last of several counts.
  if (replaces(draft.endpoints_from, draft.source) || draft.source == Source::kFlag || kube) count = 0;
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    const string_view url = trimmed(value.substr(0, comma));
    value.remove_prefix(std::min(comma + 1, value.size()));
    if (url.empty()) continue;
    // A URL with a user in it may hold a password.
    draft.blamed = url.find('@') == string_view::npos ? url : string_view{};
    auto endpoint = io::parse_endpoint(url, kube ? 0 : registry::EtcdRegistry::kDefaultPort);
    if (!endpoint) return endpoint.error().context;
    if (!io::NetStream::resolves_names() && !parse_ip4(endpoint->host) && !parse_ip6(endpoint->host))
      return "this build resolves no names; give an address";
    if (count == servers.size()) return kube ? "more than 4 API servers" : "more than 16 endpoints";
    if (kube && endpoint->port == 0)
      endpoint->port = endpoint->tls ? registry::KubeRegistry::kDefaultPort : 80;
    servers[count++] = *endpoint;
  }
  return kOk;
}

string_view set_annotation_prefix(Draft& draft, string_view value) {
  const auto complete = registry::KubeSettings::complete_prefix(value);
  if (!complete) return complete.error().context;
  draft.settings.kube->annotation_prefix = *complete;
  return kOk;
}

string_view set_prefix(Draft& draft, string_view value) {
  return set_text(draft.settings.etcd.prefix, value, "at most 128 bytes are expected");
}

string_view set_margin(Draft& draft, std::int64_t seconds, string_view expected) {
  if (seconds < kMinMargin || seconds > kMaxMargin) return expected;
  draft.settings.etcd.renew_margin_seconds = seconds;
  return kOk;
}

string_view set_margin_minutes(Draft& draft, string_view value) {
  std::uint64_t minutes = 0;
  const bool good = parse_unsigned(value, minutes) && minutes <= kMaxMargin / kMinute;
  return set_margin(draft, good ? static_cast<std::int64_t>(minutes) * kMinute : -1,
                    "a number of minutes from 1 to 1439 is expected");
}

string_view set_margin_duration(Draft& draft, string_view value) {
  return set_margin(draft, parse_duration(value, true),
                    "a time from 1m to 1439m is expected, with a unit: s, m, h or d");
}

string_view set_ttl(Draft& draft, string_view value) {
  const std::int64_t seconds = parse_duration(value, false);
  if (seconds < kMinTtl || seconds > kMaxTtl) return "a time from 5s to 365d is expected";
  draft.settings.etcd.lease_ttl_seconds = seconds;
  return kOk;
}

string_view set_wait(std::int64_t& millis, string_view value) {
  const std::int64_t seconds = parse_duration(value, false);
  if (seconds < 0 || seconds > kMaxWait) return "a time from 0s to 1h is expected";
  millis = seconds * 1000;
  return kOk;
}

/// What the kernel takes for a name, less the double quote: there it would be a misunderstanding.
bool interface_name(string_view text) {
  const auto good = [](char c) { return c > ' ' && c != '/' && c != ':' && c != '"' && c != '\x7f'; };
  return !text.empty() && text.size() <= 15 && text != "." && text != ".." && std::ranges::all_of(text, good);
}

string_view set_interface(Draft& draft, string_view value) {
  auto& names = draft.settings.agent.interface.names;
  if (replaces(draft.names_from, draft.source)) names.clear();
  if (value.empty()) return kOk;
  if (!parse_ip4(value) && !interface_name(value)) {
    return "an interface name (at most 15 bytes) or one of its IPv4 addresses is expected";
  }
  return names.add(value) ? kOk : "more than 8 interfaces";
}

string_view set_regex(Draft& draft, string_view value) {
  constexpr std::size_t kMaxShown = 32;
  auto& regexes = draft.settings.agent.interface.regexes;
  if (replaces(draft.regexes_from, draft.source)) regexes.clear();
  if (value.empty()) return kOk;
  if (!Pattern::available()) return "this build knows no regular expressions; name the interface";
  Pattern pattern;
  PatternProblem problem;
  if (const auto compiled = pattern.compile(value, &problem); !compiled) {
    draft.detail = to_text<Draft::kMaxDetail>([&](Writer& out) {
      out.put("at byte ").put_unsigned(problem.at + 1);
      out.put(": \"").put(problem.part.substr(0, kMaxShown)).put("\" ").put(compiled.error().context);
    });
    return draft.detail;
  }
  return regexes.add(value) ? kOk : "more than 4 regular expressions";
}

string_view set_address(std::optional<Ip4>& out, string_view value) {
  if (value.empty()) {
    out.reset();
    return kOk;
  }
  const auto ip = parse_ip4(value);
  if (!ip || !is_unicast(*ip) || is_loopback(*ip)) return "an IPv4 address of a host is expected";
  out = *ip;
  return kOk;
}

string_view set_level(Draft& draft, string_view value) {
  for (const Level level : {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError}) {
    if (value != name(level)) continue;
    draft.settings.agent.log_level = level;
    return kOk;
  }
  return "debug, info, warning or error is expected";
}

string_view set_verbosity(Draft& draft, string_view value) {
  std::uint64_t number = 0;
  if (!parse_unsigned(value, number)) return kNumber;
  if (number > 0) draft.settings.agent.log_level = Level::kDebug;
  return kOk;
}

// Values of what is not used are checked all the same.
string_view check_bool(Draft&, string_view value) { return parse_bool(value) ? kOk : kBool; }
string_view check_number(Draft&, string_view value) {
  std::uint64_t number = 0;
  return parse_unsigned(value, number) ? kOk : kNumber;
}
string_view any(Draft&, string_view) { return kOk; }

// What becomes of the settings of listeners that this build has not.
constexpr Fate kTcpFate = kServesTcp ? Fate::kUsed : Fate::kUnbuilt;
consteval Literal tcp_help(Literal help) { return kServesTcp ? help : "this build has no TCP listener"; }
constexpr Fate kSocketFate = kServes ? Fate::kUsed : Fate::kIgnored;
consteval Literal socket_help(Literal help) { return kServes ? help : "this build has no status socket"; }

// What only kube-subnet-mgr uses, and what is left of it in a build without.
constexpr Fate kKubeFate = kKnowsKube ? Fate::kKube : Fate::kIgnored;
consteval Literal kube_help(Literal help) { return kKnowsKube ? help : "only kube-subnet-mgr uses it"; }
/// Not consteval: clang 14 then calls a lambda with other arguments.
constexpr Setter kube_setter(Setter set) { return kKnowsKube ? set : any; }

constexpr Option kOptions[] = {
    {"config", "", "", "FILE", kDefaultConfig, "FILE is the INI file; the default one may be absent", any,
     Fate::kControl},
    {"c", "", "", "FILE", kDefaultConfig, "The same", any, Fate::kControl},
    {"version", "", "", "", "false", "Prints the version and exits", check_bool, Fate::kControl},

    {"etcd-endpoints", "etcd", "endpoint", "URL,...", "http://127.0.0.1:4001,http://127.0.0.1:2379",
     "etcd's HTTP gateway answers at URL; the next one is tried when one fails", set_servers, Fate::kEtcd,
     false, true},
    {"etcd-prefix", "etcd", "prefix", "KEY", "/coreos.com/network",
     "The keys of the network in etcd lie below KEY", set_prefix, Fate::kEtcd},
    {"etcd-cafile", "etcd", "ca-file", "FILE", "",
     "FILE has the CAs that sign etcd's certificate (PEM); https needs it",
     [](Draft& d, string_view v) { return set_path(d.settings.tls.ca_file, v); }, Fate::kEtcd},
    {"etcd-certfile", "etcd", "cert-file", "FILE", "",
     "FILE has the client certificate (PEM); it needs its key",
     [](Draft& d, string_view v) { return set_path(d.settings.tls.cert_file, v); }, Fate::kEtcd},
    {"etcd-keyfile", "etcd", "key-file", "FILE", "", "FILE has the key of the client certificate (PEM)",
     [](Draft& d, string_view v) { return set_path(d.settings.tls.key_file, v); }, Fate::kEtcd},
    {"etcd-username", "etcd", "username", "NAME", "", "etcd is asked as user NAME",
     [](Draft& d, string_view v) { return set_credential(d.settings.etcd.username, v); }, Fate::kEtcd},
    {"etcd-password", "etcd", "password", "TEXT", "",
     "TEXT is the user's password; a password-file is better",
     [](Draft& d, string_view v) { return set_credential(d.settings.etcd.password, v); }, Fate::kEtcd, true},
    {"", "etcd", "password-file", "FILE", "", "The first line of FILE is the user's password",
     [](Draft& d, string_view v) { return set_path(d.password_file, v); }, Fate::kEtcd},
    {"", "etcd", "lease-ttl", "TIME", "24h", "etcd keeps the lease of a node that is away for TIME", set_ttl,
     Fate::kEtcd},
    {"", "etcd", "renew-margin", "TIME", "60m", "The lease is renewed TIME before its end, if not earlier",
     set_margin_duration, Fate::kEtcd},
    {"", "etcd", "keepalive", "normal|metered", "normal",
     "An idle connection is probed every minute, or every quarter of an hour",
     [](Draft& d, string_view v) {
       bool metered = false;
       const string_view complaint =
           set_choice(metered, v, "metered", "normal", "normal or metered is expected");
       d.settings.tcp = metered ? io::TcpSettings::metered() : io::TcpSettings{};
       return complaint;
     }},
    {"subnet-lease-renew-margin", "etcd", "", "MINUTES", "60",
     "The lease is renewed MINUTES before its end, if not earlier", set_margin_minutes, Fate::kEtcd},

    {"iface", "node", "interface", "NAME|IP", "",
     "The underlay interface, or one of its addresses; of several the first usable one is taken",
     set_interface, Fate::kUsed, false, true},
    {"iface-regex", "node", "interface-regex", "REGEX", "",
     "The same by regular expressions (Go's), searched in addresses, then in names", set_regex, Fate::kUsed,
     false, true},
    {"iface-can-reach", "node", "interface-can-reach", "IP", "", "The interface is the one that leads to IP",
     [](Draft& d, string_view v) { return set_address(d.settings.agent.interface.can_reach, v); }},
    {"public-ip", "node", "public-ip", "IP", "", "The other nodes send to IP, not to the interface's address",
     [](Draft& d, string_view v) { return set_address(d.settings.agent.interface.public_ip, v); }},
    {"public-ip-file", "node", "public-ip-file", "FILE", "",
     "FILE has that address and is read every minute, for a node behind a port forward",
     [](Draft& d, string_view v) { return set_path(d.settings.agent.interface.public_ip_file, v); }},
    {"", "node", "failback-delay", "TIME", "30s",
     "The interface in use gives way to a preferred one that was usable for TIME",
     [](Draft& d, string_view v) { return set_wait(d.settings.agent.interface.failback_delay, v); }},
    {"subnet-file", "node", "subnet-file", "FILE", "/run/flannel/subnet.env",
     "FILE is written for the CNI plugin",
     [](Draft& d, string_view v) { return v.empty() ? kPath : set_path(d.settings.agent.subnet_file, v); }},
    {"state-dir", "node", "state-dir", "DIR", FLANNELETTE_STATE_DIR,
     "The node remembers itself and its peers in DIR, over a reboot; empty: nowhere",
     [](Draft& d, string_view v) { return set_path(d.settings.agent.state_dir, v); }},
    {"", "node", "registry-wait", "TIME", "1s",
     "At start the registry has TIME to answer, then the node comes up as it was",
     [](Draft& d, string_view v) { return set_wait(d.settings.agent.registry_wait, v); }},
    {"ip-masq", "node", "ip-masq", "", "false", "Masquerades traffic that leaves the overlay network",
     [](Draft& d, string_view v) { return set_bool(d.settings.agent.ip_masq, v); }},
    {"", "node", "masq-fully-random", "", "true", "Masquerades with random ports",
     [](Draft& d, string_view v) { return set_bool(d.settings.agent.masq_fully_random, v); }},
    {"ip-masq-fully-random-disable", "node", "", "", "false", "Masquerades without random ports",
     [](Draft& d, string_view v) { return set_bool(d.settings.agent.masq_fully_random, v, true); }},
    {"iptables-forward-rules", "node", "forward-rules", "", "true",
     "Accepts forwarded traffic of the overlay network, together with ip-masq",
     [](Draft& d, string_view v) { return set_bool(d.settings.agent.forward_rules, v); }},
    {"", "node", "clamp-mss", "", "false",
     "Limits the MSS of the pods' TCP connections to what the route's MTU allows",
     [](Draft& d, string_view v) { return set_bool(d.settings.agent.clamp_mss, v); }},
    {"", "node", "vxlan-peers-only", "", "false",
     "Drops VXLAN packets from other addresses than the peers' public IPs",
     [](Draft& d, string_view v) { return set_bool(d.settings.agent.vxlan_peers_only, v); }},
    {"", "node", "ip-forward", "set|warn", "warn", "If net.ipv4.ip_forward is 0, it is set, or reported",
     [](Draft& d, string_view v) {
       return set_choice(d.settings.agent.set_ip_forward, v, "set", "warn", "set or warn is expected");
     }},
    {"", "node", "nexthop-objects", "auto|off", "auto",
     "Routes have nexthop objects where the kernel knows them, or never",
     [](Draft& d, string_view v) {
       return set_choice(d.settings.nexthop_objects, v, "auto", "off", "auto or off is expected");
     }},
    {"", "node", "tx-checksum", "auto|on|off", "auto",
     "Checksum offload of the device is set; auto: off behind NAT and on vmxnet3, else as it is",
     [](Draft& d, string_view v) {
       return set_word(d.settings.agent.tx_checksum, v, {"auto", "on", "off"}, "auto, on or off is expected");
     }},

    {"sandbox", "node", "sandbox", "on|off|strict", "on",
     "System calls that the agent does not make are refused; strict: they end it",
     [](Draft& d, string_view v) {
       return set_word(d.settings.sandbox, v, {"on", "off", "strict"}, "on, off or strict is expected");
     }},

    {"status-socket", "status", "socket", "PATH", kDefaultSocket,
     socket_help("The verb status asks at the UNIX socket PATH; empty: there is none"),
     [](Draft& d, string_view v) {
       return set_text(d.settings.serving.socket, v, "a path of at most 107 bytes is expected");
     },
     kSocketFate},
    {"status-group", "status", "group", "GROUP", "",
     socket_help("Members of GROUP may ask at the status socket, beside root"),
     [](Draft& d, string_view v) {
       return set_text(d.settings.serving.group, v, "at most 31 bytes are expected");
     },
     kSocketFate},
    {"status-listen", "status", "listen", "IP:PORT", "",
     tcp_help("IP:PORT has /metrics and /status for all who reach it, without TLS: best on loopback"),
     [](Draft& d, string_view v) { return set_listen(d.settings.serving, v); }, kTcpFate},
    {"healthz-ip", "status", "healthz-ip", "IP", "0.0.0.0",
     tcp_help("IP has /healthz and /readyz, where healthz-port is given, for all who reach it"),
     [](Draft& d, string_view v) { return set_listener_ip(d.settings.serving.healthz_ip, v); },
     kServesTcp ? Fate::kUsed : Fate::kIgnored},
    {"healthz-port", "status", "healthz-port", "PORT", "0",
     tcp_help("/healthz and /readyz are at PORT; 0: nowhere"),
     [](Draft& d, string_view v) { return set_port(d.settings.serving.healthz_port, v); }, kTcpFate},

    {"v", "log", "", "NUMBER", "0", "1 and more set the log level to debug", set_verbosity},
    {"log-level", "log", "level", "debug|info|warning|error", "info",
     "Lines of this level and of those behind it are logged", set_level},

    {"kube-subnet-mgr", "kube", "subnet-mgr", "", "false",
     kKnowsKube ? "The Node objects of Kubernetes are the registry, not etcd"
                : "this build knows no Kubernetes",
     [](Draft& d, string_view v) { return kKnowsKube ? set_bool(d.wants_kube, v) : check_bool(d, v); },
     kKnowsKube ? Fate::kUsed : Fate::kUnbuilt},
    {"kube-api-url", "kube", "api-url", "URL,...", "",
     kube_help("The API servers answer at URL, not where the kubeconfig or the Pod says"),
     kube_setter(set_servers), kKubeFate},
    {"kubeconfig-file", "kube", "kubeconfig-file", "FILE", "",
     kube_help("FILE has the credentials, not the service account of the Pod"),
     kube_setter([](Draft& d, string_view v) { return set_path(d.settings.kube->kubeconfig, v); }),
     kKubeFate},
    {"kube-annotation-prefix", "kube", "annotation-prefix", "TEXT", "flannel.alpha.coreos.com",
     kube_help("The annotations on Nodes begin with TEXT"), kube_setter(set_annotation_prefix), kKubeFate},
    {"net-config-path", "kube", "net-config-path", "FILE", "/etc/kube-flannel/net-conf.json",
     kube_help("FILE has the network config"), kube_setter([](Draft& d, string_view v) {
       return v.empty() ? kPath : set_path(d.settings.kube->net_config_path, v);
     }),
     kKubeFate},
    {"set-node-network-unavailable", "kube", "set-node-network-unavailable", "", "true",
     kube_help("Sets the Node's condition NetworkUnavailable to False when it is ready"),
     kube_setter([](Draft& d, string_view v) { return set_bool(d.settings.kube->set_network_available, v); }),
     kKubeFate},
    {"", "kube", "node-name", "NAME", "",
     kube_help("Our Node is called NAME, not as that of the Pod or as the host"),
     kube_setter([](Draft& d, string_view v) {
       return set_text(d.settings.kube->node_name, v, "at most 253 bytes are expected");
     }),
     kKubeFate},

    {"public-ipv6", "", "", "IP", "", "IPv6 is not built yet", any, Fate::kUnbuilt},
    {"ip-blackhole-route", "", "", "", "false", "the blackhole route is not built yet", check_bool,
     Fate::kUnbuilt},

    {"iptables-resync", "", "", "SECONDS", "5", "the rules are compared every five minutes", check_number,
     Fate::kIgnored},
    {"vmodule", "", "", "PATTERN", "", "the log level holds for the whole program", any, Fate::kIgnored},
    {"log_backtrace_at", "", "", "FILE:LINE", ":0", "there are no backtraces", any, Fate::kIgnored},
};
static_assert(std::size(kOptions) <= Draft::kMaxOptions);

}  // namespace

std::span<const Option> options() { return kOptions; }

const Option* find_flag(string_view name) {
  for (const Option& option : kOptions) {
    if (!name.empty() && option.flag == name) return &option;
  }
  return nullptr;
}

const Option* find_key(string_view section, string_view key) {
  for (const Option& option : kOptions) {
    if (!key.empty() && option.section == section && option.key == key) return &option;
  }
  return nullptr;
}

std::optional<bool> parse_bool(string_view text) {
  for (const char* word : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == word) return true;
  }
  for (const char* word : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

}  // namespace flannelette::cli
