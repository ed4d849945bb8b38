// SPDX-License-Identifier: Apache-2.0
// Lease keys and values, read and written.
#include "flannelette/overlay/lease.hpp"

#include "flannelette/json/document.hpp"
#include "flannelette/overlay/backend.hpp"

namespace flannelette::overlay {
namespace {

using json::Document;
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

bool equal(std::string_view a, std::string_view b) { return a == b; }

/// False: broken JSON, or a field of the wrong type. `unread`: BackendData stood before BackendType.
bool read_member(Document& document, std::string_view key, LeaseValue& out, bool& unread) {
  if (equal_ignoring_case(key, "BackendData"sv)) {
    const Backend* backend = built_in(out.backend);
    unread |= out.backend == BackendType::kNone;
    return backend != nullptr && backend->read_data != nullptr ? backend->read_data(document, out)
                                                               : document.skip();
  }
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
    out.backend = document.overlong() ? BackendType::kOther : backend_type_of(document.text());
    return true;
  }
  return document.skip();
}

}  // namespace

BackendType backend_type_of(std::string_view text) {
  return text.empty() ? BackendType::kNone : backend_type(text, equal);
}

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
  LeaseValue value;
  for (bool unread = false;; unread = false) {
    const bool again = value.backend != BackendType::kNone;
    Document document(json);
    const Token first = document.next();
    if (first == Token::kBeginObject) {
      if (!document.members([&](std::string_view key) { return read_member(document, key, value, unread); }))
        return std::nullopt;
    } else if (first != Token::kNull) {
      return std::nullopt;
    }
    if (!document.ends()) return std::nullopt;
    if (!unread || again || value.backend == BackendType::kNone) return value;
  }
}

void write(Writer& out, const LeaseValue& value) {
  const Backend& backend = *built_in(value.backend);
  out.put(R"({"PublicIP":")");
  write(out, value.public_ip);
  out.put(R"(","PublicIPv6":null,"BackendType":")").put(backend.type).put('"');
  if (backend.write_data != nullptr) {
    out.put(R"(,"BackendData":)");
    backend.write_data(out, value);
  }
  out.put('}');
}

}  // namespace flannelette::overlay
