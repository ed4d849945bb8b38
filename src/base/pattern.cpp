// SPDX-License-Identifier: Apache-2.0
// Regular expressions in the syntax of Go, for interface names and addresses.
#include "flannelette/base/pattern.hpp"

#include <utility>

#include "flannelette/base/text.hpp"

namespace flannelette {
namespace {

/// What a unit does. A target is a distance in units modulo 256, so that a piece of program means the same
/// wherever it is moved or copied to.
enum Op : std::uint8_t {
  kSet,     ///< takes a byte that is in one of the next `arg` units, which are ranges
  kNotSet,  ///< takes a byte that is in none of them
  kSplit,   ///< goes on with the next unit and with the target `arg`
  kJump,    ///< goes on with the target `arg`
  kBegin,   ///< goes on at the begin of the text only
  kEnd,     ///< at its end
  kEdge,    ///< between a byte of a word and one that is none
  kNoEdge,  ///< elsewhere
  kMatch,
};
constexpr char kAnchors[] = "AzbB";  // the escapes from kBegin to kNoEdge

constexpr unsigned kAddressable = 256;
static_assert(Pattern::kMaxProgram < kAddressable);

constexpr int kNothing = -1;
constexpr std::size_t kMaxDigits = 4;  // RE2 repeats 1000 times at most
constexpr const char* kUnsupported = "is not supported";
constexpr const char* kNoRepetition = "is no repetition; a literal one is \\{";
constexpr const char* kDisorder = "is in the wrong order";

struct ByteClass {
  char name[9];
  std::uint8_t count;
  char ranges[9];  ///< `count` pairs, in order and apart from each other
};
constexpr ByteClass kNamed[] = {
    {"alpha:]", 2, "AZaz"},
    {"lower:]", 1, "az"},
    {"upper:]", 1, "AZ"},
    {"alnum:]", 3, "09AZaz"},
    {"ascii:]", 1, "\0\x7f"},
    {"blank:]", 2, "\t\t  "},
    {"cntrl:]", 2, "\0\x1f\x7f\x7f"},
    {"digit:]", 1, "09"},
    {"graph:]", 1, "!~"},
    {"print:]", 1, " ~"},
    {"punct:]", 4, "!/:@[`{~"},
    {"space:]", 2, "\t\r  "},
    {"word:]", 4, "09AZ__az"},
    {"xdigit:]", 3, "09AFaf"},
};
constexpr std::size_t kCases = 3;  // the first three are the same where case does not matter
constexpr ByteClass kEscapes[] = {{"d", 1, "09"}, {"s", 3, "\t\n\f\r  "}, {"w", 4, "09AZ__az"}};

bool is_letter(int byte) { return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z'; }
bool is_alphanumeric(int byte) { return is_letter(byte) || (byte >= '0' && byte <= '9'); }

/// The units to run at one place of the text, each once, in the order in which they were found.
class Agenda {
 public:
  void add(unsigned unit) {
    unit %= kAddressable;
    if (noted_[unit]) return;
    noted_[unit] = true;
    units_[size_++] = static_cast<std::uint8_t>(unit);
  }
  void clear() {
    noted_ = {};
    size_ = 0;
  }
  unsigned size() const { return size_; }
  unsigned operator[](unsigned index) const { return units_[index]; }

 private:
  std::array<bool, kAddressable> noted_{};
  std::array<std::uint8_t, kAddressable> units_;
  unsigned size_ = 0;
};

}  // namespace

/// Writes the program as it reads the pattern. The first failure goes to the end of the pattern, so that
/// everything ends by itself; what is written after it does not matter.
class Pattern::Compiler {
 public:
  Compiler(std::string_view text, Pattern& out, PatternProblem* problem)
      : text_(text), out_(out), problem_(problem) {}

  Result<void> run() {
    check_bytes();
    out_.fold_ = take("(?i)");
    alternatives();
    if (peek() != kNothing) fail(Code::kInvalid, "closes no group", at_, at_ + 1);
    emit(kMatch);
    if (!failed()) return {};
    out_.units_[0] = {};  // takes no byte
    return error_;
  }

 private:
  bool failed() const { return *error_.context != '\0'; }
  void fail(Code code, const char* why, unsigned from, unsigned to) {
    at_ = size_of_text();
    if (failed()) return;
    error_ = {code, 0, why};
    if (problem_ != nullptr) *problem_ = {from, {text_.data() + from, to - from}};
  }
  /// Blames what was read of the piece.
  void fail(Code code, const char* why) { fail(code, why, piece_, at_); }

