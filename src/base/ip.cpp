// SPDX-License-Identifier: Apache-2.0
// Addresses and prefixes as values: IPv4, IPv6, either, MAC.
#include "flannelette/base/ip.hpp"

#include <algorithm>
#include <cstddef>

namespace flannelette {
namespace {

constexpr bool within(Ip4 ip, std::uint32_t base, int length) {
  return (ip.value ^ base) >> (32 - length) == 0;
}

/// Consumes 1 to `max_digits` hex digits; -1 if there are none.
int take_hex(std::string_view& in, std::size_t max_digits) {
  int value = -1;
  for (std::size_t i = 0; i < max_digits && !in.empty() && hex_value(in[0]) >= 0; ++i) {
    value = std::max(value, 0) << 4 | hex_value(in[0]);
    in.remove_prefix(1);
  }
  return value;
}

bool take(std::string_view& in, std::string_view prefix) {
  if (!in.starts_with(prefix)) return false;
  in.remove_prefix(prefix.size());
  return true;
}

std::optional<Ip4> take_ip4(std::string_view& in) {
  Ip4 ip;
  for (int i = 0; i < 4; ++i) {
    if (i > 0 && !take(in, ".")) return std::nullopt;
    const int octet = take_decimal(in, 3);
    if (octet < 0 || octet > 255) return std::nullopt;
    ip.value = ip.value << 8 | static_cast<std::uint32_t>(octet);
  }
  return ip;
}

/// Bits of the 16 bytes that are the prefix.
unsigned prefix_bits(const Net& net) { return net.length + (net.is_v4() ? 96u : 0u); }

/// The first `bits` of 64.
std::uint64_t word_mask(unsigned bits) { return bits == 0 ? 0 : ~std::uint64_t{0} << (64 - bits); }
std::uint64_t high_mask(unsigned bits) { return word_mask(std::min(bits, 64u)); }
std::uint64_t low_mask(unsigned bits) { return word_mask(std::max(bits, 64u) - 64); }

}  // namespace

std::optional<Ip> Ip::from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  Ip6 ip = Ip(Ip4{}).v6();
  std::ranges::copy(bytes, ip.bytes.end() - static_cast<std::ptrdiff_t>(bytes.size()));
  return Ip(ip);
}

Ip6 Ip::v6() const {
  Ip6 ip;
  for (unsigned i = 0; i < 16; ++i)
    ip.bytes[i] = static_cast<std::uint8_t>((i < 8 ? high_ : low_) >> (7 - i % 8) * 8);
  return ip;
}

Net Net::masked() const {
  const unsigned bits = prefix_bits(*this);
  Net net = *this;
  net.base = Ip::from_words(base.high() & high_mask(bits), base.low() & low_mask(bits));
  return net;
}

bool Net::contains(const Ip& ip) const {
  const unsigned bits = prefix_bits(*this);
  return ip.is_v4() == is_v4() && ((ip.high() ^ base.high()) & high_mask(bits)) == 0 &&
         ((ip.low() ^ base.low()) & low_mask(bits)) == 0;
}

bool is_loopback(const Ip& ip) {
  constexpr Ip kLoopback{Ip6{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}};
  return ip.is_v4() ? is_loopback(ip.v4()) : ip == kLoopback;
}
bool is_unicast(const Ip& ip) {
  return ip.is_v4() ? is_unicast(ip.v4()) : ip != Ip() && ip.high() >> 56 != 0xff;
}
bool is_link_local(const Ip& ip) {
  return ip.is_v4() ? is_link_local(ip.v4()) : ip.high() >> 54 == 0xfe80 >> 6;
}

bool is_loopback(Ip4 ip) { return within(ip, 0x7f000000, 8); }
bool is_unicast(Ip4 ip) { return !within(ip, 0, 8) && ip.value < 0xe0000000; }
bool is_link_local(Ip4 ip) { return within(ip, 0xa9fe0000, 16); }

std::optional<Ip4> parse_ip4(std::string_view text) {
  const auto ip = take_ip4(text);
  return text.empty() ? ip : std::nullopt;
}

std::optional<Net4> parse_net4(std::string_view text) {
  const auto ip = take_ip4(text);
  if (!ip || !take(text, "/")) return std::nullopt;
  const int length = take_decimal(text, 2);
  if (length < 0 || length > 32 || !text.empty()) return std::nullopt;
  return Net4{*ip, static_cast<std::uint8_t>(length)};
}

