// SPDX-License-Identifier: Apache-2.0
// The list of all Nodes.
#pragma once

#include "flannelette/base/delegate.hpp"
#include "registry/kube/node_read.hpp"
#include "registry/kube/roster.hpp"

namespace flannelette::registry::kube {

/// Lists the Nodes' metadata in pages, all of one state of the cluster. A page that was lost is asked for
/// again; what cannot be finished is aborted and begun anew. It ends when the Nodes that must be read in full
/// are.
class NodeListing final : public Operation {
 public:
  using OnEnd = Delegate<void(std::int64_t resource_version)>;
  using OnOlder = Delegate<void()>;
  NodeListing(Channel& channel, Roster& roster, NodeReading& reading, OnEnd on_end, OnOlder on_older)
      : Operation(channel, "list nodes"),
        roster_(roster),
        reading_(reading),
        on_end_(on_end),
        on_older_(on_older) {}

  void begin_in(Millis delay);
  /// Asks for a list of one, to see whether the store is older than this version, which is known of it.
  void check(std::int64_t known);
  /// What was to be read in full has been.
  void on_read();

 private:
  /// So many in a row, then it is begun anew: a node that boots without its API server must not wait longer.
  static constexpr int kMaxLost = 3;

  Call write(json::Writer& body) override;
  void on_node(const Node& node) override;
  Outcome on_message() override;
  Outcome on_error(const Status& status) override;
  bool on_lost(const Status& status) override;
  void open();
  void abort();
  void end();

  Roster& roster_;
  NodeReading& reading_;
  OnEnd on_end_;
  OnOlder on_older_;
  Text<Message::kMaxContinue> continue_;  // empty: the first page
  std::array<http::Parameter, 2> query_{};
  std::int64_t resource_version_ = 0;
  std::int64_t known_ = 0;  // 0: it is a list of all
  int lost_ = 0;
  bool open_ = false;     // the listener has heard of its beginning
  bool whole_ = false;    // all pages are here
  bool expired_ = false;  // it was begun anew since the pages of the one before were no longer known
};

}  // namespace flannelette::registry::kube