  unsigned size_of_text() const { return static_cast<unsigned>(text_.size()); }
  int peek(unsigned ahead = 0) const { return at_ + ahead < size_of_text() ? text_[at_ + ahead] : kNothing; }
  unsigned char next() { return static_cast<unsigned char>(text_[at_++]); }
  bool take(char wanted) {
    const bool there = peek() == wanted;
    if (there) ++at_;
    return there;
  }
  bool take(const char* wanted) {
    unsigned size = 0;
    while (wanted[size] != '\0' && peek(size) == wanted[size]) ++size;
    const bool there = wanted[size] == '\0';
    if (there) at_ += size;
    return there;
  }

  void check_bytes() {
    if (text_.size() > kMaxText)
      fail(Code::kLimit, "is beyond the longest pattern", kMaxText, size_of_text());
    for (unsigned i = 0; i < size_of_text(); ++i) {
      if ((text_[i] & 0x80) != 0) fail(Code::kUnsupported, "is beyond ASCII", i, size_of_text());
    }
  }

  void insert(unsigned at, unsigned op, unsigned arg) {
    auto& units = out_.units_;
    if (size_ == units.size()) return fail(Code::kLimit, "makes the pattern too large");
    for (unsigned i = size_++; i > at; --i) units[i] = units[i - 1];
    units[at] = {static_cast<std::uint8_t>(op), static_cast<std::uint8_t>(arg)};
  }
  void emit(unsigned op, unsigned arg = 0) { insert(size_, op, arg); }
  void emit_one(Op op, unsigned char byte) {
    emit(op, 1);
    emit(byte, byte);
  }

  /// Up to the end of the group. A group in it comes back here: kMaxText bounds how deep.
  void alternatives() {
    const unsigned first = size_;
    sequence();
    while (peek() == '|') {
      piece_ = at_++;
      const unsigned second = size_;
      sequence();
      insert(second, kJump, size_ - second + 1);
      insert(first, kSplit, second - first + 2);
    }
  }

  void sequence() {
    while (peek() != kNothing && peek() != '|' && peek() != ')') {
      const unsigned start = size_;
      piece_ = at_;
      atom();
      repetition(start);
    }
  }

  void atom() {
    switch (const unsigned char c = next()) {
      case '(': return group();
      case '[': return set();
      case '\\': return escape();
      case '.': return emit_one(kNotSet, '\n');
      case '^': return emit(kBegin);
      case '$': return emit(kEnd);
      case '*':
      case '+':
      case '?': return fail(Code::kInvalid, "has nothing to repeat");
      case '{': return fail(Code::kUnsupported, kNoRepetition);
      default: return emit_one(kSet, c);
    }
  }

  void group() {
    const unsigned opening = piece_;
    if (take('?') && !take(':')) {
      if (peek() != kNothing) ++at_;
      return fail(Code::kUnsupported, kUnsupported);
    }
    alternatives();
    if (!take(')')) unclosed(opening);
  }
  void unclosed(unsigned opening) { fail(Code::kInvalid, "is not closed", opening, opening + 1); }

  void escape() {
    const unsigned start = size_;
    if (class_escape()) return insert(start, kSet, size_ - start);
    for (unsigned op = kBegin; op <= kNoEdge; ++op) {
      if (take(kAnchors[op - kBegin])) return emit(op);
    }
    emit_one(kSet, escaped());
  }
  /// The character after a backslash.
  unsigned char escaped() {
    if (peek() == kNothing) {
      fail(Code::kInvalid, "escapes nothing");
      return 0;
    }
    const unsigned char c = next();
    if (is_alphanumeric(c)) fail(Code::kUnsupported, kUnsupported);
    return c;
  }

  void set() {
    const unsigned opening = piece_;
    const unsigned start = size_;
    const Op op = take('^') ? kNotSet : kSet;
    do {
      if (peek() == kNothing) return unclosed(opening);
      piece_ = at_;
      if (!named_class()) range();
    } while (!take(']'));
    insert(start, op, size_ - start);
  }
  void range() {
    const bool escape = take('\\');
    if (escape && class_escape()) return;
    const unsigned lowest = escape ? escaped() : next();
    unsigned highest = lowest;
    if (peek() == '-' && peek(1) != ']' && peek(1) != kNothing) {
      ++at_;
      highest = take('\\') ? escaped() : next();
    }
    if (highest < lowest) fail(Code::kInvalid, kDisorder);
    emit(lowest, highest);
  }

