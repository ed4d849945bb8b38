// SPDX-License-Identifier: Apache-2.0
// The command line, one flag after another.
#include "cli/flags.hpp"

namespace flannelette::cli {

using std::string_view;

FlagWalk::Found FlagWalk::stray(string_view argument) {
  arguments_ = {};
  text = argument;
  return Found::kStray;
}

FlagWalk::Found FlagWalk::next() {
  // What systemd makes of "${OPTS}" when it is empty.
  while (!arguments_.empty() && *arguments_.front() == '\0') arguments_ = arguments_.subspan(1);
  if (arguments_.empty()) return Found::kEnd;
  const string_view argument = arguments_.front();
  if (argument.size() < 2 || argument[0] != '-') return stray(argument);
  arguments_ = arguments_.subspan(1);
  if (argument == "--") {
    if (arguments_.empty()) return Found::kEnd;
    option = nullptr;
    return stray(arguments_.front());
  }

  const string_view body = argument.substr(argument[1] == '-' ? 2 : 1);
  const std::size_t equals = body.find('=');
  const string_view name = body.substr(0, equals);
  const bool has_value = equals != string_view::npos;
  if (name.empty() || name[0] == '-') {
    option = nullptr;
    return Found::kMalformed;
  }
  if (name == "help" || name == "h") return Found::kHelp;

  option = find_flag(name);
  if (option == nullptr) {
    text = name;
    // Go on behind what is probably its value, so that the other flags are looked at too.
    if (!has_value && !arguments_.empty() && arguments_.front()[0] != '-') arguments_ = arguments_.subspan(1);
    return Found::kUnknown;
  }
  if (has_value) {
    value = body.substr(equals + 1);
  } else if (option->boolean()) {
    value = "true";
  } else if (arguments_.empty()) {
    return Found::kNoValue;
  } else {
    value = arguments_.front();
    arguments_ = arguments_.subspan(1);
  }
  return Found::kOption;
}

}  // namespace flannelette::cli
