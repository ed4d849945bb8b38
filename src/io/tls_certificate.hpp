// SPDX-License-Identifier: Apache-2.0
// What a server's certificate says, and what is wrong with it. For tls.cpp alone, which has included mbedTLS.
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/base/ip.hpp"
#include "io/tls_words.hpp"

namespace flannelette::io {

inline constexpr const char* kNoNames =
    "the server's certificate has no subjectAltName; its common name does not count";

/// What is wrong with a certificate; the first is the one to mend first.
struct FlagWords {
  std::uint32_t flag;
  const char* text;
  const char* of_ca = nullptr;  ///< instead, where the server's own certificate does not have that flag
};
inline constexpr FlagWords kFlagWords[] = {
    {MBEDTLS_X509_BADCERT_MISSING, "the server sent no certificate"},
    {MBEDTLS_X509_BADCERT_NOT_TRUSTED, "the server's certificate is not signed by the configured CA"},
    {MBEDTLS_X509_BADCERT_REVOKED, "the server's certificate is revoked"},
    {MBEDTLS_X509_BADCERT_FUTURE, "the server's certificate is not valid yet",
     "the CA of the server's certificate is not valid yet"},
    {MBEDTLS_X509_BADCERT_EXPIRED, "the server's certificate has expired",
     "the CA of the server's certificate has expired"},
    {MBEDTLS_X509_BADCERT_CN_MISMATCH, "the server's certificate is not valid for this name or address"},
    {MBEDTLS_X509_BADCERT_EXT_KEY_USAGE,
     "the server's certificate is not meant for servers: its extended key usage has no serverAuth"},
    {MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_NS_CERT_TYPE,
     "the server's certificate is not meant for servers"},
    {MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY,
     "the server's certificate uses a weak key or hash"},
    {~std::uint32_t{0}, "the server's certificate was refused"},
};

// RFC 5280, 4.2.1.6
inline constexpr int kDnsName = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2;
inline constexpr int kIpAddress = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7;

/// mbedTLS compares addresses only since 3.5; this does it for all versions (RFC 9525, 6.4: the octets must
/// be the same). A certificate without such an entry is not valid for an address, whatever its common name
/// says.
inline bool names_address(const mbedtls_x509_crt& certificate, const Ip& address) {
  for (const auto* entry = &certificate.subject_alt_names; entry != nullptr; entry = entry->next) {
    if (entry->buf.tag == kIpAddress && Ip::from_bytes({entry->buf.p, entry->buf.len}) == address)
      return true;
  }
  return false;
}

/// mbedTLS would take the common name where there is no such extension; RFC 9525, 2 and Go do not.
inline bool has_names(const mbedtls_x509_crt& certificate) {
  return certificate.subject_alt_names.buf.p != nullptr;
}

inline std::string_view text_of_buffer(const mbedtls_asn1_buf& buffer) {
  return {reinterpret_cast<const char*>(buffer.p), buffer.len};
}

inline Detail names_of(const mbedtls_x509_crt& certificate) {
  CertificateNames names;
  for (const auto* entry = &certificate.subject_alt_names; entry != nullptr; entry = entry->next) {
    if (entry->buf.tag == kDnsName) names.add(text_of_buffer(entry->buf));
    if (entry->buf.tag != kIpAddress) continue;
    if (const auto ip = Ip::from_bytes({entry->buf.p, entry->buf.len})) names.add(*ip);
  }
  return names.text();
}

}  // namespace flannelette::io
