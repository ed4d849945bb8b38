// SPDX-License-Identifier: Apache-2.0
// The program's verbs.
#include "flannelette/cli/verbs.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "cli/check.hpp"
#include "cli/inquiry.hpp"
#include "cli/install_cni.hpp"
#include "cli/kube_known.hpp"
#include "cli/leave.hpp"
#include "cli/verb_table.hpp"
#include "flannelette/base/standard_streams.hpp"
#include "flannelette/cli/help.hpp"
#include "flannelette/cli/run.hpp"

namespace flannelette::cli {
namespace {

using Words = std::span<const char* const>;

struct Terminal final : Reporter {
  void problem(std::string_view text) override { say(Level::kError, {"flannelette: ", text}); }
  void notice(std::string_view text) override { say(Level::kWarning, {"flannelette: notice: ", text}); }
  void say(Level level, std::initializer_list<std::string_view> parts) {
    sink.line(level, to_text<StreamSink::kMaxLine>([&](Writer& out) {
                for (const std::string_view part : parts) out.put(part);
              }));
  }
  StreamSink sink{STDERR_FILENO};
};

/// What cannot be done: one line, and the exit code of a wrong setting.
int refuse(std::initializer_list<std::string_view> parts) {
  Terminal().say(Level::kError, parts);
  return 2;
}

int help(std::string_view topic) {
  bool known = false;
  const auto text = to_text<kMaxHelp>([&](Writer& out) { known = write_help(out, topic); });
  if (known) return print(text);
  return refuse({"flannelette: help: ", topic, ": unknown verb or group; `flannelette help` lists them"});
}

int version() { return print("flannelette " FLANNELETTE_VERSION "\n"); }

/// `cleanup` and `check` have one flag each that is no setting, which comes first. `name`: with two dashes.
bool take_flag(Words& words, std::string_view name) {
  const std::string_view first = words.empty() ? "" : words[0];
  const bool given = first == name || first == name.substr(1);
  if (given) words = words.subspan(1);
  return given;
}

/// A verb that asks a running agent.
int ask(Inquiry inquiry, Words words, Words environment, std::string_view name) {
  Terminal terminal;
  int code = 0;
  const Asked asked = inquire(inquiry, words, environment, terminal, code);
  if (asked == Asked::kHelp) return help(name);
  return asked == Asked::kVersion ? version() : code;
}

/// A verb that wants the settings. `topic`: of what --help prints.
int act(Verb verb, Words flags, Words environment, std::string_view topic) {
  agent::Cleaning cleaning = agent::Cleaning::kOurs;
  if (verb == Verb::kCleanup) {
    if (take_flag(flags, "--flanneld"))
      cleaning = agent::Cleaning::kFlanneldToo;
    else if (take_flag(flags, "--for-flanneld"))
      cleaning = agent::Cleaning::kForFlanneld;
  }
  const bool json = verb == Verb::kCheck && take_flag(flags, "--json");
  SystemFiles files;
  Terminal terminal;
  RunSettings settings;
  const Purpose purpose = verb == Verb::kCleanup ? Purpose::kMachine : Purpose::kRegistry;
  switch (read_settings(flags, environment, files, settings, terminal, purpose)) {
    case Asked::kHelp: return help(topic);
    case Asked::kVersion: return version();
    case Asked::kWrong: return 2;
    case Asked::kRun: break;
  }
  if (verb == Verb::kCheck) return check(settings, json);
  if (verb == Verb::kCleanup) return cleanup(settings, terminal.sink, cleaning);
  if (verb == Verb::kLeave) return leave(settings, terminal.sink);
  return run(settings, terminal.sink);
}

}  // namespace

int execute(Words words, Words environment) {
  while (!words.empty() && *words[0] == '\0') words = words.subspan(1);  // "${OPTS}"
  if (words.empty() || words[0][0] == '-')
    return act(Verb::kRun, words, environment, "");  // as flanneld is called
  const std::string_view name = words[0];
  const VerbEntry* const entry = find_verb(name);
  if (entry == nullptr) {
    std::array<std::string_view, kVerbCount> names;
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = verbs()[i].name;
    return refuse({"flannelette: ", name, ": unknown verb; the nearest is ", nearest(name, names)});
  }
  if (!is_built(*entry)) return refuse({"flannelette: this build has no ", name});
  const auto verb = static_cast<Verb>(entry - verbs().data());
  words = words.subspan(1);
  if (verb == Verb::kVersion) return version();
  if (verb == Verb::kHelp) return help(words.empty() ? "" : words[0]);
  if (verb >= Verb::kStatus && verb <= Verb::kSupport)
    return ask(static_cast<Inquiry>(entry - find_verb("status")), words, environment, name);
  if constexpr (kKnowsKube) {
    if (verb == Verb::kInstallCni) {
      if (take_flag(words, "--help")) return help(name);
      SystemFiles files;
      Terminal terminal;
      return install_cni(words, files, terminal);
    }
  }
  return act(verb, words, environment, name);
}

}  // namespace flannelette::cli
