// SPDX-License-Identifier: Apache-2.0
// Netlink messages and attributes as bytes.
#pragma once

#include <libmnl/libmnl.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "flannelette/base/ip.hpp"

/// Netlink bytes, both ways. Nothing here knows a socket or what a message means.
namespace flannelette::kernel {

/// Writes messages one after another into memory that it does not own. Overflow is sticky: what does not fit
/// is not written.
class MessageWriter {
 public:
  /// An attribute that holds others, not complete yet. End it with end().
  using Nest = std::size_t;

  /// `memory` must be aligned for nlmsghdr.
  explicit MessageWriter(std::span<std::byte> memory) : memory_(memory) {}

  void clear();
  /// Begins a message with a zeroed family header of `Header`'s size.
  template <class Header>
  Header& start(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence) {
    return *static_cast<Header*>(start(type, flags, sequence, sizeof(Header)));
  }
  void* start(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence, std::size_t header);
  /// Of the message begun last.
  void add_flags(std::uint16_t flags);

  void put(std::uint16_t type, const void* data, std::size_t size);
  void put_u8(std::uint16_t type, std::uint8_t value);
  void put_u32(std::uint16_t type, std::uint32_t value);
  void put_be16(std::uint16_t type, std::uint16_t value);
  void put_be32(std::uint16_t type, std::uint32_t value);
  void put_flag(std::uint16_t type) { put(type, nullptr, 0); }
  void put_ip4(std::uint16_t type, Ip4 ip) { put_be32(type, ip.value); }
  void put_mac(std::uint16_t type, const Mac& mac) { put(type, mac.bytes.data(), mac.bytes.size()); }
  void put_text(std::uint16_t type, std::string_view text);  ///< with a closing NUL
  Nest nest(std::uint16_t type);
  void end(Nest nest);

  std::span<const std::byte> bytes() const { return memory_.first(size_); }
  std::size_t room() const { return memory_.size() - size_; }
  bool overflowed() const { return overflowed_; }

 private:
  void* append(std::size_t size);
  nlmsghdr* message() { return reinterpret_cast<nlmsghdr*>(memory_.data() + message_); }

  std::span<std::byte> memory_;
  std::size_t size_ = 0;
  std::size_t message_ = 0;  ///< where the last message begins
  bool overflowed_ = false;
  alignas(8) std::byte spill_[64];  ///< a family header that did not fit is written here
};

/// Takes the first of a run of things that begin with a header, which gives the whole length in its member
/// Length, and are padded to four bytes: attributes, messages, hops. nullptr: none is left that is whole.
/// (libmnl has functions for it in two object files of 5 KiB, which come whole.)
template <class Header, auto Length>
const Header* take(std::span<const std::byte>& rest) {
  const auto* first = reinterpret_cast<const Header*>(rest.data());
  if (rest.size() < sizeof(Header) || first->*Length < sizeof(Header) || first->*Length > rest.size())
    return nullptr;
  const std::size_t padded = MNL_ALIGN(first->*Length);
  rest = rest.subspan(padded < rest.size() ? padded : rest.size());
  return first;
}
inline const nlmsghdr* take_message(std::span<const std::byte>& rest) {
  return take<nlmsghdr, &nlmsghdr::nlmsg_len>(rest);
}

/// A run of attributes inside a received message: reads by type and checks every length. The bytes stay where
/// they are.
class Attributes {
 public:
  Attributes() = default;
  explicit Attributes(std::span<const std::byte> bytes) : bytes_(bytes) {}

  const nlattr* find(std::uint16_t type) const;
  bool has(std::uint16_t type) const { return find(type) != nullptr; }
  std::optional<std::uint8_t> u8(std::uint16_t type) const { return fixed<std::uint8_t>(type); }
  std::optional<std::uint32_t> u32(std::uint16_t type) const { return fixed<std::uint32_t>(type); }
  std::uint32_t u32(std::uint16_t type, std::uint32_t otherwise) const {
    return u32(type).value_or(otherwise);
  }
  std::optional<std::uint16_t> be16(std::uint16_t type) const;
  std::optional<std::uint32_t> be32(std::uint16_t type) const;
  std::optional<Ip4> ip4(std::uint16_t type) const;
  Ip4 ip4(std::uint16_t type, Ip4 otherwise) const { return ip4(type).value_or(otherwise); }
  std::optional<Mac> mac(std::uint16_t type) const;
  std::string_view text(std::uint16_t type) const;  ///< up to the NUL; empty if absent
  std::span<const std::byte> bytes(std::uint16_t type) const;
  Attributes nested(std::uint16_t type) const { return Attributes(bytes(type)); }

  /// Calls `visit(const nlattr&)` for each.
  template <class Visit>
  void each(Visit visit) const {
    std::span<const std::byte> rest = bytes_;
    while (const nlattr* attribute = take_attribute(rest)) visit(*attribute);
  }

 private:
  static const nlattr* take_attribute(std::span<const std::byte>& rest) {
    return take<nlattr, &nlattr::nla_len>(rest);
  }

  template <class T>
  std::optional<T> fixed(std::uint16_t type) const {
    const std::span<const std::byte> found = bytes(type);
    if (found.size() != sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, found.data(), sizeof value);
    return value;
  }

  std::span<const std::byte> bytes_;
};

std::span<const std::byte> payload(const nlattr& attribute);

/// The family header of a received message; nullptr if it is too short for one.
const void* header_of(const nlmsghdr& message, std::size_t size);
template <class Header>
const Header* header_of(const nlmsghdr& message) {
  return static_cast<const Header*>(header_of(message, sizeof(Header)));
}

/// What follows the family header.
Attributes attributes_of(const nlmsghdr& message, std::size_t header);
template <class Header>
Attributes attributes_of(const nlmsghdr& message) {
  return attributes_of(message, sizeof(Header));
}

}  // namespace flannelette::kernel
