// SPDX-License-Identifier: Apache-2.0
// Netlink messages and attributes as bytes: writer and bounds-checked reader.
#include "message.hpp"

#include <arpa/inet.h>

namespace flannelette::kernel {

void MessageWriter::clear() {
  size_ = 0;
  message_ = 0;
  overflowed_ = false;
}

void* MessageWriter::append(std::size_t size) {
  const std::size_t padded = MNL_ALIGN(size);
  if (overflowed_ || padded > room()) {
    overflowed_ = true;
    return nullptr;
  }
  void* place = memory_.data() + size_;
  std::memset(place, 0, padded);
  size_ += padded;
  return place;
}

void* MessageWriter::start(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence,
                           std::size_t header) {
  const std::size_t begin = size_;
  auto* place = static_cast<std::byte*>(append(MNL_NLMSG_HDRLEN + header));
  if (place == nullptr) return std::memset(spill_, 0, sizeof spill_);
  message_ = begin;
  message()->nlmsg_len = static_cast<std::uint32_t>(size_ - begin);
  message()->nlmsg_type = type;
  message()->nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  message()->nlmsg_seq = sequence;
  return place + MNL_NLMSG_HDRLEN;
}

void MessageWriter::add_flags(std::uint16_t flags) {
  if (size_ != 0) message()->nlmsg_flags = static_cast<std::uint16_t>(message()->nlmsg_flags | flags);
}

void MessageWriter::put(std::uint16_t type, const void* data, std::size_t size) {
  const std::size_t begin = size_;
  auto* attribute = static_cast<nlattr*>(append(MNL_ATTR_HDRLEN + size));
  if (attribute == nullptr) return;
  attribute->nla_type = type;
  attribute->nla_len = static_cast<std::uint16_t>(MNL_ATTR_HDRLEN + size);
  if (size != 0) std::memcpy(memory_.data() + begin + MNL_ATTR_HDRLEN, data, size);
  message()->nlmsg_len = static_cast<std::uint32_t>(size_ - message_);
}

void MessageWriter::put_u8(std::uint16_t type, std::uint8_t value) { put(type, &value, sizeof value); }
void MessageWriter::put_u32(std::uint16_t type, std::uint32_t value) { put(type, &value, sizeof value); }

void MessageWriter::put_be16(std::uint16_t type, std::uint16_t value) {
  const std::uint16_t wire = htons(value);
  put(type, &wire, sizeof wire);
}

void MessageWriter::put_be32(std::uint16_t type, std::uint32_t value) {
  const std::uint32_t wire = htonl(value);
  put(type, &wire, sizeof wire);
}

void MessageWriter::put_text(std::uint16_t type, std::string_view text) {
  const std::size_t begin = size_;
  put(type, nullptr, 0);
  if (append(text.size() + 1) == nullptr) return;
  std::memcpy(memory_.data() + begin + MNL_ATTR_HDRLEN, text.data(), text.size());
  auto* attribute = reinterpret_cast<nlattr*>(memory_.data() + begin);
  attribute->nla_len = static_cast<std::uint16_t>(MNL_ATTR_HDRLEN + text.size() + 1);
  message()->nlmsg_len = static_cast<std::uint32_t>(size_ - message_);
}

MessageWriter::Nest MessageWriter::nest(std::uint16_t type) {
  const Nest begin = size_;
  put(static_cast<std::uint16_t>(type | NLA_F_NESTED), nullptr, 0);
  return begin;
}

void MessageWriter::end(Nest nest) {
  if (overflowed_) return;
  reinterpret_cast<nlattr*>(memory_.data() + nest)->nla_len = static_cast<std::uint16_t>(size_ - nest);
}

const nlattr* Attributes::find(std::uint16_t type) const {
  std::span<const std::byte> rest = bytes_;
  while (const nlattr* attribute = take_attribute(rest)) {
    if ((attribute->nla_type & NLA_TYPE_MASK) == type) return attribute;
  }
  return nullptr;
}

std::span<const std::byte> payload(const nlattr& attribute) {
  return {reinterpret_cast<const std::byte*>(&attribute) + MNL_ATTR_HDRLEN,
          attribute.nla_len - MNL_ATTR_HDRLEN};
}

std::span<const std::byte> Attributes::bytes(std::uint16_t type) const {
  const nlattr* attribute = find(type);
  return attribute == nullptr ? std::span<const std::byte>{} : payload(*attribute);
}

std::optional<std::uint16_t> Attributes::be16(std::uint16_t type) const {
  const auto value = fixed<std::uint16_t>(type);
  return value ? std::optional(ntohs(*value)) : std::nullopt;
}

std::optional<std::uint32_t> Attributes::be32(std::uint16_t type) const {
  const auto value = fixed<std::uint32_t>(type);
  return value ? std::optional<std::uint32_t>(ntohl(*value)) : std::nullopt;
}

std::optional<Ip4> Attributes::ip4(std::uint16_t type) const {
  const auto value = be32(type);
  return value ? std::optional(Ip4{*value}) : std::nullopt;
}

std::optional<Mac> Attributes::mac(std::uint16_t type) const {
  const std::span<const std::byte> found = bytes(type);
  Mac mac;
  if (found.size() != mac.bytes.size()) return std::nullopt;
  std::memcpy(mac.bytes.data(), found.data(), found.size());
  return mac;
}

std::string_view Attributes::text(std::uint16_t type) const {
  const std::span<const std::byte> found = bytes(type);
  if (found.empty()) return {};
  const auto* begin = reinterpret_cast<const char*>(found.data());
  return {begin, strnlen(begin, found.size())};
}

const void* header_of(const nlmsghdr& message, std::size_t size) {
  return message.nlmsg_len < MNL_NLMSG_HDRLEN + size
             ? nullptr
             : reinterpret_cast<const std::byte*>(&message) + MNL_NLMSG_HDRLEN;
}

Attributes attributes_of(const nlmsghdr& message, std::size_t header) {
  const std::size_t before = MNL_NLMSG_HDRLEN + MNL_ALIGN(header);
  if (message.nlmsg_len <= before) return {};
  return Attributes({reinterpret_cast<const std::byte*>(&message) + before, message.nlmsg_len - before});
}

}  // namespace flannelette::kernel
