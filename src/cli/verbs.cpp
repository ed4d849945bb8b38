// SPDX-License-Identifier: Apache-2.0
// The program's verbs.
#include "flannelette/cli/verbs.hpp"

#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "cli/leave.hpp"
#include "flannelette/base/standard_streams.hpp"
#include "flannelette/cli/help.hpp"
#include "flannelette/cli/run.hpp"

namespace flannelette::cli {
namespace {

using Words = std::span<const char* const>;

struct Terminal final : Reporter {
  void problem(std::string_view text) override { say({"flannelette: ", text}); }
  void notice(std::string_view text) override { say({"flannelette: notice: ", text}); }
  void say(std::initializer_list<std::string_view> parts) {
    sink.line(Level::kError, to_text<StreamSink::kMaxLine>([&](Writer& out) {
                for (const std::string_view part : parts) out.put(part);
              }));
  }
  StreamSink sink{STDERR_FILENO};
};

constexpr std::string_view kVerbs[] = {"run", "cleanup", "leave", "version", "help"};
enum class Verb : std::uint8_t { kRun, kCleanup, kLeave, kVersion, kHelp };

int help() { return print(to_text<kMaxHelp>(write_help)); }
int version() { return print("flannelette " FLANNELETTE_VERSION "\n"); }

/// `cleanup` has one flag that is no setting, which comes first.
bool take_flanneld(Words& words) {
  const std::string_view first = words.empty() ? "" : words[0];
  const bool given = first == "--flanneld" || first == "-flanneld";
  if (given) words = words.subspan(1);
  return given;
}

/// A verb that wants the settings.
int act(Verb verb, Words flags, Words environment) {
  const bool flanneld = verb == Verb::kCleanup && take_flanneld(flags);
  SystemFiles files;
  Terminal terminal;
  RunSettings settings;
  switch (read_settings(flags, environment, files, settings, terminal)) {
    case Asked::kHelp: return help();
    case Asked::kVersion: return version();
    case Asked::kWrong: return 2;
    case Asked::kRun: break;
  }
  if (verb == Verb::kCleanup) return cleanup(settings, terminal.sink, flanneld);
  if (verb == Verb::kLeave) return leave(settings, terminal.sink);
  return run(settings, terminal.sink);
}

}  // namespace

int execute(Words words, Words environment) {
  while (!words.empty() && *words[0] == '\0') words = words.subspan(1);  // "${OPTS}"
  if (words.empty() || words[0][0] == '-')
    return act(Verb::kRun, words, environment);  // as flanneld is called
  const auto known = std::ranges::find(kVerbs, std::string_view(words[0]));
  const auto verb = static_cast<Verb>(known - std::begin(kVerbs));
  if (!can_leave() && (verb == Verb::kCleanup || verb == Verb::kLeave)) {
    Terminal().say({"flannelette: this build has no ", words[0]});
    return 2;
  }
  if (known == std::end(kVerbs)) {
    const std::string_view best = nearest(words[0], kVerbs);
    Terminal().say({"flannelette: ", words[0], ": unknown verb; the nearest is ", best});
    return 2;
  }
  if (verb == Verb::kVersion) return version();
  if (verb == Verb::kHelp) return help();
  return act(verb, words.subspan(1), environment);
}

}  // namespace flannelette::cli
