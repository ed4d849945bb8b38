// SPDX-License-Identifier: Apache-2.0
#include "registry/etcd/listing.hpp"

#include <algorithm>
#include <array>

#include "registry/etcd/protocol.hpp"

namespace flannelette::registry::etcd {
namespace {

using NextKey = Text<EtcdRegistry::kMaxKey + 1>;

/// The smallest key after `key`.
NextKey after(std::string_view key) {
  return to_text<NextKey::kCapacity>([&](Writer& out) { out.put(key).put('\0'); });
}

/// The smallest key after all those that begin with `beginning`.
NextKey after_all(std::string_view beginning) {
  while (!beginning.empty() && static_cast<unsigned char>(beginning.back()) == 0xff)
    beginning.remove_suffix(1);
  if (beginning.empty()) return {};
  return to_text<NextKey::kCapacity>([&](Writer& out) {
    out.put(beginning.substr(0, beginning.size() - 1)).put(static_cast<char>(beginning.back() + 1));
  });
}

}  // namespace

void Listing::begin_in(Millis delay) {
  session().abandon(*this);
  abort();
  core_.delivered = 0;
  want(core_.loop.now() + delay);
  session().schedule();
}

Request::Call Listing::write(json::Writer& body) {
  if (revision_ == 0) {
    next_ = core_.keys.subnets().view();
    newest_ = {};
    page_ = EtcdRegistry::kListPage;
  }
  asked_ = core_.loop.now();
  advanced_ = false;
  builder_.reset();
  write_range(body, next_, core_.keys.subnets_end(), page_, revision_);
  return {.request = post(kRangePath), .limit = EtcdRegistry::kPageLimit};
}

void Listing::open() {
  if (core_.listing_open) return;
  core_.listing_open = true;
  core_.members->on_snapshot_begin();
}

void Listing::abort() {
  revision_ = 0;
  if (!core_.listing_open) return;
  core_.listing_open = false;
  core_.members->on_snapshot_abort();
}

void Listing::on_pair(const Pair& pair) {
  if (core_.stopped) return;
  open();
  // Behind an overlong key the page after goes on behind all that begin like it: those are as long, and no
  // lease either. Of one so long that not even its beginning was kept there is nothing to go by; it is listed
  // again with the next page.
  const NextKey next = pair.key_overlong ? after_all(pair.key) : after(pair.key);
  if (next.view() > next_.view()) {
    next_ = next;
    advanced_ = true;
  }
  if (pair.mod_revision > newest_.revision) newest_ = change_of(pair);
  if (const auto record = builder_.finish(pair, *core_.members); record && !core_.stopped)
    core_.members->on_record(*record);
}

Outcome Listing::on_message(const Message& message) {
  if (message.revision == 0 || (message.more && !advanced_)) {
    return begin_anew(Error{Code::kInvalid, 0, "etcd: a page of the list that leads nowhere"});
  }
  if (revision_ == 0) {
    core_.store = {message.cluster, message.term};
  } else if (!core_.same_store(message)) {
    return begin_anew(Error{Code::kInterrupted, 0, "etcd: pages of the list from two stores"});
  }
  open();
  if (core_.stopped) return Outcome::kDone;
  if (revision_ == 0) revision_ = message.revision;
  if (message.more) {
    const bool quick = core_.loop.now() - asked_ < EtcdRegistry::kQuickPage;
    page_ = quick ? std::min(2 * page_, EtcdRegistry::kListPageMax) : EtcdRegistry::kListPage;
    want(core_.loop.now());
    return Outcome::kAgain;
  }
  const std::int64_t revision = revision_;
  done();
  revision_ = 0;
  core_.listing_open = false;
  core_.delivered = revision;
  core_.members->on_snapshot_end();
  if (!core_.stopped) core_.lease->on_leases_changed();
  if (!core_.stopped) on_end_(newest_, revision);
  return Outcome::kDone;
}

Outcome Listing::begin_anew(const Outcome& why) {
  abort();
  return why;
}

Outcome Listing::on_error(const Status&) { return begin_anew(Outcome::kRefused); }

bool Listing::on_lost(const Status&) {
  abort();
  return false;
}

}  // namespace flannelette::registry::etcd
