// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "flannelette/base/standard_streams.hpp"
#include "flannelette/cli/help.hpp"
#include "flannelette/cli/run.hpp"

namespace {
using namespace flannelette;
using Arguments = std::span<const char* const>;

int print(std::string_view text) { return ::write(STDOUT_FILENO, text.data(), text.size()) < 0 ? 1 : 0; }

struct Terminal final : cli::Reporter {
  void problem(std::string_view text) override { say({"flannelette: ", text}); }
  void notice(std::string_view text) override { say({"flannelette: notice: ", text}); }
  void say(std::initializer_list<std::string_view> parts) {
    sink.line(Level::kError, to_text<StreamSink::kMaxLine>([&](Writer& out) {
                for (const std::string_view part : parts) out.put(part);
              }));
  }
  StreamSink sink{STDERR_FILENO};
};

int help(Arguments) { return print(to_text<cli::kMaxHelp>(cli::write_help)); }
int version(Arguments) { return print("flannelette " FLANNELETTE_VERSION "\n"); }

int run(Arguments arguments) {
  std::size_t variables = 0;
  while (environ[variables] != nullptr) ++variables;
  SystemFiles files;
  Terminal terminal;
  cli::RunSettings settings;
  switch (cli::read_settings(arguments, {environ, variables}, files, settings, terminal)) {
    case cli::Asked::kHelp: return help({});
    case cli::Asked::kVersion: return version({});
    case cli::Asked::kWrong: return 2;
    case cli::Asked::kRun: break;
  }
  return cli::run(settings, terminal.sink);
}

constexpr std::string_view kVerbs[] = {"run", "version", "help"};
constexpr int (*kActions[])(Arguments) = {run, version, help};

}  // namespace

int main(int count, char** words) {
  prepare_standard_streams();
  Arguments arguments(words + (count > 0 ? 1 : 0), words + count);
  while (!arguments.empty() && *arguments[0] == '\0') arguments = arguments.subspan(1);  // "${OPTS}"
  if (arguments.empty() || arguments[0][0] == '-') return run(arguments);  // as flanneld is called
  for (std::size_t i = 0; i < std::size(kVerbs); ++i) {
    if (arguments[0] == kVerbs[i]) return kActions[i](arguments.subspan(1));
  }
  const std::string_view best = cli::nearest(arguments[0], kVerbs);
  Terminal().say({"flannelette: ", arguments[0], ": unknown verb; the nearest is ", best});
  return 2;
}
