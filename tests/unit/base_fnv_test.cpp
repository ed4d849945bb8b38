// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/fnv.hpp"

#include <doctest/doctest.h>

namespace flannelette {

TEST_SUITE("base/fnv") {
  // The vectors of draft-eastlake-fnv.
  TEST_CASE("the known hashes come out") {
    const auto hash = [](std::string_view text) {
      Fnv1a fnv;
      fnv.mix(text);
      return fnv.value();
    };
    CHECK(hash("") == 0xcbf29ce484222325);
    CHECK(hash("a") == 0xaf63dc4c8601ec8c);
    CHECK(hash("foobar") == 0x85944171f73967e8);
  }

  TEST_CASE("the bytes of a number are mixed from the last on") {
    Fnv1a number, text;
    number.mix_bytes(0x6463'6261, 4);
    text.mix("abcd");
    CHECK(number.value() == text.value());
  }
}

}  // namespace flannelette
