// SPDX-License-Identifier: Apache-2.0
// YAML of the plain kind that kubeconfigs are written in, or JSON, as one sequence of events.
#include "registry/kube/yaml.hpp"

#include <algorithm>
#include <array>

#include "flannelette/base/text.hpp"
#include "flannelette/json/document.hpp"

namespace flannelette::registry::kube {
namespace {

using Kind = YamlEvent::Kind;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// Whether text[at] is a blank or behind the end.
bool blank_at(std::string_view text, std::size_t at) { return at >= text.size() || is_blank(text[at]); }

/// Whether nothing is left from `at` on but blanks and, behind one, a comment.
bool nothing_after(std::string_view text, std::size_t at) {
  const std::size_t next = text.find_first_not_of(" \t", at);
  return next == text.npos || (text[next] == '#' && next > at);
}

/// An escape of JSON or of YAML's double quotes; 0: not one that is read. Consumes what it stands for.
char take_escape(std::string_view& text) {
  const char c = text[0];
  text.remove_prefix(1);
  switch (c) {
    case '"':
    case '\\':
    case '/': return c;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: break;
  }
  const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 0;
  if (digits == 0 || text.size() < digits) return 0;
  int value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const int digit = hex_value(text[i]);
    if (digit < 0) return 0;
    value = value << 4 | digit;
  }
  text.remove_prefix(digits);
  return value < 0x80 ? static_cast<char>(value) : '\0';
}

/// What all readers share: the text, the line, and who takes the events.
class EventReader {
 public:
  EventReader(std::span<char> text, YamlEvents& events) : text_(text), events_(events) {}

 protected:
  std::string_view text() const { return {text_.data(), text_.size()}; }
  const char* emit(Kind kind, std::string_view scalar = {}) { return events_.on({kind, line_, scalar}); }
  /// What stands between quotes, decoded in place.
  const char* unquote(std::string_view& inside, char quote);

  std::span<char> text_;
  std::uint32_t line_ = 1;

 private:
  YamlEvents& events_;
};

const char* EventReader::unquote(std::string_view& inside, char quote) {
  const char special = quote == '"' ? '\\' : '\'';
  if (inside.find(special) == inside.npos) return nullptr;
  char* const begin = text_.data() + (inside.data() - text_.data());
  char* to = begin;
  for (std::string_view from = inside; !from.empty();) {
    char c = from[0];
    from.remove_prefix(1);
    if (c == special) {
      // The closing quote was looked for by the same rules, so that something follows.
      c = quote == '"' ? take_escape(from) : '\'';
      if (quote != '"') from.remove_prefix(1);
      if (c == '\0') return "an escape that is not read here: write the character itself";
    }
    *to++ = c;
  }
  inside = {begin, static_cast<std::size_t>(to - begin)};
  return nullptr;
}

/// JSON, token by token.
class JsonReader : EventReader {
 public:
  using EventReader::EventReader;

  YamlFault read() {
    json::Document document(text());
    std::size_t depth = 0;
    std::size_t at = 0;
    do {
      const json::Token token = document.next();
      const std::size_t end = document.offset();
      line_ += static_cast<std::uint32_t>(std::ranges::count(text().substr(at, end - at), '\n'));
      if (token == json::Token::kBad) return {document.error(), line_};
      depth += token == json::Token::kBeginObject || token == json::Token::kBeginArray ? 1u : 0u;
      depth -= token == json::Token::kEndObject || token == json::Token::kEndArray ? 1u : 0u;
      if (const char* why = token_read(token, at, end)) return {why, line_};
      at = end;
    } while (depth > 0);
    return document.ends() ? YamlFault{} : YamlFault{document.error(), line_};
  }

 private:
  /// A token's text is taken from where it stands: the document's own copy is gone with the next token.
  const char* token_read(json::Token token, std::size_t at, std::size_t end) {
    using json::Token;
    const std::size_t begin = text().find_first_not_of(" \t\r\n,:", at);
    std::string_view raw = text().substr(begin, end - begin);
    switch (token) {
      case Token::kBeginObject: return emit(Kind::kBeginMapping);
      case Token::kBeginArray: return emit(Kind::kBeginSequence);
      case Token::kEndObject:
      case Token::kEndArray: return emit(Kind::kEnd);
      case Token::kNull: return emit(Kind::kNull);
      case Token::kTrue:
      case Token::kFalse:
      case Token::kNumber: return emit(Kind::kScalar, raw);
      case Token::kKey:
      case Token::kString:
        raw = raw.substr(1, raw.size() - 2);
        if (const char* why = unquote(raw, '"')) return why;
        return emit(token == Token::kKey ? Kind::kKey : Kind::kScalar, raw);
      case Token::kNeedMore:
      case Token::kBad:
      case Token::kEnd: break;
    }
    return nullptr;
  }
};

/// Block style, line by line. A stack of the mappings and sequences that are open; a line closes those that
/// are indented more than itself, then opens one or goes on with the top one.
class BlockReader : EventReader {
 public:
  using EventReader::EventReader;
  YamlFault read();