  /// [:alpha:], [:^alpha:]
  bool named_class() {
    if (!take("[:")) return false;
    const bool inverted = take('^');
    for (const ByteClass& named : kNamed) {
      if (!take(named.name)) continue;
      const bool any_case = out_.fold_ && &named < kNamed + kCases;
      emit_class(any_case ? kNamed[0] : named, inverted);
      return true;
    }
    fail(Code::kUnsupported, "begins no class of characters");
    return true;
  }
  /// \d and the like, after the backslash.
  bool class_escape() {
    const int letter = peek();
    for (const ByteClass& escape : kEscapes) {
      if ((letter | 0x20) != escape.name[0]) continue;
      ++at_;
      emit_class(escape, letter != escape.name[0]);
      return true;
    }
    return false;
  }
  void emit_class(const ByteClass& bytes, bool inverted) {
    unsigned beyond = 0;  // what is before is in a range, or has been emitted
    for (unsigned i = 0; i < bytes.count; ++i) {
      const unsigned lowest = static_cast<unsigned char>(bytes.ranges[2 * i]);
      const unsigned highest = static_cast<unsigned char>(bytes.ranges[2 * i + 1]);
      if (!inverted) emit(lowest, highest);
      if (inverted && lowest > beyond) emit(beyond, lowest - 1);
      beyond = highest + 1;
    }
    if (inverted) emit(beyond, 255);
  }

  /// What stands after the atom whose program begins at `start`.
  void repetition(unsigned start) {
    const int mark = peek();
    if (mark != '*' && mark != '+' && mark != '?' && mark != '{') return;
    piece_ = at_++;
    int least = mark == '+' ? 1 : 0;
    int most = 1;  // so many copies; the last one again and again if `endless`
    bool endless = mark == '*' || mark == '+';
    if (mark == '{') {
      least = most = count();
      if (take(',')) {
        endless = peek() == '}';
        if (!endless) most = count();
      }
      if (least < 0 || most < 0 || !take('}')) return fail(Code::kUnsupported, kNoRepetition);
      if (most < least) return fail(Code::kInvalid, kDisorder);
    }
    take('?');

    const unsigned size = size_ - start;
    for (int copy = 1; copy < most; ++copy) {
      if (copy >= least) emit(kSplit, size + 1);
      for (unsigned i = start; i < start + size; ++i) emit(out_.units_[i].op, out_.units_[i].arg);
    }
    if (endless) emit(kSplit, 0 - size);
    if (most == 0 && !endless) size_ = start;
    if (least == 0) insert(start, kSplit, size_ - start + 1);
  }
  /// -1: no number, or one that is too large.
  int count() {
    std::string_view rest(text_.data() + at_, text_.size() - at_);
    const int number = take_decimal(rest, kMaxDigits);
    at_ = static_cast<unsigned>(text_.size() - rest.size());
    return number;
  }

  std::string_view text_;
  unsigned at_ = 0;     // what comes next in the text
  unsigned piece_ = 0;  // where that began which is being read
  Pattern& out_;
  unsigned size_ = 0;  // of the program
  Error error_;
  PatternProblem* problem_;
};

Result<void> Pattern::compile(std::string_view text, PatternProblem* problem) {
  return Compiler(text, *this, problem).run();
}

bool Pattern::takes(unsigned set, char c) const {
  const auto listed = [&](unsigned byte) {
    for (unsigned i = set + units_[set].arg; i > set; --i) {
      if (units_[i].op <= byte && byte <= units_[i].arg) return true;
    }
    return false;
  };
  const unsigned byte = static_cast<unsigned char>(c);
  const bool in = listed(byte) || (fold_ && is_letter(byte) && listed(byte ^ 0x20));
  return in == (units_[set].op == kSet);
}

bool Pattern::available() { return true; }

bool Pattern::found_in(std::string_view text) const {
  const auto word_at = [&](std::size_t i) {
    return i < text.size() && (text[i] == '_' || is_alphanumeric(static_cast<unsigned char>(text[i])));
  };
  Agenda agendas[2];
  Agenda* now = &agendas[0];
  Agenda* next = &agendas[1];
  for (std::size_t at = 0; at <= text.size(); ++at) {
    now->add(0);  // a match may begin anywhere
    for (unsigned i = 0; i < now->size(); ++i) {
      const unsigned here = (*now)[i];
      const Unit unit = units_[here];
      bool goes_on = false;
      switch (static_cast<Op>(unit.op)) {
        case kSet:
        case kNotSet:
          if (at < text.size() && takes(here, text[at])) next->add(here + unit.arg + 1);
          break;
        case kSplit: goes_on = true; [[fallthrough]];
        case kJump: now->add(here + unit.arg); break;
        case kBegin: goes_on = at == 0; break;
        case kEnd: goes_on = at == text.size(); break;
        case kEdge:
        case kNoEdge: goes_on = (word_at(at - 1) != word_at(at)) == (unit.op == kEdge); break;
        case kMatch: return true;
      }
      if (goes_on) now->add(here + 1);
    }
    now->clear();
    std::swap(now, next);
  }
  return false;
}

}  // namespace flannelette
