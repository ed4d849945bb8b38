// SPDX-License-Identifier: Apache-2.0
// The reasons of TLS failures in words.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "flannelette/io/stream.hpp"

namespace flannelette::io {

/// What we have to show to a server that asks for a certificate.
enum class OwnCertificate : std::uint8_t { kNone, kValid, kExpired, kNotForClients };

/// What a fatal alert of the server (RFC 8446, 6.2) means to people.
const char* words_for_alert(unsigned alert, OwnCertificate own);

/// The names that a certificate is valid for: "valid for: a, b, ...", as far as there is room.
class CertificateNames {
 public:
  CertificateNames() { out_.put("valid for: "); }
  void add(std::string_view name);
  void add(const Ip& ip) { add(text_of(ip)); }
  std::string_view text() const { return out_.view(); }

 private:
  std::array<char, Detail::kCapacity> memory_;
  Writer out_{memory_};
  const char* separator_ = "";
};

}  // namespace flannelette::io
