// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

#include "flannelette/registry/registry.hpp"

namespace flannelette::agent {

/// The registry's troubles, each said once and then now and then as long as it lasts. Endpoints that fail in
/// different ways take turns, so that the last one alone would not do.
class TroublesSaid {
 public:
  static constexpr Millis kRemindEvery = 10 * 60'000;

  bool is_news(const registry::Failure& trouble, Millis now) {
    Said* oldest = said_.data();
    for (Said& said : said_) {
      if (said.is(trouble)) {
        if (now - said.when < kRemindEvery) return false;
        said.when = now;
        return true;
      }
      if (oldest->operation != nullptr && (said.operation == nullptr || said.when < oldest->when))
        oldest = &said;
    }
    *oldest = {trouble.operation, trouble.error, now};
    return true;
  }
  void clear() { said_ = {}; }

 private:
  struct Said {
    const char* operation = nullptr;
    Error error;
    Millis when = 0;

    bool is(const registry::Failure& trouble) const {
      return operation != nullptr && operation == std::string_view(trouble.operation) &&
             error.sys_errno == trouble.error.sys_errno &&
             error.context == std::string_view(trouble.error.context);
    }
  };
  std::array<Said, 8> said_;
};

}  // namespace flannelette::agent
