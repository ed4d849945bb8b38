// SPDX-License-Identifier: Apache-2.0
// TLS material in files of its own.
#include "flannelette/io/tls_files.hpp"

#include "flannelette/base/file_digest.hpp"

namespace flannelette::io {

std::uint64_t TlsFiles::digest() {
  Fnv1a hash;
  for (const TlsPart part : {TlsPart::kCa, TlsPart::kCertificate, TlsPart::kKey}) {
    if (!name(part).empty()) mix_file(hash, files_, name(part), TlsContext::kMaxPem);
  }
  return hash.value();
}

Result<std::string_view> TlsFiles::read(TlsPart part, std::span<char> memory, Place& place) {
  place = name(part);
  if (place.empty()) return std::string_view();
  return files_.read_into(place, memory, TlsContext::kOverlong);
}

std::string_view TlsFiles::name(TlsPart part) const {
  switch (part) {
    case TlsPart::kCa: return settings_.ca_file;
    case TlsPart::kCertificate: return settings_.cert_file;
    case TlsPart::kKey: break;
  }
  return settings_.key_file;
}

}  // namespace flannelette::io
