// SPDX-License-Identifier: Apache-2.0
// Settings in the making: who gave a value, and whether the whole fits together.
#include "cli/draft.hpp"

#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>

#include "cli/kube_known.hpp"
#include "cli/serving_known.hpp"
#include "flannelette/base/fnv.hpp"

namespace flannelette::cli {
namespace {

using std::string_view;

void put_origin(Writer& out, const Origin& origin) {
  switch (origin.source) {
    case Source::kNone: break;
    case Source::kFile:
      out.put(origin.file);
      if (origin.line > 0) out.put(':').put_unsigned(static_cast<std::uint64_t>(origin.line));
      if (!origin.name.empty()) out.put(": ").put(origin.name);
      break;
    case Source::kEnvironment: out.put(origin.name); break;
    case Source::kFlag: out.put("--").put(origin.name); break;
  }
}

/// One line, without what a terminal would obey.
Text<Draft::kMaxMessage> message(const Origin& origin, std::initializer_list<string_view> parts) {
  constexpr std::size_t kMaxPart = 160;
  std::array<char, Draft::kMaxMessage> bytes;
  Writer out(bytes);
  put_origin(out, origin);
  if (out.size() > 0) out.put(": ");
  for (const string_view part : parts) {
    out.put(part.substr(0, kMaxPart));
    if (part.size() > kMaxPart) out.put("...");
  }
  for (char& c : std::span(bytes).first(out.size())) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return out.view();
}

bool same_value(const Option& option, string_view a, string_view b) {
  return option.boolean() ? parse_bool(a) == parse_bool(b) : a == b;
}

constexpr string_view kNoTls = "this build has no TLS";

constexpr std::size_t kMaxStateFolder = 7 + 3 * registry::EtcdSettings::kMaxPrefix;
static_assert(kMaxStateFolder > 6 + registry::KubeSettings::kMaxPrefix);

/// The prefix with + for /, %xx for what is no letter, digit, '.', '-' or '_'. Two prefixes are written alike
/// only if they mean the same keys (registry/etcd/keys.hpp).
void put_prefix(Writer& out, string_view prefix) {
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    const char c = prefix[i];
    const char lower = static_cast<char>(c | 0x20);
    if (c == '/') {
      const bool counts = i == 0 || (prefix[i - 1] != '/' && prefix.find_first_not_of('/', i) != prefix.npos);
      if (counts) out.put('+');
    } else if ((c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') || c == '.' || c == '-' || c == '_') {
      out.put(c);
    } else {
      out.put('%').put_hex(static_cast<unsigned char>(c), 2);
    }
  }
}

/// The part of the state folder that is this network's own; etcd's default prefix has none.
void put_state_folder(Writer& out, const RunSettings& settings) {
  if (kKnowsKube && settings.kube) {
    out.put("/kube");
    const string_view prefix = settings.kube->annotation_prefix;
    if (prefix != registry::KubeSettings::kDefaultPrefix) put_prefix(out.put('+'), prefix);
    return;
  }
  put_prefix(out.put("/prefix"), settings.etcd.prefix);
  if (out.view() == "/prefix+coreos.com+network") out.clear();
}

/// As the kubelet takes it.
Text<registry::KubeSettings::kMaxName> host_name() {
  struct utsname host;
  ::uname(&host);
  for (char& c : host.nodename) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return host.nodename;
}

Origin variable(string_view name) { return {Source::kEnvironment, name, {}, 0}; }

}  // namespace

string_view reason(const Error& error) {
  return error.sys_errno > 0 ? ::strerror(error.sys_errno) : error.context;
}

void Draft::problem(const Origin& origin, std::initializer_list<string_view> parts) {
  wrong_ = true;
  reporter_.problem(message(origin, parts));
}

void Draft::unreadable(const Origin& origin, string_view file, const Error& error) {
  wrong_ = true;
  const bool other = !file.empty();
  reporter_.unreadable(
      message(origin, {other ? "\"" : "", file, other ? "\": " : "", "cannot be read: ", reason(error)}));
}

void Draft::notice(const Origin& origin, std::initializer_list<string_view> parts) {
  reporter_.notice(message(origin, parts));
}

void Draft::apply(const Option& option, const Origin& origin, string_view value) {
  if (!option.secret) value = trimmed(value);  // a variable's line end from Windows, a blank in a unit file
  Given& given = given_[index(option)];
  given = {origin, value};
  if (option.fate != Fate::kKube) set(option, given);
  // A URL with a user in it may hold a password.
  const bool hidden = option.secret || value.find('@') != string_view::npos;
  reporter_.setting(message(origin, {hidden ? string_view("(not shown)") : given.value}));
}

void Draft::set(const Option& option, Given& given) {
  const auto [origin, value] = given;
  source = origin.source;
  blamed = value;
  const string_view complaint =
      value.find('\0') == string_view::npos ? option.set(*this, value) : "a NUL byte";
  if (complaint.empty()) return;
  given.value = option.fallback;  // one problem is enough
  if (option.secret || (blamed.empty() && !value.empty())) return problem(origin, {complaint});
  problem(origin, {"\"", blamed, "\": ", complaint});
}

void Draft::finish(Purpose purpose) {
  if (kKnowsKube && wants_kube) settings.kube = std::make_unique<registry::KubeSettings>();
  check_fates();
  if (kKnowsKube && settings.kube) {
    check_kube();
  } else {
    check_etcd(purpose);
  }
  place_state();
  place_socket();
}

void Draft::check_etcd(Purpose purpose) {
  if (settings.etcd.endpoint_count == 0 && !wrong_) {
    const Option& option = *find_key("etcd", "endpoint");
    option.set(*this, option.fallback);
    settings.etcd_given = false;
  }
  check_tls();
  check_renew_margin();
  if (purpose == Purpose::kRegistry) check_credentials();
}

void Draft::check_fates() {
  for (const Option& option : options()) {
    Given& given = given_[index(option)];
    if (given.origin.source == Source::kNone || same_value(option, given.value, option.fallback)) continue;
    string_view why = option.help;
    switch (option.fate) {
      case Fate::kUsed:
      case Fate::kControl: continue;
      case Fate::kEtcd:
        if (!kKnowsKube || !wants_kube) continue;
        why = "kube-subnet-mgr does not use it";
        break;
      case Fate::kKube:
        if constexpr (kKnowsKube) {
          if (wants_kube) {
            set(option, given);
            continue;
          }
          why = "only kube-subnet-mgr uses it";
        }
        break;
      case Fate::kIgnored: break;
      case Fate::kUnbuilt: problem(given.origin, {"\"", given.value, "\": ", why}); continue;
    }
    notice(given.origin, {"accepted without effect: ", why});
  }
}

void Draft::check_kube() {
  auto& kube = *settings.kube;
  name_node();
  if (!io::TlsContext::available() &&
      std::ranges::any_of(std::span(kube.servers).first(kube.server_count), &io::Endpoint::tls))
    problem(origin_of_key("kube", "api-url"), {"https: ", kNoTls});

  // registry::KubeAccess says what is wrong with it, where it counts.
  if (!kube.service_host.assign(pod[kServiceHost])) kube.service_host.clear();
  const string_view text = pod[kServicePort];
  std::uint64_t port = kube.service_port;
  if (!text.empty() && !(parse_unsigned(text, port) && port > 0 && port <= 65535)) {
    port = 0;
    if (kube.server_count == 0 && kube.kubeconfig.empty())
      problem(variable("KUBERNETES_SERVICE_PORT"), {"\"", text, "\": a port from 1 to 65535 is expected"});
  }
  kube.service_port = static_cast<std::uint16_t>(port);
}

/// By what is given, else by our Pod, else by the host.
void Draft::name_node() {
  auto& kube = *settings.kube;
  if (!pod[kNode].empty()) {
    kube.node_name = pod[kNode];
    check_name(variable("NODE_NAME"), pod[kNode]);
  } else if (!kube.node_name.empty()) {
    check_name(origin_of_key("kube", "node-name"), kube.node_name);
  } else if (!pod[kName].empty() || !pod[kNamespace].empty()) {
    kube.pod_name = pod[kName];
    kube.pod_namespace = pod[kNamespace];
    check_name(variable("POD_NAME"), pod[kName]);
    check_name(variable("POD_NAMESPACE"), pod[kNamespace]);
  } else {
    kube.node_name = host_name();
    check_name(variable("the host's name (NODE_NAME goes before it)"), kube.node_name);
  }
}

/// Kubernetes' rule for the name of an object: words of a-z, 0-9 and, not at their ends, '-', with dots
/// between.
void Draft::check_name(const Origin& origin, string_view name) {
  char before = '.';
  bool good = name.size() <= registry::KubeSettings::kMaxName;
  for (const char c : name) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    good = good && (word || (c == '-' && before != '.') || (c == '.' && before != '.' && before != '-'));
    before = c;
  }
  if (good && before != '.' && before != '-') return;
  problem(origin,
          {"\"", name, "\": a name in Kubernetes is expected: a-z, 0-9, '-' and '.', at most 253 bytes"});
}

