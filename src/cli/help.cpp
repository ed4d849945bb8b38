// SPDX-License-Identifier: Apache-2.0
// The text of `flannelette help`.
#include "flannelette/cli/help.hpp"

#include <algorithm>
#include <array>

#include "cli/kube_known.hpp"
#include "cli/leave.hpp"
#include "cli/options.hpp"
#include "flannelette/base/pattern.hpp"

namespace flannelette::cli {
namespace {

using std::string_view;

/// Levenshtein's, over the first kMaxWord bytes.
std::size_t edit_distance(string_view a, string_view b) {
  constexpr std::size_t kMaxWord = 64;
  a = a.substr(0, kMaxWord);
  b = b.substr(0, kMaxWord);
  std::array<std::size_t, kMaxWord + 1> row;  // of the table whose rows are prefixes of a
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

void put_option(Writer& out, const Option& option) {
  out.put("  ").put(string_view(option.flag).size() == 1 ? "-" : "--").put(option.flag);
  if (!option.boolean()) out.put(' ').put(option.argument);
  if (!option.key.empty()) out.put("   ([").put(option.section).put("] ").put(option.key).put(')');
  out.put("\n      ").put(option.help);
  if (!option.fallback.empty()) out.put(" (default ").put(option.fallback).put(')');
  out.put('\n');
}

void put_options(Writer& out, Fate fate) {
  for (const Option& option : options()) {
    if (option.fate == fate && !option.flag.empty()) put_option(out, option);
  }
}

}  // namespace

string_view nearest(string_view word, std::span<const string_view> names) {
  string_view best;
  std::size_t least = 0;
  for (const string_view name : names) {
    const std::size_t distance = edit_distance(word, name);
    if (!best.empty() && distance >= least) continue;
    best = name;
    least = distance;
  }
  return best;
}

void write_help(Writer& out) {
  out.put("usage: flannelette [run] [flags]     join the overlay network, in the foreground\n");
  if (can_leave()) {
    out.put(
        "       flannelette leave [flags]     give the lease back (or the Node's annotations), then clean "
        "up\n"
        "       flannelette cleanup [--flanneld] [flags]\n"
        "                                     remove device, routes, rules, subnet file and state; what "
        "flanneld\n"
        "                                     left, too\n");
  }
  out.put(
      "       flannelette version | help\n"
      "\n"
      "The flags are flanneld's: -flag or --flag, a value behind '=' or a blank, of a boolean only behind "
      "'='.\n"
      "A flag is also read from the environment as FLANNELD_<FLAG>, and the key in brackets from the INI "
      "file.\n"
      "Flags go before environment, environment before file.\n"
      "\n"
      "  -h, --help\n"
      "      print this and exit\n");
  put_options(out, Fate::kControl);
  out.put('\n');
  if (!io::TlsContext::available())
    out.put("This build has no TLS: https and its three files are refused.\n\n");
  if (!io::NetStream::resolves_names()) out.put("This build resolves no names: endpoints are addresses.\n\n");
  if (!Pattern::available()) out.put("This build knows no regular expressions: iface-regex is refused.\n\n");
  put_options(out, Fate::kEtcd);
  put_options(out, Fate::kUsed);
  if constexpr (kKnowsKube) {
    out.put("\nWith kube-subnet-mgr:\n\n");
    put_options(out, Fate::kKube);
  }
  out.put("\nOnly in the INI file:\n\n");
  for (const Option& option : options()) {
    if (!option.flag.empty()) continue;
    out.put("  [").put(option.section).put("] ").put(option.key).put("\n      ").put(option.help);
    if (!option.fallback.empty()) out.put(" (default ").put(option.fallback).put(')');
    out.put('\n');
  }
  out.put("\nRefused unless at the default:\n\n");
  put_options(out, Fate::kUnbuilt);
  out.put("\nAccepted, without effect:\n\n");
  put_options(out, Fate::kIgnored);
}

}  // namespace flannelette::cli
