// SPDX-License-Identifier: Apache-2.0
// Values of settings, from text.
#include "cli/setters.hpp"

#include <algorithm>

#include "cli/kube_known.hpp"
#include "flannelette/base/pattern.hpp"

namespace flannelette::cli {

using std::string_view;

namespace {

constexpr std::int64_t kMinute = 60;
constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kMinTtl = 5;  // etcd's own minimum is about twice its election timeout
constexpr std::int64_t kMaxTtl = 365 * kDay;
constexpr std::int64_t kMaxWait = 3600;
constexpr std::int64_t kMinMargin = kMinute;  // flanneld's range of minutes
constexpr std::int64_t kMaxMargin = 1439 * kMinute;

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

string_view set_margin(Draft& draft, std::int64_t seconds, string_view expected) {
  if (seconds < kMinMargin || seconds > kMaxMargin) return expected;
  draft.settings.etcd.renew_margin_seconds = seconds;
  return kOk;
}

/// What the kernel takes for a name, less the double quote: there it would be a misunderstanding.
bool interface_name(string_view text) {
  const auto good = [](char c) { return c > ' ' && c != '/' && c != ':' && c != '"' && c != '\x7f'; };
  return !text.empty() && text.size() <= 15 && text != "." && text != ".." && std::ranges::all_of(text, good);
}

}  // namespace

string_view set_bool(bool& out, string_view value, bool inverted) {
  const auto parsed = parse_bool(value);
  if (!parsed) return kBool;
  out = *parsed != inverted;
  return kOk;
}

/// One of two words.
string_view set_choice(bool& out, string_view value, const char* yes, const char* no, const char* expected) {
  out = value == yes;
  return out || value == no ? kOk : string_view(expected);
}

string_view set_path(Text<Files::kMaxPath>& out, string_view value) {
  return set_text(out, value, "a path of at most 255 bytes is expected");
}

string_view set_credential(Text<registry::EtcdSettings::kMaxCredential>& out, string_view value) {
  return set_text(out, value, "at most 128 bytes are expected");
}

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

// What is accepted without effect: a form is checked all the same, free text and paths are not.
string_view check_bool(Draft&, string_view value) { return parse_bool(value) ? kOk : kBool; }
string_view check_number(Draft&, string_view value) {
  std::uint64_t number = 0;
  return parse_unsigned(value, number) ? kOk : kNumber;
}
string_view any(Draft&, string_view) { return kOk; }

}  // namespace flannelette::cli
