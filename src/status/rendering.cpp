// SPDX-License-Identifier: Apache-2.0
// The forms of a status, a piece at a time.
#include "flannelette/status/rendering.hpp"

#include <algorithm>

namespace flannelette::status {

void write_unready(Writer& out, const Status& status) {
  const auto line = [&](std::string_view what, std::string_view why) {
    if (!why.empty()) out.put("not ready: ").put(what).put(": ").put(why).put('\n');
  };
  line("lease", status.unready.lease);
  line("kernel", status.unready.kernel);
  line("watch", status.unready.watch);
}

Rendering::Rendering(const Source& source, Format format) : source_(source), format_(format) {
  source_.read(status_);
}

bool Rendering::next(Writer& out) {
  for (;;) {
    const std::string_view rest = pending_.view().substr(written_);
    const std::size_t fits = std::min(rest.size(), out.room());
    out.put(rest.substr(0, fits));
    written_ += fits;
    if (fits < rest.size()) return true;
    pending_ = to_text<511>([this](Writer& piece) { this->piece(piece); });
    written_ = 0;
    if (pending_.empty()) return false;
  }
}

void Rendering::piece(Writer& out) {
  if (part_++ == 0) write_unready(out, status_);
}

}  // namespace flannelette::status