 private:
  static constexpr std::size_t kMaxDepth = 32;

  struct Frame {
    std::size_t indent;
    bool sequence;
  };
  enum class Phase : std::uint8_t { kStart, kMarked, kRoot };  // nothing yet, '---', the root has begun

  Frame& top() { return frames_[depth_ - 1]; }
  const char* read_line(std::string_view line);
  const char* marker(std::string_view line);
  const char* go_on(std::string_view content);
  const char* node(std::size_t indent, std::string_view content);
  const char* leave(std::size_t indent, bool item);
  const char* enter(std::size_t indent, bool item);
  const char* close();
  const char* no_value();
  const char* member(std::string_view content, std::size_t colon);
  const char* value(std::string_view content);
  const char* scalar(std::string_view content, std::string_view& out);

  std::array<Frame, kMaxDepth> frames_;
  std::size_t depth_ = 0;
  Phase phase_ = Phase::kStart;
  bool waits_ = false;    // the last key or dash of the top one has no value yet
  bool goes_on_ = false;  // a scalar without quotes ended the last line, and may go on
};

constexpr const char* kTab = "a tab is in the indentation: YAML wants blanks";

bool is_quote(char c) { return c == '"' || c == '\''; }

/// Of a content that begins with a quote: where it is closed; npos: nowhere.
std::size_t closing_quote(std::string_view content) {
  const char quote = content[0];
  for (std::size_t at = 1; at < content.size(); ++at) {
    if (quote == '"' && content[at] == '\\') {
      ++at;
    } else if (content[at] == quote) {
      if (quote == '"' || !content.substr(at + 1).starts_with(quote)) return at;
      ++at;
    }
  }
  return content.npos;
}

/// Where the comment begins; else the size.
std::size_t comment_of(std::string_view content) {
  std::size_t at = content.find('#');
  while (at != content.npos && at > 0 && !is_blank(content[at - 1])) at = content.find('#', at + 1);
  return std::min(at, content.size());
}

/// Where the colon behind a key is; npos: the content does not begin with a key.
std::size_t colon_of(std::string_view content) {
  std::size_t at = 0;
  if (is_quote(content[0])) {
    at = closing_quote(content);
    if (at != content.npos) at = content.find_first_not_of(" \t", at + 1);
    return at != content.npos && content[at] == ':' && blank_at(content, at + 1) ? at : content.npos;
  }
  content = content.substr(0, comment_of(content));
  do {
    at = content.find(':', at);
  } while (at != content.npos && !blank_at(content, ++at));
  return at == content.npos ? at : at - 1;
}

/// Why nothing that is read begins so; nullptr: it may.
const char* refused_start(std::string_view content) {
  switch (content[0]) {
    case '|':
    case '>': return "a block scalar ('|', '>') is not read: write the value behind its key";
    case '&': return "an anchor ('&') is not read: write the value out";
    case '*': return "an alias ('*') is not read: write the value out";
    case '!': return "a tag ('!') is not read: leave it out";
    case '{':
    case '[': return "of flow style only {} and [] are read: write one key or item a line";
    case '%': return "a directive ('%') is not read: leave it out";
    case '@':
    case '`':
    case ',':
    case '}':
    case ']': return "a text that begins so needs quotes";
    case '?': return blank_at(content, 1) ? "a complex key ('?') is not read" : nullptr;
    case ':': return blank_at(content, 1) ? "a key is missing before ':'" : nullptr;
    case '-': return blank_at(content, 1) ? "an item needs a line of its own" : nullptr;
    default: return nullptr;
  }
}

YamlFault BlockReader::read() {
  std::string_view rest = text();
  for (; !rest.empty(); ++line_) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (const char* why = read_line(rest.substr(0, end))) return {why, line_};
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (phase_ != Phase::kRoot) return {"nothing is in it", 0};
  while (depth_ > 0) {
    if (const char* why = close()) return {why, line_};
  }
  return {};
}

const char* BlockReader::read_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  for (const char c : line) {
    const auto byte = static_cast<std::uint8_t>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) return "a control character";
  }
  const std::string_view content = trimmed(line);
  if (content.empty()) return nullptr;
  if (content[0] == '#') {
    goes_on_ = false;
    return nullptr;
  }
  const std::size_t indent = line.find_first_not_of(' ');
  if (line[indent] == '\t') return kTab;
  if (indent == 0 && (line.starts_with("---") || line.starts_with("...")) && blank_at(line, 3)) {
    return marker(line);
  }
  if (goes_on_ && indent > top().indent) return go_on(content);
  goes_on_ = false;
  return node(indent, content);
}

const char* BlockReader::marker(std::string_view line) {
  if (line[0] == '.' || phase_ != Phase::kStart) return "several documents are not read: leave one";
  if (!nothing_after(line, 3)) return "something stands behind '---'";
  phase_ = Phase::kMarked;
  return nullptr;
}

