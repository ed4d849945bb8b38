// SPDX-License-Identifier: Apache-2.0
// What a person does about a finding, in the words of this system.
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/inspection/report.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/kernel/ports.hpp"

namespace flannelette::agent {

enum class System : std::uint8_t { kOther, kOpenWrt, kUbuntu, kYocto };

/// Of the text of /etc/os-release.
System system_of(std::string_view os_release);
/// This one.
System system_of(Files& files);

/// `package`: OpenWrt's name, without kmod-; `modules`: the kernel's, with a space between them.
void load_modules(Writer& out, System system, std::string_view package, std::string_view modules);
void set_sysctl(Writer& out, System system, std::string_view assignment);
void stop_service(Writer& out, System system, std::string_view name);
/// Of a kInputDrop.
void accept_port(Writer& out, System system, bool firewalld, const kernel::FirewallFinding& finding,
                 std::uint16_t port);

}  // namespace flannelette::agent
