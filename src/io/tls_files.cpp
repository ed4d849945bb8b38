// SPDX-License-Identifier: Apache-2.0
// TLS material in files of its own.
#include "flannelette/io/tls_files.hpp"

#include <cstring>

namespace flannelette::io {
namespace {

class Mixer final : public Pieces {
 public:
  explicit Mixer(Fnv1a& hash) : hash_(hash) {}
  void piece(std::string_view text) override { hash_.mix(text); }

 private:
  Fnv1a& hash_;
};

}  // namespace

Result<std::string_view> read_pem_file(Files& files, std::string_view path, std::span<char> memory) {
  const Result<std::optional<std::string_view>> got = files.read(path, memory.first(memory.size() - 1));
  if (!got && got.error().code == Code::kLimit) return Error{Code::kLimit, 0, "larger than 1 MiB"};
  if (!got) return got.error();
  if (!*got) return Error{Code::kNotFound, 0, "there is no such file"};
  const std::string_view text = **got;
  if (text.data() != memory.data() && !text.empty()) std::memmove(memory.data(), text.data(), text.size());
  memory[text.size()] = '\0';
  return std::string_view(memory.data(), text.size());
}

void mix_pem_file(Fnv1a& hash, Files& files, std::string_view path) {
  Mixer mixer(hash);
  const Result<bool> read = files.read_pieces(path, TlsContext::kMaxPem, mixer);
  hash.mix(!read ? 256u : *read ? 257u : 258u);  // no byte is one of these
}

std::uint64_t TlsFiles::digest() {
  Fnv1a hash;
  for (const TlsPart part : {TlsPart::kCa, TlsPart::kCertificate, TlsPart::kKey}) {
    if (!name(part).empty()) mix_pem_file(hash, files_, name(part));
  }
  return hash.value();
}

Result<std::optional<std::string_view>> TlsFiles::read(TlsPart part, std::span<char> memory, Place& place) {
  place = name(part);
  if (place.empty()) return std::optional<std::string_view>();
  const auto text = read_pem_file(files_, place, memory);
  if (!text) return text.error();
  return std::optional(*text);
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
