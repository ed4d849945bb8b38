// SPDX-License-Identifier: Apache-2.0
// The verbs that ask a running agent: their flags and settings.
#include "cli/inquiry.hpp"

#include <sys/utsname.h>

#include <algorithm>

#include "cli/check.hpp"
#include "cli/draft.hpp"
#include "cli/status_verb.hpp"
#include "flannelette/base/plain_array.hpp"
#include "flannelette/base/standard_streams.hpp"

namespace flannelette::cli {
namespace {

using Words = std::span<const char* const>;

/// What a user may not read, who may ask the agent all the same, is no reason not to ask.
struct Lenient final : Reporter {
  Lenient(Reporter& any_terminal, bool any_shows) : terminal(any_terminal), shows(any_shows) {}
  void problem(std::string_view text) override {
    wrong = true;
    terminal.problem(text);
  }
  void unreadable(std::string_view text) override { unread = text; }
  void notice(std::string_view) override {}
  void setting(std::string_view text) override {
    if (shows)
      (void)print(to_text<StreamSink::kMaxLine>([&](Writer& out) { out.put("  ").put(text).put('\n'); }));
  }
  Reporter& terminal;
  const bool shows;                 ///< the settings
  Text<Draft::kMaxMessage> unread;  ///< a file of them that cannot be read
  bool wrong = false;
};

/// A flag of a verb that is no setting.
struct OwnFlag {
  Literal name;
  Inquiry inquiry;
  bool boolean;
  std::uint64_t Question::*member;
};
constexpr OwnFlag kFlags[] = {{"json", Inquiry::kStatus, true, &Question::json},
                              {"watch", Inquiry::kStatus, true, &Question::watch},
                              {"wait", Inquiry::kPeers, false, &Question::wait},
                              {"timeout", Inquiry::kPeers, false, &Question::timeout}};

/// The one that a word gives. `value` is what follows the '=', if there is one.
const OwnFlag* own_flag(Inquiry inquiry, std::string_view word, std::string_view& value) {
  if (!word.starts_with('-')) return nullptr;
  word.remove_prefix(word.starts_with("--") ? 2 : 1);
  const std::size_t end = std::min(word.find('='), word.size());
  value = word.substr(std::min(end + 1, word.size()));
  for (const OwnFlag& flag : kFlags) {
    if (flag.inquiry == inquiry && flag.name == word.substr(0, end)) return &flag;
  }
  return nullptr;
}

/// Takes these flags out of the words, among which they may stand. False: a problem, which was reported.
bool take_flags(Inquiry inquiry, Words words, PlainArray<const char*>& left, Question& question,
                Reporter& terminal) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view value;
    const OwnFlag* const flag = own_flag(inquiry, words[i], value);
    if (flag == nullptr) {
      left.append(words[i]);
      continue;
    }
    const bool alone = value.empty() && !std::string_view(words[i]).ends_with('=');
    if (alone && !flag->boolean && i + 1 < words.size()) value = words[++i];
    std::uint64_t& number = question.*flag->member;
    if (flag->boolean) {
      const auto on = alone ? true : parse_bool(value);
      if (on) {
        number = *on ? 1 : 0;
        continue;
      }
    } else if (parse_unsigned(value, number)) {
      continue;
    }
    terminal.problem(to_text<64>([&](Writer& out) {
      out.put(flag->name).put(flag->boolean ? ": true or false is expected" : ": a number is expected");
    }));
    return false;
  }
  return true;
}

void begin_support() {
  struct utsname host {};
  ::uname(&host);
  (void)print(to_text<256>([&](Writer& out) {
    out.put("flannelette " FLANNELETTE_VERSION "\n").put(host.sysname).put(' ').put(host.release).put(' ');
    out.put(host.machine).put("\n\nsettings:\n");
  }));
}

/// Only where all settings are known: with others it would inspect another registry, or none.
void support_check(RunSettings& settings, Asked asked, const Lenient& reporter) {
  (void)print("\ncheck:\n");
  if (asked == Asked::kRun) return (void)check(settings, false);
  (void)print(to_text<StreamSink::kMaxLine>([&](Writer& out) {
    out.put("left out: ");
    if (reporter.wrong) {
      out.put("the settings are wrong\n");
    } else {
      out.put(reporter.unread).put("; run it as root\n");
    }
  }));
}

}  // namespace

bool can_inquire() { return true; }

Asked inquire(Inquiry inquiry, Words words, Words environment, Reporter& terminal, int& code) {
  PlainArray<const char*> left;
  Question question;
  question.support = inquiry == Inquiry::kSupport;
  code = 2;  // as for settings
  if (!take_flags(inquiry, words, left, question, terminal)) return Asked::kWrong;
  if (question.support) begin_support();
  Lenient reporter(terminal, question.support);
  SystemFiles files;
  RunSettings settings;
  const Purpose purpose = question.support ? Purpose::kRegistry : Purpose::kMachine;
  const Asked asked =
      read_settings({left.begin(), left.size()}, environment, files, settings, reporter, purpose);
  if (asked == Asked::kHelp || asked == Asked::kVersion) return asked;
  if (reporter.wrong && !question.support) return Asked::kWrong;
  if (question.support) (void)print("\nstatus:\n");
  code = (inquiry == Inquiry::kPeers ? show_peers : show_status)(settings, question, terminal);
  if (question.support && can_check()) support_check(settings, asked, reporter);
  return Asked::kRun;
}

}  // namespace flannelette::cli
