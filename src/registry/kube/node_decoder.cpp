// SPDX-License-Identifier: Apache-2.0
// The API server's answers about Nodes, decoded as they arrive.
#include "registry/kube/node_decoder.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "flannelette/json/document.hpp"

namespace flannelette::registry::kube {

using json::Token;
using namespace std::string_view_literals;

enum class NodeDecoder::Field : std::uint8_t {
  kNone,
  // containers
  kObject,
  kItems,
  kMetadata,
  kAnnotations,
  kManagers,
  kFields,
  kFieldsSpec,
  kFieldsCidrs,
  kSpec,
  kCidrs,
  kNodeStatus,
  kConditions,
  // scalars
  kType,
  kKind,
  kCode,
  kReason,
  kText,
  kName,
  kUid,
  kResourceVersion,
  kContinue,
  kCreated,
  kAnnotation,
  kCidr,
  kNodeName,
  kConditionType,
  kConditionStatus,
};

struct NodeDecoder::Member {
  Scope scope;
  Field field;
  char name[18];  // in place: a string_view is larger than most of them
};

constexpr NodeDecoder::Member NodeDecoder::kMembers[] = {
    {Scope::kMetadata, Field::kName, "name"},
    {Scope::kMetadata, Field::kUid, "uid"},
    {Scope::kMetadata, Field::kResourceVersion, "resourceVersion"},
    {Scope::kMetadata, Field::kContinue, "continue"},
    {Scope::kMetadata, Field::kCreated, "creationTimestamp"},
    {Scope::kMetadata, Field::kAnnotations, "annotations"},
    {Scope::kMetadata, Field::kManagers, "managedFields"},
    {Scope::kManager, Field::kFields, "fieldsV1"},
    {Scope::kFields, Field::kFieldsSpec, "f:spec"},
    {Scope::kFieldsSpec, Field::kFieldsCidrs, "f:podCIDRs"},
    {Scope::kItem, Field::kKind, "kind"},
    {Scope::kItem, Field::kMetadata, "metadata"},
    {Scope::kItem, Field::kSpec, "spec"},
    {Scope::kDocument, Field::kType, "type"},
    {Scope::kDocument, Field::kObject, "object"},
    {Scope::kDocument, Field::kKind, "kind"},
    {Scope::kDocument, Field::kMetadata, "metadata"},
    {Scope::kDocument, Field::kItems, "items"},
    {Scope::kDocument, Field::kSpec, "spec"},
    {Scope::kDocument, Field::kNodeStatus, "status"},  // of a Status it is a text
    {Scope::kDocument, Field::kCode, "code"},
    {Scope::kDocument, Field::kReason, "reason"},
    {Scope::kDocument, Field::kText, "message"},
    {Scope::kSpec, Field::kCidr, "podCIDR"},
    {Scope::kSpec, Field::kCidrs, "podCIDRs"},
    {Scope::kSpec, Field::kNodeName, "nodeName"},
    {Scope::kNodeStatus, Field::kConditions, "conditions"},
    {Scope::kCondition, Field::kConditionType, "type"},
    {Scope::kCondition, Field::kConditionStatus, "status"},
};

struct NodeDecoder::Container {
  Field field;
  Scope scope;
  bool object;    // else an array
  Scope element;  // of an array: what an object in it is
};

constexpr NodeDecoder::Container NodeDecoder::kContainers[] = {
    {Field::kObject, Scope::kDocument, true, {}},
    {Field::kItems, Scope::kItems, false, Scope::kItem},
    {Field::kMetadata, Scope::kMetadata, true, {}},
    {Field::kAnnotations, Scope::kAnnotations, true, {}},
    {Field::kManagers, Scope::kManagers, false, Scope::kManager},
    {Field::kFields, Scope::kFields, true, {}},
    {Field::kFieldsSpec, Scope::kFieldsSpec, true, {}},
    {Field::kFieldsCidrs, Scope::kFieldsCidrs, true, {}},
    {Field::kSpec, Scope::kSpec, true, {}},
    {Field::kCidrs, Scope::kCidrs, false, Scope::kTop},
    {Field::kNodeStatus, Scope::kNodeStatus, true, {}},
    {Field::kConditions, Scope::kConditions, false, Scope::kCondition},
};

namespace {

Event event_of(std::string_view text) {
  if (text == "ADDED"sv) return Event::kAdded;
  if (text == "MODIFIED"sv) return Event::kModified;
  if (text == "DELETED"sv) return Event::kDeleted;
  if (text == "BOOKMARK"sv) return Event::kBookmark;
  return text == "ERROR"sv ? Event::kError : Event::kOther;
}

Kind kind_of(std::string_view text) {
  if (text == "Node"sv) return Kind::kNode;
  if (text == "PartialObjectMetadata"sv) return Kind::kMetadata;
  if (text == "NodeList"sv) return Kind::kNodeList;
  if (text == "PartialObjectMetadataList"sv) return Kind::kMetadataList;
  return text == "Status"sv ? Kind::kStatus : Kind::kOther;
}

/// "2026-11-27T10:11:12Z", as the API server writes all its times, becomes 20261127101112.
std::int64_t digits_of_time(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  if (text.size() != kForm.size()) return 0;
  std::int64_t number = 0;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == '0' ? !digit : text[i] != kForm[i]) return 0;
    if (digit) number = number * 10 + (text[i] - '0');
  }
  return number;
}

