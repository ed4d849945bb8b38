// SPDX-License-Identifier: Apache-2.0
// Regular expressions in the syntax of Go, for interface names and addresses.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "flannelette/base/result.hpp"

namespace flannelette {

/// Which part of a pattern is refused; the Error beside it goes on from there: `"(?P" is not supported`.
struct PatternProblem {
  std::size_t at = 0;     ///< offset of `part` in the pattern, from 0
  std::string_view part;  ///< of the pattern's own text
};

/// A regular expression that is searched for anywhere in a text, with a yes or a no as the answer. The syntax
/// is the part of RE2's (and so of Go's, which flanneld's settings use) that names and addresses need. What
/// is accepted means what it means there; everything else is refused, never understood differently.
///
///     a  \.  \\           the character; a backslash takes away the meaning of a punctuation mark
///     .                   any byte but a newline
///     [a-f_]  [^a-f]      a byte of the set, a byte that is not in it
///     \d  \w  \s          [0-9], [0-9A-Za-z_], [\t\n\f\r ]; in a set too
///     \D  \W  \S          all bytes but these; in a set too
///     [:alpha:]           in a set only; and alnum ascii blank cntrl digit graph lower print punct space
///                         upper word xdigit; [:^alpha:]: all bytes but these
///     ^  \A  $  \z        begin of the text, end of the text
///     \b  \B              between a byte of \w and one that is not; where that is not so
///     x*  x+  x?          repetition, also as x*? x+? x??, which is the same for a yes or no
///     x{2}  x{2,}  x{2,5}
///     x|y  (x)  (?:x)     one or the other; groups
///     (?i)                at the very beginning: letters of both cases are the same
///
/// Not supported, though RE2 has it: other flags, (?i) elsewhere, names of groups, \p{...}, \Q...\E, escapes
/// of control characters and by number, a '{' that begins no repetition and a '[:' in a set that begins no
/// class (RE2 takes them literally; write \{ and \[:). Patterns are ASCII. Texts are bytes: where RE2 looks
/// at one character beyond ASCII, `.` and [^a] look at each of its bytes.
///
/// A pattern is compiled into a small program inside of the object: no heap. A search takes time in
/// proportion to text x program and about 1 KiB of stack, whatever the pattern: all ways to match are
/// followed at once, one byte of the text at a time, and nothing is tried twice.
class Pattern {
 public:
  static constexpr std::size_t kMaxText = 127;  ///< bytes of a pattern
  /// Units of a program: a set takes one, and one for each of its ranges; a character is a set of one range.
  /// `|` and `*` take two, `+ ? ^ $ \b` and the end of the pattern one. x{2,5} takes five times what x does,
  /// and a `?` for each of the last three. So what is written without {} fits, but for many \w and the like.
  static constexpr std::size_t kMaxProgram = 255;

  /// Matches nothing, until compile() has succeeded.
  Pattern() = default;

  /// kInvalid: RE2 refuses it too; kUnsupported: RE2 may accept it; kLimit: longer than kMaxText, or larger
  /// than kMaxProgram. The context of the error follows the part in `problem`, if that is given. The pattern
  /// matches nothing then. Nothing of `text` is kept.
  Result<void> compile(std::string_view text, PatternProblem* problem = nullptr);

  /// False: the build has no regular expressions, and none compiles (kUnsupported).
  static bool available();

  /// True if the pattern matches some part of the text, which may be empty.
  bool found_in(std::string_view text) const;

 private:
  class Compiler;
  /// A step of the program, or a range of bytes (lowest, highest) of the set before it.
  struct Unit {
    std::uint8_t op = 0;
    std::uint8_t arg = 0;
  };
  bool takes(unsigned set, char byte) const;

  std::array<Unit, kMaxProgram> units_;
  bool fold_ = false;  ///< letters of both cases are the same
};

}  // namespace flannelette
