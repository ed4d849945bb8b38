// SPDX-License-Identifier: Apache-2.0
// Stands in for the status socket, and the verbs that ask there, where they are not built.
#include "cli/inquiry.hpp"
#include "cli/serving.hpp"

namespace flannelette::cli {

bool can_inquire() { return false; }
Asked inquire(Inquiry, std::span<const char* const>, std::span<const char* const>, Reporter&, int&) {
  return Asked::kWrong;
}

struct Serving::Impl {};
Serving::Serving() = default;
Serving::~Serving() = default;
void Serving::open(const Needs&) {}
void Serving::set_source(const status::Source&) {}

}  // namespace flannelette::cli
