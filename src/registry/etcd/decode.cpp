// SPDX-License-Identifier: Apache-2.0
#include "registry/etcd/decode.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "flannelette/base/fnv.hpp"

namespace flannelette::registry::etcd {

using json::Token;

enum class Decoder::Field : std::uint8_t {
  kNone,
  // containers
  kResult,
  kHeader,
  kPairs,
  kResponses,
  kRange,
  kEvents,
  kPair,
  // scalars
  kRevision,
  kCluster,
  kTerm,
  kMore,
  kSucceeded,
  kCreated,
  kCanceled,
  kFragment,
  kCompactRevision,
  kText,
  kCode,
  kError,  // text of a request's error, an object in a stream
  kId,
  kTtl,
  kToken,
  kType,
  kKey,
  kValue,
  kCreateRevision,
  kModRevision,
  kLease,
};

struct Decoder::Member {
  Scope scope;
  Field field;
  char name[17];  // in place: a string_view is larger than most of them
};

constexpr Decoder::Member Decoder::kMembers[] = {
    {Scope::kPair, Field::kKey, "key"},
    {Scope::kPair, Field::kCreateRevision, "create_revision"},
    {Scope::kPair, Field::kModRevision, "mod_revision"},
    {Scope::kPair, Field::kValue, "value"},
    {Scope::kPair, Field::kLease, "lease"},
    {Scope::kEvent, Field::kType, "type"},
    {Scope::kEvent, Field::kPair, "kv"},
    {Scope::kHeader, Field::kRevision, "revision"},
    {Scope::kHeader, Field::kCluster, "cluster_id"},
    {Scope::kHeader, Field::kTerm, "raft_term"},
    {Scope::kDocument, Field::kResult, "result"},
    {Scope::kDocument, Field::kHeader, "header"},
    {Scope::kDocument, Field::kPairs, "kvs"},
    {Scope::kDocument, Field::kMore, "more"},
    {Scope::kDocument, Field::kEvents, "events"},
    {Scope::kDocument, Field::kFragment, "fragment"},
    {Scope::kDocument, Field::kCreated, "created"},
    {Scope::kDocument, Field::kCanceled, "canceled"},
    {Scope::kDocument, Field::kCompactRevision, "compact_revision"},
    {Scope::kDocument, Field::kText, "cancel_reason"},
    {Scope::kDocument, Field::kSucceeded, "succeeded"},
    {Scope::kDocument, Field::kResponses, "responses"},
    {Scope::kResponse, Field::kRange, "response_range"},
    {Scope::kRange, Field::kPairs, "kvs"},
    {Scope::kDocument, Field::kId, "ID"},
    {Scope::kDocument, Field::kTtl, "TTL"},
    {Scope::kDocument, Field::kToken, "token"},
    // Errors: 3.4 and 3.5 send {"error":text,"message":text,"code":n}, 3.6 no "error"; on a stream the first
    // has
    // {"error":{"grpc_code":n,"http_code":n,"message":text}}, the later ones
    // {"error":{"code":n,"message":text}}.
    {Scope::kDocument, Field::kError, "error"},
    {Scope::kDocument, Field::kText, "message"},
    {Scope::kDocument, Field::kCode, "code"},
    {Scope::kErrorBody, Field::kCode, "grpc_code"},
    {Scope::kErrorBody, Field::kCode, "code"},
    {Scope::kErrorBody, Field::kText, "message"},
};

Change change_of(const Pair& pair) {
  Fnv1a digest;
  digest.mix(pair.key);
  digest.mix(static_cast<std::uint64_t>(pair.create_revision));
  digest.mix(static_cast<std::uint64_t>(pair.lease));
  return {pair.mod_revision, digest.value()};
}

void Decoder::reset(Sink& sink) {
  sink_ = &sink;
  reader_.reset();
  message_ = {};
  depth_ = 0;
  scopes_[0] = Scope::kTop;
  skipping_ = false;
  complete_ = false;
}

Decoder::Step Decoder::next() {
  if (complete_) message_ = {};
  complete_ = false;
  for (;;) {
    const Token token = skipping_ ? reader_.skip_value() : reader_.next();
    switch (token) {
      case Token::kNeedMore: return Step::kNeedMore;
      case Token::kBad: return Step::kBad;
      case Token::kEnd:
        complete_ = !skipping_;  // what was skipped ends so too
        skipping_ = false;
        if (complete_) return Step::kMessage;
        break;
      case Token::kBeginObject: skipping_ = !enter(true); break;
      case Token::kBeginArray: skipping_ = !enter(false); break;
      case Token::kEndObject:
      case Token::kEndArray: leave(); break;
      case Token::kKey: skipping_ = !on_key(reader_.text()); break;
      case Token::kString:
      case Token::kNumber:
      case Token::kTrue:
      case Token::kFalse:
      case Token::kNull: on_scalar(token); break;
    }
  }
}

bool Decoder::on_key(std::string_view name) {
  const char first = name.empty() ? '\0' : name[0];  // tells most of them apart
  for (const Member& member : kMembers) {
    if (member.scope != scope() || member.name[0] != first || name != member.name) continue;
    field_ = member.field;
    return true;
  }
  return false;
}

/// An object or an array begins: which scope is it? False: none that we know, or not of the kind that it
/// should be.
bool Decoder::enter(bool object) {
  const auto inner = [&]() -> std::optional<Scope> {
    switch (scope()) {
      case Scope::kTop: return object ? std::optional(Scope::kDocument) : std::nullopt;
      case Scope::kPairs: return object ? std::optional(Scope::kPair) : std::nullopt;
      case Scope::kEvents: return object ? std::optional(Scope::kEvent) : std::nullopt;
      case Scope::kResponses: return object ? std::optional(Scope::kResponse) : std::nullopt;
      case Scope::kDocument:
      case Scope::kHeader:
      case Scope::kErrorBody:
      case Scope::kPair:
      case Scope::kEvent:
      case Scope::kResponse:
      case Scope::kRange: break;
    }
    if (field_ == Field::kPairs && !object) return Scope::kPairs;
    if (field_ == Field::kEvents && !object) return Scope::kEvents;
    if (field_ == Field::kResponses && !object) return Scope::kResponses;
    if (!object) return std::nullopt;
    if (field_ == Field::kResult) return Scope::kDocument;
    if (field_ == Field::kHeader) return Scope::kHeader;
    if (field_ == Field::kPair) return Scope::kPair;
    if (field_ == Field::kRange) return Scope::kRange;
    if (field_ == Field::kError) return Scope::kErrorBody;
    return std::nullopt;
  }();
  field_ = Field::kNone;
  if (!inner || depth_ + 1 == scopes_.size()) return false;
  scopes_[++depth_] = *inner;
  if (*inner == Scope::kErrorBody) message_.failed = true;
  if (*inner == Scope::kEvent || (*inner == Scope::kPair && scopes_[depth_ - 1] == Scope::kPairs)) {
    pair_ = {};
    key_size_ = 0;
    has_pair_ = false;
  }
  if (*inner == Scope::kPair) has_pair_ = true;
  return true;
}

void Decoder::leave() {
  const Scope ended = scope();
  if (depth_ > 0) --depth_;
  // A pair of an event waits for the event's end, since "type" may follow it.
  if (ended == Scope::kEvent || (ended == Scope::kPair && scope() == Scope::kPairs)) deliver();
}

void Decoder::deliver() {
  if (!has_pair_) return;
  pair_.key = {key_.data(), key_size_};
  ++message_.pairs;
  sink_->on_pair(pair_);
}

void Decoder::on_scalar(Token token) {
  const bool yes = token == Token::kTrue;
  const std::string_view text = reader_.text();
  const auto integer = [&] {
    return token == Token::kString || token == Token::kNumber ? json::to_int64(text).value_or(0) : 0;
  };
  const auto revision = [&] { return std::clamp<std::int64_t>(integer(), 0, kMaxRevision); };
  const auto natural = [&]() -> std::uint64_t {
    std::uint64_t number = 0;
    const bool some = token == Token::kString || token == Token::kNumber;
    return some && parse_unsigned(text, number) ? number : 0;
  };
  switch (std::exchange(field_, Field::kNone)) {
    case Field::kNone:
    case Field::kResult:
    case Field::kHeader:
    case Field::kPairs:
    case Field::kResponses:
    case Field::kRange:
    case Field::kEvents:
    case Field::kPair: break;
    case Field::kRevision: message_.revision = revision(); break;
    case Field::kCluster: message_.cluster = natural(); break;
    case Field::kTerm: message_.term = natural(); break;
    case Field::kMore: message_.more = yes; break;
    case Field::kSucceeded: message_.succeeded = yes; break;
    case Field::kCreated: message_.created = yes; break;
    case Field::kCanceled: message_.canceled = yes; break;
    case Field::kFragment: message_.fragment = yes; break;
    case Field::kCompactRevision: message_.compact_revision = revision(); break;
    case Field::kCode:
      message_.code = integer();
      message_.failed = message_.failed || message_.code != 0;
      break;
    case Field::kText: on_error_text(); break;
    case Field::kError:
      on_error_text();
      message_.failed = message_.failed || !text.empty() || reader_.overlong();
      break;
    case Field::kId: message_.id = integer(); break;
    case Field::kTtl: message_.ttl = std::min(integer(), kMaxTtl); break;
    case Field::kToken: message_.token_overlong = reader_.overlong() || !message_.token.assign(text); break;
    case Field::kType: pair_.removed = text == "DELETE" || text == "1"; break;
    case Field::kKey: on_pair_key(); break;
    case Field::kValue: on_pair_value(); break;
    case Field::kCreateRevision: pair_.create_revision = revision(); break;
    case Field::kModRevision: pair_.mod_revision = revision(); break;
    case Field::kLease: pair_.lease = integer(); break;
  }
}

void Decoder::on_pair_key() {
  // A whole number of base64 groups, so that the beginning of an overlong key can be decoded too.
  constexpr std::size_t kMaxGroups = EtcdRegistry::kMaxKey / 3 * 4;
  const std::string_view text = reader_.text();
  if (!reader_.overlong()) {
    if (const auto key = json::decode_base64(text, key_)) {
      key_size_ = key->size();
      return;
    }
  }
  pair_.key_overlong = true;
  const auto beginning = json::decode_base64(text.substr(0, kMaxGroups), key_);
  key_size_ = beginning ? beginning->size() : 0;
}

void Decoder::on_pair_value() {
  pair_.value_overlong = reader_.overlong();
  if (pair_.value_overlong) return;
  const auto value = json::decode_base64(reader_.text(), scratch_);  // in place
  if (!value) return;
  pair_.value_overlong = value->size() > EtcdRegistry::kMaxValue;
  if (!pair_.value_overlong) sink_->on_value(*value);
}

void Decoder::on_error_text() {
  message_.text = to_text<160>([&](Writer& out) { append_printable(out, reader_.text()); });
}

}  // namespace flannelette::registry::etcd
