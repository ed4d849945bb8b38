// SPDX-License-Identifier: Apache-2.0
// The verbs `status`, `peers` and `support`, once their settings are known.
#include "cli/status_verb.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "cli/asking.hpp"
#include "cli/kernel_tables.hpp"
#include "cli/offline.hpp"
#include "flannelette/base/clock.hpp"
#include "flannelette/base/standard_streams.hpp"
#include "flannelette/status/rendering.hpp"

namespace flannelette::cli {
namespace {

constexpr int kRedraw = 2'000;  // ms
constexpr int kPoll = 250;
constexpr std::uint64_t kMaxTimeout = 86'400;

void sleep_for(int millis) { (void)::poll(nullptr, 0, millis); }

/// Bodies, to standard output if they are shown.
struct Printer final : Pieces {
  explicit Printer(bool any_shows) : shows(any_shows) {}
  void piece(std::string_view text) override {
    begun = true;
    lines += static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
    if (shows && print(text) != 0) failed = true;
  }
  const bool shows;
  bool begun = false;   ///< there was something
  bool failed = false;  ///< nobody takes it any more
  std::uint64_t lines = 0;
};

int report_no_agent(const SocketPath& socket, const Error& error, Reporter& reporter) {
  reporter.problem(to_text<256>([&](Writer& out) {
    out.put("no agent answers at ").put(socket).put(' ');
    Field(error).write(out);
  }));
  return kExitNoAgent;
}

/// An agent is there, but this is not its whole answer.
int report_no_answer(const Result<int>& asked, Reporter& reporter) {
  reporter.problem(asked ? "the agent is too busy to answer: others ask it"
                         : "the agent's answer was cut off");
  return kExitNotReady;
}

void render(const status::Source& source, status::Format format, Pieces& out) {
  status::Rendering rendering(source, format);
  std::array<char, 2048> buffer;
  for (bool more = true; more;) {
    Writer text(buffer);
    more = rendering.next(text);
    out.piece(text.view());
  }
}

int show_once(const RunSettings& settings, const Question& question, Reporter& reporter, Printer& printer) {
  const SocketPath socket = find_socket(settings);
  const bool json = question.json != 0;
  const auto asked = ask(socket, json ? "/status?format=json" : "/status", printer);
  if (asked ? *asked != 200 : printer.begun) return report_no_answer(asked, reporter);
  int code = kExitNoAgent;
  if (asked) {
    Printer nowhere(false);
    const auto ready = ask(socket, "/readyz", nowhere);
    code = ready && *ready == 200 ? 0 : kExitNotReady;
    if (!question.support) return code;
    printer.piece("\nlast warnings and errors:\n");
    (void)ask(socket, "/log", printer);
  } else {
    report_no_agent(socket, asked.error(), reporter);
  }
  Offline offline(settings);
  if (!asked) render(offline, json ? status::Format::kJson : status::Format::kText, printer);
  if (json) return code;
  printer.piece("\nkernel:\n");
  put_kernel_tables(offline.kernel(), offline.node(), printer);
  return code;
}

}  // namespace

int show_status(const RunSettings& settings, const Question& question, Reporter& reporter) {
  for (;;) {
    Printer printer(true);
    if (question.watch != 0 && ::isatty(STDOUT_FILENO) != 0) printer.piece("\033[H\033[2J");
    const int code = show_once(settings, question, reporter, printer);
    if (printer.failed) return kExitNotReady;
    if (question.watch == 0) return code;
    sleep_for(kRedraw);
  }
}

int show_peers(const RunSettings& settings, const Question& question, Reporter& reporter) {
  const SystemClock clock;
  const Millis end = clock.now() + static_cast<Millis>(std::min(question.timeout, kMaxTimeout) * 1'000);
  for (;;) {
    const SocketPath socket = find_socket(settings);
    Printer count(false), printer(true);
    const auto asked = ask(socket, "/peers", count);
    const bool answered = asked && *asked == 200;
    if (answered && count.lines >= question.wait) {
      const auto shown = ask(socket, "/peers", printer);
      if (!shown || *shown != 200) return report_no_answer(shown, reporter);
      return printer.failed ? kExitNotReady : 0;
    }
    if (question.wait != 0 && clock.now() < end) {
      sleep_for(kPoll);
      continue;
    }
    if (!asked && !count.begun) return report_no_agent(socket, asked.error(), reporter);
    if (!answered) return report_no_answer(asked, reporter);
    reporter.problem(to_text<64>([&](Writer& out) {
      out.put_unsigned(count.lines).put(" of ").put_unsigned(question.wait).put(" peers are programmed");
    }));
    return kExitNotReady;
  }
}

}  // namespace flannelette::cli
