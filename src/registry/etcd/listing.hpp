// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "flannelette/base/delegate.hpp"
#include "registry/etcd/operation.hpp"
#include "registry/etcd/records.hpp"

namespace flannelette::registry::etcd {

/// Lists `<prefix>/subnets/` in pages of kListPage to kListPageMax, all of one revision. What cannot be
/// finished is aborted and begun anew.
class Listing final : public Operation {
 public:
  /// `newest`: of the records that were listed.
  using OnEnd = Delegate<void(const Change& newest, std::int64_t revision)>;
  Listing(Channel& channel, OnEnd on_end) : Operation(channel, "list"), on_end_(on_end) {}

  void begin_in(Millis delay);

 private:
  Call write(json::Writer& body) override;
  void on_value(std::string_view value) override { builder_.on_value(value); }
  void on_pair(const Pair& pair) override;
  Outcome on_message(const Message& message) override;
  Outcome on_error(const Status& status) override;
  bool on_lost(const Status& status) override;
  void open();
  void abort();
  Outcome begin_anew(const Outcome& why);

  OnEnd on_end_;
  RecordBuilder builder_{core_.keys};
  int page_ = EtcdRegistry::kListPage;
  Millis asked_ = 0;           // when this page was
  std::int64_t revision_ = 0;  // of the first page; 0: this is the first
  Change newest_;              // of the pages so far
  bool advanced_ = false;      // this page has moved next_
  Text<EtcdRegistry::kMaxKey + 1> next_;
};

}  // namespace flannelette::registry::etcd