/// A key of a set in managed fields: `v:` and the value as JSON, `v:"10.42.0.0/24"`.
void add_element(std::string_view key, PodCidrs& cidrs) {
  if (!key.starts_with("v:"sv)) return;
  json::Document value(key.substr(2));
  if (value.next() == Token::kString) cidrs.add(value.text());
}

}  // namespace

void NodeDecoder::reset(Sink& sink) {
  sink_ = &sink;
  reader_.reset();
  message_ = {};
  node_ = {};
  depth_ = 0;
  scopes_[0] = Scope::kTop;
  skipping_ = false;
  complete_ = false;
}

NodeDecoder::Step NodeDecoder::next() {
  if (complete_) {
    message_ = {};
    node_ = {};
  }
  complete_ = false;
  for (;;) {
    const Token token = skipping_ ? reader_.skip_value() : reader_.next();
    switch (token) {
      case Token::kNeedMore: return Step::kNeedMore;
      case Token::kBad: return Step::kBad;
      case Token::kEnd:
        complete_ = !skipping_;  // what was skipped ends so too
        skipping_ = false;
        if (!complete_) break;
        end_document();
        return Step::kMessage;
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

/// False: the value of this key is skipped.
bool NodeDecoder::on_key(std::string_view name) {
  if (scope() == Scope::kAnnotations) {
    const std::optional<Annotation> annotation = prefix_.find(name);
    field_ = Field::kAnnotation;
    annotation_ = annotation.value_or(Annotation{});
    return annotation.has_value();
  }
  if (scope() == Scope::kFieldsCidrs) {
    add_element(name, node_.managed_cidrs);
    return false;
  }
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
bool NodeDecoder::enter(bool object) {
  const auto inner = [&]() -> std::optional<Scope> {
    if (scope() == Scope::kTop) return object ? std::optional(Scope::kDocument) : std::nullopt;
    for (const Container& container : kContainers) {
      if (!container.object && container.scope == scope())
        return object && container.element != Scope::kTop ? std::optional(container.element) : std::nullopt;
    }
    for (const Container& container : kContainers) {
      if (container.field == field_ && container.object == object) return container.scope;
    }
    return std::nullopt;
  }();
  field_ = Field::kNone;
  if (!inner || depth_ + 1 == scopes_.size()) return false;
  scopes_[++depth_] = *inner;
  if (*inner == Scope::kItem) node_ = {};
  if (*inner == Scope::kSpec) node_.full = true;
  if (*inner == Scope::kManager) node_.has_managed_fields = true;
  if (*inner == Scope::kCondition) condition_ = {};
  return true;
}

void NodeDecoder::leave() {
  if (scope() == Scope::kItem) {
    deliver();
    node_ = {};
  }
  if (scope() == Scope::kCondition) node_.network_available |= condition_.of_network && condition_.is_false;
  if (depth_ > 0) --depth_;
}

void NodeDecoder::deliver() {
  ++message_.nodes;
  sink_->on_node(node_, message_.event);
}

/// Nodes of a list have been delivered; the one of an answer or an event is known as such only now.
void NodeDecoder::end_document() {
  if (message_.kind != Kind::kNode && message_.kind != Kind::kMetadata) return;
  switch (message_.event) {
    case Event::kNone:
    case Event::kAdded:
    case Event::kModified:
    case Event::kDeleted: break;
    case Event::kBookmark:
    case Event::kError:
    case Event::kOther: return;
  }
  node_.resource_version = message_.resource_version;
  node_.full |= message_.kind == Kind::kNode;
  deliver();
}

void NodeDecoder::on_scalar(Token token) {
  const std::string_view text = reader_.text();
  const bool is_text = token == Token::kString;
  const auto natural = [&]() -> std::int64_t {
    const bool some = is_text || token == Token::kNumber;
    return some ? std::max<std::int64_t>(json::to_int64(text).value_or(0), 0) : 0;
  };
  if (scope() == Scope::kCidrs && is_text) node_.spec_cidrs.add(text);
  const Field field = std::exchange(field_, Field::kNone);
  if (field == Field::kCode) message_.code = natural();
  if (!is_text) return;
  switch (field) {
    case Field::kNone:
    case Field::kObject:
    case Field::kItems:
    case Field::kMetadata:
    case Field::kAnnotations:
    case Field::kManagers:
    case Field::kFields:
    case Field::kFieldsSpec:
    case Field::kFieldsCidrs:
    case Field::kSpec:
    case Field::kCidrs:
    case Field::kNodeStatus:
    case Field::kConditions:
    case Field::kCode: break;
    case Field::kType: message_.event = event_of(text); break;
    case Field::kKind: on_kind(text); break;
    case Field::kReason: message_.reason = text; break;
    case Field::kText: message_.text = to_text<160>([&](Writer& out) { append_printable(out, text); }); break;
    case Field::kName: keep(node_.name); break;
    case Field::kUid: keep(node_.uid); break;
    case Field::kResourceVersion: on_resource_version(natural()); break;
    case Field::kContinue:
      if (in_item()) break;
      message_.continue_overlong = reader_.overlong() || !message_.continue_token.assign(text);
      break;
    case Field::kCreated: node_.created = digits_of_time(text); break;
    case Field::kAnnotation: keep(node_.annotations[static_cast<std::size_t>(annotation_)]); break;
    case Field::kCidr: node_.spec_cidrs.add(text); break;
    case Field::kNodeName: (void)message_.node_name.assign(text); break;
    case Field::kConditionType: condition_.of_network = text == "NetworkUnavailable"sv; break;
    case Field::kConditionStatus: condition_.is_false = text == "False"sv; break;
  }
}

void NodeDecoder::on_kind(std::string_view text) {
  const Kind kind = kind_of(text);
  if (scope() == Scope::kItem) {
    node_.full |= kind == Kind::kNode;
  } else {
    message_.kind = kind;
  }
}

/// A list has one beside those of its Nodes.
void NodeDecoder::on_resource_version(std::int64_t version) {
  (in_item() ? node_.resource_version : message_.resource_version) = version;
}

template <std::size_t N>
void NodeDecoder::keep(Text<N>& where) {
  where.clear();
  node_.overlong |= reader_.overlong() || !where.assign(reader_.text());
}

}  // namespace flannelette::registry::kube
