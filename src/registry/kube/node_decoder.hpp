// SPDX-License-Identifier: Apache-2.0
// The API server's answers about Nodes, decoded as they arrive. Pure: bytes in, Nodes and messages out.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "flannelette/base/text.hpp"
#include "flannelette/json/reader.hpp"
#include "registry/kube/annotations.hpp"
#include "registry/kube/node.hpp"

namespace flannelette::registry::kube {

/// What came, by its `kind`: the API server may answer in another form than the one asked for.
enum class Kind : std::uint8_t {
  kNone,  ///< it has no kind
  kNode,
  kMetadata,  ///< PartialObjectMetadata, of a Node
  kNodeList,
  kMetadataList,  ///< PartialObjectMetadataList
  kStatus,        ///< a refusal
  kOther,
};

/// The `type` of a line of a watch.
enum class Event : std::uint8_t {
  kNone,  ///< no watch: an answer
  kAdded,
  kModified,
  kDeleted,   ///< the Node as it was last
  kBookmark,  ///< only `resource_version`
  kError,     ///< the kind is kStatus
  kOther,
};

/// All that an answer or a line of a watch says beside its Nodes.
struct Message {
  static constexpr std::size_t kMaxContinue = 1024;
  static constexpr std::size_t kMaxReason = 48;

  Event event = Event::kNone;
  Kind kind = Kind::kNone;  ///< in a watch that of the line's object
  /// Of a list that as of which it is, of a watch's line that after which the watch goes on. 0: absent, or no
  /// number.
  std::int64_t resource_version = 0;
  Text<kMaxContinue>
      continue_token;              ///< of a list: there are more; of a Status 410: goes on, at a newer state
  bool continue_overlong = false;  ///< there are more, and no way to them
  unsigned nodes = 0;              ///< delivered to the sink
  Text<Node::kMaxName> node_name;  ///< of a Pod: where it runs
  // Of a Status:
  std::int64_t code = 0;    ///< HTTP's
  Text<kMaxReason> reason;  ///< one word for programs: "Expired", "Forbidden"
  Text<160> text;           ///< for people, without control bytes, cut
};

/// Takes lists, lines of a watch, single Nodes and Statuses: they share one grammar, and what is unknown is
/// skipped over and never held. Several messages may follow each other (a watch); line ends do not matter.
/// Any split of the bytes gives the same calls.
class NodeDecoder {
 public:
  /// Memory for one JSON token: the largest is a continue token.
  static constexpr std::size_t kScratch = Message::kMaxContinue;

  class Sink {
   public:
    /// A Node: one of a list (before it is known of which kind), or that of an answer or an event, whose
    /// message() comes next. It holds during the call only.
    virtual void on_node(const Node& node, Event event) = 0;

   protected:
    ~Sink() = default;
  };
  enum class Step : std::uint8_t {
    kNeedMore,  ///< all fed bytes are consumed
    kMessage,   ///< message() is complete
    kBad,       ///< this is no JSON; sticky until reset()
  };

  /// Both are used until the end.
  NodeDecoder(const AnnotationPrefix& prefix, std::span<char, kScratch> scratch)
      : prefix_(prefix), reader_(scratch) {}

  /// Begins anew, for a new response.
  void reset(Sink& sink);
  void feed(std::string_view bytes) { reader_.feed(bytes); }
  Step next();
  const Message& message() const { return message_; }

 private:
  enum class Scope : std::uint8_t {
    kTop,       // outside of any document
    kDocument,  // an answer or a watch's line, whose "object" is read alike
    kItems,
    kItem,
    kMetadata,  // of a document or an item
    kAnnotations,
    kManagers,  // "managedFields"
    kManager,
    kFields,       // "fieldsV1" of a manager
    kFieldsSpec,   // its "f:spec"
    kFieldsCidrs,  // its "f:podCIDRs", whose keys are the values
    kSpec,
    kCidrs,  // "podCIDRs" of a spec
    kNodeStatus,
    kConditions,
    kCondition,
  };
  enum class Field : std::uint8_t;
  struct Member;
  struct Container;
  struct Condition {
    bool of_network = false;  // its type is NetworkUnavailable
    bool is_false = false;
  };
  static const Member kMembers[];
  static const Container kContainers[];

  bool on_key(std::string_view name);
  bool enter(bool object);
  void leave();
  void on_scalar(json::Token token);
  void on_kind(std::string_view text);
  void on_resource_version(std::int64_t version);
  template <std::size_t N>
  void keep(Text<N>& where);
  void deliver();
  void end_document();
  Scope scope() const { return scopes_[depth_]; }
  bool in_item() const { return scopes_[depth_ - 1] == Scope::kItem; }

  const AnnotationPrefix& prefix_;
  json::Reader reader_;
  Sink* sink_ = nullptr;
  Message message_;
  Node node_;
  std::size_t depth_ = 0;
  std::array<Scope, 12> scopes_{};  // the deepest known path has 10
  Field field_{};                   // whose value comes next
  Annotation annotation_{};         // whose value comes next, if an annotation's does
  Condition condition_;             // being read
  bool skipping_ = false;
  bool complete_ = false;
};

}  // namespace flannelette::registry::kube
