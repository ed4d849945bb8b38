// SPDX-License-Identifier: Apache-2.0
// The text of `flannelette help`.
#include "flannelette/cli/help.hpp"

#include <algorithm>
#include <array>

#include "cli/options.hpp"
#include "cli/sandbox.hpp"
#include "cli/verb_table.hpp"
#include "flannelette/base/pattern.hpp"

namespace flannelette::cli {
namespace {

using std::string_view;

/// Levenshtein's, over the first kMaxWord bytes.
std::size_t edit_distance(string_view a, string_view b) {
  constexpr std::size_t kMaxWord = 64;
  a = a.substr(0, kMaxWord);
  b = b.substr(0, kMaxWord);
  std::array<std::size_t, kMaxWord + 1> row;  // of the table whose rows are prefixes of a
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

constexpr std::size_t kWidth = 80;

/// What stands before a text, if there is the text.
struct Part {
  Literal before;
  Literal text;
};
void put_parts(Writer& out, std::initializer_list<Part> parts) {
  for (const Part& part : parts) {
    if (!part.text.empty()) out.put(part.before).put(part.text);
  }
}

/// Goes on to the column of the line.
void fill(Writer& out, std::size_t begin, std::size_t column) {
  while (out.size() - begin < column && !out.overflowed()) out.put(' ');
}

/// What its screen is called; empty: it is on the first one.
string_view group_of(const Option& option) {
  if (!option.section.empty()) return option.section;
  return option.fate == Fate::kControl ? "" : "flanneld";
}

Literal dashes(const Option& option) { return string_view(option.flag).size() == 1 ? " -" : " --"; }

/// Two lines: what is written where, with the default, and a sentence.
void put_option(Writer& out, const Option& option) {
  const bool flag = !option.flag.empty();
  Literal sentence = "\n      ";
  if (option.fate == Fate::kUnbuilt) sentence = "\n      Refused: ";
  if (option.fate == Fate::kIgnored) sentence = "\n      Accepted without effect: ";
  put_parts(out.put(' '), {{dashes(option), option.flag},
                           {" ", flag ? option.argument : Pooled()},
                           {flag ? "   [" : " [", option.key.empty() ? Pooled() : option.section},
                           {"] ", option.key},
                           {" = ", flag ? Pooled() : option.argument},
                           {"   default: ", option.fallback},
                           {sentence, option.help}});
  out.put(".\n");
}

/// Of one group, or of all; false: there is none.
bool put_options(Writer& out, string_view group, bool all = false) {
  bool any = false;
  string_view last;
  for (const Option& option : options()) {
    const string_view own = group_of(option);
    if (all ? own.empty() : own != group) continue;
    if (all && own != last) out.put('\n');
    last = own;
    any = true;
    put_option(out, option);
  }
  return any;
}

/// The flags of each group, by name.
void put_groups(Writer& out) {
  string_view group;
  std::size_t begin = 0;  // of the line
  for (const Option& option : options()) {
    const string_view own = group_of(option);
    const string_view flag = option.flag;
    if (own.empty() || flag.empty()) continue;
    const bool next = group != own;
    if (next || out.size() - begin + flag.size() + 3 > kWidth) {
      out.put('\n');
      begin = out.size();
      if (next) out.put("  ").put(own);
      fill(out, begin, 12);
    }
    group = own;
    out.put(dashes(option)).put(flag);
  }
  out.put('\n');
}

/// What this build has not.
void put_missing(Writer& out) {
  if (!io::TlsContext::available())
    out.put("\nThis build has no TLS: https and its three files are refused.\n");
  if (!io::NetStream::resolves_names()) out.put("\nThis build resolves no names: endpoints are addresses.\n");
  if (!Pattern::available()) out.put("\nThis build knows no regular expressions: iface-regex is refused.\n");
}

void put_overview(Writer& out) {
  out.put("usage: flannelette [VERB] [flags]\n\n");
  for (const VerbEntry& verb : verbs()) {
    if (!is_built(verb)) continue;
    const std::size_t begin = out.size();
    put_parts(out, {{"  ", verb.name}, {" ", verb.arguments}});
    fill(out, begin, 32);
    put_parts(out, {{"", verb.summary}, {"", "\n"}});
  }
  out.put(
      "\n"
      "The flags are flanneld's: -flag or --flag, a value behind '=' or a blank, of a\n"
      "boolean only behind '='. Each is also read from the environment, as FLANNELD_\n"
      "and its name in capitals with _ for -, and from the INI file. Flags go before\n"
      "environment, environment before file.\n"
      "\n"
      "  -h, --help\n"
      "      Prints this, or the screen of the verb before it.\n");
  put_options(out, "");
  out.put("\n`flannelette help GROUP` says what its flags do, and lists keys of the INI file:\n");
  put_groups(out);
  put_missing(out);
}

void put_verb(Writer& out, const VerbEntry& verb) {
  put_parts(out, {{"usage: flannelette ", verb.name},
                  {" ", verb.arguments},
                  {"\n\n", verb.name},
                  {" ", verb.summary},
                  {".\n", verb.details.empty() ? "\n" : verb.details}});
  (void)put_options(out, verb.name);  // of `status` there are some
}

void put_all(Writer& out) {
  put_overview(out);
  for (const VerbEntry& verb : verbs()) {
    if (is_built(verb)) put_verb(out.put('\n'), verb);
  }
  put_options(out, "", true);
}

}  // namespace

string_view nearest(string_view word, std::span<const string_view> names) {
  string_view best;
  std::size_t least = 0;
  for (const string_view name : names) {
    const std::size_t distance = edit_distance(word, name);
    if (!best.empty() && distance >= least) continue;
    best = name;
    least = distance;
  }
  return best;
}

bool write_help(Writer& out, string_view topic) {
  if (topic.starts_with('-')) topic.remove_prefix(topic.starts_with("--") ? 2 : 1);
  const VerbEntry* const verb = find_verb(topic);
  const Option* const option = find_flag(topic);
  if (verb != nullptr) {
    put_verb(out, *verb);
  } else if (topic == "all") {
    put_all(out);
  } else if (topic.empty()) {
    put_overview(out);
  } else if (option != nullptr) {
    put_option(out, *option);
  } else {
    return put_options(out, topic);
  }
  return true;
}

}  // namespace flannelette::cli
