// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "flannelette/base/text.hpp"
#include "flannelette/json/base64.hpp"
#include "flannelette/json/reader.hpp"
#include "flannelette/registry/etcd.hpp"

/// The gateway's answers, decoded as they arrive. Pure: bytes in, key-value pairs and messages out.
namespace flannelette::registry::etcd {

/// One pair of a range, a failed transaction or a watch event; its value was given to on_value before. Views
/// hold during the call only.
struct Pair {
  std::string_view key;  ///< of an overlong key the first kMaxKey bytes, or nothing
  bool key_overlong = false;
  bool value_overlong = false;  ///< over kMaxValue: there was no on_value
  bool removed = false;         ///< a DELETE event: only key and mod_revision are there
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  std::int64_t lease = 0;
};

/// One change of the store, to be recognised when it is told again.
struct Change {
  std::int64_t revision = 0;  ///< 0: none
  std::uint64_t digest = 0;

  friend bool operator==(const Change&, const Change&) = default;
};
Change change_of(const Pair& pair);

/// Larger numbers of an answer are taken for these, so that one can calculate with them; negative revisions
/// for 0. Revisions: what the peer table keeps of them. TTL, in seconds: etcd grants no longer one (lease/
/// lessor.go, MaxLeaseTTL).
inline constexpr std::int64_t kMaxRevision = (std::int64_t{1} << 48) - 1;
inline constexpr std::int64_t kMaxTtl = 9'000'000'000;

/// Everything else that any of the answers says. Absent means zero, as the gateway leaves zeros out.
struct Message {
  static constexpr std::size_t kMaxToken = 1024;

  std::int64_t revision = 0;  ///< of the header
  std::uint64_t cluster = 0;  ///< cluster_id of the header
  std::uint64_t term = 0;     ///< raft_term of the header
  std::int64_t id = 0;        ///< of a lease
  std::int64_t ttl = 0;       ///< seconds, as granted
  std::int64_t compact_revision = 0;
  std::int64_t code = 0;  ///< gRPC status of an error
  unsigned pairs = 0;     ///< delivered to the sink
  bool failed = false;    ///< an error, of a request or in mid-stream: `code` and `text`
  bool more = false;
  bool succeeded = false;
  bool created = false;
  bool canceled = false;
  bool fragment = false;
  bool token_overlong = false;
  Text<160> text;  ///< error message or cancel_reason, without control bytes, cut
  Text<kMaxToken> token;
};

/// Takes any answer of range, txn, lease, authenticate and watch: they share one grammar, and what is unknown
/// is skipped. Several messages may follow each other (a watch); line ends do not matter. Any split of the
/// bytes gives the same calls.
class Decoder {
 public:
  /// Memory for one JSON token: the largest value in base64.
  static constexpr std::size_t kScratch = json::base64_size(EtcdRegistry::kMaxValue);

  class Sink {
   public:
    /// The value of the pair that comes next; not called for an absent (empty), overlong or malformed one.
    virtual void on_value(std::string_view value) = 0;
    virtual void on_pair(const Pair& pair) = 0;

   protected:
    ~Sink() = default;
  };
  enum class Step : std::uint8_t {
    kNeedMore,  ///< all fed bytes are consumed
    kMessage,   ///< message() is complete
    kBad,       ///< this is no JSON; sticky until reset()
  };

  explicit Decoder(std::span<char, kScratch> scratch) : scratch_(scratch), reader_(scratch) {}

  /// Begins anew, for a new response.
  void reset(Sink& sink);
  void feed(std::string_view bytes) { reader_.feed(bytes); }
  Step next();
  const Message& message() const { return message_; }

 private:
  enum class Scope : std::uint8_t {
    kTop,       // outside of any document
    kDocument,  // the message; its "result" on a stream is read alike
    kHeader,
    kErrorBody,  // of a stream
    kPairs,      // "kvs"
    kPair,
    kEvents,
    kEvent,
    kResponses,  // of a transaction
    kResponse,
    kRange,  // a range in a transaction
  };
  enum class Field : std::uint8_t;
  struct Member;
  static const Member kMembers[];

  bool on_key(std::string_view name);
  bool enter(bool object);
  void leave();
  void on_scalar(json::Token token);
  void on_pair_key();
  void on_pair_value();
  void on_error_text();
  void deliver();
  Scope scope() const { return scopes_[depth_]; }

  std::span<char, kScratch> scratch_;
  json::Reader reader_;
  Sink* sink_ = nullptr;
  Message message_;
  Pair pair_;
  std::size_t key_size_ = 0;
  std::size_t depth_ = 0;
  std::array<Scope, 12> scopes_{};  // the deepest known path has 8
  Field field_{};                   // whose value comes next
  bool skipping_ = false;
  bool complete_ = false;
  bool has_pair_ = false;
  std::array<char, EtcdRegistry::kMaxKey> key_;
};

}  // namespace flannelette::registry::etcd
