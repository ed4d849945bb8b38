// SPDX-License-Identifier: Apache-2.0
// A batch of changes: messages of many requests, and what to do about those that were refused.
#include "batch.hpp"

#include <algorithm>
#include <cerrno>

#include "flannelette/base/sort.hpp"
#include "nftables.hpp"
#include "route.hpp"
#include "senders.hpp"

namespace flannelette::kernel {
namespace {

using overlay::Change;
using Kind = overlay::Entry::Kind;

static_assert(Batch::kMaxRequests * kMaxChangeRequest <= Netlink::kBuffer);

/// Tries to list routes that other programs keep changing.
constexpr int kMaxInspections = 3;
/// So many routes that were refused are read one by one.
constexpr std::size_t kMaxSingleReads = 16;

const char* context_of(const Change& change) {
  const bool put = change.op == Change::Op::kPut;
  switch (change.entry.kind) {
    case Kind::kRoute: return put ? "set a route" : "delete a route";
    case Kind::kNexthop: return "delete a nexthop object";
    case Kind::kNeighbour: return put ? "set a neighbour" : "delete a neighbour";
    case Kind::kFdb: return put ? "set an FDB entry" : "delete an FDB entry";
    case Kind::kSender: break;  // in the words of nf_tables
  }
  return "";
}

Net4 subnet_of(const Change& change) { return change.entry.net.v4(); }
Ip4 gateway_of(const Change& change) { return change.entry.via.v4(); }
NexthopObject object_of(const Place& place, const Change& change) {
  return place.object(subnet_of(change), gateway_of(change));
}

bool absent(int sys_errno) { return sys_errno == ENOENT || sys_errno == ESRCH; }

}  // namespace

class Batch::Refusals final : public Netlink::Reader {
 public:
  Refusals(Batch& batch, std::uint32_t first) : batch_(batch), first_(first) {}
  void message(const nlmsghdr&) override {}
  void refused(std::uint32_t sequence, int sys_errno) override {
    batch_.on_refused(static_cast<std::uint16_t>(sequence - first_), sys_errno);
  }

 private:
  Batch& batch_;
  const std::uint32_t first_;
};

class Batch::Answers final : public Netlink::Reader {
 public:
  Answers(Batch& batch, std::uint32_t first) : batch_(batch), first_(first) {}
  void message(const nlmsghdr& message) override {
    const auto object = read_nexthop(message);
    if (!object) return;
    const std::uint32_t n = message.nlmsg_seq - first_;
    const Change& change = batch_.changes_[batch_.queried_[n]];
    const Place& place = batch_.place_of(change);
    const bool foreign = place.direct ? object->protocol != kRouteProtocol : object->link != place.index;
    const bool right = object->link == place.index && object->onlink != place.direct &&
                       object->gateway == gateway_of(change);
    batch_.objects_[n] = foreign ? Object::kForeign : right ? Object::kRight : Object::kWrong;
  }
  void refused(std::uint32_t, int) override {}  // it is absent

