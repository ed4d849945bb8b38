// SPDX-License-Identifier: Apache-2.0
// The JSON reader over any bytes: the first two choose the size of the scratch and how the rest is cut into
// pieces.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "flannelette/json/reader.hpp"
#include "flannelette/json/writer.hpp"
#include "pieces.hpp"

using namespace flannelette;
using json::Reader;
using json::Token;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

/// A text that is written and read again is the same text: what the reader delivers is UTF-8 already.
void must_survive_writing(std::string_view text) {
  std::vector<char> memory(6 * text.size() + 2);
  json::Writer writer(memory);
  writer.string(text);
  must(!writer.overflowed());
  std::vector<char> scratch(text.size());
  Reader reader(scratch);
  reader.feed(writer.view());
  must(reader.next() == Token::kString && !reader.overlong() && reader.text() == text);
  must(reader.next() == Token::kEnd && reader.next() == Token::kNeedMore);
}

enum class Skip { kNothing, kEveryOtherKey };

/// All tokens of `text` as one record. `cuts` is the seed of the random pieces; 0 feeds the whole at once.
std::string tokens_of(std::string_view text, std::size_t limit, std::uint32_t cuts, Skip skip) {
  std::vector<char> scratch(limit);
  Reader reader(scratch);
  std::string record;
  bool skipping = false;
  unsigned keys = 0;
  int depth = 0;
  std::size_t fed = 0;
  for (bool finished = false; !finished;) {
    const std::vector<char> piece = take_piece(text, cuts);
    fed += piece.size();
    finished = text.empty();
    reader.feed({piece.data(), piece.size()});
    if (finished) reader.finish();
    for (;;) {
      const Token token = skipping ? reader.skip_value() : reader.next();
      must(reader.depth() >= 0 && reader.depth() <= Reader::kMaxDepth);
      must(reader.offset() + reader.rest().size() == fed);
      if (token == Token::kNeedMore) {
        must(reader.rest().empty());
        break;
      }
      record += static_cast<char>('A' + static_cast<int>(token));
      if (token == Token::kBad) {
        must(reader.next() == Token::kBad && reader.error()[0] != '\0');
        return record + std::to_string(reader.offset()) + reader.error();
      }
      if (skipping) {
        must(token == Token::kEnd && reader.depth() == depth);
        skipping = false;
        continue;
      }
      if (token == Token::kEnd) must(reader.depth() == 0);
      if (token == Token::kKey || token == Token::kString || token == Token::kNumber) {
        must(reader.text().size() <= limit);
        record.append(reader.overlong() ? "!" : "=").append(reader.text()).push_back('\0');
        if (cuts == 0 && token != Token::kNumber) must_survive_writing(reader.text());
      }
      skipping = token == Token::kKey && skip == Skip::kEveryOtherKey && ++keys % 2 == 0;
      depth = reader.depth();
    }
  }
  return record;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t limit = data[0];
  const std::uint32_t cuts = data[1] + 1u;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  must(tokens_of(text, limit, 0, Skip::kNothing) == tokens_of(text, limit, cuts, Skip::kNothing));
  must(tokens_of(text, limit, 0, Skip::kEveryOtherKey) == tokens_of(text, limit, cuts, Skip::kEveryOtherKey));
  return 0;
}
