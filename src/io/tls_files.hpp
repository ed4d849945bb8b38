// SPDX-License-Identifier: Apache-2.0
// The three files of TLS as bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/io/tls_context.hpp"

/// The three files of TLS as bytes.
namespace flannelette::io {

/// Memory for a PEM file while it is parsed. Mapped, so that it is surely given back, with the key that may
/// be in it. Only as much of it as the file is long is ever touched.
class PemBuffer {
 public:
  PemBuffer();
  ~PemBuffer();
  PemBuffer(const PemBuffer&) = delete;
  PemBuffer& operator=(const PemBuffer&) = delete;

  /// The file with a NUL behind it, as mbedTLS wants it. A file that ends within a PEM block is refused: its
  /// writer is not done.
  Result<std::span<const unsigned char>> read(Files& files, std::string_view path);

 private:
  static constexpr std::size_t kSize = TlsContext::kMaxPem + 1;
  void* bytes_;
};

/// Changes with the content of any of the files, and with whether they can be read.
std::uint64_t digest_of(const TlsSettings& settings, Files& files);

}  // namespace flannelette::io
