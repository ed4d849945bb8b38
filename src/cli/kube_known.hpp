// SPDX-License-Identifier: Apache-2.0
// Whether this build knows Kubernetes.
#pragma once

namespace flannelette::cli {

/// FLANNELETTE_KUBE of CMakeLists.txt. Known to the compiler, so that a build without it has nothing of it:
/// what an `if constexpr` discards is not linked.
inline constexpr bool kKnowsKube = FLANNELETTE_KUBE;

}  // namespace flannelette::cli
