// SPDX-License-Identifier: Apache-2.0
// The number of a group.
#include "cli/group.hpp"

#include <algorithm>
#include <memory>

#include "flannelette/base/text.hpp"

namespace flannelette::cli {
namespace {

constexpr std::size_t kMaxFile = 64 * 1024;

/// Up to a ':', which goes.
std::string_view take_column(std::string_view& line) {
  const std::size_t end = std::min(line.find(':'), line.size());
  const std::string_view column = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return column;
}

std::optional<gid_t> number(std::string_view text) {
  std::uint64_t value = 0;
  if (!parse_unsigned(text, value) || value >= 0xffff'ffff) return std::nullopt;
  return static_cast<gid_t>(value);
}

}  // namespace

std::optional<gid_t> group_id(Files& files, std::string_view name) {
  if (const auto given = number(name)) return given;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kMaxFile);
  const auto text = files.read("/etc/group", {buffer.get(), kMaxFile});
  std::string_view rest = text ? text->value_or("") : std::string_view{};
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (take_column(line) != name) continue;
    (void)take_column(line);  // the password
    return number(take_column(line));
  }
  return std::nullopt;
}

}  // namespace flannelette::cli