std::optional<Ip6> parse_ip6(std::string_view text) {
  Ip6 ip;
  std::size_t size = 0;                   // bytes filled
  std::size_t gap = ip.bytes.size() + 1;  // where "::" was; one past the end means nowhere
  const auto put = [&](std::uint32_t byte) { ip.bytes[size++] = static_cast<std::uint8_t>(byte); };
  if (take(text, "::")) gap = 0;
  while (!text.empty()) {
    const std::string_view piece = text;
    const int group = take_hex(text, 4);
    if (group < 0 || size == ip.bytes.size()) return std::nullopt;
    if (text.starts_with('.')) {  // an embedded IPv4 address, last
      const auto ip4 = parse_ip4(piece);
      if (!ip4 || size + 4 > ip.bytes.size()) return std::nullopt;
      for (int shift = 24; shift >= 0; shift -= 8) put(ip4->value >> shift);
      text = {};
      break;
    }
    put(static_cast<std::uint32_t>(group) >> 8);
    put(static_cast<std::uint32_t>(group));
    if (text.empty()) break;
    if (take(text, "::")) {
      if (gap <= ip.bytes.size()) return std::nullopt;
      gap = size;
    } else if (!take(text, ":") || text.empty()) {
      return std::nullopt;
    }
  }
  if (gap > ip.bytes.size()) return size == ip.bytes.size() ? std::optional(ip) : std::nullopt;
  if (size == ip.bytes.size()) return std::nullopt;  // "::" stands for one group at least
  const std::size_t after = size - gap;
  std::copy_backward(ip.bytes.data() + gap, ip.bytes.data() + size, ip.bytes.data() + ip.bytes.size());
  std::fill(ip.bytes.data() + gap, ip.bytes.data() + ip.bytes.size() - after, std::uint8_t{0});
  return ip;
}

std::optional<Ip> parse_ip(std::string_view text) {
  if (const auto ip = parse_ip4(text)) return Ip(*ip);
  if (const auto ip = parse_ip6(text)) return Ip(*ip);
  return std::nullopt;
}

std::optional<Net> parse_net(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  const auto ip = parse_ip(text.substr(0, slash));
  const bool dotted = text.find(':') == text.npos;
  text.remove_prefix(slash + 1);
  int length = take_decimal(text, 3);
  if (!ip || length < 0 || !text.empty() || length > (dotted ? 32 : 128)) return std::nullopt;
  if (ip->is_v4() && !dotted) length -= 96;
  if (length < 0) return std::nullopt;
  return Net(*ip, static_cast<std::uint8_t>(length));
}

std::optional<Mac> parse_mac(std::string_view text) {
  Mac mac;
  const std::string_view separator = text.size() > 2 && text[2] == '-' ? "-" : ":";
  for (std::size_t i = 0; i < mac.bytes.size(); ++i) {
    if (i > 0 && !take(text, separator)) return std::nullopt;
    if (text.size() < 2 || hex_value(text[1]) < 0) return std::nullopt;
    const int byte = take_hex(text, 2);
    if (byte < 0) return std::nullopt;
    mac.bytes[i] = static_cast<std::uint8_t>(byte);
  }
  return text.empty() ? std::optional(mac) : std::nullopt;
}

void write(Writer& out, Ip4 ip) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.put_unsigned(ip.value >> shift & 0xff);
    if (shift > 0) out.put('.');
  }
}

void write(Writer& out, const Ip6& ip) {
  std::array<std::uint16_t, 8> groups;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i] = static_cast<std::uint16_t>(ip.bytes[2 * i] << 8 | ip.bytes[2 * i + 1]);
  }
  // "::" replaces the first of the longest runs of zero groups, if it is longer than one.
  std::size_t gap = groups.size();
  std::size_t gap_length = 1;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    std::size_t end = i;
    while (end < groups.size() && groups[end] == 0) ++end;
    if (end - i > gap_length) {
      gap = i;
      gap_length = end - i;
    }
    if (end > i) i = end - 1;
  }
  const bool mapped = gap == 0 && gap_length == 5 && groups[5] == 0xffff;  // RFC 5952 section 5
  for (std::size_t i = 0; i < groups.size();) {
    if (i == gap) {
      out.put("::");
      i += gap_length;
      continue;
    }
    if (i > 0 && i != gap + gap_length) out.put(':');
    if (mapped && i == 6) {
      return write(out, Ip4{static_cast<std::uint32_t>(groups[6]) << 16 | groups[7]});
    }
    out.put_hex(groups[i++]);
  }
}

void write(Writer& out, const Ip& ip) {
  if (ip.is_v4()) return write(out, ip.v4());
  write(out, ip.v6());
}

void write(Writer& out, const Net& net) {
  write(out, net.base);
  out.put('/').put_unsigned(net.length);
}

void write(Writer& out, Net4 net) {
  write(out, net.base);
  out.put('/').put_unsigned(net.length);
}

void write(Writer& out, const Mac& mac) {
  for (std::size_t i = 0; i < mac.bytes.size(); ++i) {
    if (i > 0) out.put(':');
    out.put_hex(mac.bytes[i], 2);
  }
}

}  // namespace flannelette
