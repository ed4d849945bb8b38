// SPDX-License-Identifier: Apache-2.0
// The table behind flags, environment, INI keys and the help text.
#include "cli/options.hpp"

#include "cli/kube_known.hpp"
#include "cli/listeners.hpp"
#include "cli/serving_known.hpp"
#include "cli/setters.hpp"
#include "flannelette/base/text_pool.hpp"

namespace flannelette::cli {
namespace {

using std::string_view;

// What becomes of the settings of listeners that this build has not.
constexpr Fate kTcpFate = kServesTcp ? Fate::kUsed : Fate::kUnbuilt;
consteval const char* tcp_help(const char* help) {
  return kServesTcp ? help : "this build has no TCP listener";
}
constexpr Fate kSocketFate = kServes ? Fate::kUsed : Fate::kIgnored;
constexpr Setter tcp_setter(Setter set) { return kServesTcp ? set : any; }
constexpr Setter socket_setter(Setter set) { return kServes ? set : any; }
consteval const char* socket_help(const char* help) {
  return kServes ? help : "this build has no status socket";
}

// What only kube-subnet-mgr uses, and what is left of it in a build without.
constexpr Fate kKubeFate = kKnowsKube ? Fate::kKube : Fate::kIgnored;
consteval const char* kube_help(const char* help) {
  return kKnowsKube ? help : "only kube-subnet-mgr uses it";
}
/// Not consteval: clang 14 then calls a lambda with other arguments.
constexpr Setter kube_setter(Setter set) { return kKnowsKube ? set : any; }

/// An option as it is written down here.
struct Row {
  const char* flag;
  const char* section;
  const char* key;
  const char* argument;
  const char* fallback;
  const char* help;
  Setter set;
  Fate fate = Fate::kUsed;
  bool secret = false;
  bool repeatable = false;
};

constexpr Row kRows[] = {
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
     socket_setter([](Draft& d, string_view v) {
       return set_text(d.settings.serving.socket, v, "a path of at most 107 bytes is expected");
     }),
     kSocketFate},
    {"status-group", "status", "group", "GROUP", "",
     socket_help("Members of GROUP may ask at the status socket, beside root"),
     socket_setter([](Draft& d, string_view v) {
       return set_text(d.settings.serving.group, v, "at most 31 bytes are expected");
     }),
     kSocketFate},
    {"status-listen", "status", "listen", "IP:PORT", "",
     tcp_help("IP:PORT has /metrics and /status for all who reach it, without TLS: best on loopback"),
     tcp_setter([](Draft& d, string_view v) { return set_listen(d.settings.serving, v); }), kTcpFate},
    {"healthz-ip", "status", "healthz-ip", "IP", "0.0.0.0",
     tcp_help("IP has /healthz and /readyz, where healthz-port is given, for all who reach it"),
     [](Draft& d, string_view v) { return set_listener_ip(d.settings.serving.healthz_ip, v); },
     kServesTcp ? Fate::kUsed : Fate::kIgnored},
    {"healthz-port", "status", "healthz-port", "PORT", "0",
     tcp_help("/healthz and /readyz are at PORT; 0: nowhere"),
     tcp_setter([](Draft& d, string_view v) { return set_port(d.settings.serving.healthz_port, v); }),
     kTcpFate},

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
static_assert(std::size(kRows) <= Draft::kMaxOptions);

/// The rows as they are kept.
template <std::size_t kSize>
struct Table {
  TextPool<kSize> pool;
  Option options[std::size(kRows)]{};

  constexpr Table() {
    std::size_t next = 0;
    for (const Row& row : kRows) options[next++] = pack(row);
    next = 0;
    for (const Row& row : kRows) options[next++].help = Pooled(pool.append(row.help));
  }
  constexpr Option pack(const Row& row) {
    return Option{row.set,
                  place(row.flag),
                  place(row.section),
                  place(row.key),
                  place(row.argument),
                  place(row.fallback),
                  Pooled(),
                  row.fate,
                  row.secret,
                  row.repeatable};
  }
  constexpr Pooled place(const char* text) { return Pooled(pool.place(text)); }
};
constinit const Table<Table<8'192>().pool.size> kTable;

}  // namespace

Pooled::operator string_view() const { return Literal(*this); }
Literal::Literal(Pooled text) : text_(kTable.pool.text + text.at_) {}

std::span<const Option> options() { return kTable.options; }

const Option* find_flag(string_view name) {
  for (const Option& option : kTable.options) {
    if (!name.empty() && option.flag == name) return &option;
  }
  return nullptr;
}

const Option* find_key(string_view section, string_view key) {
  for (const Option& option : kTable.options) {
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