 private:
  Batch& batch_;
  const std::uint32_t first_;
};

void Batch::begin(const Site& site, NexthopUse use, RefusalListener* listener) {
  for (const bool direct : {false, true}) places_[direct] = place_on(site, direct, use);
  senders_ = site.senders;
  senders_refused_.reset();
  listener_ = listener;
  count_ = 0;
  requests_ = 0;
  queued_ = 0;
  report_ = {};
  state_ = {};
}

void Batch::change(const Change& change) {
  const bool removes_object = change.removes(Kind::kNexthop);
  // What a route needed goes when the route that takes its place is there.
  const bool after_puts = count_ != 0 && change.op != changes_[count_ - 1].op;
  if (state_ && (after_puts || requests_ + 2 > kMaxRequests || count_ == kMaxRequests)) state_ = flush();
  if (!state_) return;
  ++queued_;
  if (removes_object && places_[0].use == NexthopUse::kNone) return;
  first_request_[count_] = static_cast<std::uint16_t>(requests_);
  changes_[count_++] = change;
  if (removes_object || change.entry.kind == Kind::kSender) return;  // these have requests of their own
  requests_ += object_made_by(change) != 0 ? 2 : 1;
}

Result<BatchReport> Batch::finish() {
  if (state_ && count_ != 0) state_ = flush();
  if (!state_) return state_.error();
  report_.failed = std::min(report_.failed, queued_);  // a kernel that refuses one request twice
  report_.done = queued_ - report_.failed;
  return report_;
}

Result<void> Batch::flush() {
  contested_count_ = 0;
  const auto changes = std::span<const Change>(changes_).first(count_);
  const bool put = changes.front().op == Change::Op::kPut;
  if (put) FLT_TRY(send_senders(changes));
  if (requests_ != 0) FLT_TRY(send_requests());
  FLT_TRY(resolve_objects());
  FLT_TRY(inspect_contested());
  for (std::size_t i = 0; i < contested_count_; ++i) resolve(contested_[i]);
  FLT_TRY(remove_objects());
  if (!put) FLT_TRY(send_senders(changes));
  count_ = 0;
  requests_ = 0;
  return {};
}

Result<void> Batch::send_requests() {
  MessageWriter& out = netlink_.out();
  out.clear();
  std::uint32_t last = 0;
  for (const Change& change : std::span(changes_).first(count_)) {
    if (change.removes(Kind::kNexthop) || change.entry.kind == Kind::kSender) continue;
    const Place& place = place_of(change);
    if (object_made_by(change) != 0)
      put_nexthop(out, netlink_.next_sequence(), NLM_F_EXCL, object_of(place, change));
    last = netlink_.next_sequence();
    put_change(out, last, place.index, change,
               change.entry.has_our_key() ? place.object_for(subnet_of(change)) : 0);
  }
  out.add_flags(NLM_F_ACK);  // of the last alone: it says that all are worked off
  const std::uint32_t first = last - static_cast<std::uint32_t>(requests_) + 1;
  Refusals refusals(*this, first);
  FLT_TRY(netlink_.send("change entries"));
  const auto done = netlink_.receive("change entries", first, last, refusals);
  const auto changes = std::span<const Change>(changes_).first(count_);
  const bool anonymous = std::ranges::any_of(
      changes, [](const Change& c) { return c.entry.kind == Kind::kFdb || c.removes(Kind::kNeighbour); });
  if (observer_ != nullptr && anonymous) observer_->written(changes);
  return done;
}

/// Those of senders, in one transaction. Where the set is missing the rules could not be made, which was
/// reported, or they will be made again, and an audit follows. When addresses are refused, 0.0.0.0 goes out
/// of the set, which would drop their packets, and stays out until the audit of the retry: what would put it
/// in, the last one of all puts, is not sent.
Result<void> Batch::send_senders(std::span<const Change> changes) {
  const auto is_sender = [](const Change& change) { return change.entry.kind == Kind::kSender; };
  const auto first = std::ranges::find_if(changes, is_sender);
  if (!senders_ || first == changes.end()) return {};
  const bool put = first->op == Change::Op::kPut;
  if (put && senders_refused_ && changes.back().entry.completes_senders()) {
    fail(changes.back(), *senders_refused_);
    return send_senders(changes.first(changes.size() - 1));
  }
  const auto changed = kernel::change_senders(netfilter_, *senders_, changes);
  if (changed) return {};
  const Error error = changed.error();
  if (error.sys_errno == 0) return error;  // the socket's
  if (error.sys_errno != ENOENT) {
    if (nft::absent(error)) return {};
    if (put) senders_refused_ = error;
    if (put) (void)uncomplete_senders(netfilter_, *senders_);  // a set that was not complete refuses it
    for (const Change& change : changes) {                     // none of them was made
      if (is_sender(change)) fail(change, error);
    }
    return {};
  }
  // One of several is gone already.
  const bool several = !put && changes.size() > 1;
  for (std::size_t i = 0; several && i < changes.size(); ++i) FLT_TRY(send_senders(changes.subspan(i, 1)));
  return {};
}

void Batch::on_refused(std::uint16_t request, int sys_errno) {
  const auto next = std::upper_bound(first_request_.begin(), first_request_.begin() + count_, request);
  const auto index = static_cast<std::uint16_t>(next - first_request_.begin() - 1);
  const Change& change = changes_[index];
  if (object_made_by(change) != 0 && request == first_request_[index]) {
    if (sys_errno == EEXIST) {
      contest(index).object = Object::kWrong;  // until it is read
    } else {
      contest(index).failed = true;
      fail(change, netlink_error("set a nexthop object", sys_errno));
    }
    return;
  }
  // EINVAL: the object by which the route was named is not there.
  if ((change.puts(Kind::kRoute) && sys_errno == EEXIST) ||
      (change.removes(Kind::kRoute) && (sys_errno == ESRCH || sys_errno == EINVAL))) {
    contest(index).route = true;
    return;
  }
  if (change.op == Change::Op::kRemove && absent(sys_errno)) return;
  if (change.puts(Kind::kNeighbour) && sys_errno == ENOBUFS) {
    return fail(change, {Code::kLimit, ENOBUFS,
                         "the neighbour table is full (sysctl net.ipv4.neigh.default.gc_thresh3)"});
  }
  if (change.puts(Kind::kRoute)) {
    Contested& contested = contest(index);
    if (contested.failed) return;  // its object was refused, and reported
    contested.failed = true;
  }
  fail(change, netlink_error(context_of(change), sys_errno));
}

Batch::Contested& Batch::contest(std::uint16_t change) {
  // Refusals come in order, so this is the last one or a new one. If they do not, a change still has one.
  for (std::size_t i = contested_count_; i-- > 0;) {
    if (contested_[i].change == change) return contested_[i];
  }
  contested_[contested_count_] = Contested(change);
  return contested_[contested_count_++];
}

void Batch::fail(const Change& change, Error error) {
  // Nothing leads to a gateway that is not on link.
  const bool unreachable = error.sys_errno == ENETUNREACH || error.sys_errno == EHOSTUNREACH;
  if (change.entry.underlay && unreachable) error.code = Code::kUnavailable;
  if (listener_ != nullptr && listener_->on_refused(change, error)) return;
  if (report_.failed++ != 0) return;
  report_.first = error;
  report_.first_change = change;
}

// -- routes that were refused --

/// Reads the first route to the destination, without a list of all. True if that is enough to know: it is a
/// wrong one, which the kernel replaces, or the right one, whose object was wrong.
bool Batch::inspect_first(Contested& contested) {
  const Change& change = changes_[contested.change];
  const Net4 subnet = subnet_of(change);
  if (!contested.route) return true;
  if (!change.puts(Kind::kRoute)) return false;
  contested.seen = {};
  auto& request = netlink_.request<rtmsg>(RTM_GETROUTE);
  request.rtm_family = AF_INET;
  request.rtm_dst_len = 32;
  request.rtm_flags = RTM_F_FIB_MATCH;
  netlink_.out().put_ip4(RTA_DST, subnet.base);
  const auto found = netlink_.get("read a route", [&](const nlmsghdr& message) {
    const auto route = read_main_route(message);
    if (route && route->destination == subnet) compare(*route, contested);
  });
  const Contested::Seen& seen = contested.seen;
  return found && (seen.wrong || (seen.right && contested.object == Object::kWrong));
}

Result<void> Batch::inspect_contested() {
  const auto contested = std::span(contested_).first(contested_count_);
  inspected_all_ = false;
  if (std::ranges::none_of(contested, [](const Contested& c) { return c.route; })) return {};
  std::array<std::uint32_t, kMaxRequests> by_subnet;
  sort_things(contested_.data(), std::span(by_subnet).first(contested_count_), [this](auto i, auto j) {
    return subnet_of(changes_[contested_[i].change]) < subnet_of(changes_[contested_[j].change]);
  });
  const bool single = contested_count_ <= kMaxSingleReads &&
                      std::ranges::all_of(contested, [this](Contested& c) { return inspect_first(c); });
  return single ? Result<void>() : inspect_all();
}

Result<void> Batch::inspect_all() {
  inspected_all_ = true;
  for (int attempt = 1;; ++attempt) {
    for (Contested& one : std::span(contested_).first(contested_count_)) one.seen = {};
    const auto seen = dump_main_routes(netlink_, 0, 0, [this](const MainRoute& route) { inspect(route); });
    if (seen || seen.error().code != Code::kInterrupted || attempt == kMaxInspections) return seen;
  }
}

void Batch::inspect(const MainRoute& route) {
  const auto end = contested_.begin() + contested_count_;
  auto at = std::lower_bound(contested_.begin(), end, route.destination,
                             [this](const Contested& a, const Net4& destination) {
                               return subnet_of(changes_[a.change]) < destination;
                             });
  for (; at != end && subnet_of(changes_[at->change]) == route.destination; ++at) compare(route, *at);
}

void Batch::compare(const MainRoute& route, Contested& contested) const {
  const Change& change = changes_[contested.change];
  Contested::Seen& seen = contested.seen;
  const bool put = change.puts(Kind::kRoute);
  const bool any_metric = !put && change.entry.metric == 0;
  if (route.tos != change.entry.tos || (!any_metric && route.metric != change.entry.metric)) return;
  const Place& place = place_of(change);
  const NexthopObject object = object_of(place, change);
  const bool has_object = route.uses(object);
  const bool alike = has_object || (route.plain && route.leads_through(object));
  // On our device whoever made it, elsewhere what is direct.
  const bool ours =
      place.direct ? route.direct() : has_object || (route.one_link && route.first_link == place.index);
  if (put && ours && alike && !route.odd && (!has_object || place.use == NexthopUse::kMake)) {
    seen.right = true;
  } else if (ours || (put && (route.protocol == kRouteProtocol || alike))) {
    seen.wrong = true;
    seen.nexthop_id = route.nexthop_id;
    seen.gateway = route.gateway;
    seen.link = route.first_link;
    seen.protocol = route.protocol;
  } else {
    seen.foreign = true;
  }
}

void Batch::resolve(const Contested& contested) {
  if (contested.failed) return;
  const Change& change = changes_[contested.change];
  const Contested::Seen& seen = contested.seen;
  if (change.puts(Kind::kRoute)) {
    if (!contested.route) {
      if (contested.object == Object::kForeign) make_route(contested);
      return;
    }
    if (!seen.right && seen.foreign) {
      return fail(change, {Code::kConflict, EEXIST,
                           "set a route: another program's route to this subnet is in the way"});
    }
    if (!seen.right) return make_route(contested);
  }
  if (!seen.wrong) return;
  netlink_.out().clear();
  if (change.removes(Kind::kRoute) && seen.nexthop_id == 0) {
    put_change(netlink_.out(), netlink_.next_sequence(), place_of(change).index, change, 0);
  } else {
    // A route beside the right one, or one that only its nexthop object identifies.
    MainRoute wrong;
    wrong.destination = subnet_of(change);
    wrong.metric = change.entry.metric;
    wrong.tos = change.entry.tos;
    wrong.protocol = seen.protocol;  // of two that lead alike the other one
    wrong.nexthop_id = seen.nexthop_id;
    wrong.gateway = seen.gateway;
    put_delete_route(netlink_.out(), netlink_.next_sequence(), seen.link, wrong);
  }
  const auto deleted = netlink_.run("delete a route");
  if (!deleted && !absent(deleted.error().sys_errno)) fail(change, deleted.error());
}

void Batch::make_route(const Contested& contested) {
  const Change& change = changes_[contested.change];
  const auto made = replace_route(
      change, contested.object == Object::kForeign ? 0 : place_of(change).object_for(subnet_of(change)));
  if (made) return;
  // The right one stands behind the first one.
  if (made.error().sys_errno == EEXIST && !inspected_all_ && inspect_all()) return resolve(contested);
  fail(change, made.error());
}

Result<void> Batch::replace_route(const Change& change, std::uint32_t nexthop_id) {
  netlink_.out().clear();
  put_change(netlink_.out(), netlink_.next_sequence(), place_of(change).index, change, nexthop_id,
             RouteMode::kReplace);
  return netlink_.run(context_of(change));
}

// -- nexthop objects --

/// Reads the objects with the ids of the subnets of queried_.
Result<void> Batch::query_objects() {
  MessageWriter& out = netlink_.out();
  out.clear();
  std::uint32_t last = 0;
  for (std::size_t n = 0; n < queried_count_; ++n) {
    objects_[n] = Object::kAbsent;
    last = netlink_.next_sequence();
    const Change& change = changes_[queried_[n]];
    put_nexthop_id(out, last, RTM_GETNEXTHOP, place_of(change).id_of(subnet_of(change).base));
  }
  out.add_flags(NLM_F_ACK);
  const std::uint32_t first = last - static_cast<std::uint32_t>(queried_count_) + 1;
  Answers answers(*this, first);
  FLT_TRY(netlink_.send("read nexthop objects"));
  return netlink_.receive("read nexthop objects", first, last, answers);
}

/// Objects whose ids were in use already: one of ours is replaced; where it is another program's, the route
/// is made without.
Result<void> Batch::resolve_objects() {
  queried_count_ = 0;
  for (std::size_t i = 0; i < contested_count_; ++i) {
    if (contested_[i].object != Object::kAbsent) queried_[queried_count_++] = contested_[i].change;
  }
  if (queried_count_ == 0) return {};
  FLT_TRY(query_objects());
  std::size_t n = 0;
  for (std::size_t i = 0; i < contested_count_; ++i) {
    Contested& contested = contested_[i];
    if (contested.object == Object::kAbsent) continue;
    contested.object = objects_[n++];
    if (contested.object == Object::kRight || contested.object == Object::kForeign) continue;
    const Change& change = changes_[contested.change];
    const NexthopObject object = object_of(place_of(change), change);
    // To announce that an object changed, the kernel walks all routes, unless none names it: so ours is plain
    // meanwhile.
    const bool named = contested.route && inspect_first(contested) && contested.seen.nexthop_id == object.id;
    if (named) (void)replace_route(change, 0);
    netlink_.out().clear();
    put_nexthop(netlink_.out(), netlink_.next_sequence(), NLM_F_REPLACE, object);
    auto done = netlink_.run("set a nexthop object");
    if (done && named) done = replace_route(change, object.id);
    if (!done) {
      contested.failed = true;
      fail(change, done.error());
    }
  }
  return {};
}

/// Objects of ours that nothing needs any more: their routes went before them, or are plain now.
Result<void> Batch::remove_objects() {
  if (places_[0].use == NexthopUse::kNone) return {};
  queried_count_ = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    const Change& change = changes_[i];
    const Place& place = place_of(change);
    const bool done =
        change.removes(Kind::kNexthop) || (change.puts(Kind::kRoute) && place.use == NexthopUse::kRemove);
    if (done) queried_[queried_count_++] = static_cast<std::uint16_t>(i);
  }
  if (queried_count_ == 0) return {};
  FLT_TRY(query_objects());
  for (std::size_t n = 0; n < queried_count_; ++n) {
    if (objects_[n] == Object::kAbsent || objects_[n] == Object::kForeign) continue;
    const Change& change = changes_[queried_[n]];
    netlink_.out().clear();
    put_nexthop_id(netlink_.out(), netlink_.next_sequence(), RTM_DELNEXTHOP,
                   place_of(change).id_of(subnet_of(change).base));
    const auto deleted = netlink_.run("delete a nexthop object");
    if (!deleted && !absent(deleted.error().sys_errno)) fail(change, deleted.error());
  }
  return {};
}

}  // namespace flannelette::kernel
