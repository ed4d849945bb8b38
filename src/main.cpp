// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "flannelette/cli/help.hpp"
#include "flannelette/cli/run.hpp"

namespace {
using namespace flannelette;
using Arguments = std::span<const char* const>;

void print(int fd, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) static_cast<void>(!::write(fd, part.data(), part.size()));
}

struct Terminal final : cli::Reporter {
  void problem(std::string_view text) override { print(STDERR_FILENO, {"flannelette: ", text, "\n"}); }
  void notice(std::string_view text) override { print(STDERR_FILENO, {"flannelette: notice: ", text, "\n"}); }
};

int help(Arguments) {
  print(STDOUT_FILENO, {to_text<cli::kMaxHelp>(cli::write_help)});
  return 0;
}

int version(Arguments) {
  print(STDOUT_FILENO, {"flannelette ", FLANNELETTE_VERSION, "\n"});
  return 0;
}

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
  return cli::run(settings);
}

constexpr std::string_view kVerbs[] = {"run", "version", "help"};
constexpr int (*kActions[])(Arguments) = {run, version, help};

}  // namespace

int main(int count, char** words) {
  const Arguments arguments(words + (count > 0 ? 1 : 0), words + count);
  if (arguments.empty() || arguments[0][0] == '-') return run(arguments);  // as flanneld is called
  for (std::size_t i = 0; i < std::size(kVerbs); ++i) {
    if (arguments[0] == kVerbs[i]) return kActions[i](arguments.subspan(1));
  }
  const std::string_view best = cli::nearest(arguments[0], kVerbs);
  print(STDERR_FILENO, {"flannelette: ", arguments[0], ": unknown verb; the nearest is ", best, "\n"});
  return 2;
}
