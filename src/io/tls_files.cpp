// SPDX-License-Identifier: Apache-2.0
// The three files of TLS as bytes.
#include "io/tls_files.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "flannelette/base/fnv.hpp"

namespace flannelette::io {

PemBuffer::PemBuffer()
    : bytes_(::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                    0)) {}

PemBuffer::~PemBuffer() {
  if (bytes_ != MAP_FAILED) ::munmap(bytes_, kSize);
}

Result<std::span<const unsigned char>> PemBuffer::read(Files& files, std::string_view path) {
  if (bytes_ == MAP_FAILED) return system_error("mmap", ENOMEM);
  char* memory = static_cast<char*>(bytes_);
  const Result<std::optional<std::string_view>> got = files.read(path, {memory, TlsContext::kMaxPem});
  if (!got && got.error().code == Code::kLimit) return Error{Code::kLimit, 0, "larger than 1 MiB"};
  if (!got) return got.error();
  if (!*got) return Error{Code::kNotFound, 0, "there is no such file"};
  const std::string_view text = **got;
  if (text.data() != memory && !text.empty()) std::memmove(memory, text.data(), text.size());
  memory[text.size()] = '\0';
  const std::size_t last = text.rfind("-----BEGIN");
  if (last != text.npos && text.find("-----END", last) == text.npos) {
    return Error{Code::kTls, 0, "the end of the file is missing"};
  }
  return std::span(static_cast<const unsigned char*>(bytes_), text.size() + 1);
}

namespace {

class Digest final : public Pieces {
 public:
  void piece(std::string_view text) override { hash.mix(text); }
  Fnv1a hash;
};

}  // namespace

std::uint64_t digest_of(const TlsSettings& settings, Files& files) {
  Digest digest;
  for (const auto* path : {&settings.ca_file, &settings.cert_file, &settings.key_file}) {
    if (path->empty()) continue;
    const Result<bool> read = files.read_pieces(*path, TlsContext::kMaxPem, digest);
    digest.hash.mix(!read ? 256u : *read ? 257u : 258u);  // no byte is one of these
  }
  return digest.hash.value();
}

}  // namespace flannelette::io
