// SPDX-License-Identifier: Apache-2.0
// What was found of the item that is being inspected.
#include "agent/inspection/report.hpp"

#include <cstring>

namespace flannelette::agent {

void Report::begin(std::string_view item) {
  item_ = item;
  found_ = false;
  text_.clear();
  repair_.clear();
}

Writer& Report::put(Grade grade) {
  flush();
  found_ = open_ = true;
  grade_ = grade;
  return text_;
}

Writer& Report::note() {
  flush();
  return text_;
}

void Report::end() {
  if (!found_) (void)put(Grade::kOk);
  flush();
}

void Report::flush() {
  if (!open_) return;
  open_ = false;
  listener_.on_finding(grade_, item_, text_.view(), repair_.view());
  text_.clear();
  repair_.clear();
}

Writer& put_error(Writer& out, const Error& error) {
  out.put(error.context);
  if (error.sys_errno > 0) out.put(": ").put(std::strerror(error.sys_errno));
  return out;
}

}  // namespace flannelette::agent