void Draft::check_tls() {
  if (!io::TlsContext::available()) return refuse_tls();
  const io::TlsSettings& tls = settings.tls;
  if (!tls.cert_file.empty() && tls.key_file.empty()) {
    problem(origin_of_key("etcd", "cert-file"),
            {"a client certificate needs its key: key-file (--etcd-keyfile)"});
  }
  if (tls.cert_file.empty() && !tls.key_file.empty()) {
    problem(origin_of_key("etcd", "key-file"),
            {"a client key needs its certificate: cert-file (--etcd-certfile)"});
  }
  if (settings.any_https() && tls.ca_file.empty()) {
    problem(origin_of_key("etcd", "endpoint"),
            {"https needs ca-file (--etcd-cafile): no certificate authority is trusted by itself"});
  }
}

void Draft::refuse_tls() {
  const io::TlsSettings& tls = settings.tls;
  if (settings.any_https()) problem(origin_of_key("etcd", "endpoint"), {"https: ", kNoTls});
  for (const auto& [key, file] :
       {std::pair{"ca-file", &tls.ca_file}, {"cert-file", &tls.cert_file}, {"key-file", &tls.key_file}}) {
    if (!file->empty()) problem(origin_of_key("etcd", key), {kNoTls});
  }
}

void Draft::check_renew_margin() {
  auto& etcd = settings.etcd;
  if (etcd.renew_margin_seconds < etcd.lease_ttl_seconds) return;
  const Origin& flag = origin_of(*find_flag("subnet-lease-renew-margin"));
  const Origin& given = flag.source == Source::kNone ? origin_of_key("etcd", "renew-margin") : flag;
  if (given.source != Source::kNone) return problem(given, {"the margin must be shorter than lease-ttl"});
  // Only the default does not suit a short lease: a third of the lease, by which it is renewed anyhow, is
  // what counts then.
  etcd.renew_margin_seconds = etcd.lease_ttl_seconds / 3;
}

