// SPDX-License-Identifier: Apache-2.0
// The digest of a file.
#include "flannelette/base/file_digest.hpp"

namespace flannelette {
namespace {

class Mixer final : public Pieces {
 public:
  explicit Mixer(Fnv1a& hash) : hash_(hash) {}
  void piece(std::string_view text) override { hash_.mix(text); }

 private:
  Fnv1a& hash_;
};

}  // namespace

void mix_file(Fnv1a& hash, Files& files, std::string_view path, std::uint64_t limit) {
  Mixer mixer(hash);
  const Result<bool> read = files.read_pieces(path, limit, mixer);
  hash.mix(!read ? 256u : *read ? 257u : 258u);  // no byte is one of these
}

}  // namespace flannelette
