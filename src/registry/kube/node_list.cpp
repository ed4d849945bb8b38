// SPDX-License-Identifier: Apache-2.0
// The list of all Nodes.
#include "registry/kube/node_list.hpp"

#include <utility>

namespace flannelette::registry::kube {

static_assert(KubeRegistry::kListPage == 500);

void NodeListing::begin_in(Millis delay) {
  session().abandon(*this);
  abort();
  known_ = 0;
  want(core_.loop.now() + delay);
  session().schedule();
}

void NodeListing::check(std::int64_t known) {
  if (wanted()) return;
  known_ = known;
  want(core_.loop.now());
  session().schedule();
}

Request::Call NodeListing::write(json::Writer&) {
  roster_.begin_page();
  query_ = {{{"limit", known_ == 0 ? "500" : "1"}, {"continue", continue_}}};
  return {.request = {.path = kNodesPath,
                      .query = std::span(query_).first(continue_.empty() ? 1 : 2),
                      .headers = kAcceptMetadataList},
          .limit = KubeRegistry::kPageLimit};
}

void NodeListing::open() {
  if (std::exchange(open_, true)) return;
  roster_.begin_list();
  core_.members->on_snapshot_begin();
}

void NodeListing::abort() {
  continue_.clear();
  whole_ = false;
  lost_ = 0;
  if (std::exchange(open_, false)) core_.members->on_snapshot_abort();
}

void NodeListing::on_node(const Node& node) {
  if (known_ != 0) return;
  open();
  if (!core_.stopped) roster_.on_node(node, false);
}

Outcome NodeListing::on_message() {
  const Message& said = message();
  const bool list = said.kind == Kind::kMetadataList || said.kind == Kind::kNodeList;
  if (!list || said.resource_version == 0 || said.continue_overlong) {
    abort();
    return Error{Code::kInvalid, 0, "kube: the answer is no list of Nodes"};
  }
  if (known_ != 0) {
    done();
    if (said.resource_version < std::exchange(known_, 0)) on_older_();
    return Outcome::kDone;
  }
  open();
  if (core_.stopped) return Outcome::kDone;
  lost_ = 0;
  expired_ = false;
  resource_version_ = said.resource_version;
  continue_ = said.continue_token.view();
  if (!continue_.empty()) {
    want(core_.loop.now());
    return Outcome::kAgain;
  }
  done();
  whole_ = true;
  on_read();
  return Outcome::kDone;
}

void NodeListing::on_read() {
  if (!whole_ || !reading_.idle()) return;
  whole_ = false;
  if (reading_.overflowed() || !roster_.end_list()) return begin_in(0);
  open_ = false;
  core_.members->on_snapshot_end();
  if (!core_.stopped) on_end_(resource_version_);
}

Outcome NodeListing::on_error(const Status& status) {
  abort();
  if (status.code == kGone && !std::exchange(expired_, true)) return Outcome::kAgain;
  return Outcome::kRefused;
}

bool NodeListing::on_lost(const Status&) {
  if (continue_.empty() || ++lost_ > kMaxLost) {
    abort();
  } else {
    roster_.drop_page();
  }
  return false;
}

}  // namespace flannelette::registry::kube
