// SPDX-License-Identifier: Apache-2.0
// The manual pages' lists of flags and of keys are what the table of options and the example of the INI file
// say. FLANNELETTE_WRITE_MANUAL=1 writes them into the pages.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <vector>

#include "cli/options.hpp"
#include "cli/verb_table.hpp"
#include "cli_support.hpp"
#include "support/project.hpp"

using namespace flannelette;
using cli::Fate;
using cli::Option;

namespace {

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += with.size())
    text.replace(at, what.size(), with);
  return text;
}

/// As a word of the page: what depends on the build is filled in when it is installed.
std::string literal(std::string text) {
  text = replaced(text, FLANNELETTE_CONFIG, "@FLANNELETTE_CONFIG@");
  text = replaced(text, FLANNELETTE_STATE_DIR, "@FLANNELETTE_STATE_DIR@");
  return replaced(text, "\\", "\\e");
}

/// Text in lines of at most 80 bytes, each sentence in one of its own, as mdoc wants it.
std::string prose(const std::string& text) {
  std::istringstream words(literal(text));
  std::string all, line;
  bool open = false;
  const auto end_line = [&] {
    if (!line.empty()) all += (line[0] == '.' || line[0] == '\'' ? "\\&" : "") + line + '\n';
    line.clear();
  };
  for (std::string word; words >> word;) {
    for (std::size_t at; (at = word.find('`')) != word.npos; open = !open)
      word.replace(at, 1, open ? "\\(cq" : "\\(oq");
    if (line.size() + 1 + word.size() > 79) end_line();
    line += (line.empty() ? "" : " ") + word;
    const bool ends = word.ends_with('.') || word.ends_with(".)");
    if (ends && word != "...") end_line();
  }
  end_line();
  return all;
}

std::string flag_of(const Option& option) {
  return "Fl " + std::string(std::string_view(option.flag).size() == 1 ? "" : "-") + std::string(option.flag);
}

std::string variable_of(const Option& option) {
  std::string name = replaced(std::string(option.flag), "-", "_");
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
  return "FLANNELD_" + name;
}

std::string default_of(const Option& option) {
  if (option.fallback.empty()) return "";
  return "Default:\n.Ql " + literal(std::string(option.fallback)) + " .\n";
}

std::string group_of(const Option& option) {
  if (!option.section.empty()) return std::string(option.section);
  return option.fate == Fate::kControl ? "general" : "flanneld";
}

/// Of flannelette(8), one of the groups.
std::string flags_of(const std::string& group) {
  std::string all = ".Bl -tag -width 4n\n";
  for (const Option& option : cli::options()) {
    if (group_of(option) != group || option.flag.empty()) continue;
    all += ".It " + flag_of(option);
    if (!option.boolean()) all += " Ar " + std::string(option.argument);
    all += '\n';
    const std::string help(option.help);
    all += prose((option.fate == Fate::kUnbuilt   ? "Refused: "
                  : option.fate == Fate::kIgnored ? "Accepted without effect: "
                                                  : "") +
                 help + ".");
    all += default_of(option);
    if (option.fate == Fate::kControl) continue;
    all += "Also\n";
    if (!option.key.empty())
      all += ".Ic " + std::string(option.key) + "\nin\n.Cm [" + std::string(option.section) + "] ,\n";
    all += ".Ev " + variable_of(option) + " .\n";
  }
  return all + ".El\n";
}

/// A paragraph of the example of the INI file and the keys that follow it, with their values.
struct Paragraph {
  std::string section, text;
  std::vector<std::pair<std::string, std::string>> keys;
};

std::vector<Paragraph> paragraphs() {
  std::istringstream in(tests::project_file("board/flannelette.ini"));
  std::vector<Paragraph> all(1);
  std::string section;
  for (std::string line; std::getline(in, line);) {
    Paragraph& now = all.back();
    if (line.starts_with("[")) {
      section = line.substr(1, line.find(']') - 1);
    } else if (line.empty() || line == "#") {
      all.emplace_back();
    } else if (line.starts_with("# ")) {
      now.section = section;
      now.text += line.substr(1);
    } else {
      const auto equals = line.find(" =");
      REQUIRE(equals != line.npos);
      now.keys.emplace_back(line.substr(1, equals - 1), line.substr(std::min(line.size(), equals + 3)));
    }
  }
  std::erase_if(all, [](const Paragraph& one) { return one.section.empty(); });
  return all;
}

