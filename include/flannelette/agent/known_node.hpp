// SPDX-License-Identifier: Apache-2.0
// Who this node is, as what it left behind says.
#pragma once

#include <optional>
#include <string_view>

#include "flannelette/agent/settings.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/kernel/ports.hpp"
#include "flannelette/overlay/state.hpp"

namespace flannelette::agent {

/// The path of a state file, `node` or `peers`; false: there is no state folder, or no such path.
bool state_file(const Settings& settings, std::string_view name, Text<Files::kMaxPath>& path);

/// Who this node was: as its state file says, else as subnet.env and an unbound device of VNI 1 with that
/// subnet's address do (a bound one is flanneld's). nullopt: nothing here is known to be ours. kInvalid:
/// there is a state file, and it cannot be used.
Result<std::optional<overlay::NodeState>> find_node(kernel::Links& links, kernel::DevicePort& device,
                                                    Files& files, Log& log, const Settings& settings);

/// The device of that name, if it is a VXLAN device.
std::optional<overlay::Device> vxlan_named(kernel::DevicePort& port, std::string_view name);

}  // namespace flannelette::agent
