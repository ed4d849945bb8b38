// SPDX-License-Identifier: Apache-2.0
// The reasons of TLS failures in words.
#include "io/tls_words.hpp"

namespace flannelette::io {

namespace {
constexpr const char* kNoCertificate = "the server requires a client certificate";
}  // namespace

const char* words_for_alert(unsigned alert, OwnCertificate own) {
  switch (alert) {
    case 42:  // bad_certificate: Go's for all that is wrong with one, or missing
    case 43:  // unsupported_certificate
    case 46:  // certificate_unknown
      switch (own) {
        case OwnCertificate::kNone: return kNoCertificate;
        case OwnCertificate::kValid: return "the server refused our client certificate";
        case OwnCertificate::kExpired: return "the server refused our client certificate, which has expired";
        case OwnCertificate::kNotForClients:
          return "the server refused our client certificate, whose extended key usage has no clientAuth";
      }
      break;
    case 44: return "the server says that our client certificate is revoked";
    case 45: return "the server says that our client certificate has expired";
    case 48: return "the server does not know the CA of our client certificate";
    case 49: return "the server denied access";
    case 70: return "no TLS version in common with the server";
    case 71: return "no cipher in common with the server";
    case 40:  // handshake_failure
      return own == OwnCertificate::kNone
                 ? "the server ended the handshake: no cipher in common, or it requires a client certificate"
                 : "the server ended the handshake: no cipher in common";
    case 112: return "the server does not serve this name";
    case 116: return kNoCertificate;  // certificate_required
    case 120: return "the server does not speak HTTP/1.1";
    default: break;
  }
  return "the server ended the session with a TLS alert";
}

void CertificateNames::add(std::string_view name) {
  if (out_.overflowed()) return;
  const bool fits = out_.room() >= name.size() + 7;  // ", " before it, and after it ", ..."
  out_.put(separator_).put(fits ? name : "...");
  separator_ = ", ";
  if (!fits) out_.overflow();
}

}  // namespace flannelette::io
