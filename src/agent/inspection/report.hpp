// SPDX-License-Identifier: Apache-2.0
// What was found of the item that is being inspected.
#pragma once

#include <array>
#include <string_view>

#include "flannelette/agent/inspection.hpp"

namespace flannelette::agent {

/// Passes findings on, each when it is complete: with the next one, or the end of the item. An item without
/// any is all right.
class Report {
 public:
  explicit Report(FindingListener& listener) : listener_(listener) {}

  void begin(std::string_view item);
  /// Its text goes there, then that of repair().
  Writer& put(Grade grade);
  Writer& warn() { return put(Grade::kWarning); }
  Writer& fail() { return put(Grade::kFailure); }
  Writer& repair() { return repair_; }
  /// What is shown of the item if it is all right; the last thing of an item.
  Writer& note();
  void end();

 private:
  using Memory = std::array<char, FindingListener::kMaxText>;
  void flush();

  FindingListener& listener_;
  std::string_view item_;
  Memory text_memory_, repair_memory_;
  Writer text_{text_memory_};
  Writer repair_{repair_memory_};
  Grade grade_ = Grade::kOk;
  bool open_ = false;   ///< a finding is not complete
  bool found_ = false;  ///< there was one of this item
};

/// "connect: Connection refused"
Writer& put_error(Writer& out, const Error& error);

}  // namespace flannelette::agent
