// SPDX-License-Identifier: Apache-2.0
// Our annotations are taken off our Node.
#include "flannelette/registry/kube_departure.hpp"

#include <array>
#include <utility>

#include "registry/kube/node_patch.hpp"
#include "registry/kube/node_read.hpp"
#include "registry/kube/node_record.hpp"

namespace flannelette::registry {
namespace kube {
namespace {

/// Reads our Node, then takes off what we wrote.
class Departure final : public Operation {
 public:
  explicit Departure(Channel& channel) : Operation(channel, "leave") {}

  void set(const Published& ours, OnDeparted on_departed) {
    ours_ = ours;
    on_departed_ = on_departed;
  }
  void begin() {
    want(core_.loop.now());
    session().schedule();
  }

 private:
  Call write(json::Writer& body) override {
    path_ = node_path(core_.node_name, found_ == Departed::kGone ? "/status" : "");
    if (found_ != Departed::kGone) return {.request = {.path = path_, .headers = kAcceptFull}};
    write_no_annotations(body, core_.prefix, uid_);
    return {.request = patch(path_)};
  }

  void on_node(const Node& node) override {
    uid_ = node.uid.view();
    const bool any = node.managed() || !node.annotation(Annotation::kBackendType).empty();
    const auto record = record_of(node, {ours_.subnet, {}, false});
    const bool ours = record && ours_.is(record->value);
    found_ = !any ? Departed::kAbsent : ours ? Departed::kGone : Departed::kForeign;
  }

  Outcome on_message() override {
    if (message().nodes == 0) return Error{Code::kInvalid, 0, "kube: the answer is not our Node"};
    if (std::exchange(patched_, found_ == Departed::kGone)) return end(Departed::kGone);
    if (found_ != Departed::kGone) return end(found_);
    want(core_.loop.now());
    return Outcome::kAgain;
  }

  Outcome on_error(const Status& status) override {
    if (status.code == kNotFound) return end(Departed::kAbsent);
    const bool other = status.code == kConflict || status.code == kInvalid;
    if (other) {  // it was made anew
      found_ = Departed::kAbsent;
      patched_ = false;
    }
    return Outcome::kRefused;
  }

  Outcome end(Departed how) {
    done();
    on_departed_(how);
    return Outcome::kDone;
  }

  Published ours_{};
  OnDeparted on_departed_;
  Departed found_ = Departed::kAbsent;
  bool patched_ = false;
  Text<Node::kMaxUid> uid_;
  Path path_;
};

}  // namespace
}  // namespace kube

struct KubeDeparture::Impl {
  Impl(const kube::Core& parts, io::Stream& requests) : core(parts), channel(core, requests, scratch) {}

  kube::Core core;
  std::array<char, kube::NodeDecoder::kScratch> scratch;
  kube::Channel channel;
  kube::Departure departure{channel};
  kube::PodReading pod{channel, kube::PodReading::OnRead::to<&kube::Departure::begin>(&departure)};
};

KubeDeparture::KubeDeparture(io::Loop& loop, const Clock& clock, Random& random, Log& log, Files& files,
                             KubeAccess& access, io::Stream& requests, const KubeSettings& settings)
    : impl_(new Impl(kube::core_of(loop, clock, random, log, files, access, settings), requests)) {}

KubeDeparture::~KubeDeparture() = default;

void KubeDeparture::begin(const Published& ours, FailureListener& failures, OnDeparted on_departed) {
  impl_->core.health.set_listener(failures);
  impl_->departure.set(ours, on_departed);
  const std::array<Request*, 2> requests{&impl_->pod, &impl_->departure};
  impl_->channel.session.serve(requests);
  if (impl_->core.node_name.empty()) return impl_->pod.begin();
  impl_->departure.begin();
}

}  // namespace flannelette::registry
