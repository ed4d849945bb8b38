// SPDX-License-Identifier: Apache-2.0
// Memory for PEM text while it is parsed.
#pragma once

#include <cstddef>
#include <span>

#include "flannelette/base/mapped_memory.hpp"
#include "flannelette/io/tls_context.hpp"

namespace flannelette::io {

/// Memory for a part of a TlsMaterial while it is parsed. With the key that may be in it, it is surely given
/// back; only as much of it as is needed is ever touched.
class PemBuffer {
 public:
  /// The text with a NUL behind it, as mbedTLS wants it; empty: there is no such part. A text that ends
  /// within a PEM block is refused: its writer is not done. `place` as of TlsMaterial.
  Result<std::span<const unsigned char>> read(TlsMaterial& material, TlsPart part, TlsMaterial::Place& place);

 private:
  MappedMemory memory_{TlsContext::kMaxPem + 1};
};

}  // namespace flannelette::io