/// A further line of a scalar without quotes.
const char* BlockReader::go_on(std::string_view content) {
  if (colon_of(content) != content.npos) return "indented more than the key before, which has a value";
  goes_on_ = comment_of(content) == content.size();
  return emit(Kind::kContinued);
}

/// "key: value", or "- " and such a content, which has the indentation at which it begins.
const char* BlockReader::node(std::size_t indent, std::string_view content) {
  for (bool behind_dash = false;; behind_dash = true) {
    const bool item = content[0] == '-' && blank_at(content, 1);
    const std::size_t colon = item ? content.npos : colon_of(content);
    if (!item && colon == content.npos) {
      if (behind_dash) return value(content);
      const char* why = refused_start(content);
      return why != nullptr ? why : "neither 'key: value' nor '- item'";
    }
    if (const char* why = leave(indent, item)) return why;
    if (const char* why = enter(indent, item)) return why;
    if (!item) return member(content, colon);
    waits_ = true;
    const std::size_t next = content.find_first_not_of(' ', 1);
    if (next == content.npos || content[next] == '#') return nullptr;
    if (content[next] == '\t') return kTab;
    indent += next;
    content.remove_prefix(next);
  }
}

/// Closes what a line of this indentation does not belong to.
const char* BlockReader::leave(std::size_t indent, bool item) {
  while (depth_ > 0 && top().indent > indent) {
    if (const char* why = close()) return why;
  }
  if (depth_ == 0 || top().indent < indent) return nullptr;
  // A sequence may be indented as its key is: then it begins here, or ends here.
  if (item && !top().sequence) return nullptr;
  if (const char* why = no_value()) return why;
  return item || !top().sequence ? nullptr : close();
}

/// Opens the value that is waited for, or sees that the line goes on with what is open.
const char* BlockReader::enter(std::size_t indent, bool item) {
  if (depth_ == 0 ? phase_ != Phase::kRoot : waits_) {
    if (depth_ == kMaxDepth) return "nested too deeply";
    frames_[depth_++] = {indent, item};
    phase_ = Phase::kRoot;
    waits_ = false;
    return emit(item ? Kind::kBeginSequence : Kind::kBeginMapping);
  }
  if (depth_ == 0 || top().indent != indent) return "the indentation is that of no line above";
  return top().sequence == item ? nullptr : "an item stands where a key is expected";
}

const char* BlockReader::close() {
  if (const char* why = no_value()) return why;
  --depth_;
  return emit(Kind::kEnd);
}

const char* BlockReader::no_value() {
  if (!waits_) return nullptr;
  waits_ = false;
  return emit(Kind::kNull);
}

const char* BlockReader::member(std::string_view content, std::size_t colon) {
  if (colon == 0) return refused_start(content);
  std::string_view key;
  if (const char* why = scalar(trimmed(content.substr(0, colon)), key)) return why;
  if (const char* why = emit(Kind::kKey, key)) return why;
  waits_ = true;
  return nothing_after(content, colon + 1) ? nullptr : value(trimmed(content.substr(colon + 1)));
}

const char* BlockReader::value(std::string_view content) {
  waits_ = false;
  const bool mapping = content[0] == '{';
  if (mapping || content[0] == '[') {
    const std::size_t end = content.find_first_not_of(" \t", 1);
    if (end == content.npos || content[end] != (mapping ? '}' : ']') || !nothing_after(content, end + 1)) {
      return refused_start(content);
    }
    if (const char* why = emit(mapping ? Kind::kBeginMapping : Kind::kBeginSequence)) return why;
    return emit(Kind::kEnd);
  }
  const bool quoted = is_quote(content[0]);
  std::string_view text;
  if (const char* why = scalar(content, text)) return why;
  goes_on_ = !quoted && comment_of(content) == content.size();
  const bool null = !quoted && (text == "~" || text == "null" || text == "Null" || text == "NULL");
  return emit(null ? Kind::kNull : Kind::kScalar, text);
}

const char* BlockReader::scalar(std::string_view content, std::string_view& out) {
  if (is_quote(content[0])) {
    const std::size_t end = closing_quote(content);
    if (end == content.npos) return "the quote is not closed on its line";
    if (!nothing_after(content, end + 1)) return "something stands behind the closing quote";
    out = content.substr(1, end - 1);
    return unquote(out, content[0]);
  }
  if (const char* why = refused_start(content)) return why;
  out = trimmed(content.substr(0, comment_of(content)));
  return colon_of(out) == out.npos ? nullptr : "a text with ': ' in it needs quotes";
}

}  // namespace

YamlFault read_yaml(std::span<char> text, YamlEvents& events) {
  const std::string_view all(text.data(), text.size());
  if (all.starts_with("\xef\xbb\xbf")) text = text.subspan(3);
  const std::size_t first = all.find_first_not_of(" \t\r\n", all.size() - text.size());
  if (first != all.npos && all[first] == '{') return JsonReader(text, events).read();
  return BlockReader(text, events).read();
}

}  // namespace flannelette::registry::kube
