// SPDX-License-Identifier: Apache-2.0
// Reading single objects: Nodes whose metadata do not tell enough, and our Pod.
#include "registry/kube/node_read.hpp"

#include <utility>

namespace flannelette::registry::kube {

void NodeReading::ask(std::string_view name) {
  if (waits(name)) return;
  if (names_.size() + name.size() + 1 > kMaxQueue) {
    overflowed_ = true;
    return;
  }
  for (const char c : name) names_.append(c);
  names_.append('\0');
  want(core_.loop.now());
  session().schedule();
}

bool NodeReading::waits(std::string_view name) const {
  for (const char* at = names_.begin() + unasked_; at < names_.end();) {
    const std::string_view other = at;
    if (other == name) return true;
    at += other.size() + 1;
  }
  return false;
}

bool NodeReading::overflowed() { return std::exchange(overflowed_, false); }

Request::Call NodeReading::write(json::Writer&) {
  path_ = node_path(next());
  unasked_ = head_ + next().size() + 1;
  return {.request = {.path = path_, .headers = kAcceptFull}};
}

Outcome NodeReading::on_message() { return advance(); }

Outcome NodeReading::on_error(const Status& status) {
  // It is gone; the watch says so, too.
  return status.code == kNotFound ? advance() : Outcome::kRefused;
}

Outcome NodeReading::advance() {
  head_ = unasked_;
  if (!idle()) {
    want(core_.loop.now());
    return Outcome::kAgain;
  }
  names_.truncate(0);
  names_.shrink(Node::kMaxName);
  head_ = unasked_ = 0;
  done();
  on_idle_();
  return Outcome::kDone;
}

void PodReading::begin() {
  want(core_.loop.now());
  session().schedule();
}

Request::Call PodReading::write(json::Writer&) {
  path_ = to_text<Path::kCapacity>([&](Writer& out) {
    out.put("/api/v1/namespaces/")
        .put(core_.settings.pod_namespace)
        .put("/pods/")
        .put(core_.settings.pod_name);
  });
  return {.request = {.path = path_, .headers = kAcceptFull}};
}

Outcome PodReading::on_message() {
  if (message().node_name.empty()) return Error{Code::kInvalid, 0, "kube: our Pod says no nodeName"};
  core_.node_name = message().node_name;
  done();
  on_read_();
  return Outcome::kDone;
}

}  // namespace flannelette::registry::kube
