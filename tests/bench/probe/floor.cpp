// SPDX-License-Identifier: Apache-2.0
// The least that a number of peers can cost: their kernel objects by batched netlink on a new device, with no
// list, no comparison and no agent.
#include "bench/probe/probe.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/kernel/netlink_kernel.hpp"

namespace flannelette::bench {
namespace {

using overlay::Change;
using overlay::Entry;

constexpr Net4 kNetwork{{0x0a000000}, 8};

/// As tests/system/gateway.hpp makes them.
Change peer(int number, Entry::Kind kind) {
  const auto n = static_cast<std::uint32_t>(number);
  const Net4 subnet{{kNetwork.base.value + n * 256}, 24};
  const Mac mac{{2, 0, 0, 0, static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)}};
  Entry entry = Entry::route(subnet, subnet.base);
  if (kind == Entry::Kind::kNeighbour) entry = Entry::neighbour(subnet, mac);
  if (kind == Entry::Kind::kFdb) entry = Entry::fdb(mac, Ip4{0xac1f0000u + n});
  return {Change::Op::kPut, entry};
}

int fail(const char* what, const Error& error) {
  fprintf(stderr, "%s: %s (errno %d)\n", what, error.context, error.sys_errno);
  return 1;
}

}  // namespace

int floor_of(int peers) {
  SystemFiles files;
  kernel::NetlinkKernel kernel(files);
  if (const auto opened = kernel.open(); !opened) return fail("open", opened.error());

  overlay::DeviceSpec spec;
  spec.name = overlay::device_name(1);
  spec.vni = 1;
  spec.port = 8472;
  spec.mtu = 1450;
  spec.mac = {{2, 1, 0, 0, 0, 1}};
  overlay::DevicePlan up;
  up.set_up = true;
  if (const auto made = kernel.create_device(spec); !made) return fail("create", made.error());
  const auto device = kernel.find_device(spec.name);
  if (!device || !*device) return fail("find", device ? Error{} : device.error());
  const int index = (*device)->index;
  if (const auto set = kernel.change_device(index, spec, up); !set) return fail("up", set.error());
  if (const auto set = kernel.set_device_address(index, Ip4{kNetwork.base.value + 0xf00000}, kNetwork); !set)
    return fail("address", set.error());

  const double start = seconds();
  kernel::EntryBatch& batch = kernel.begin({index, 0, kNetwork});
  for (int i = 1; i <= peers; ++i) {
    batch.change(peer(i, Entry::Kind::kNeighbour));
    batch.change(peer(i, Entry::Kind::kFdb));
  }
  for (int i = 1; i <= peers; ++i) batch.change(peer(i, Entry::Kind::kRoute));
  const auto report = batch.finish();
  const double end = seconds();
  if (!report) return fail("program", report.error());
  if (report->failed != 0) return fail("program", report->first);
  printf("%.6f\n", end - start);
  return 0;
}

}  // namespace flannelette::bench
