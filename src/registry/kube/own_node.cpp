// SPDX-License-Identifier: Apache-2.0
// Our membership: our Node gives us a subnet, and carries what the others must know of us.
#include "registry/kube/own_node.hpp"

#include <algorithm>
#include <utility>

#include "flannelette/io/calendar.hpp"
#include "flannelette/overlay/backend.hpp"
#include "registry/kube/node_patch.hpp"
#include "registry/kube/node_record.hpp"

namespace flannelette::registry::kube {

using Why = Left::Why;

namespace {

constexpr http::Parameter kDryRun[] = {{"dryRun", "All"}};

}  // namespace

void OwnNode::join(const Self& self, const Hints& hints) {
  self_ = self;
  hints_ = hints;
  read();
}

void OwnNode::update(const Self& self) {
  self_ = self;
  if (state_ != State::kNone) read();
}

void OwnNode::announce_ready() {
  ready_ = true;
  if (!wants_condition()) return;
  want(core_.loop.now());
  session().schedule();
}

bool OwnNode::wants_condition() const {
  return ready_ && !available_ && core_.settings.set_network_available && state_ == State::kHeld;
}

void OwnNode::read() {
  session().abandon(*this);  // what it would say may be as of before
  enter(State::kReading);
  want(core_.loop.now());
  session().schedule();
}

/// Where no change shows whether it is the one that is awaited.
void OwnNode::read_later() {
  enter(State::kReading);
  want(core_.loop.now() + backoff_.next(core_.random));
  session().schedule();
}

void OwnNode::write_again() {
  const Millis now = core_.loop.now();
  const bool calm = now - written_ >= kCalm;
  if (calm) backoff_.reset();
  Millis wait = calm ? 0 : backoff_.next(core_.random);
  if (value_.public_ip != written_ip_) wait = std::min(wait, kOwnChange);
  enter(State::kWriting);
  want(now + wait);
  session().schedule();
}

Request::Call OwnNode::write(json::Writer& body) {
  if (state_ == State::kReading) {
    path_ = node_path(core_.node_name);
    return {.request = {.path = path_, .headers = kAcceptFull}};
  }
  path_ = node_path(core_.node_name, "/status");
  if (state_ == State::kWriting) {
    written_ = core_.loop.now();
    written_ip_ = value_.public_ip;
    write_annotations(body, core_.prefix, uid_, backend_of(core_.network), value_);
  } else {
    write_network_available(body, uid_, io::time_of(core_.clock.wall_seconds()));
  }
  Call call{.request = patch(path_)};
  if (core_.settings.rehearsal) call.request.query = kDryRun;
  return call;
}

void OwnNode::on_node(const Node& node) {
  version_ = node.resource_version;
  take(node);
}

void OwnNode::take(const Node& node) {
  if (node.uid != uid_) {
    uid_ = node.uid.view();
    subnet_.reset();
    available_ = false;
  }
  if (node.full) {
    subnet_ = node.spec_cidrs.contradictory ? std::nullopt : node.spec_cidrs.v4;
    available_ = node.network_available;
  }
  const auto forced = parse_ip4(node.annotation(Annotation::kPublicIpOverwrite));
  value_ = own_value(core_.network, forced ? Ip(*forced) : self_.public_ip, own_mac(node));
  right_ = publishes(node, backend_of(core_.network), value_);
}

/// The device that is there decides, then what this node was before, then what its Node still says. What was
/// saved with another subnet is of another Node: the state was copied, and peers take a MAC once.
const Mac& OwnNode::own_mac(const Node& node) {
  if (mac_) return *mac_;
  const auto record = record_of(node, {Net4{}, {}, false});
  const auto published = record && record->value.has_vxlan ? std::optional(record->value.mac) : std::nullopt;
  const auto saved = hints_.subnet == subnet_ ? hints_.saved_mac : std::nullopt;
  for (const auto& known : {hints_.device_mac, saved, published}) {
    if (!mac_ && known && known->unicast() && !known->zero()) mac_ = known;
  }
  if (!mac_) mac_ = core_.random.mac();
  if (backend_of(core_.network).device == nullptr) mac_ = Mac{};
  return *mac_;
}

Outcome OwnNode::on_message() {
  if (message().nodes == 0) return Error{Code::kInvalid, 0, "kube: the answer is not our Node"};
  const bool outdated = version_ < std::exchange(announced_, 0);  // once: a store may have gone back
  switch (state_.state()) {
    case State::kReading:
      if (outdated) return Outcome::kAgain;
      return on_read();
    case State::kWriting:
      if (outdated) break;
      if (!right_) return Error{Code::kConflict, 0, "kube: our annotations are not there as we wrote them"};
      return hold(true);
    case State::kHeld:
      available_ = true;
      done();
      return Outcome::kDone;
    case State::kNone:
    case State::kAwaiting:
    case State::kContested: done(); return Outcome::kDone;
  }
  enter(State::kReading);
  return Outcome::kAgain;
}

Outcome OwnNode::on_read() {
  done();
  if (!subnet_) {
    await("podCIDR of Node ");
  } else if (!hints_.leases->fits(*subnet_)) {
    enter(State::kAwaiting);
    const bool inside = core_.network.has_subnet(*subnet_);
    report({.why = Why::kOutside,
            .subnet = *subnet_,
            .detail = inside ? "it holds an address that must be reached directly"
                             : "it is no part of the network in the config"});
  } else if (right_) {
    return hold(false);
  } else {
    write_again();
    return Outcome::kAgain;
  }
  return Outcome::kDone;
}

Outcome OwnNode::on_error(const Status& status) {
  if (status.code == kNotFound) {
    done();
    uid_.clear();  // where that was wrong the next event of it is of a Node that is not known
    await("Node ");
    return Outcome::kDone;
  }
  const bool other = status.code == kConflict || status.code == kInvalid;
  if (other && state_ == State::kWriting) enter(State::kReading);
  return Outcome::kRefused;
}

/// The watch tells when there is more.
void OwnNode::await(std::string_view missing) {
  enter(State::kAwaiting);
  const auto detail =
      to_text<Node::kMaxName + 32>([&](Writer& out) { out.put(missing).put(core_.node_name); });
  report({.why = Why::kAwaited, .detail = detail});
}

Outcome OwnNode::hold(bool written) {
  enter(State::kHeld);
  done();
  if (wants_condition()) want(core_.loop.now());
  core_.membership->on_joined(
      {.subnet = *subnet_, .public_ip = value_.public_ip, .mac = *mac_, .written = written});
  return Outcome::kDone;
}

bool OwnNode::is_foreign(const Node& node) {
  const auto there = record_of(node, {Net4{}, {}, false});
  if (!there || !there->readable || there->value.backend != value_.backend) return false;
  // Without a MAC only the age tells our own address of before, in a store that went back.
  const bool same = value_.mac.zero()
                        ? there->value.public_ip == value_.public_ip || node.resource_version < version_
                        : there->value.mac == value_.mac;
  if (same) return false;
  if (state_ == State::kContested) return true;
  report({.why = Why::kNamesake,
          .public_ip = there->value.public_ip,
          .mac = there->value.mac,
          .detail = core_.node_name});
  return true;
}

void OwnNode::on_seen(const Node& node, bool removed) {
  if (state_ == State::kNone) return;
  announced_ = node.resource_version;
  if (removed) {
    if (state_ == State::kReading || node.uid != uid_) return;
    session().abandon(*this);
    done();
    session().schedule();
    uid_.clear();
    return await("Node ");
  }
  const bool other = node.uid != uid_;
  switch (state_.state()) {
    case State::kNone:
    case State::kReading:
    case State::kWriting: return;  // compared when the answer is there
    case State::kAwaiting:
      if (other || (!subnet_ && (node.full || node.shows_pod_cidrs()))) return read();
      if (!subnet_ && !node.has_managed_fields) read_later();
      return;
    case State::kHeld:
    case State::kContested: break;
  }
  if (other) return read();
  take(node);
  if (right_) {
    if (state_ == State::kContested) (void)hold(false);
  } else if (!is_foreign(node)) {
    write_again();
  } else {
    enter(State::kContested);
  }
}

}  // namespace flannelette::registry::kube
