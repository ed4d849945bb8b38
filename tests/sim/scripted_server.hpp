// SPDX-License-Identifier: Apache-2.0
// What every scripted server of the tests shares: its connections, on the loop and the clock of the test, and
// how they and its answers go wrong. Many clients share one server.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "flannelette/base/clock.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/io/stream.hpp"

namespace flannelette::tests {

class ScriptedStream;

struct ScriptedRequest {
  std::string method;
  std::string path;                            ///< without the query
  std::map<std::string, std::string> query;    ///< decoded
  std::map<std::string, std::string> headers;  ///< by their names in lower case
  std::string body;

  const std::string& field(const std::string& name) const { return of(headers, name); }
  const std::string& parameter(const std::string& name) const { return of(query, name); }
  bool has_parameter(const std::string& name) const { return query.count(name) != 0; }

 private:
  static const std::string& of(const std::map<std::string, std::string>& all, const std::string& name) {
    static const std::string none;
    const auto found = all.find(name);
    return found == all.end() ? none : found->second;
  }
};

/// A request is of a kind, by which faults are laid and requests counted: its path, unless the server says
/// more.
class ScriptedServer {
 public:
  std::unique_ptr<io::Stream> make_stream();

  // --- How it speaks. ---
  std::size_t piece = 0;  ///< its bytes arrive in pieces of this size; 0: as they are
  Millis delay = 0;       ///< of everything that it sends

  // --- Faults of connections. ---
  std::map<std::string, Ip4> names;                   ///< of hosts that are no literal addresses
  void set_down(const std::string& host, bool down);  ///< connections to it are refused, those there are cut
  void cut_all();
  void cut_idle();  ///< as a server that closes kept-alive connections: those with no watch
  /// Takes everything, answers nothing; what was meant for that time is lost.
  void silence(bool on) { silent_ = on; }
  /// The same, and the other side's TCP answers nothing either: nobody ends the connections that are there.
  void unplug(bool on) {
    silent_ = on;
    unplugged_ = on ? clock_.now() : -1;
  }
  /// As TCP does with them in the end.
  void time_out_all();
  /// The connection that receives byte number n from now on is cut before it.
  void cut_after(std::size_t bytes) { cut_after_ = bytes; }
  bool cut_is_to_come() const { return cut_after_.has_value(); }

  // --- Faults of answers. ---
  /// The next request of this kind: the connection is cut instead of an answer; `executed`: only after it
  /// was carried out.
  void lose_answer(const std::string& kind, bool executed) { lost_[kind].push_back(executed); }
  /// These bytes, whatever they are.
  void answer_next(const std::string& kind, const std::string& raw) { raw_[kind].push_back({raw, true}); }
  /// The next request of this kind is carried out, its answer comes a second later.
  void hold_answer(const std::string& kind) { held_[kind].push_back(true); }
  /// The answer to the next request of this kind begins, and goes on for ever, a blank every few seconds.
  void drip_next(const std::string& kind) { drip_[kind].push_back(true); }
  /// Runs just before the next request of this kind is carried out.
  void before_next(const std::string& kind, std::function<void()> action) {
    before_[kind].push_back(std::move(action));
  }
  /// A connection is open on which the last answer was a dripping one or raw bytes: it may still be awaited.
  bool answering_wrongly() const;
  void clear_faults();  ///< whatever was to happen next and has not

  // --- What was asked. ---
  std::size_t requests(const std::string& kind) const;
  std::size_t requests() const;
  std::size_t connections() const { return connections_; }
  std::size_t bytes_sent(const std::string& kind) const;
  std::size_t bytes_sent() const { return bytes_sent_; }
  const ScriptedRequest& last_request(const std::string& kind) { return last_[kind]; }
  const std::string& last_body(const std::string& kind) { return last_[kind].body; }
  void reset_counts();

 protected:
  ScriptedServer(io::Loop& loop, const Clock& clock) : loop_(loop), clock_(clock) {}
  ~ScriptedServer();

  virtual std::string kind_of(const ScriptedRequest& request) const { return request.path; }
  virtual void serve(ScriptedStream& stream, const ScriptedRequest& request) = 0;
  /// This connection is over.
  virtual void forget(ScriptedStream& stream) = 0;
  virtual bool watches(const ScriptedStream& stream) const = 0;

  /// An answer that such a server gives, instead of what it would have said.
  void refuse_next_with(const std::string& kind, const std::string& answer) {
    raw_[kind].push_back({answer, false});
  }
  /// Each connection after its last answer has arrived.
  void hang_up_all();

  io::Loop& loop_;
  const Clock& clock_;

 private:
  friend class ScriptedStream;
  struct Raw {
    std::string bytes;
    bool wrong;
  };
  template <class T>
  using Queues = std::map<std::string, std::deque<T>>;
  template <class T>
  static std::optional<T> take(Queues<T>& queues, const std::string& kind);
  void receive(ScriptedStream& stream, const std::string& kind, const ScriptedRequest& request);

  std::set<ScriptedStream*> streams_;
  std::set<std::string> down_;
  bool silent_ = false;
  Millis unplugged_ = -1;  // since when
  std::optional<std::size_t> cut_after_;
  Queues<bool> lost_, held_, drip_;
  Queues<Raw> raw_;
  Queues<std::function<void()>> before_;
  std::map<std::string, std::size_t> counts_, sent_;
  std::map<std::string, ScriptedRequest> last_;
  std::size_t connections_ = 0;
  std::size_t bytes_sent_ = 0;
};

/// One chunk of an answer in pieces.
std::string chunk(const std::string& bytes);

}  // namespace flannelette::tests
