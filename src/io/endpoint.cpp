// SPDX-License-Identifier: Apache-2.0
// Where a stream goes, and its URL.
#include "flannelette/io/endpoint.hpp"

#include <algorithm>

#include "flannelette/base/ip.hpp"

namespace flannelette::io {
namespace {

Error invalid(const char* context) { return {Code::kInvalid, 0, context}; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name_byte(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
}

/// What follows the last dot (of a root-dotted name too) tells an address from a name: no top-level domain
/// begins with a digit.
bool looks_like_ip4(std::string_view host) {
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  const std::size_t dot = host.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? host : host.substr(dot + 1);
  return !last.empty() && std::ranges::all_of(last, is_digit);
}

bool take_scheme(std::string_view& url, std::string_view scheme) {
  if (url.size() < scheme.size() || !equal_ignoring_case(url.substr(0, scheme.size()), scheme)) return false;
  url.remove_prefix(scheme.size());
  return true;
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view url, std::uint16_t default_port) {
  Endpoint endpoint;
  if (take_scheme(url, "https://")) {
    endpoint.tls = true;
  } else if (!take_scheme(url, "http://")) {
    return invalid("must begin with http:// or https://");
  }
  if (url.ends_with('/')) url.remove_suffix(1);
  if (url.find('@') != std::string_view::npos) return invalid("user and password do not belong here");
  if (url.find_first_of("/?#") != std::string_view::npos) return invalid("a path is not allowed");

  std::string_view host, port;
  if (url.starts_with('[')) {
    const std::size_t end = url.find(']');
    if (end == std::string_view::npos) return invalid("']' is missing");
    host = url.substr(1, end - 1);
    port = url.substr(end + 1);
    if (!parse_ip6(host)) return invalid("no valid IPv6 address between the brackets");
    if (!port.empty() && port.front() != ':') return invalid("only a port may follow ']'");
  } else {
    const std::size_t colon = std::min(url.find(':'), url.size());
    host = url.substr(0, colon);
    port = url.substr(colon);
    if (port.find(':', 1) != std::string_view::npos) return invalid("an IPv6 address needs brackets");
    if (host.empty()) return invalid("the host is missing");
    if (!std::ranges::all_of(host, is_name_byte)) return invalid("the host has a forbidden character");
    if (looks_like_ip4(host) && !parse_ip4(host)) return invalid("not a valid IPv4 address");
  }
  if (!endpoint.host.assign(host)) return invalid("the host is longer than 253 bytes");

  endpoint.port = default_port;
  if (!port.empty()) {
    std::uint64_t number = 0;
    if (!parse_unsigned(port.substr(1), number) || number == 0 || number > 65535) {
      return invalid("the port must be a number from 1 to 65535");
    }
    endpoint.port = static_cast<std::uint16_t>(number);
  }
  return endpoint;
}

void write(Writer& out, const Endpoint& endpoint) {
  const std::string_view host = endpoint.host;
  const bool brackets = host.find(':') != std::string_view::npos;
  out.put(endpoint.tls ? "https://" : "http://");
  if (brackets) out.put('[');
  out.put(host);
  if (brackets) out.put(']');
  out.put(':').put_unsigned(endpoint.port);
}

bool travels_openly(const Endpoint& endpoint) {
  const auto ip = parse_ip4(endpoint.host);
  return !endpoint.tls && endpoint.host.view() != "localhost" && endpoint.host.view() != "::1" &&
         !(ip && is_loopback(*ip));
}

}  // namespace flannelette::io
