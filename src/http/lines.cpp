// SPDX-License-Identifier: Apache-2.0
// The lines of a head, which requests and responses have in common.
#include "http/lines.hpp"

#include <algorithm>
#include <cstring>

namespace flannelette::http {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

Taken take_line(std::string_view& input, std::span<char> line, std::size_t& size) {
  const std::size_t end = input.find('\n');
  const std::string_view piece = input.substr(0, end);
  if (piece.size() > line.size() - size) return Taken::kTooLong;
  if (!piece.empty()) std::memcpy(line.data() + size, piece.data(), piece.size());
  size += piece.size();
  if (end == std::string_view::npos) {
    input = {};
    return Taken::kNeedMore;
  }
  input.remove_prefix(end + 1);
  if (size > 0 && line[size - 1] == '\r') --size;
  const std::string_view whole(line.data(), size);
  const bool clean = whole.find('\r') == std::string_view::npos && whole.find('\0') == std::string_view::npos;
  return clean ? Taken::kLine : Taken::kControl;
}

std::optional<HeaderField> parse_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return std::nullopt;
  return HeaderField{line.substr(0, colon), trim(line.substr(colon + 1))};
}

}  // namespace flannelette::http
