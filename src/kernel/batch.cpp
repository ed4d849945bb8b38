// SPDX-License-Identifier: Apache-2.0
#include "batch.hpp"

#include <algorithm>
#include <cerrno>

#include "route.hpp"

namespace flannelette::kernel {
namespace {

using overlay::Change;
using Kind = overlay::Change::Kind;

static_assert(Batch::kMaxRequests * kMaxChangeRequest <= Netlink::kBuffer);

/// A second look at routes that others keep changing is tried this often.
constexpr int kLooks = 3;

const char* context_of(Kind kind) {
  switch (kind) {
    case Kind::kUpsertNeighbour: return "set a neighbour";
    case Kind::kUpsertFdb: return "set an FDB entry";
    case Kind::kUpsertRoute: return "set a route";
    case Kind::kDeleteRoute: return "delete a route";
    case Kind::kDeleteNeighbour: return "delete a neighbour";
    case Kind::kDeleteFdb: return "delete an FDB entry";
  }
  return "";
}

bool deletes(Kind kind) {
  return kind == Kind::kDeleteRoute || kind == Kind::kDeleteNeighbour || kind == Kind::kDeleteFdb;
}

bool absent(int sys_errno) { return sys_errno == ENOENT || sys_errno == ESRCH; }

}  // namespace

class Batch::Refusals final : public Netlink::Reader {
 public:
  Refusals(Batch& batch, std::uint32_t first) : batch_(batch), first_(first) {}
  void message(const nlmsghdr&) override {}
  void refused(std::uint32_t sequence, int sys_errno) override {
    batch_.judge(static_cast<std::uint16_t>(sequence - first_), sys_errno);
  }

 private:
  Batch& batch_;
  const std::uint32_t first_;
};

void Batch::begin(int index) {
  index_ = index;
  count_ = 0;
  queued_ = 0;
  report_ = {};
  state_ = {};
}

void Batch::queue(const Change& change) {
  if (!state_) return;
  ++queued_;
  changes_[count_++] = change;
  if (count_ == kMaxRequests) state_ = flush();
}

Result<BatchReport> Batch::finish() {
  if (state_ && count_ != 0) state_ = flush();
  if (!state_) return state_.error();
  report_.done = queued_ - report_.failed;
  return report_;
}

Result<void> Batch::flush() {
  MessageWriter& out = netlink_.out();
  out.clear();
  std::uint32_t last = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    last = netlink_.next_sequence();
    put_change(out, last, index_, changes_[i]);
  }
  out.add_flags(NLM_F_ACK);  // of the last alone: it says that all are worked off
  const std::uint32_t first = last - static_cast<std::uint32_t>(count_) + 1;
  contested_count_ = 0;
  Refusals refusals(*this, first);
  FLT_TRY(netlink_.send("change entries"));
  FLT_TRY(netlink_.receive("change entries", first, last, refusals));
  if (contested_count_ != 0) FLT_TRY(look());
  for (std::size_t i = 0; i < contested_count_; ++i) settle(contested_[i]);
  count_ = 0;
  return {};
}

void Batch::judge(std::uint16_t index, int sys_errno) {
  const Change& change = changes_[index];
  if ((change.kind == Kind::kUpsertRoute && sys_errno == EEXIST) ||
      (change.kind == Kind::kDeleteRoute && sys_errno == ESRCH)) {
    contested_[contested_count_++] = Contested(index);
    return;
  }
  if (deletes(change.kind) && absent(sys_errno)) return;
  if (change.kind == Kind::kUpsertNeighbour && sys_errno == ENOBUFS) {
    return fail(change, {Code::kLimit, ENOBUFS,
                         "the neighbour table is full (sysctl net.ipv4.neigh.default.gc_thresh3)"});
  }
  fail(change, netlink_error(context_of(change.kind), sys_errno));
}

void Batch::fail(const Change& change, const Error& error) {
  if (report_.failed++ != 0) return;
  report_.first = error;
  report_.first_change = change;
}

Result<void> Batch::look() {
  std::sort(contested_.begin(), contested_.begin() + contested_count_,
            [this](const Contested& a, const Contested& b) {
              return changes_[a.change].subnet < changes_[b.change].subnet;
            });
  for (int attempt = 1;; ++attempt) {
    for (std::size_t i = 0; i < contested_count_; ++i) contested_[i] = Contested(contested_[i].change);
    const auto seen = dump_main_routes(netlink_, 0, [this](const MainRoute& route) { look_at(route); });
    if (seen || seen.error().code != Code::kInterrupted || attempt == kLooks) return seen;
  }
}

void Batch::look_at(const MainRoute& route) {
  const auto end = contested_.begin() + contested_count_;
  auto at = std::lower_bound(contested_.begin(), end, route.destination,
                             [this](const Contested& a, const Net4& destination) {
                               return changes_[a.change].subnet < destination;
                             });
  for (; at != end && changes_[at->change].subnet == route.destination; ++at) compare(route, *at);
}

void Batch::compare(const MainRoute& route, Contested& contested) const {
  const Change& change = changes_[contested.change];
  const bool ours = route.one_link && route.first_link == index_;
  if (change.kind == Kind::kDeleteRoute) {
    // The kernel finds all but routes with a nexthop object by destination and link.
    if (ours && route.nexthop_id != 0 && (change.metric == 0 || route.metric == change.metric)) {
      contested.wrong = true;
      contested.nexthop_id = route.nexthop_id;
    }
    return;
  }
  if (route.metric != 0) return;
  if (!ours) {
    contested.foreign = true;
  } else if (route.plain && route.onlink && route.gateway == change.subnet.base) {
    contested.right = true;
  } else {
    contested.wrong = true;
    contested.nexthop_id = route.nexthop_id;
    contested.gateway = route.gateway;
  }
}

void Batch::settle(const Contested& contested) {
  const Change& change = changes_[contested.change];
  if (change.kind == Kind::kUpsertRoute && !contested.right) {
    if (contested.foreign) {
      return fail(change, {Code::kConflict, EEXIST,
                           "set a route: another program's route to this subnet is in the way"});
    }
    netlink_.out().clear();
    put_change(netlink_.out(), netlink_.next_sequence(), index_, change, RouteMode::kReplace);
    return judge_route(change, netlink_.run(context_of(change.kind)));
  }
  if (!contested.wrong) return;
  // Beside the right one, or the one to be deleted, which only its nexthop object names.
  MainRoute wrong;
  wrong.destination = change.subnet;
  wrong.metric = change.metric;
  wrong.nexthop_id = contested.nexthop_id;
  wrong.gateway = contested.gateway;
  netlink_.out().clear();
  put_delete_route(netlink_.out(), netlink_.next_sequence(), index_, wrong);
  const auto deleted = netlink_.run(context_of(Kind::kDeleteRoute));
  if (!deleted && absent(deleted.error().sys_errno)) return;
  judge_route(change, deleted);
}

void Batch::judge_route(const Change& change, const Result<void>& result) {
  if (!result) fail(change, result.error());
}

}  // namespace flannelette::kernel
