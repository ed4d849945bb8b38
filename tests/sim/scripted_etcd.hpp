// SPDX-License-Identifier: Apache-2.0
// An etcd in the test's own process: a small model of the store behind io::Stream, on the loop and the clock
// of the test. It speaks the JSON gateway of etcd 3.4 to 3.6 and can be made to misbehave. Many registries
// share one.
#pragma once

#include <cstdint>
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

class ScriptedEtcd final : public ScriptedServer {
 public:
  enum class Version { k34, k35, k36 };  ///< the shapes of errors

  ScriptedEtcd(io::Loop& loop, const Clock& clock);
  ~ScriptedEtcd();

  // --- How it speaks. ---
  Version version = Version::k34;
  bool blanks = false;           ///< ", " between members, as Debian's 3.5.16 writes
  std::int64_t min_ttl = 1;      ///< a shorter lease is not granted
  std::int64_t catch_up = 1000;  ///< revisions a message when a watch is behind (etcd's watchBatchMaxRevs)
  std::size_t fragment = 0;      ///< events a message, the parts of one marked; 0: not split
  std::int64_t page = 0;         ///< keys a page at most, whatever was asked for; 0: as asked
  int twice = 0;                 ///< so many messages of watches are sent twice from now on

  // --- Who it is, as every header says. ---
  std::uint64_t cluster_id = 14841639068965178418u;
  std::uint64_t raft_term = 2;

  // --- The truth. ---
  struct Pair {
    std::string value;
    std::int64_t create_revision = 0;
    std::int64_t mod_revision = 0;
    std::int64_t version = 0;
    std::int64_t lease = 0;
  };
  std::int64_t put(const std::string& key, const std::string& value, std::int64_t lease = 0);
  std::int64_t put_all(
      const std::vector<std::pair<std::string, std::string>>& pairs);  ///< in one transaction
  std::int64_t remove(const std::string& key);
  /// What was before is gone, and so is, as in etcd 3.4, what was removed in that very revision.
  void compact(std::int64_t revision);
  std::int64_t compacted() const { return compacted_; }
  void go_back_to(std::int64_t revision);  ///< a snapshot is restored; every connection breaks
  void wipe();  ///< the same etcd with an empty data folder; every connection breaks
  const Pair* find(const std::string& key) const;
  const std::map<std::string, Pair>& keys() const { return keys_; }
  std::int64_t revision() const { return revision_; }
  std::int64_t grant(std::int64_t ttl);
  void revoke(std::int64_t lease);
  bool has_lease(std::int64_t lease) const { return leases_.count(lease) != 0; }
  std::size_t lease_count() const { return leases_.size(); }

  // --- Authentication. ---
  void add_user(const std::string& name, const std::string& password) { users_[name] = password; }
  void enable_auth(bool on) { auth_ = on; }
  void expire_tokens() { tokens_.clear(); }

  // --- Faults. ---
  void refuse_next(const std::string& path, int code, const std::string& message);
  /// What becomes of transactions, in a store that contradicts itself.
  enum class Puts {
    kDone,
    kRemoved,    ///< they succeed, and the key is removed at once
    kForgotten,  ///< they are said to succeed, and nothing is there
    kFailed,     ///< they fail, and nothing is there that would be the reason
  };
  Puts puts = Puts::kDone;
  bool expire_all = false;  ///< a lease that is kept alive is told to have expired; its key stays
  /// What a proxy makes of every watch: these bytes, and nothing more ("": it holds the answer back).
  std::optional<std::string> every_watch;
  void clear_faults();
  void lose_leader();   ///< watches end, every request is refused
  void elect_leader();  ///< another one
  using ScriptedServer::before_next;
  void before_next(const std::string& path, void (*action)(ScriptedEtcd&)) {
    before_next(path, [this, action] { action(*this); });
  }

  // --- Watches. ---
  void send_progress();
  void end_watches(int code, const std::string& message);  ///< an error line, then the end of the stream
  void cancel_watches(const std::string& reason);          ///< the streams stay open, silent
  std::size_t watch_count() const { return watches_.size(); }

 private:
  struct Event {
    std::int64_t revision;
    std::string key;
    Pair pair;
    bool removed;
  };
  struct Lease {
    std::int64_t ttl;
    Millis expires;
  };
  struct Grant {
    std::int64_t ttl;
    std::int64_t revision;  // of the store at that time
  };
  struct Watch {
    ScriptedStream* stream;
    std::string key, end;
    std::int64_t next;
    bool fragment;
    bool dead = false;
  };

  void set(const std::string& key, const std::string& value, std::int64_t lease, std::int64_t revision);
  void unset(const std::string& key, std::int64_t revision);
  std::map<std::string, Pair> state_at(std::int64_t revision) const;
  std::string range(const JsonValue& request, const std::map<std::string, Pair>& keys, bool& more,
                    std::string prefix);
  void serve(ScriptedStream& stream, const ScriptedRequest& request) override;
  void forget(ScriptedStream& stream) override;
  bool watches(const ScriptedStream& stream) const override;
  void serve_range(ScriptedStream& stream, const JsonValue& request);
  void serve_txn(ScriptedStream& stream, const JsonValue& request);
  void serve_watch(ScriptedStream& stream, const JsonValue& request);
  bool holds(const JsonValue& compare) const;
  void feed_watches();
  void feed(Watch& watch);
  void expire();
  std::string header() const;
  void answer(ScriptedStream& stream, const std::string& json);
  std::string refusal(int code, const std::string& message) const;
  void refuse(ScriptedStream& stream, int code, const std::string& message);
  std::string spaced(const std::string& json) const;
  void line(ScriptedStream& stream, const std::string& json);
  void event_line(ScriptedStream& stream, const std::string& json);
  void end_watch(ScriptedStream& stream, int code, const std::string& message);

  io::Timer expiry_;
  std::map<std::string, Pair> keys_;
  std::map<std::string, Pair> base_;  // as of compacted_
  std::vector<Event> history_;        // since then
  std::int64_t revision_ = 1;
  std::int64_t compacted_ = 0;
  std::map<std::int64_t, Lease> leases_;
  std::map<std::int64_t, Grant> granted_;  // all that ever were
  std::int64_t next_lease_ = 7587800000000000001;
  std::list<Watch> watches_;
  std::map<std::string, std::string> users_;
  std::set<std::string> tokens_;
  bool auth_ = false;
  bool leaderless_ = false;
  int next_token_ = 0;
};

}  // namespace flannelette::tests
