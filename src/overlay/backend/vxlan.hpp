// SPDX-License-Identifier: Apache-2.0
// The vxlan backend.
#pragma once

#include "flannelette/overlay/backend.hpp"

namespace flannelette::overlay {

extern const Backend kVxlanBackend;

}  // namespace flannelette::overlay
