// SPDX-License-Identifier: Apache-2.0
// The INI file, one key after another.
#include "cli/ini.hpp"

#include <ini.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "flannelette/cli/help.hpp"

namespace flannelette::cli {
namespace {

using std::string_view;

constexpr string_view kCommentMarks = ";#";
constexpr string_view kByteOrderMark = "\xef\xbb\xbf";

bool has_mark_after_blank(string_view line) {
  for (std::size_t i = line.find_first_of(kCommentMarks); i != string_view::npos;
       i = line.find_first_of(kCommentMarks, i + 1)) {
    if (i > 0 && kBlanks.find(line[i - 1]) != string_view::npos) return true;
  }
  return false;
}

bool known_section(string_view section) {
  return !section.empty() &&
         std::ranges::any_of(options(), [&](const Option& o) { return o.section == section; });
}

/// Hands the library only lines that every build of it reads alike; it does the splitting.
class IniFile {
 public:
  IniFile(string_view path, string_view text, Draft& draft) : path_(path), rest_(text), draft_(draft) {
    if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
  }

  void parse() {
    if (::ini_parse_stream(&IniFile::on_read, this, &IniFile::on_entry, this) != 0) {
      draft_.problem(at(), {"the INI library cannot read this line"});
    }
  }

 private:
  static char* on_read(char* out, int size, void* self) {
    return static_cast<IniFile*>(self)->next_line(out, size);
  }
  static int on_entry(void* self, const char* section, const char* key, const char* value) {
    // Some builds announce a section, without key.
    if (key != nullptr && value != nullptr) static_cast<IniFile*>(self)->entry(section, key, value);
    return 1;
  }

  Origin at(string_view key = {}) const { return {Source::kFile, key, path_, line_}; }
  bool wrong(std::initializer_list<string_view> parts) {
    draft_.problem(at(), parts);
    return false;
  }

  char* next_line(char* out, int size) {
    while (!rest_.empty()) {
      const std::size_t end = std::min(rest_.find('\n'), rest_.size());
      string_view line = rest_.substr(0, end);
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      ++line_;
      if (!presentable(line)) continue;
      line = trimmed(line);
      if (line.size() + 2 > static_cast<std::size_t>(size)) {
        wrong({"the line is too long for this build of the INI library"});
        continue;
      }
      std::memcpy(out, line.data(), line.size());
      out[line.size()] = '\n';
      out[line.size() + 1] = '\0';
      return out;
    }
    return nullptr;
  }

  /// False for what the library need not or must not see; the latter was reported.
  bool presentable(string_view line) {
    const string_view text = trimmed(line);
    if (text.empty() || kCommentMarks.find(text[0]) != string_view::npos) return false;
    if (line.size() > kMaxIniLine + (line.ends_with('\r') ? 1 : 0))
      return wrong({"the line is longer than 197 bytes"});
    if (text.data() != line.data())
      return wrong({"the line begins with a blank; a value cannot go on in the next line"});
    if (text.find('\0') != string_view::npos) return wrong({"the line has a NUL byte"});
    if (has_mark_after_blank(text)) {
      return wrong({"a blank before ';' or '#' would cut the value; a comment needs a line of its own"});
    }
    return text[0] == '[' ? section_line(text) : entry_line(text);
  }

  bool section_line(string_view text) {
    const string_view section = text.substr(1, text.find(']') - 1);
    if (section.size() + 2 != text.size())
      return wrong({"a section is written [section], alone in its line"});
    if (known_section(section)) return true;
    constexpr string_view kSections[] = {"etcd", "kube", "node", "log"};
    wrong({"[", section, "]: unknown section; the nearest is [", nearest(section, kSections), "]"});
    return true;  // so that its keys are not taken for those of the section before
  }

  bool entry_line(string_view text) {
    const std::size_t equals = text.find('=');
    key_ = trimmed(text.substr(0, equals));
    // The library would split at a colon too.
    if (equals == string_view::npos || key_.empty() || key_.find(':') != string_view::npos) {
      return wrong({"`key = value` is expected"});
    }
    value_ = trimmed(text.substr(equals + 1));
    return true;
  }

  void entry(string_view section, string_view key, string_view value) {
    if (key != key_ || value != value_) {
      wrong(
          {"this build of the INI library reads the line differently; write it without special characters"});
      return;
    }
    if (section.empty()) return draft_.problem(at(key_word()), {"a key before the first [section]"});
    if (!known_section(section)) return;  // reported once, for its header
    const Option* option = find_key(section, key);
    if (option == nullptr) return unknown_key(section);
    const Origin& before = draft_.origin_of(*option);
    if (before.source == Source::kFile && !option->repeatable) {
      const auto line = to_text<12>([&](Writer& out) { out.put_signed(before.line); });
      return draft_.problem(at(option->key), {"given twice, first in line ", line});
    }
    draft_.apply(*option, at(option->key), value_);  // which stays, as the text does
  }

  void unknown_key(string_view section) {
    std::array<string_view, Draft::kMaxOptions> keys;
    std::size_t count = 0;
    for (const Option& option : options()) {
      if (option.section == section && !option.key.empty()) keys[count++] = option.key;
      if (!option.key.empty() && option.key == key_) {
        return draft_.problem(at(key_word()), {"belongs in [", option.section, "], not in [", section, "]"});
      }
    }
    draft_.problem(at(key_word()), {"unknown key in [", section, "]; the nearest is ",
                                    nearest(key_, std::span(keys).first(count))});
  }

  /// What is shown of a key that we do not know: what follows a blank may be a value.
  string_view key_word() const { return key_.substr(0, key_.find_first_of(kBlanks)); }

  string_view path_;
  string_view rest_;
  Draft& draft_;
  int line_ = 0;
  string_view key_;  // of the line that the library has
  string_view value_;
};

}  // namespace

void read_ini(string_view path, string_view text, Draft& draft) { IniFile(path, text, draft).parse(); }

}  // namespace flannelette::cli
