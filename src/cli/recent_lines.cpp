// SPDX-License-Identifier: Apache-2.0
// The last warnings and errors of the log.
#include "cli/recent_lines.hpp"

#include <cstring>

#include "flannelette/io/calendar.hpp"

namespace flannelette::cli {

void RecentLines::line(Level level, std::string_view text) {
  next_.line(level, text);
  if (level < Level::kWarning) return;
  const auto time = io::time_of(clock_.wall_seconds());
  text = text.substr(0, kMaxLine);
  const std::size_t added = time.size() + text.size() + 2;
  while (size_ + added > kSize) {
    const std::size_t first = view().find('\n') + 1;
    size_ -= first;
    std::memmove(lines_.data(), lines_.data() + first, size_);
  }
  const std::span<char> all(lines_);
  Writer out(all.subspan(size_, added));
  out.put(time.view()).put(' ').put(text).put('\n');
  size_ += added;
}

}  // namespace flannelette::cli