void Draft::check_credentials() {
  auto& etcd = settings.etcd;
  const Origin& password = origin_of_key("etcd", "password");
  const Origin& file = origin_of_key("etcd", "password-file");
  if (password.source == Source::kFlag && !etcd.password.empty()) {
    notice(password, {"everybody on this machine can read it in the list of processes; use password-file"});
  }
  if (password.source == Source::kFile && !etcd.password.empty())
    warn_if_readable_by_all(password, "password", password.file);
  if (!settings.tls.key_file.empty())
    warn_if_readable_by_all(origin_of_key("etcd", "key-file"), "key", settings.tls.key_file);
  if (!password_file.empty()) {
    if (password.source == Source::kFile) {
      problem(file, {"there is a password too: give one of the two"});
    } else if (password.source == Source::kNone) {
      read_password_file();
    }
  }
  // flanneld logs in only if it has both, and so an existing command line may have one.
  if (wrong_) return;
  const Origin& given = password.source == Source::kNone ? file : password;
  if (etcd.username.empty() == etcd.password.empty()) {
    if (!etcd.password.empty()) warn_if_overheard(given);
    return;
  }
  if (etcd.password.empty()) {
    notice(origin_of_key("etcd", "username"),
           {"there is no password: not used, etcd is asked without authentication"});
  } else {
    notice(given, {"there is no username: not used, etcd is asked without authentication"});
  }
  etcd.username.clear();
  etcd.password.clear();
}

/// Daemons of several networks on one machine share no state. etcd's default prefix has the plain folder.
void Draft::place_state() {
  auto& folder = settings.agent.state_dir;
  if (folder.empty()) return;
  const auto own = to_text<kMaxStateFolder>([&](Writer& out) { put_state_folder(out, settings); });
  std::array<char, Files::kMaxPath + 1 - sizeof "/peers"> buffer;
  Writer out(buffer);
  out.put(folder).put(own);
  if (out.overflowed()) {
    notice(origin_of_key("node", "state-dir"),
           {"the paths of the state files are too long; no state is saved"});
    out.clear();
  }
  folder = Text<Files::kMaxPath>(out.view());
}

/// Daemons of one machine differ by their subnet files (instance.hpp).
void Draft::place_socket() {
  auto& serving = settings.serving;
  if (!kServes || origin_of_key("status", "socket").source != Source::kNone) return;
  const string_view file = settings.agent.subnet_file;
  if (file == find_flag("subnet-file")->fallback) {
    serving.socket = string_view(kDefaultSocket);
  } else {
    serving.socket = to_text<Text<io::Acceptor::kMaxPath>::kCapacity>([&](Writer& out) {
                       out.put(kSocketFolder).put_hex(Fnv1a::of(file), 16).put(".sock");
                     }).view();
  }
}

void Draft::read_password_file() {
  const Origin& origin = origin_of_key("etcd", "password-file");
  std::array<char, 1024> buffer;
  auto read = files_.read(password_file, buffer);
  if (!read) {
    unreadable(origin, password_file, read.error());
  } else if (!*read) {
    problem(origin, {"\"", password_file, "\": there is no such file"});
  } else {
    string_view line = (*read)->substr(0, (*read)->find('\n'));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) {
      problem(origin, {"\"", password_file, "\": its first line is empty"});
    } else if (!settings.etcd.password.assign(line)) {
      problem(origin, {"\"", password_file, "\": its first line has more than 128 bytes"});
    }
    warn_if_readable_by_all(origin, "password", password_file);
  }
  ::explicit_bzero(buffer.data(), buffer.size());
}

void Draft::warn_if_overheard(const Origin& origin) {
  for (const io::Endpoint& e : settings.endpoints()) {
    if (!travels_openly(e)) continue;
    const auto url = to_text<300>([&](Writer& out) { write(out, e); });
    return notice(origin, {"everybody on the path can read it: ", url, " is not https"});
  }
}

void Draft::warn_if_readable_by_all(const Origin& origin, string_view what, string_view path) {
  struct stat info {};
  if (::stat(Text<Files::kMaxPath>(path).c_str(), &info) != 0 || (info.st_mode & S_IROTH) == 0) return;
  notice(origin, {"everybody on this machine can read the ", what, " in ", path,
                  "; only the user of the agent should"});
}

}  // namespace flannelette::cli
