// SPDX-License-Identifier: Apache-2.0
// A Kubernetes API server in the test's own process, as far as Nodes go: lists, watches, reads and patches as
// kube-apiserver 1.36 answers them (chunked JSON, full or metadata only), and its refusals. Many registries
// share one.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/scripted_server.hpp"

namespace flannelette::tests {

struct JsonValue;

/// A Node object; what is not here is the same for all of them (see `filler`).
struct KubeNode {
  using Texts = std::map<std::string, std::string>;
  std::string name, uid;
  std::string created;  ///< creationTimestamp
  std::int64_t resource_version = 0;
  Texts annotations;
  std::vector<std::string> pod_cidrs;  ///< none: not assigned yet
  std::vector<std::string>
      claimed;  ///< podCIDRs that its kubelet's managed fields show, and its spec does not
  std::map<std::string, Texts> conditions;
  std::int64_t heartbeats = 0;
};

/// Requests are of these kinds: "list" (a first page), "page" (a further one), "watch", "node" (a read of
/// one), "patch", "pod"; any other is of that of its path.
class ScriptedKube final : public ScriptedServer {
 public:
  using Texts = KubeNode::Texts;
  using Cidrs = std::vector<std::string>;
  using Nodes = std::map<std::string, std::shared_ptr<const KubeNode>>;

  ScriptedKube(io::Loop& loop, const Clock& clock);

  // --- How it speaks. ---
  std::size_t chunk_size = 4'000;      ///< of lists and objects; a watch has one chunk a line
  std::size_t filler = 3'000;          ///< bytes of other fields in a full Node, at least
  std::size_t metadata_filler = 700;   ///< of them in its metadata
  bool strip_managed_fields = false;   ///< as with a proxy or an admission plugin that does so
  bool full_only = false;              ///< whatever form is asked for
  Millis bookmark_every = 60'000;      ///< 0: none by itself
  bool before_end_bookmark = true;     ///< one more before a watch ends
  std::size_t history_limit = 50'000;  ///< events that a watch can go back to
  bool uid_is_conflict = false;  ///< a patch for another uid: 409 as older proxies say, else 422 Invalid

  // --- The truth. ---
  void create(const std::string& name, const Cidrs& pod_cidrs, const Texts& annotations = {});
  void remove(const std::string& name);
  /// Deleted, and created with another uid.
  void recreate(const std::string& name, const Cidrs& pod_cidrs, const Texts& annotations = {});
  void annotate(const std::string& name, const Texts& annotations);  ///< in one event
  void remove_annotations(const std::string& name, const std::vector<std::string>& keys);
  void assign_pod_cidrs(const std::string& name, const Cidrs& pod_cidrs);  ///< to a Node that has none
  void claim_pod_cidrs(const std::string& name, const Cidrs& pod_cidrs);   ///< see KubeNode::claimed
  void set_condition(const std::string& name, const std::string& type, const std::string& status);
  /// The status of the kubelet: nothing but the resourceVersion changes in the metadata.
  void heartbeat(const std::string& name);
  void heartbeat_all();
  /// Other objects of the cluster change.
  void pass_revisions(std::int64_t count) { revision_ += count; }
  const KubeNode* find(const std::string& name) const;
  /// Empty: the Node has none.
  std::string annotation(const std::string& name, const std::string& key) const;
  const Nodes& nodes() const { return nodes_; }
  std::int64_t revision() const { return revision_; }
  /// What was before is forgotten: older watches and pages expire.
  void compact() { compact(revision_); }
  void compact(std::int64_t revision);
  /// Watches end in order, then all connections. `forgets`: no watch can go back to before.
  void restart(bool forgets);
  void wipe();  ///< the same server with an empty store; every connection breaks
  /// The store is restored as it was when `nodes` and `revision` were taken; every connection breaks.
  void go_back_to(const Nodes& nodes, std::int64_t revision);
  Texts pods;  ///< "namespace/name" to the name of its Node

  // --- Who may what. ---
  std::set<std::string> tokens;  ///< bearer tokens that are accepted; empty: everybody is
  std::set<std::string>
      denied;  ///< "list nodes", "watch nodes", "get nodes", "patch nodes/status", "get pods"

  // --- Refusals. ---
  struct Refusal {
    int code = 500;
    std::string reason{}, message{};
    int retry_after = 0;  ///< seconds; 0: not said
    std::string continue_token{};
  };
  /// The next request of this kind.
  void refuse_next(const std::string& kind, const Refusal& refusal);
  std::optional<Refusal> refuse_all;  ///< every request, until it is reset
  /// All open watches: one line, and the end of the answer.
  void fail_watches(const Refusal& refusal);

  // --- Watches. ---
  void send_bookmarks();
  void end_watches();                     ///< in order; the connections stay
  void send_line(const std::string& it);  ///< whatever it is, to all watches
  std::size_t watch_count() const { return watches_.size(); }
  /// What a proxy makes of every watch: these bytes, and nothing more ("": it holds the answer back).
  std::optional<std::string> every_watch;

  // --- What was asked. ---
  std::size_t reads_of(const std::string& name) const;  ///< of this Node alone, since the beginning
  std::size_t full_reads_of(const std::string& name) const;
  std::size_t events_sent() const { return events_sent_; }  ///< and bookmarks

 private:
  enum class Type { kAdded, kModified, kDeleted };
  struct Event {
    std::int64_t revision;
    Type type;
    std::shared_ptr<const KubeNode> node;
  };
  struct Watch {
    ScriptedStream* stream;
    bool metadata;
    bool bookmarks;
    std::int64_t start;
    std::int64_t sent;  // as of which
    Millis ends;
    Millis next_bookmark;
    bool over = false;
  };
  struct Reads {
    std::size_t all = 0, full = 0;
  };

  std::string kind_of(const ScriptedRequest& request) const override;
  void serve(ScriptedStream& stream, const ScriptedRequest& request) override;
  void forget(ScriptedStream& stream) override;
  bool watches(const ScriptedStream& stream) const override;

  std::optional<Refusal> unauthorized(const ScriptedRequest& request, const std::string& right) const;
  void serve_list(ScriptedStream& stream, const ScriptedRequest& request, bool metadata);
  void serve_watch(ScriptedStream& stream, const ScriptedRequest& request, bool metadata);
  void serve_node(ScriptedStream& stream, const std::string& name, bool metadata);
  void serve_patch(ScriptedStream& stream, const ScriptedRequest& request, const std::string& name,
                   bool metadata);
  void serve_pod(ScriptedStream& stream, const std::string& space, const std::string& name);
  void answer(ScriptedStream& stream, const std::string& json) const;
  void refuse(ScriptedStream& stream, const Refusal& refusal) const;
  void send_line(Watch& watch, const char* type, const std::string& object);
  void send_bookmark(Watch& watch);
  void end(Watch& watch);

  template <class Change>
  void change(const std::string& name, Change change);
  void record(Type type, std::shared_ptr<const KubeNode> node);
  void feed(Watch& watch);
  void feed_watches();
  void on_time();
  void schedule();
  std::string now() const;
  std::string metadata_of(const KubeNode& node) const;
  std::string object_of(const KubeNode& node, bool metadata, bool with_kind) const;

  io::Timer timer_;
  Nodes nodes_;
  std::deque<Event> history_;
  std::map<std::int64_t, Nodes> snapshots_;  // that pages go on in
  std::int64_t revision_ = 1'000;
  std::int64_t compacted_ = 0;
  std::int64_t next_uid_ = 1;
  std::list<Watch> watches_;
  std::map<std::string, Reads> reads_;
  std::size_t events_sent_ = 0;
};

}  // namespace flannelette::tests
