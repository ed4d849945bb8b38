// SPDX-License-Identifier: Apache-2.0
// The hot path up to the kernel's door, once, for a tool that counts instructions. What a stage costs a peer
// is the difference between two lists, less that of the stage before.
#include <algorithm>
#include <array>

#include "bench/probe/probe.hpp"
#include "flannelette/overlay/entry_plan.hpp"
#include "registry/etcd/decode.hpp"
#include "registry/etcd/records.hpp"

namespace flannelette::bench {
namespace {

using registry::etcd::Decoder;

struct Silent final : registry::MemberListener {
  void on_snapshot_begin() override {}
  void on_snapshot_end() override {}
  void on_snapshot_abort() override {}
  void on_record(const overlay::LeaseRecord&) override {}
  void on_removed(const overlay::LeaseKey&, std::int64_t) override {}
  void on_events_end() override {}
  void on_skipped(std::string_view, registry::Skipped) override {}
};

struct Count final : overlay::ChangeSink {
  void change(const overlay::Change&) override { ++changes; }
  std::size_t changes = 0;
};

/// Changes into the entries that a kernel would show after them.
struct Echo final : overlay::ChangeSink {
  explicit Echo(overlay::EntryPlan& to) : plan(to) {}
  void change(const overlay::Change& change) override { plan.audit_entry(change.entry); }
  overlay::EntryPlan& plan;
};

/// From bytes to records, and into the table if there is one.
class Records final : Decoder::Sink {
 public:
  explicit Records(overlay::LeaseTable* table) : table_(table) {}

  /// Parses the messages in `bytes`, the end of each told to `on_message`.
  template <class OnMessage>
  void parse(std::string_view bytes, OnMessage on_message) {
    decoder_.reset(*this);
    for (; !bytes.empty(); bytes.remove_prefix(std::min(kPiece, bytes.size()))) {
      decoder_.feed(bytes.substr(0, kPiece));
      while (decoder_.next() == Decoder::Step::kMessage) on_message();
    }
  }
  std::size_t count() const { return count_; }

 private:
  void on_value(std::string_view value) override { builder_.on_value(value); }
  void on_pair(const registry::etcd::Pair& pair) override {
    const auto record = builder_.finish(pair, listener_);
    if (!record) return;
    ++count_;
    if (table_ != nullptr) table_->upsert(*record);
  }

  overlay::LeaseTable* table_;
  std::size_t count_ = 0;
  Silent listener_;
  registry::etcd::Keys keys_{"/coreos.com/network"};
  registry::etcd::RecordBuilder builder_{keys_};
  std::array<char, Decoder::kScratch> scratch_;
  Decoder decoder_{scratch_};
};

overlay::LocalNode local_node() {
  overlay::LocalNode local;
  overlay::ConfigProblem problem;
  if (!overlay::parse_config(R"({"Network":"10.0.0.0/8","Backend":{"Type":"vxlan"}})", local.config, problem))
    fputs("config\n", stderr);
  local.public_ip = Ip4{0xac1e000b};
  local.subnet = Net4{{0x0af00000}, 24};
  local.mac = Mac{{2, 1, 0, 0, 0, 1}};
  return local;
}

}  // namespace

int hot_path(std::string_view until, std::string_view list, std::string_view events) {
  overlay::LeaseTable table;
  overlay::EntryPlan plan(table);
  Count changes;
  static Records records(until == "parse" ? nullptr : &table);

  // As after start-up in a kernel without entries.
  table.set_local(local_node());
  table.begin_listing();
  records.parse(list, [] {});
  table.end_listing();
  if (until == "parse" || until == "table") return printf("%zu\n", records.count()) < 0;
  plan.begin_audit();
  plan.finish_audit(changes);
  plan.commit();
  if (until == "plan") return printf("%zu\n", changes.changes) < 0;

  if (until == "audit") {  // all is in place: three dumps are audited, nothing is to be done
    overlay::LeaseTable same;
    overlay::EntryPlan same_plan(same);
    static Records again(&same);
    same.set_local(local_node());
    same.begin_listing();
    again.parse(list, [] {});
    same.end_listing();
    plan.begin_audit();
    Echo echo(plan);
    same_plan.begin_audit();
    same_plan.finish_audit(echo);
    Count none;
    plan.finish_audit(none);
    plan.commit();
    return printf("%zu\n", none.changes) < 0 || none.changes != 0;
  }
  if (until == "event") {
    std::size_t messages = 0;
    records.parse(events, [&] {
      plan.plan(changes);
      plan.commit();
      ++messages;
    });
    return printf("%zu\n", messages) < 0;
  }
  return 2;
}

}  // namespace flannelette::bench
