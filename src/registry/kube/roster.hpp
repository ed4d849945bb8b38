// SPDX-License-Identifier: Apache-2.0
// Which Nodes are peers, and with which subnet.
#pragma once

#include <utility>

#include "flannelette/base/delegate.hpp"
#include "flannelette/base/plain_array.hpp"
#include "registry/kube/api.hpp"

namespace flannelette::registry::kube {

/// Tells the members' listener of each Node that is seen. What it says of itself in its annotations it may
/// say; which subnet it has only Kubernetes says, in its spec. The metadata show that as managed fields,
/// which are stripped in some clusters, and which a Node's own kubelet could forge. So a Node that does not
/// show it, or shows a subnet that another one has, is read in full, once a uid.
class Roster {
 public:
  using Ask = Delegate<void(std::string_view name)>;        ///< read this Node in full
  using OnOwn = Delegate<void(const Node&, bool removed)>;  ///< our Node
  Roster(Core& core, Ask ask, OnOwn on_own) : core_(core), ask_(ask), on_own_(on_own) {}

  /// Of all that was delivered.
  void set_leases(const overlay::Allocation& leases) { leases_ = &leases; }
  /// A list begins, in which no Node is removed: who is not in it goes at its end.
  void begin_list();
  /// One of its pages begins, or is lost and comes again from its beginning.
  void begin_page() { page_ = listed_.size(); }
  void drop_page() { listed_.truncate(page_); }
  /// False: Nodes show subnets that overlap. List again: then they are read in full.
  bool end_list();
  void on_node(const Node& node, bool removed);
  /// What was asked for.
  void on_read(const Node& node);
  /// Whether a peer went, since this was called last, of which nothing tells what its subnet was: list again.
  bool lost_track() { return std::exchange(lost_, false); }

 private:
  /// What a full read has shown.
  struct Known {
    std::uint64_t uid;  // its digest
    PodCidrs cidrs;     // none: it was not assigned yet
    Millis read;        // when
    std::uint8_t reads;
    bool seen;  // in the list under way
  };
  /// One that had no subnet when it was read, and would not show it, is read again with its next changes, so
  /// many times; after that only now and then, since each heartbeat is a change.
  static constexpr std::uint8_t kQuickReads = 3;
  static constexpr Millis kReadEvery = 60'000;
  static constexpr std::size_t kMaxKnown = 100'000;

  struct Listed {  // packed: there are thousands
    Ip4 base;
    std::uint8_t length;
    bool proven;  // by a full read
    Net4 subnet() const { return {base, length}; }
  };

  bool find_disputes();
  bool is_disputed(const Net4& subnet) const;
  Known* find(std::uint64_t uid);
  void remember(std::uint64_t uid, const PodCidrs& cidrs);
  void forget(const Known& known);
  void on_waiting(const Known& known, const Node& node, bool removed);
  /// The record of this subnet is of this Node, as far as ages tell.
  bool holds(const Net4& subnet, const Node& node) const;
  bool contested(const Net4& subnet, const Node& node) const;
  void remove(const PodCidrs& cidrs, const Node& node);
  void put(const overlay::LeaseRecord& record, const Node& node, bool proven);

  Core& core_;
  Ask ask_;
  OnOwn on_own_;
  const overlay::Allocation* leases_ = nullptr;
  PlainArray<Known> known_;
  PlainArray<Listed> listed_;    // of the list under way
  std::size_t page_ = 0;         // so many before the page under way
  PlainArray<Net4> disputed_;    // whoever shows one of these in a list is read in full
  std::optional<Net4> doubted_;  // the same, of the watch
  bool listing_ = false;
  bool lost_ = false;
};

}  // namespace flannelette::registry::kube
