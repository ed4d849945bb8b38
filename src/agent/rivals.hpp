// SPDX-License-Identifier: Apache-2.0
// Devices that have what ours needs.
#pragma once

#include <optional>

#include "flannelette/kernel/ports.hpp"

namespace flannelette::agent {

struct Rivals final : kernel::DeviceVisitor {
  explicit Rivals(const overlay::DeviceSpec& of) : spec(of) {}
  void device(const overlay::Device& device) override {
    if (device.port != spec.port) return;
    port_up = port_up || device.up;
    if (device.name == spec.name) return;
    // Devices share a port if they receive alike.
    const bool alike = !device.external && device.gbp == spec.gbp;
    if (alike && device.vni == spec.vni) same_vni = device;
    if (!alike && device.up) same_port = device;
  }
  const overlay::DeviceSpec& spec;
  std::optional<overlay::Device> same_vni;
  std::optional<overlay::Device> same_port;
  bool port_up = false;  ///< a device has the port's socket, ours or another one
};

}  // namespace flannelette::agent
