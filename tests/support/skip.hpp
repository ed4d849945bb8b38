// SPDX-License-Identifier: Apache-2.0
// A test that finds out while running that it cannot run here says so, with the reason: SKIP("no etcd here").
// The reporter shows it as SKIPPED; in CI (environment CI=true) tests/run.sh counts that as a failure.
#pragma once

#include <string>

namespace flannelette::tests {

/// Marks the running test as skipped. It goes on unless it returns: use SKIP.
void mark_skipped(std::string reason);

}  // namespace flannelette::tests

/// Ends the test function that it stands in (not one that calls it) as skipped.
#define SKIP(reason)                              \
  do {                                            \
    ::flannelette::tests::mark_skipped((reason)); \
    return;                                       \
  } while (false)
