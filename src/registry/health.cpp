// SPDX-License-Identifier: Apache-2.0
// What of a registry is failing, and when all of it works again.
#include "registry/health.hpp"

#include <utility>

namespace flannelette::registry {
namespace {

Text<280> url(const io::Endpoint& server) {
  return to_text<280>([&](Writer& out) { write(out, server); });
}

}  // namespace

void Health::failed(Part part, const char* operation, const io::Endpoint& server, const Status& status,
                    Millis retry_in) {
  failing_ |= part;
  const bool unreached = status.code == 0 && status.detail.empty();
  listener_->on_failure(
      {operation, url(server), status.error, unreached ? hint_ : status.detail.view(), retry_in});
}

void Health::working(Part part, const io::Endpoint& server) {
  const Part before = std::exchange(failing_, static_cast<Part>(failing_ & ~part));
  if (before != 0 && failing_ == 0) listener_->on_working(url(server));
}

}  // namespace flannelette::registry