/// Of flannelette.ini(5), one of the sections.
std::string keys_of(const std::string& section) {
  std::string all = ".Bl -tag -width 4n\n";
  for (const Paragraph& paragraph : paragraphs()) {
    if (paragraph.section != section) continue;
    bool first = true;
    for (std::size_t i = 0; i < paragraph.keys.size(); ++i) {
      const std::string &key = paragraph.keys[i].first, &value = paragraph.keys[i].second;
      const Option* const option = cli::find_key(section, key);
      INFO(section, key);
      REQUIRE(option != nullptr);
      const bool again = i > 0 && paragraph.keys[i - 1].first == key;
      if (!again) {
        all += ".It Ic " + key + " No = ";
        all += option->boolean() ? "Cm true | false" : "Ar " + std::string(option->argument);
        all += '\n' + prose(first ? paragraph.text : std::string(option->help) + ".") + default_of(*option);
        if (!option->flag.empty()) all += "Flag:\n." + flag_of(*option) + " .\n";
      }
      if (value != std::string(option->fallback))
        all += "Example:\n.Ql " + key + " = " + literal(value) + " .\n";
      first = false;
    }
  }
  return all + ".El\n";
}

std::string made(const std::string& what) {
  const auto blank = what.find(' ');
  const std::string name = what.substr(blank + 1);
  if (what.starts_with("keys")) return keys_of(name);
  return flags_of(name);
}

/// The page with what is made between the lines `.\" BEGIN what` and `.\" END`.
std::string completed(const std::string& page, std::vector<std::string>& parts) {
  std::istringstream in(page);
  std::string all;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line == ".\\\" END") inside = false;
    if (!inside) all += line + '\n';
    if (!line.starts_with(".\\\" BEGIN ")) continue;
    parts.push_back(line.substr(10));
    all += made(parts.back());
    inside = true;
  }
  return all;
}

/// The command lines in a page's literal displays, each as one line.
std::vector<std::string> commands_of(const std::string& page) {
  std::istringstream in(tests::project_file(page));
  std::vector<std::string> all;
  bool display = false, goes_on = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(".")) {
      display = line.starts_with(".Bd -literal");
      continue;
    }
    if (!display) continue;
    const bool cut = line.ends_with(" \\e");
    if (cut) line.erase(line.size() - 3);
    if (goes_on) {
      all.back() += ' ' + line.substr(line.find_first_not_of(' '));
    } else {
      all.push_back(line);
    }
    goes_on = cut;
  }
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("cli/manual");

TEST_CASE("the pages have every flag and key, with its default, as the program has it") {
  std::vector<std::string> parts;
  for (const char* name : {"board/man/flannelette.8", "board/man/flannelette.ini.5"}) {
    const std::string page = tests::project_file(name), right = completed(page, parts);
    REQUIRE_FALSE(page.empty());
    if (std::getenv("FLANNELETTE_WRITE_MANUAL") != nullptr) {
      std::ofstream(tests::project_path(name)) << right;
      continue;
    }
    INFO(name, ": FLANNELETTE_WRITE_MANUAL=1 build/test/tests/unit -ts=cli/manual writes it anew");
    CHECK(page == right);
  }
  for (const Option& option : cli::options()) {
    const std::string section(option.section);
    INFO(section, " ", option.flag, " ", option.key,
         ": where the page is to have the group it needs the lines",
         "\n.\\\" BEGIN flags GROUP (or keys SECTION)\n.\\\" END\nand is then to be written anew");
    if (!option.flag.empty()) CHECK(std::ranges::count(parts, "flags " + group_of(option)) == 1);
    if (!option.key.empty()) CHECK(std::ranges::count(parts, "keys " + section) == 1);
  }
}

TEST_CASE("flannelette(8) has every verb, in its synopsis and among the verbs") {
  const std::string page = tests::project_file("board/man/flannelette.8");
  const std::string synopsis = page.substr(0, page.find(".Sh DESCRIPTION"));
  for (const cli::VerbEntry& verb : cli::verbs()) {
    const std::string name(verb.name);
    INFO(name);
    CHECK((synopsis.find("\n.Cm " + name + "\n") != synopsis.npos ||
           synopsis.find("\n.Op Cm " + name + "\n") != synopsis.npos));
    CHECK(page.find("\n.It Cm " + name + "\n") != page.npos);
  }
}

TEST_CASE("the examples of flannelette(8) are README's command lines, which system/defaults runs") {
  const std::string readme = tests::project_file("README.md");
  const auto examples = commands_of("board/man/flannelette.8");
  CHECK(examples.size() > 4);
  for (const std::string& line : examples) {
    INFO(line);
    CHECK(readme.find("\n    " + line + "\n") != readme.npos);
  }
}

TEST_CASE("the example of flannelette.ini(5) is taken as it is") {
  const std::string page = tests::project_file("board/man/flannelette.ini.5");
  const auto begin = page.find(".Bd -literal"), end = page.find(".Ed", begin);
  REQUIRE(end != page.npos);
  tests::Reading reading;
  reading.files.texts[FLANNELETTE_CONFIG] = page.substr(page.find('\n', begin), end - page.find('\n', begin));
  reading.files.texts["/etc/flannelette.password"] = "secret\n";
  reading.read({});
  CHECK_MESSAGE(reading.clean(), reading.shown());
  CHECK(reading.joined(reading.settings.agent.interface.names) == "eth0 wwan0");
}

TEST_SUITE_END();
