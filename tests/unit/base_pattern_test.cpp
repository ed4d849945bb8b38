// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/pattern.hpp"

#include <doctest/doctest.h>
#include <regex.h>

#include <string>
#include <vector>

#include "support/rng.hpp"

using namespace flannelette;
using flannelette::tests::Rng;

namespace {

/// "yes", "no", or why the pattern is refused.
std::string answer(std::string_view pattern, std::string_view text) {
  Pattern compiled;
  if (const auto result = compiled.compile(pattern); !result) return result.error().context;
  return compiled.found_in(text) ? "yes" : "no";
}

/// A pattern with texts in which it is found, and texts in which it is not.
struct Case {
  std::string_view pattern;
  std::vector<std::string_view> found;
  std::vector<std::string_view> missing;
};

void check(const std::vector<Case>& cases) {
  for (const Case& entry : cases) {
    CAPTURE(entry.pattern);
    for (const std::string_view text : entry.found) {
      CAPTURE(text);
      CHECK(answer(entry.pattern, text) == "yes");
    }
    for (const std::string_view text : entry.missing) {
      CAPTURE(text);
      CHECK(answer(entry.pattern, text) == "no");
    }
  }
}

/// "<code> at <offset>: <part> <why>"
std::string refusal(std::string_view pattern) {
  Pattern compiled;
  PatternProblem problem;
  const auto result = compiled.compile(pattern, &problem);
  if (result) return "accepted";
  CHECK_FALSE(compiled.found_in(""));
  CHECK_FALSE(compiled.found_in(pattern));
  CHECK(pattern.substr(problem.at, problem.part.size()) == problem.part);
  return std::string(name(result.error().code)) + " at " + std::to_string(problem.at) + ": " +
         std::string(problem.part) + " " + result.error().context;
}

std::string repeated(std::string_view piece, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += piece;
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("base/pattern");

TEST_CASE("what operators write for interfaces and addresses") {
  check({
      {"eth0", {"eth0", "eth01", "veth0"}, {"eth1", "eth", "ETH0", ""}},
      {"^eth0$", {"eth0"}, {"eth01", "veth0"}},
      {"^(eth|en).*", {"eth0", "enp3s0", "en"}, {"wlan0", "e"}},
      {"^(eth|lan)[0-9]+$", {"eth0", "lan12"}, {"eth", "eth0.1", "wlan0"}},
      {"^en(o|s|p\\d+s)\\d+$", {"eno1", "ens192", "enp0s31"}, {"enp0", "enx001122334455"}},
      {"^enx[[:xdigit:]]{12}$", {"enx00112233aaFF"}, {"enx00112233aaF", "enx00112233aaFF0"}},
      {"eth0|eth1", {"eth0", "eth1"}, {"eth2"}},
      {"^192\\.168\\.", {"192.168.1.10"}, {"10.192.168.1", "192x168.1.1"}},
      {"^10\\.(0|1)\\.\\d{1,3}\\.\\d{1,3}$", {"10.0.0.1", "10.1.255.255"}, {"10.2.0.1", "10.0.0.1234"}},
      {"^172\\.(1[6-9]|2\\d|3[01])\\.", {"172.16.0.1", "172.31.9.9"}, {"172.15.0.1", "172.32.0.1"}},
      {"^(10\\.[0-9]+\\.|192\\.168\\.|tun)", {"10.7.0.1", "192.168.3.4", "tun0"}, {"172.16.0.1"}},
      {"(?i)^wan$", {"wan", "WAN", "wAn"}, {"lan", "wan0"}},
      {"^br-lan$|^br0(\\.\\d+)?$", {"br-lan", "br0", "br0.100"}, {"br-lan0", "br0."}},
      {"^eth\\d+(?:\\.\\d+)?$", {"eth0", "eth10.42"}, {"eth", "eth0.", "eth0:1"}},
  });
}

TEST_CASE("literals, and marks that a backslash makes literal") {
  check({
      {"", {"", "a"}, {}},
      {"a", {"a", "bab"}, {"", "b", "A"}},
      {"a-b_c:d,e]f}", {"a-b_c:d,e]f}"}, {"a"}},
      {"\\.\\\\\\-\\[\\]\\(\\)\\{\\}\\*\\+\\?\\|\\^\\$\\/\\_", {".\\-[](){}*+?|^$/_"}, {"."}},
      {".", {"a", " ", "\x80", std::string_view("\0", 1)}, {"", "\n"}},
      {"^.$", {"a"}, {"ab", ""}},
      {"^..$", {"\xc3\xbc"}, {"a"}},  // bytes, not characters
      {std::string_view("a\0b", 3), {std::string_view("a\0b", 3)}, {"a", "ab"}},
  });
}

TEST_CASE("sets") {
  check({
      {"[abc]", {"a", "c", "xb"}, {"", "d", "A"}},
      {"^[a-cx]+$", {"abcx"}, {"d", "-"}},
      {"[^a-c]", {"d", "-", "\xff", "\n"}, {"", "abc"}},
      {"[]a]", {"]", "a"}, {"[", "b"}},
      {"[^]a]", {"[", "b"}, {"]", "a"}},
      {"[a-]", {"a", "-"}, {"b"}},
      {"[-a]", {"a", "-"}, {"b"}},
      {"[a-c-e]", {"b", "-", "e"}, {"d"}},
      {"[+--]", {"+", ",", "-"}, {"*", "."}},
      {"[.*+?(){}|^$]", {".", "*", "+", "?", "(", ")", "{", "}", "|", "^", "$"}, {"a", "\\"}},
      {"[a^]", {"a", "^"}, {"b"}},
      {"[\\]\\-\\\\\\^]", {"]", "-", "\\", "^"}, {"a", "["}},
      {"[!-\\.]", {"!", "."}, {"/"}},
      {"[[]", {"["}, {"]"}},
      {"[[a:]x]", {"[x]", ":x]", "ax]"}, {"x]"}},
      {"[[.a.]]", {".]", "a]"}, {"a"}},  // POSIX would take it for a collating element
      {"[a-a]", {"a"}, {"b"}},
  });
}

TEST_CASE("classes, alone and in sets, and what is not in them") {
  check({
      {"\\d", {"0", "9"}, {"a", "/", ":"}},
      {"\\D", {"a", "/", ":", "\xff"}, {"0", "9", ""}},
      {"\\w", {"a", "z", "A", "Z", "0", "9", "_"}, {"-", "@", "[", "`", "{", "\xe4"}},
      {"\\W", {"-", "@", "[", "`", "{", "\xe4"}, {"a", "z", "A", "Z", "0", "9", "_"}},
      {"\\s", {" ", "\t", "\n", "\f", "\r"}, {"\v", "a"}},
      {"\\S", {"\v", "a"}, {" ", "\t", "\n", "\f", "\r"}},
      {"^[\\d.]+$", {"10.0.0.1"}, {"10,0"}},
      {"^[\\D5]+$", {"a5b"}, {"4", "a6"}},
      {"^[^\\d.]+$", {"eth"}, {"eth0", "e.h"}},
      {"[^\\D5]", {"4"}, {"5", "a"}},
      {"[\\d-z]", {"4", "-", "z"}, {"a"}},
      {"[^\\d\\D]", {}, {"", "a", "0", "\xff"}},
      {"^[[:alpha:]_][[:alnum:]]*$", {"a", "_9", "Zz0"}, {"0", "a-"}},
      {"[[:^alpha:]]", {"0", "\xe4"}, {"aZ"}},
      {"[^[:^alpha:]]", {"a", "Z"}, {"0", "\xe4"}},
      {"[[:digit:]-a]", {"7", "-", "a"}, {"b"}},
      {"[[:upper:][:punct:]]", {"A", "!", "/", ":", "@", "[", "`", "{", "~"}, {"a", "0", " "}},
  });
}

TEST_CASE("each named class has as many bytes as RE2 gives it, and its opposite all others") {
  const struct {
    std::string name;
    int bytes;
  } kNamed[] = {{"alnum", 62}, {"alpha", 52}, {"ascii", 128}, {"blank", 2},  {"cntrl", 33},
                {"digit", 10}, {"graph", 94}, {"lower", 26},  {"print", 95}, {"punct", 32},
                {"space", 6},  {"upper", 26}, {"word", 63},   {"xdigit", 22}};
  for (const auto& named : kNamed) {
    CAPTURE(named.name);
    Pattern in, out;
    REQUIRE(in.compile("[[:" + named.name + ":]]"));
    REQUIRE(out.compile("[[:^" + named.name + ":]]"));
    int bytes = 0;
    for (int value = 0; value < 256; ++value) {
      const char byte = static_cast<char>(value);
      bytes += in.found_in({&byte, 1}) ? 1 : 0;
      CHECK(in.found_in({&byte, 1}) != out.found_in({&byte, 1}));
    }
    CHECK(bytes == named.bytes);
  }
}

TEST_CASE("begin, end and edges of words") {
  check({
      {"^", {"", "a"}, {}},
      {"$", {"", "a"}, {}},
      {"^$", {""}, {"a", "\n"}},
      {"a$", {"a", "ba"}, {"ab", "a\n"}},  // the end of the text, not of a line
      {"^a", {"a", "ab"}, {"ba", "\na"}},
      {"\\Aa\\z", {"a"}, {"ab", "ba"}},
      {"a^b", {}, {"ab", "a^b", "a\nb"}},
      {"(^|x)a", {"a", "bxa"}, {"ba"}},
      {"a($|x)", {"a", "bax"}, {"ab"}},
      {"^*a", {"a", "ba"}, {}},
      {"(ab$){2}", {}, {"abab", "ab"}},
      {"(^a|b){2}", {"ab", "bb"}, {"ba", "aa"}},
      {"(^a|b){3}", {"abb"}, {"bab", "bba"}},
      {"(?:^a|b$)c?", {"a", "ab", "xb"}, {"xa", "bx"}},
      {"\\beth\\b", {"eth", "br-eth", "eth.1"}, {"eth0", "veth", "eth_"}},
      {"\\Beth", {"veth"}, {"eth", "br-eth"}},
      {"\\b", {"a", " a"}, {"", " ", "--"}},
      {"\\B", {"", "-", "ab"}, {"a"}},
      {"^\\b", {"a"}, {"", "-"}},
      {"\\b$", {"a"}, {"", "-"}},
  });
}

TEST_CASE("repetition, greedy or not") {
  check({
      {"^a*$", {"", "a", "aaa"}, {"b", "ab"}},
      {"^a+$", {"a", "aaa"}, {"", "b"}},
      {"^a?$", {"", "a"}, {"aa"}},
      {"^a*?b+?c??$", {"b", "aabbc"}, {"a", "bcc"}},
      {"^a{2}$", {"aa"}, {"a", "aaa"}},
      {"^a{2,}$", {"aa", "aaaaa"}, {"", "a"}},
      {"^a{2,4}$", {"aa", "aaa", "aaaa"}, {"a", "aaaaa"}},
      {"^a{0,2}$", {"", "a", "aa"}, {"aaa"}},
      {"^a{0,}$", {"", "a", "aaa"}, {"b"}},
      {"^a{1,}$", {"a", "aa"}, {""}},
      {"^ba{0}c$", {"bc"}, {"bac"}},
      {"^a{0,0}$", {""}, {"a"}},
      {"^a{1}$", {"a"}, {"", "aa"}},
      {"^a{2}?b{2,}?c{2,3}?$", {"aabbcc", "aabbbccc"}, {"abbcc", "aabbcccc"}},
      {"^[a-c]{3}$", {"abc"}, {"ab", "abcd"}},
      {"^(ab|c){2,3}$", {"abab", "cab", "ccc", "ababab"}, {"ab", "cccc", "abb"}},
      {"^((a{2}){2}b){2}$", {"aaaabaaaab"}, {"aaabaaaab", "aaaab"}},
      {"^(a*)*$", {"", "aaa"}, {"b"}},
      {"^(a*)+$", {"", "aaa"}, {"b"}},
      {"^(a?){3}$", {"", "a", "aaa"}, {"aaaa"}},
      {"^()*a$", {"a"}, {""}},
      {"^(|a)+$", {"", "aa"}, {"b"}},
      {"^(a|b*)*c$", {"c", "abbac"}, {"ab"}},
      {"ba*$", {"b", "cbaa"}, {"bab?", ""}},
  });
}

TEST_CASE("alternatives and groups") {
  check({
      {"^(a|b|c|)$", {"a", "b", "c", ""}, {"d", "ab"}},
      {"^a|b$", {"ac", "cb"}, {"ca", "bc"}},
      {"^(?:a|bc|def)x$", {"ax", "bcx", "defx"}, {"bx", "cx", "x"}},
      {"^(a(b(c)?)?)?$", {"", "a", "ab", "abc"}, {"ac", "b"}},
      {"|", {"", "a"}, {}},
      {"()", {"", "a"}, {}},
      {"^(|a|)b$", {"b", "ab"}, {"aab"}},
      {"^(a|ab)(c|bcd)$", {"ac", "abc", "abcd", "abbcd"}, {"ab", "abbc"}},
      {"^(a|b)*(c|d)+$", {"c", "abcd", "bbdd"}, {"ab", "ca"}},
  });
}

TEST_CASE("letters of both cases are the same after (?i), also in sets and classes") {
  check({
      {"(?i)", {"", "a"}, {}},
      {"(?i)eth", {"eth", "ETH", "vEtH0"}, {"et"}},
      {"(?i)[a-c]$", {"a", "C"}, {"d", "D"}},
      {"(?i)^[^a-c]$", {"d", "D", "0"}, {"a", "A"}},
      {"(?i)[X-c]", {"x", "a", "A", "^", "C"}, {"d", "W"}},
      {"(?i)[[:lower:]]", {"a", "A"}, {"0"}},
      {"(?i)[[:^upper:]]", {"0"}, {"a", "A"}},
      {"(?i)[@[`{]", {"@", "[", "`", "{"}, {"a", "A"}},  // 0x20 apart, but no letters
      {"(?i)\\W|\\d", {"-", "0"}, {"a", "A", "_"}},
  });
}

TEST_CASE("a refused pattern is told with its part, its offset and the reason") {
  const struct {
    std::string_view pattern;
    const char* refusal;
  } kCases[] = {
      {"a)b", "invalid at 1: ) closes no group"},
      {"(a))", "invalid at 3: ) closes no group"},
      {"x(a", "invalid at 1: ( is not closed"},
      {"((a)|b", "invalid at 0: ( is not closed"},
      {"(", "invalid at 0: ( is not closed"},
      {"x[a", "invalid at 1: [ is not closed"},
      {"[]", "invalid at 0: [ is not closed"},
      {"[^]", "invalid at 0: [ is not closed"},
      {"[a-", "invalid at 0: [ is not closed"},
      {"[a\\", "invalid at 2: \\ escapes nothing"},
      {"[[:alpha:]", "invalid at 0: [ is not closed"},
      {"*a", "invalid at 0: * has nothing to repeat"},
      {"(+)", "invalid at 1: + has nothing to repeat"},
      {"a|?", "invalid at 2: ? has nothing to repeat"},
      {"{2}", "unsupported at 0: { is no repetition; a literal one is \\{"},
      {"{a", "unsupported at 0: { is no repetition; a literal one is \\{"},
      {"(?i)*", "invalid at 4: * has nothing to repeat"},
      {"a**", "invalid at 2: * has nothing to repeat"},
      {"a+*", "invalid at 2: * has nothing to repeat"},
      {"a*??", "invalid at 3: ? has nothing to repeat"},
      {"a{2}{3}", "unsupported at 4: { is no repetition; a literal one is \\{"},
      {"a\\", "invalid at 1: \\ escapes nothing"},
      {"[z-a]", "invalid at 1: z-a is in the wrong order"},
      {"[a-f\\]-A]", "invalid at 4: \\]-A is in the wrong order"},
      {"a{3,2}", "invalid at 1: {3,2} is in the wrong order"},
      {"[x[:foo:]]", "unsupported at 2: [: begins no class of characters"},
      {"[[::]]", "unsupported at 1: [: begins no class of characters"},
      {"[[:^:]]", "unsupported at 1: [:^ begins no class of characters"},
      {"[[:ALPHA:]]", "unsupported at 1: [: begins no class of characters"},
      {"[[:]", "unsupported at 1: [: begins no class of characters"},
      {"[[:alpha]]", "unsupported at 1: [: begins no class of characters"},
      {"a{", "unsupported at 1: { is no repetition; a literal one is \\{"},
      {"a{x}", "unsupported at 1: { is no repetition; a literal one is \\{"},
      {"a{,5}", "unsupported at 1: {,5 is no repetition; a literal one is \\{"},
      {"a{1", "unsupported at 1: {1 is no repetition; a literal one is \\{"},
      {"a{1,x}", "unsupported at 1: {1, is no repetition; a literal one is \\{"},
      {"a{1 }", "unsupported at 1: {1 is no repetition; a literal one is \\{"},
      {"a{01}", "unsupported at 1: {0 is no repetition; a literal one is \\{"},
      {"a{-1}", "unsupported at 1: { is no repetition; a literal one is \\{"},
      {"a{12345}", "unsupported at 1: {1234 is no repetition; a literal one is \\{"},
      {"a\\pL", "unsupported at 1: \\p is not supported"},
      {"\\Qa\\E", "unsupported at 0: \\Q is not supported"},
      {"(a)\\1", "unsupported at 3: \\1 is not supported"},
      {"\\x41", "unsupported at 0: \\x is not supported"},
      {"\\n", "unsupported at 0: \\n is not supported"},
      {"\\Z", "unsupported at 0: \\Z is not supported"},
      {"[\\b]", "unsupported at 1: \\b is not supported"},
      {"[a\\pL]", "unsupported at 2: \\p is not supported"},
      {"[a-\\d]", "unsupported at 1: a-\\d is not supported"},
      {"a(?i)b", "unsupported at 1: (?i is not supported"},
      {"(?i)(?i)", "unsupported at 4: (?i is not supported"},
      {"(?i:a)", "unsupported at 0: (?i is not supported"},
      {"(?s).", "unsupported at 0: (?s is not supported"},
      {"(?P<n>a)", "unsupported at 0: (?P is not supported"},
      {"(?<n>a)", "unsupported at 0: (?< is not supported"},
      {"(?=a)", "unsupported at 0: (?= is not supported"},
      {"(?", "unsupported at 0: (? is not supported"},
      {"B\xc3\xbcro", "unsupported at 1: \xc3\xbcro is beyond ASCII"},
      {"[\xff]", "unsupported at 1: \xff] is beyond ASCII"},
  };
  for (const auto& entry : kCases) CHECK(refusal(entry.pattern) == entry.refusal);
}

TEST_CASE("limits: the length of a pattern and the size of its program") {
  CHECK(Pattern::kMaxText == 127);
  CHECK(refusal(std::string(127, 'a')) == "accepted");
  CHECK(refusal(std::string(127, 'a') + "xy") == "limit exceeded at 127: xy is beyond the longest pattern");
  // 255 units: two a character, one for the end.
  CHECK(refusal("a{127}") == "accepted");
  CHECK(refusal("a{128}") == "limit exceeded at 1: {128} makes the pattern too large");
  CHECK(refusal("^{9}(ab){60}(c|^)") == "accepted");
  CHECK(refusal("(a{9}){9}(a{9}){9}") == "limit exceeded at 15: {9} makes the pattern too large");
  CHECK(refusal("(a{100}){100}") == "limit exceeded at 8: {100} makes the pattern too large");
  CHECK(refusal("a{100}\\w{11}") == "limit exceeded at 8: {11} makes the pattern too large");
  CHECK(refusal("a{0,1000}") == "limit exceeded at 1: {0,1000} makes the pattern too large");
  CHECK(refusal("a{127}|b") == "limit exceeded at 7: b makes the pattern too large");
  CHECK(refusal("a{126}|") == "accepted");
  CHECK(refusal("a{127}$") == "limit exceeded at 6: $ makes the pattern too large");
  CHECK(refusal("a{127}|") == "limit exceeded at 6: | makes the pattern too large");
  // Whatever is written without counts and classes fits.
  for (const char* piece :
       {"|", "a|", ".|", "a*", "()", "(a)", "[a]", "a?", "^|", "\\b", "a+?", "(|)", "[^ab]*"}) {
    const std::string pattern = repeated(piece, Pattern::kMaxText / std::string_view(piece).size());
    CHECK_MESSAGE(refusal(pattern) == "accepted", piece);
  }
  CHECK(refusal(repeated("(", 63) + "a" + repeated(")", 63)) == "accepted");
  CHECK(refusal(std::string(127, '(')) == "invalid at 126: ( is not closed");
  CHECK(sizeof(Pattern) <= 512);
  // An accepted pattern of the largest size works to its last unit.
  CHECK(answer("a{127}", std::string(127, 'a')) == "yes");
  CHECK(answer("a{127}", std::string(126, 'a')) == "no");
  CHECK(answer("^(a|b){36}c$", std::string(36, 'b') + "c") == "yes");
}

TEST_CASE("a pattern can be compiled again; what failed matches nothing") {
  Pattern pattern;
  CHECK_FALSE(pattern.found_in(""));
  REQUIRE(pattern.compile("(?i)a{20}|b"));
  CHECK(pattern.found_in("B"));
  REQUIRE(pattern.compile("c"));
  CHECK(pattern.found_in("c"));
  CHECK_FALSE(pattern.found_in("C"));
  CHECK_FALSE(pattern.found_in("b"));
  CHECK_FALSE(pattern.compile("c("));
  CHECK_FALSE(pattern.found_in("c"));
  // Nothing of the text is kept.
  std::string text = "^eth";
  REQUIRE(pattern.compile(text));
  text = "xxxx";
  CHECK(pattern.found_in("eth0"));
}

TEST_CASE("patterns that make others try for ever end at once") {
  const std::string many(200'000, 'a');
  for (const char* pattern :
       {"(a*)*b", "(a|a)*b", "(a|aa)+$b", "((a*)*)*b", "(.*)*(.*)*(.*)*b", "(a?){60}a{30}b",
        "(((((((a*)*)+)*)+)?)*)*b", "(a|b|ab)*c", "^(a+)+$b", "(.*.*.*.*.*.*.*.*=.*)+"}) {
    CHECK_MESSAGE(answer(pattern, many) == "no", pattern);
  }
  CHECK(answer("(a*)*b$", many + "b") == "yes");
  CHECK(answer("^(a|a)*$", many) == "yes");
}

namespace {

/// A pattern of what POSIX and RE2 have in common, over the letters a to c. Without anchors in what is
/// repeated: there glibc is wrong (2.36 finds `(b$){2}` in "bb").
std::string random_pattern(Rng& rng, int depth, bool anchors);

std::string random_atom(Rng& rng, int depth, bool anchors) {
  static constexpr const char* kSets[] = {".",    "[ab]",  "[^a]",         "[a-c]",         "[^b-c]",
                                          "\\.",  "[b-]",  "[[:alpha:]]",  "[^[:digit:]a]", "[]a]",
                                          "[a^]", "[-.b]", "[[:punct:]c]", "[^]c]"};
  const std::uint64_t kind = rng.below(depth > 0 ? 10 : 7);
  if (kind < 4) return std::string(1, static_cast<char>('a' + rng.below(3)));
  if (kind < 7) return kSets[rng.below(std::size(kSets))];
  return "(" + random_pattern(rng, depth - 1, anchors) + ")";
}

std::string random_repetition(Rng& rng) {
  const std::uint64_t kind = rng.below(4);
  if (kind < 3) return std::string(1, "*+?"[kind]);
  const std::uint64_t least = rng.below(3);
  std::string count = "{" + std::to_string(least);
  if (rng.one_in(2)) {
    count += ",";
    if (rng.one_in(2)) count += std::to_string(least + rng.below(3));
  }
  return count + "}";
}

std::string random_pattern(Rng& rng, int depth, bool anchors) {
  std::string pattern;
  do {
    if (!pattern.empty()) pattern += "|";
    if (anchors && rng.one_in(6)) pattern += "^";
    for (std::uint64_t atoms = rng.below(3) + 1; atoms > 0; --atoms) {
      const bool repeated = rng.one_in(3);
      pattern += random_atom(rng, depth, anchors && !repeated);
      if (repeated) pattern += random_repetition(rng);
    }
    if (anchors && rng.one_in(6)) pattern += "$";
  } while (rng.one_in(4));
  return pattern;
}

}  // namespace

TEST_CASE("random patterns of the common part are found where the C library finds them") {
  Rng rng;
  int accepted = 0, pairs = 0, found = 0;
  while (accepted < flannelette::tests::rounds(4'000)) {
    const std::string pattern = random_pattern(rng, 3, true);
    Pattern ours;
    if (const auto result = ours.compile(pattern); !result) {
      REQUIRE_MESSAGE(result.error().code == Code::kLimit, pattern);
      continue;
    }
    ++accepted;
    regex_t theirs;
    REQUIRE_MESSAGE(::regcomp(&theirs, pattern.c_str(), REG_EXTENDED | REG_NOSUB) == 0, pattern);
    for (int i = 0; i < 12; ++i, ++pairs) {
      std::string text;
      for (std::uint64_t size = rng.below(i < 8 ? 6 : 14); size > 0; --size)
        text += "aaabbbcc.-]"[rng.below(11)];
      const bool expected = ::regexec(&theirs, text.c_str(), 0, nullptr, 0) == 0;
      CHECK_MESSAGE(ours.found_in(text) == expected, pattern << "   in   " << text);
      found += expected ? 1 : 0;
    }
    ::regfree(&theirs);
  }
  // Neither answer is rare, so that both are tested.
  CHECK(found > pairs / 5);
  CHECK(found < pairs - pairs / 5);
}

TEST_SUITE_END();
