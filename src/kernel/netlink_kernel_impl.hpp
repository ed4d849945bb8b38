// SPDX-License-Identifier: Apache-2.0
// NetlinkKernel's inside, for itself and for the monitor, which must tell its writes from others'.
#pragma once

#include "batch.hpp"
#include "flannelette/kernel/netlink_kernel.hpp"
#include "netlink.hpp"

namespace flannelette::kernel {

struct NetlinkKernel::Impl {
  explicit Impl(Files& the_files) : files(the_files) {}

  Files& files;
  alignas(8) Netlink::Buffer out;
  alignas(8) Netlink::Buffer in;
  Netlink route{NETLINK_ROUTE, out, in};
  Netlink netfilter{NETLINK_NETFILTER, out, in};  ///< opened when first needed: many kernels have none
  NexthopUse nexthops = NexthopUse::kNone;
  Batch batch{route, netfilter};
};

}  // namespace flannelette::kernel
