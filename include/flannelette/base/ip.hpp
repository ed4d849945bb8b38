// SPDX-License-Identifier: Apache-2.0
// Addresses and prefixes as values: IPv4, IPv6, either, MAC.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "flannelette/base/text.hpp"

/// Addresses as values. IPv4 is kept in host byte order, so that arithmetic and order are the natural ones;
/// the kernel room converts at its edge.
namespace flannelette {

struct Ip4 {
  std::uint32_t value = 0;  ///< host byte order: 10.0.0.1 is 0x0a000001
  auto operator<=>(const Ip4&) const = default;
};

struct Ip6 {
  std::array<std::uint8_t, 16> bytes{};  ///< network byte order
  auto operator<=>(const Ip6&) const = default;
};

/// An IPv4 prefix. Host bits may be set in `base` (an interface address); `masked()` clears them.
struct Net4 {
  Ip4 base;
  std::uint8_t length = 0;  ///< 0..32
  auto operator<=>(const Net4&) const = default;

  std::uint32_t mask() const { return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length); }
  Net4 masked() const { return {{base.value & mask()}, length}; }
  bool aligned() const { return (base.value & ~mask()) == 0; }
  Ip4 last() const { return {base.value | ~mask()}; }
  bool contains(Ip4 ip) const { return ((ip.value ^ base.value) & mask()) == 0; }
  bool contains(Net4 inner) const { return inner.length >= length && contains(inner.base); }
  bool overlaps(Net4 other) const { return contains(other.base) || other.contains(base); }
};

struct Net6 {
  Ip6 base;
  std::uint8_t length = 0;  ///< 0..128
  auto operator<=>(const Net6&) const = default;
};

/// An address of either family in 16 bytes; an IPv4 address is mapped into IPv6 (::ffff:0:0/96), as the
/// kernel and Go's net.IP do it. The order is that of the bytes: IPv4 addresses among themselves in their
/// natural one. A default one is "::", which no host has.
class Ip {
 public:
  constexpr Ip() = default;
  constexpr Ip(Ip4 ip) : low_(kMapped | ip.value) {}  // NOLINT: implicit on purpose
  explicit constexpr Ip(const Ip6& ip) : high_(word(ip, 0)), low_(word(ip, 8)) {}
  auto operator<=>(const Ip&) const = default;

  /// Of 4 or 16 bytes in network byte order; no other number is an address.
  static std::optional<Ip> from_bytes(std::span<const std::uint8_t> bytes);

  constexpr bool is_v4() const { return high_ == 0 && low_ >> 32 == kMapped >> 32; }
  constexpr Ip4 v4() const { return {static_cast<std::uint32_t>(low_)}; }  ///< the address if is_v4()
  Ip6 v6() const;
  /// The first and the last 64 bits.
  static constexpr Ip from_words(std::uint64_t high, std::uint64_t low) {
    Ip ip;
    ip.high_ = high;
    ip.low_ = low;
    return ip;
  }
  constexpr std::uint64_t high() const { return high_; }
  constexpr std::uint64_t low() const { return low_; }

 private:
  static constexpr std::uint64_t kMapped = 0xffff00000000;
  static constexpr std::uint64_t word(const Ip6& ip, std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = at; i < at + 8; ++i) value = value << 8 | ip.bytes[i];
    return value;
  }

  std::uint64_t high_ = 0;
  std::uint64_t low_ = 0;
};

/// A prefix of either family; `length` counts in its own: 0..32 where base.is_v4(), else 0..128. No prefix of
/// one family contains an address of the other: neither ::/0 nor ::ffff:0:0/96 contains 10.0.0.1.
struct Net {
  Ip base;
  std::uint8_t length = 0;

  constexpr Net() = default;
  constexpr Net(const Ip& net_base, std::uint8_t net_length) : base(net_base), length(net_length) {}
  constexpr Net(Net4 net) : base(net.base), length(net.length) {}         // NOLINT: implicit on purpose
  constexpr Net(const Net6& net) : base(net.base), length(net.length) {}  // NOLINT
  auto operator<=>(const Net&) const = default;

  bool is_v4() const { return base.is_v4(); }
  Net4 v4() const { return {base.v4(), length}; }  ///< the prefix if is_v4()
  Net masked() const;
  bool contains(const Ip& ip) const;
  bool contains(const Net& inner) const { return inner.length >= length && contains(inner.base); }
  bool overlaps(const Net& other) const { return contains(other.base) || other.contains(base); }
};

struct Mac {
  std::array<std::uint8_t, 6> bytes{};
  auto operator<=>(const Mac&) const = default;

  bool zero() const { return *this == Mac{}; }
  bool unicast() const { return (bytes[0] & 1) == 0; }
};

/// 127.0.0.0/8.
bool is_loopback(Ip4 ip);
/// Neither 0.0.0.0/8 nor 224.0.0.0/4 nor 240.0.0.0/4 (so not the broadcast address).
bool is_unicast(Ip4 ip);
/// 169.254.0.0/16.
bool is_link_local(Ip4 ip);

/// The same of either family: in IPv6 ::1, all but :: and ff00::/8, and fe80::/10.
bool is_loopback(const Ip& ip);
bool is_unicast(const Ip& ip);
bool is_link_local(const Ip& ip);

/// Strict dotted quad: four decimals of 1 to 3 digits, no leading zero (Go's net package refuses it too),
/// nothing around.
std::optional<Ip4> parse_ip4(std::string_view text);
/// RFC 4291 text, no zone, optional embedded IPv4.
std::optional<Ip6> parse_ip6(std::string_view text);
/// "a.b.c.d/len"; host bits are kept (mask them with masked()).
std::optional<Net4> parse_net4(std::string_view text);
/// Either family. IPv4 mapped into IPv6 is IPv4, as for Go's net package; so ::ffff:10.0.0.0/104
/// is 10.0.0.0/8 (and a mapped one shorter than /96 is refused).
std::optional<Ip> parse_ip(std::string_view text);
std::optional<Net> parse_net(std::string_view text);
/// Six pairs of hex digits, any case, separated by ':' or by '-'.
std::optional<Mac> parse_mac(std::string_view text);

void write(Writer& out, Ip4 ip);
void write(Writer& out, const Ip6& ip);  ///< RFC 5952
void write(Writer& out, const Ip& ip);   ///< "10.0.0.1" or RFC 5952
void write(Writer& out, Net4 net);       ///< "10.0.0.0/24"
void write(Writer& out, const Net& net);
void write(Writer& out, const Mac& mac);  ///< lower case, ':'

template <class T>
Text<48> text_of(const T& value) {
  return to_text<48>([&](Writer& out) { write(out, value); });
}

}  // namespace flannelette
