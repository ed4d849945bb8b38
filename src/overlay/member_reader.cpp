// SPDX-License-Identifier: Apache-2.0
// Values of a config's members, read one by one.
#include "member_reader.hpp"

namespace flannelette::overlay {

using json::Token;

bool MemberReader::boolean(const char* key, bool& out) {
  const Token token = document.next();
  if (token == Token::kTrue || token == Token::kFalse) out = token == Token::kTrue;
  if (token == Token::kTrue || token == Token::kFalse || token == Token::kNull) return true;
  return wrong(token, key, "must be true or false");
}

bool MemberReader::integer(const char* key, std::uint64_t limit, const char* why, std::uint64_t& out) {
  const Token token = document.next();
  if (token == Token::kNull) return true;
  if (token != Token::kNumber) return wrong(token, key, why);
  const std::optional<std::uint64_t> value = json::to_uint64(document.text());
  if (!value || *value > limit) {
    note(key, why);
  } else {
    out = *value;
  }
  return true;
}

bool MemberReader::wrong(Token token, const char* key, const char* why) {
  if (token == Token::kBad) return false;
  note(key, why);
  return document.skip_rest(token);
}

}  // namespace flannelette::overlay
