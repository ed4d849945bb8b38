// SPDX-License-Identifier: Apache-2.0
// Memory for PEM text while it is parsed.
#include "io/pem_buffer.hpp"

#include <cerrno>
#include <string_view>

namespace flannelette::io {

Result<std::span<const unsigned char>> PemBuffer::read(TlsMaterial& material, TlsPart part,
                                                       TlsMaterial::Place& place) {
  if (memory_.bytes().empty()) return system_error("mmap", ENOMEM);
  const auto got = material.read(part, memory_.bytes(), place);
  if (!got) return got.error();
  const std::string_view text = *got;
  if (text.data() == nullptr) return std::span<const unsigned char>();
  const std::size_t last = text.rfind("-----BEGIN");
  if (last != text.npos && text.find("-----END", last) == text.npos) {
    return Error{Code::kTls, 0, "the end of the file is missing"};
  }
  return std::span(reinterpret_cast<const unsigned char*>(text.data()), text.size() + 1);
}

}  // namespace flannelette::io
