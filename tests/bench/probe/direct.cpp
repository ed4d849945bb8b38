// SPDX-License-Identifier: Apache-2.0
// What a number of host-gw peers costs on a link: by plan and kernel room as the agent does it, or the bare
// netlink of the same routes, plain, with no list, no comparison and no agent.
#include "bench/probe/probe.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/kernel/netlink_kernel.hpp"
#include "flannelette/overlay/backend.hpp"
#include "flannelette/overlay/entry_plan.hpp"
#include "kernel/entries.hpp"

namespace flannelette::bench {
namespace {

using overlay::Change;
using overlay::Entry;

constexpr Net4 kNetwork{{0x0a000000}, 8};
constexpr int kRequests = 200;  ///< in one message, as kernel::Batch

Net4 subnet_of(std::uint32_t number) { return {{kNetwork.base.value + number * 256}, 24}; }
Ip4 gateway_of(std::uint32_t number) { return {0xac1f0000u + number}; }

int fail(const char* what, const Error& error) {
  fprintf(stderr, "%s: %s (errno %d)\n", what, error.context, error.sys_errno);
  return 1;
}

struct FindLink final : kernel::LinkVisitor {
  void link(const kernel::Link& link) override {
    if (link.name == "under0") index = link.index;
  }
  int index = 0;
};

struct Refusals final : kernel::Netlink::Reader {
  void message(const nlmsghdr&) override {}
  void refused(std::uint32_t, int sys_errno) override { failure = sys_errno; }
  int failure = 0;
};

int bare(int link, std::uint32_t peers) {
  alignas(8) static kernel::Netlink::Buffer out;
  alignas(8) static kernel::Netlink::Buffer in;
  kernel::Netlink netlink(NETLINK_ROUTE, out, in);
  const double start = seconds();
  Refusals refusals;
  for (std::uint32_t next = 1; next <= peers;) {
    netlink.out().clear();
    std::uint32_t last = 0;
    std::uint32_t count = 0;
    for (; next <= peers && count < kRequests; ++next, ++count) {
      Change change{Change::Op::kPut, Entry::route(subnet_of(next), gateway_of(next))};
      change.entry.onlink = false;
      last = netlink.next_sequence();
      kernel::put_change(netlink.out(), last, link, change, 0);
    }
    netlink.out().add_flags(NLM_F_ACK);
    if (const auto sent = netlink.send("routes"); !sent) return fail("send", sent.error());
    const auto done = netlink.receive("routes", last - count + 1, last, refusals);
    if (!done) return fail("receive", done.error());
  }
  if (refusals.failure != 0) return fail("program", system_error("routes", refusals.failure));
  printf("%.6f\n", seconds() - start);
  return 0;
}

struct Auditor final : kernel::EntryVisitor {
  explicit Auditor(overlay::EntryPlan& of) : plan(of) {}
  void entry(const Entry& entry) override { plan.audit_entry(entry); }
  overlay::EntryPlan& plan;
};

int planned(kernel::NetlinkKernel& kernel, int link, std::uint32_t peers) {
  overlay::LocalNode local;
  local.config.network = kNetwork;
  local.config.backend = overlay::BackendType::kHostGw;
  local.config.direct = true;
  local.public_ip = gateway_of(0xffff);
  local.subnet = subnet_of(0xffff);
  overlay::LeaseTable table;
  overlay::EntryPlan plan(table);
  table.set_local(local);
  table.begin_listing();
  for (std::uint32_t i = 1; i <= peers; ++i) {
    overlay::LeaseRecord record;
    record.key.subnet = subnet_of(i);
    record.value = own_value(local.config, gateway_of(i), {});
    table.upsert(record);
  }
  table.end_listing();
  const kernel::Site site{.underlay = link, .network = kNetwork, .direct = true};
  Auditor auditor(plan);
  const double start = seconds();
  plan.begin_audit();
  if (const auto dumped = kernel.dump_entries(site, auditor); !dumped) return fail("dump", dumped.error());
  kernel::EntryBatch& batch = kernel.begin(site);
  plan.finish_audit(batch);
  const auto report = batch.finish();
  if (!report) return fail("program", report.error());
  if (report->failed != 0) return fail("program", report->first);
  if (report->done != peers) return fail("program", {Code::kInvalid, 0, "not every peer"});
  plan.commit();
  printf("%.6f\n", seconds() - start);
  return 0;
}

}  // namespace

int direct_of(int peers, bool as_agent) {
  SystemFiles files;
  kernel::NetlinkKernel kernel(files);
  if (const auto opened = kernel.open(); !opened) return fail("open", opened.error());
  FindLink find;
  if (const auto listed = kernel.dump_links(find); !listed) return fail("links", listed.error());
  const auto count = static_cast<std::uint32_t>(peers);
  return as_agent ? planned(kernel, find.index, count) : bare(find.index, count);
}

}  // namespace flannelette::bench
