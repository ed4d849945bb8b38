// SPDX-License-Identifier: Apache-2.0
#include "flannelette/overlay/lease.hpp"

#include "json_document.hpp"

namespace flannelette::overlay {
namespace {

using json::Token;
using namespace std::string_view_literals;

/// Both halves of a key have the form "<address>-<length>".
template <class Address, class Parse>
bool parse_half(std::string_view text, std::uint64_t max_length, Parse parse, Address& base,
                std::uint8_t& length) {
  const std::size_t dash = text.rfind('-');
  if (dash == text.npos) return false;
  const std::string_view digits = text.substr(dash + 1);
  std::uint64_t value = 0;
  if (digits.size() > 1 && digits[0] == '0') return false;
  if (!parse_unsigned(digits, value) || value > max_length) return false;
  const auto address = parse(text.substr(0, dash));
  if (!address) return false;
  base = *address;
  length = static_cast<std::uint8_t>(value);
  return true;
}

/// Steps over a value whose first token was `token`; false: broken JSON.
bool finish_value(JsonDocument& document, Token token) {
  if (token == Token::kBad) return false;
  return (token != Token::kBeginObject && token != Token::kBeginArray) || document.skip();
}

/// BackendData of vxlan. A fault in it makes it no data (flanneld ignores such a peer), not an unreadable
/// value: other backends write other things here. False: broken JSON.
bool read_backend_data(JsonDocument& document, LeaseValue& out) {
  out.has_vxlan = false;
  out.vni.reset();
  out.mac = {};
  const Token first = document.next();
  if (first != Token::kBeginObject) return finish_value(document, first);

  bool fault = false;
  std::optional<std::uint32_t> vni;
  std::optional<Mac> mac;
  const bool whole = document.members([&](std::string_view key) {
    const bool is_vni = equal_ignoring_case(key, "VNI"sv);
    if (!is_vni && !equal_ignoring_case(key, "VtepMAC"sv)) return document.skip();
    const Token token = document.next();
    if (is_vni && token == Token::kNumber) {
      const std::optional<std::uint64_t> value = json::to_uint64(document.text());
      fault |= !value || *value > UINT32_MAX;
      if (value) vni = static_cast<std::uint32_t>(*value);
      return true;
    }
    if (is_vni && token == Token::kNull) return true;
    if (!is_vni && token == Token::kString) {
      mac = parse_mac(document.text());
      fault |= !mac;
      return true;
    }
    fault = true;
    return finish_value(document, token);
  });
  if (!whole) return false;
  if (fault || !mac) return true;
  out.has_vxlan = true;
  out.vni = vni;
  out.mac = *mac;
  return true;
}

/// False: broken JSON, or a field of the wrong type.
bool read_member(JsonDocument& document, std::string_view key, LeaseValue& out) {
  if (equal_ignoring_case(key, "BackendData"sv)) return read_backend_data(document, out);
  if (equal_ignoring_case(key, "PublicIP"sv)) {
    if (document.next() != Token::kString) return false;  // null too: flanneld hands it to its address parser
    const std::optional<Ip4> ip = parse_ip4(document.text());
    if (ip) out.public_ip = *ip;
    return ip.has_value();
  }
  if (equal_ignoring_case(key, "PublicIPv6"sv)) {
    const Token token = document.next();
    return token == Token::kNull || (token == Token::kString && parse_ip6(document.text()));
  }
  if (equal_ignoring_case(key, "BackendType"sv)) {
    const Token token = document.next();
    if (token == Token::kNull) return true;
    if (token != Token::kString) return false;
    const bool empty = document.text().empty() && !document.overlong();
    out.backend = empty                        ? BackendType::kNone
                  : document.text() == "vxlan" ? BackendType::kVxlan
                                               : BackendType::kOther;
    return true;
  }
  return document.skip();
}

}  // namespace

std::optional<LeaseKey> parse_lease_key(std::string_view text) {
  if (text.size() > LeaseKey::kMaxText) return std::nullopt;
  LeaseKey key;
  const std::size_t ampersand = text.find('&');
  if (!parse_half(text.substr(0, ampersand), 32, parse_ip4, key.subnet.base, key.subnet.length))
    return std::nullopt;
  if (ampersand != text.npos) {
    Net6 net;
    if (!parse_half(text.substr(ampersand + 1), 128, parse_ip6, net.base, net.length)) return std::nullopt;
    key.subnet6 = net;
  }
  // Only the text that we would write ourselves, so that one key of ours is one key of the registry.
  const auto canonical = to_text<LeaseKey::kMaxText>([&](Writer& out) { write(out, key); });
  if (canonical.view() != text) return std::nullopt;
  return key;
}

void write(Writer& out, const LeaseKey& key) {
  write(out, key.subnet.base);
  out.put('-').put_unsigned(key.subnet.length);
  if (!key.subnet6) return;
  out.put('&');
  write(out, key.subnet6->base);
  out.put('-').put_unsigned(key.subnet6->length);
}

std::optional<LeaseValue> parse_lease_value(std::string_view json) {
  JsonDocument document(json);
  LeaseValue value;
  const Token first = document.next();
  if (first == Token::kBeginObject) {
    if (!document.members([&](std::string_view key) { return read_member(document, key, value); }))
      return std::nullopt;
  } else if (first != Token::kNull) {
    return std::nullopt;
  }
  if (!document.ends()) return std::nullopt;
  return value;
}

void write_vxlan_value(Writer& out, Ip4 public_ip, std::uint32_t vni, Mac mac) {
  out.put(R"({"PublicIP":")");
  write(out, public_ip);
  out.put(R"(","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":)")
      .put_unsigned(vni)
      .put(R"(,"VtepMAC":")");
  write(out, mac);
  out.put(R"("}})");
}

}  // namespace flannelette::overlay
