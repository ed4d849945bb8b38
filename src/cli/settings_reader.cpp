// SPDX-License-Identifier: Apache-2.0
// Settings from flags, environment and INI file.
#include "flannelette/cli/settings_reader.hpp"

#include <string.h>

#include <algorithm>
#include <array>
#include <memory>

#include "cli/draft.hpp"
#include "cli/flags.hpp"
#include "cli/ini.hpp"
#include "cli/kube_known.hpp"
#include "flannelette/cli/help.hpp"

namespace flannelette::cli {
namespace {

using std::string_view;
using Found = FlagWalk::Found;

constexpr std::size_t kMaxIni = 64 * 1024;

/// Flags that do not change a setting but what is read, and whether anything is.
struct Wish {
  Asked asked = Asked::kRun;
  string_view config;  ///< empty: not given
};

Wish wish_of(std::span<const char* const> arguments) {
  Wish wish;
  FlagWalk walk(arguments);
  for (Found found = walk.next(); found != Found::kEnd; found = walk.next()) {
    if (found == Found::kHelp) return {Asked::kHelp, {}};
    if (found != Found::kOption || walk.option->fate != Fate::kControl) continue;
    if (walk.option->flag != "version") {
      wish.config = walk.value;
    } else {
      wish.asked = parse_bool(walk.value).value_or(false) ? Asked::kVersion : Asked::kRun;
    }
  }
  return wish;
}

/// What it read; the draft refers to it.
std::span<char> read_file(string_view given, Files& files, std::span<char> buffer, Draft& draft) {
  const string_view path = given.empty() ? string_view(kDefaultConfig) : given;
  const Origin origin{Source::kFile, {}, path, 0};
  auto text = files.read(path, buffer);
  if (text && *text) {
    read_ini(path, **text, draft);
    return buffer.first((*text)->size());
  }
  if (text) {
    if (!given.empty()) draft.problem(origin, {"there is no such file"});
  } else if (text.error().code == Code::kLimit && path.size() <= Files::kMaxPath) {
    draft.problem(origin, {"larger than 64 KiB"});
  } else {
    draft.unreadable(origin, {}, text.error());
  }
  return {};
}

/// The flag whose variable this is: `variable` is what follows FLANNELD_.
bool names_variable(string_view flag, string_view variable) {
  if (flag.empty() || flag.size() != variable.size()) return false;
  for (std::size_t i = 0; i < flag.size(); ++i) {
    const char c = flag[i] >= 'a' && flag[i] <= 'z' ? static_cast<char>(flag[i] - 'a' + 'A') : flag[i];
    if ((c == '-' ? '_' : c) != variable[i]) return false;
  }
  return true;
}

void read_environment(std::span<const char* const> environment, Draft& draft) {
  constexpr string_view kPrefix = "FLANNELD_";
  // By the table and not by the environment, whose order means nothing.
  for (const Option& option : options()) {
    if (option.fate == Fate::kControl) continue;  // FLANNELD_VERSION has no effect in flanneld either
    for (const string_view entry : environment) {
      const std::size_t equals = entry.find('=');
      if (equals == string_view::npos || !entry.starts_with(kPrefix)) continue;
      const string_view value = entry.substr(equals + 1);
      // Empty is as good as unset, as for flanneld.
      if (value.empty() ||
          !names_variable(option.flag, entry.substr(kPrefix.size(), equals - kPrefix.size())))
        continue;
      draft.apply(option, {Source::kEnvironment, entry.substr(0, equals), {}, 0}, value);
      break;
    }
  }
}

/// What flanneld, too, takes from a Pod's manifest and from what Kubernetes itself puts into the environment.
[[maybe_unused]] void read_pod(std::span<const char* const> environment, Draft& draft) {
  static constexpr Literal kVariables[] = {"NODE_NAME", "POD_NAME", "POD_NAMESPACE",
                                           "KUBERNETES_SERVICE_HOST",
                                           "KUBERNETES_SERVICE_PORT"};  // in the order of Draft::Pod
  for (const string_view entry : environment) {
    const std::size_t equals = std::min(entry.find('='), entry.size());
    for (std::size_t i = 0; i < draft.pod.size(); ++i) {
      if (kVariables[i] == entry.substr(0, equals) && draft.pod[i].empty())
        draft.pod[i] = trimmed(entry.substr(equals + 1));
    }
  }
}

void report_unknown(string_view flag, Draft& draft) {
  std::array<string_view, Draft::kMaxOptions + 1> names;
  std::size_t count = 0;
  names[count++] = "help";
  for (const Option& option : options()) {
    if (!option.flag.empty()) names[count++] = option.flag;
    // "--etcd-passwordXYZ": what is glued to the name is the secret.
    if (option.secret && flag.starts_with(option.flag)) flag = option.flag;
  }
  draft.problem({Source::kFlag, flag, {}, 0},
                {"unknown flag; the nearest is --", nearest(flag, std::span(names).first(count))});
}

void report_stray(const FlagWalk& walk, Draft& draft) {
  if (walk.option != nullptr && walk.option->secret) {
    draft.problem({Source::kFlag, walk.option->flag, {}, 0},
                  {"more than one argument follows; quote the value"});
  } else if (walk.option != nullptr && walk.option->boolean() && parse_bool(walk.text)) {
    draft.problem({},
                  {"\"", walk.text, "\": unexpected argument; write --", walk.option->flag, "=", walk.text});
  } else {
    draft.problem({}, {"\"", walk.text,
                       "\": unexpected argument; flags begin with -, the value of a boolean follows '='"});
  }
}

void read_flags(std::span<const char* const> arguments, Draft& draft) {
  FlagWalk walk(arguments);
  for (;;) {
    switch (walk.next()) {
      case Found::kEnd: return;
      case Found::kHelp: break;
      case Found::kOption:
        draft.apply(*walk.option, {Source::kFlag, walk.option->flag, {}, 0}, walk.value);
        break;
      case Found::kUnknown: report_unknown(walk.text, draft); break;
      case Found::kNoValue:
        draft.problem({Source::kFlag, walk.option->flag, {}, 0}, {"a value is missing"});
        break;
      case Found::kMalformed:
        draft.problem({}, {"a malformed flag: - or --, a name, then perhaps = and a value"});
        break;
      case Found::kStray: report_stray(walk, draft); break;
    }
  }
}

}  // namespace

bool RunSettings::any_https() const { return std::ranges::any_of(endpoints(), &io::Endpoint::tls); }

Asked read_settings(std::span<const char* const> arguments, std::span<const char* const> environment,
                    Files& files, RunSettings& settings, Reporter& reporter, Purpose purpose) {
  const Wish wish = wish_of(arguments);
  if (wish.asked != Asked::kRun) return wish.asked;
  Draft draft(settings, reporter, files);
  const auto buffer = std::make_unique_for_overwrite<char[]>(kMaxIni);
  const auto file = read_file(wish.config, files, {buffer.get(), kMaxIni}, draft);
  read_environment(environment, draft);
  if constexpr (kKnowsKube) read_pod(environment, draft);
  read_flags(arguments, draft);
  draft.finish(purpose);
  ::explicit_bzero(buffer.get(), file.size());  // it may hold the password; a missing file has no data()
  return draft.wrong() ? Asked::kWrong : Asked::kRun;
}

}  // namespace flannelette::cli
