// SPDX-License-Identifier: Apache-2.0
// The API server's requests: answers are decoded as they arrive.
#include "registry/kube/api.hpp"

#include <utility>

#include "flannelette/base/fnv.hpp"

namespace flannelette::registry::kube {
namespace {

struct Words {
  int code;
  Error error;
};
/// The last one is for all others.
constexpr Words kWords[] = {
    {kUnauthorized, {Code::kDenied, 0, "kube: the API server does not accept our credentials"}},
    {403, {Code::kDenied, 0, "kube: a right is missing"}},
    {kNotFound, {Code::kNotFound, 0, "kube: there is no such object"}},
    {kConflict, {Code::kConflict, 0, "kube: it was changed or made anew meanwhile"}},
    {kInvalid, {Code::kConflict, 0, "kube: the API server finds it invalid"}},
    {kGone, {Code::kInterrupted, 0, "kube: that state of the Nodes is no longer known"}},
    {429, {Code::kUnavailable, 0, "kube: the API server is too busy"}},
    {0, {Code::kUnavailable, 0, "kube: the API server cannot answer"}},
};

constexpr Error kNoObject{Code::kInvalid, 0, "kube: the answer is not complete JSON"};

}  // namespace

std::string_view Core::authorization() {
  const std::string_view value = access.authorization();
  const std::string_view problem = access.problem();
  if (problem.empty()) {
    token_problems.clear();
    return value;
  }
  if (token_problems.is_news(Fnv1a::of(problem), 0))
    log.warning("the token cannot be read again; the one of before stays", {{"problem", problem}});
  return value;
}

Core core_of(io::Loop& loop, const Clock& clock, Random& random, Log& log, Files& files, KubeAccess& access,
             const KubeSettings& settings) {
  const auto prefix = AnnotationPrefix::parse(settings.annotation_prefix);
  return {.loop = loop,
          .clock = clock,
          .random = random,
          .log = log,
          .files = files,
          .access = access,
          .settings = settings,
          .prefix = prefix ? *prefix : AnnotationPrefix(),
          .node_name = settings.node_name};
}

http::Request patch(std::string_view path) {
  return {.method = "PATCH",
          .path = path,
          .headers = kAcceptMetadata,
          .content_type = "application/strategic-merge-patch+json",
          .repeatable = false};
}

Path node_path(std::string_view name, std::string_view rest) {
  return to_text<Path::kCapacity>([&](Writer& out) { out.put(kNodesPath).put('/').put(name).put(rest); });
}

Status describe(int http, Millis retry_after, const Message& message) {
  Status status;
  status.retry_after = retry_after;
  status.code = message.kind == Kind::kStatus && message.code > 0 ? message.code : http;
  const Words* words = kWords;
  while (words->code != 0 && words->code != status.code) ++words;
  status.error = words->error;
  if (message.kind == Kind::kStatus && !message.text.empty()) {
    status.detail = message.text.view();
  } else {
    status.detail = to_text<160>([&](Writer& out) { out.put("HTTP ").put_signed(status.code); });
  }
  return status;
}

bool transient(const Status& status) {
  return status.code == 0 || status.code == 408 || status.code == 429 || status.code >= 500;
}

void Answer::begin(NodeDecoder::Sink& sink) {
  decoder_.reset(sink);
  http_ = 0;
  retry_after_ = 0;
  step_ = NodeDecoder::Step::kNeedMore;
}

void Answer::on_head(const http::ResponseHead& head) {
  http_ = head.status;
  retry_after_ = static_cast<Millis>(head.retry_after) * 1'000;
}

void Answer::on_body(std::string_view bytes) {
  if (step_ != NodeDecoder::Step::kNeedMore) return;
  decoder_.feed(bytes);
  step_ = decoder_.next();
}

Response::Verdict Answer::end(Status& status) const {
  const bool good = http_ / 100 == 2;
  if (good && step_ == NodeDecoder::Step::kMessage && message().kind != Kind::kStatus)
    return Verdict::kAnswer;
  if (good && step_ != NodeDecoder::Step::kMessage) {
    status = {kNoObject};
  } else {
    status = describe(http_, retry_after_, message());
  }
  return transient(status) ? Verdict::kLost : Verdict::kRefusal;
}

Channel::Channel(Core& the_core, io::Stream& stream, std::span<char, NodeDecoder::kScratch> scratch)
    : core(the_core),
      session(core.loop, core.random, stream, core.health, core.access.servers(), kRetry,
              KubeRegistry::kMaxRetryAfter),
      answer(core.prefix, scratch) {}

Request::Call Operation::compose(json::Writer& body) {
  channel_.answer.begin(*this);
  channel_.session.set_authorization(core_.authorization());
  Call call = write(body);
  call.response = &channel_.answer;
  return call;
}

void Operation::on_node(const Node& node, Event) {
  if (!core_.stopped) on_node(node);
}

Outcome Operation::on_answer() {
  refused_ = false;
  return on_message();
}

Outcome Operation::on_refusal(const Status& status) {
  // A token that was replaced meanwhile, mostly.
  if (status.code == kUnauthorized && !std::exchange(refused_, true)) return Outcome::kAgain;
  return on_error(status);
}

}  // namespace flannelette::registry::kube
