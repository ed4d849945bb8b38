// SPDX-License-Identifier: Apache-2.0
// What the parts of the Kubernetes registry share, and its requests: answers are decoded as they arrive.
#pragma once

#include <array>

#include "flannelette/base/say_once.hpp"
#include "flannelette/registry/kube.hpp"
#include "registry/health.hpp"
#include "registry/kube/node_decoder.hpp"
#include "registry/session.hpp"

namespace flannelette::registry::kube {

/// Of lost connections, requests and watches: a thousand nodes come back within a second at the earliest.
inline constexpr Backoff kRetry{1'000, KubeRegistry::kBackoffMax};

struct Core {
  io::Loop& loop;
  const Clock& clock;
  Random& random;
  Log& log;
  Files& files;
  KubeAccess& access;
  const KubeSettings settings;
  const AnnotationPrefix prefix;
  Text<Node::kMaxName> node_name{};  ///< of our Node; empty: to be read of our Pod
  MemberListener* members = nullptr;
  MembershipListener* membership = nullptr;
  Health health{};
  overlay::NetworkConfig network{};  ///< as it was read
  bool stopped = false;
  SayOnce<> token_problems{};

  /// As KubeAccess has it; why it cannot be read again is reported once.
  std::string_view authorization();
};
/// The settings' annotation prefix was checked before.
Core core_of(io::Loop& loop, const Clock& clock, Random& random, Log& log, Files& files, KubeAccess& access,
             const KubeSettings& settings);

/// Kubernetes' own limit of what a watch may lack: that state of the Nodes is no longer to be had.
inline constexpr int kGone = 410;
inline constexpr int kUnauthorized = 401;
inline constexpr int kNotFound = 404;
inline constexpr int kConflict = 409;
inline constexpr int kInvalid = 422;  ///< so a patch is refused whose uid is not that of the Node

// The forms that are asked for: metadata is a sixteenth of a Node.
inline constexpr http::Header kAcceptFull[] = {{"Accept", "application/json"}};
inline constexpr http::Header kAcceptMetadata[] = {
    {"Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"}};
inline constexpr http::Header kAcceptMetadataList[] = {
    {"Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"}};

inline constexpr std::string_view kNodesPath = "/api/v1/nodes";
using Path = Text<640>;
/// "/api/v1/nodes/NAME"; `rest`: "/status".
Path node_path(std::string_view name, std::string_view rest = {});

/// A strategic merge patch; of the answer the metadata are read.
http::Request patch(std::string_view path);

/// What the API server's refusal means: of an answer that is none, or of an error line of a watch. `http` is
/// the code of the response, `message` what of its body was read.
Status describe(int http, Millis retry_after, const Message& message);
/// Another server, or this one later, may well answer.
bool transient(const Status& status);

/// The response to a request, which is one object, a list or a Status.
class Answer final : public Response {
 public:
  Answer(const AnnotationPrefix& prefix, std::span<char, NodeDecoder::kScratch> scratch)
      : decoder_(prefix, scratch) {}

  void begin(NodeDecoder::Sink& sink);
  void on_head(const http::ResponseHead& head) override;
  void on_body(std::string_view bytes) override;
  Verdict end(Status& status) const override;
  const Message& message() const { return decoder_.message(); }

 private:
  NodeDecoder decoder_;
  int http_ = 0;
  Millis retry_after_ = 0;
  NodeDecoder::Step step_ = NodeDecoder::Step::kNeedMore;  // whatever follows a message is not ours
};

/// The request connection.
struct Channel {
  Channel(Core& core, io::Stream& stream, std::span<char, NodeDecoder::kScratch> scratch);

  Core& core;
  Session session;
  Answer answer;
};

/// A request whose answer goes through the channel's decoder. Credentials are read anew for each one, and
/// once more at once if the API server does not accept them.
class Operation : public Request, private NodeDecoder::Sink {
 protected:
  Operation(Channel& channel, const char* name) : Request(name), core_(channel.core), channel_(channel) {}
  ~Operation() = default;
  const Message& message() const { return channel_.answer.message(); }
  Session& session() { return channel_.session; }
  Core& core_;

 private:
  Call compose(json::Writer& body) final;
  bool ready() const override { return true; }
  Outcome on_answer() final;
  Outcome on_refusal(const Status& status) final;
  bool on_lost(const Status&) override { return false; }
  void on_node(const Node& node, Event) final;

  /// As compose(), but for the response.
  virtual Call write(json::Writer& body) = 0;
  virtual void on_node(const Node&) {}
  virtual Outcome on_message() = 0;
  /// It was understood, and the answer is no.
  virtual Outcome on_error(const Status& status) = 0;

  Channel& channel_;
  bool refused_ = false;  // our credentials, since they were accepted last
};

}  // namespace flannelette::registry::kube
