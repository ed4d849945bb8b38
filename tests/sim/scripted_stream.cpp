// SPDX-License-Identifier: Apache-2.0
#include "sim/scripted_stream.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace flannelette::tests {
namespace {
constexpr Millis kDrip = 3'000;
}

ScriptedStream::ScriptedStream(ScriptedEtcd& etcd, io::Loop& loop)
    : etcd_(etcd), timer_(loop, Delegate<void()>::to<&ScriptedStream::on_turn>(this)) {
  etcd_.streams_.insert(this);
}

ScriptedStream::~ScriptedStream() {
  close();
  etcd_.streams_.erase(this);
  *destroyed_ = true;
}

void ScriptedStream::open(const io::Endpoint& endpoint, Listener& listener) {
  close();
  listener_ = &listener;
  host_ = endpoint.host.view();
  ++etcd_.connections_;
  const auto name = etcd_.names.find(host_);
  const auto address = name != etcd_.names.end() ? std::optional(name->second) : parse_ip4(host_);
  if (address && on_address_) on_address_(*address);
  timer_.arm_in(etcd_.delay);
}

Result<void> ScriptedStream::write(std::string_view bytes) {
  if (!opened_) return Error{Code::kClosed, 0, "write"};
  in_ += bytes;
  timer_.arm_at_latest_in(etcd_.delay);
  return {};
}

void ScriptedStream::close() {
  ++connection_;
  listener_ = nullptr;
  opened_ = false;
  cut_ = false;
  dripping_ = false;
  held_until_ = 0;
  answered_wrongly_ = false;
  in_.clear();
  out_.clear();
  timer_.cancel();
  etcd_.forget(*this);
}

void ScriptedStream::send(const std::string& bytes) {
  if (listener_ == nullptr || cut_ || etcd_.silent_) return;
  out_ += bytes;
  timer_.arm_at_latest_in(etcd_.delay);
}

void ScriptedStream::drip() {
  send_wrongly("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
  dripping_ = true;
}

void ScriptedStream::hold() { held_until_ = etcd_.clock_.now() + 1'000; }

void ScriptedStream::cut() {
  if (listener_ == nullptr) return;
  cut_ = true;
  out_.clear();
  in_.clear();
  etcd_.forget(*this);
  timer_.arm_at_latest_in(0);
}

void ScriptedStream::on_turn() {
  const std::shared_ptr<bool> destroyed = destroyed_;
  const unsigned connection = connection_;
  const auto over = [&] { return *destroyed || connection != connection_; };

  if (!opened_ && !etcd_.silent_) {
    if (etcd_.down_.count(host_) != 0 || cut_) {
      end({Code::kSystem, ECONNREFUSED, "connect"});
    } else {
      opened_ = true;
      listener_->on_open();
    }
  } else if (opened_) {
    if (!in_.empty()) take_request();
    if (dripping_) out_ += "1\r\n \r\n";
    if (const Millis now = etcd_.clock_.now(); held_until_ > now) return timer_.arm_in(held_until_ - now);
    const std::string bytes = std::exchange(out_, {});
    deliver(bytes);
    if (!over() && cut_) return end({Code::kClosed, 0, "cut"});
    if (!over() && dripping_) timer_.arm_at_latest_in(kDrip);
  }
}

void ScriptedStream::deliver(const std::string& bytes) {
  const std::shared_ptr<bool> destroyed = destroyed_;
  const unsigned connection = connection_;
  std::size_t at = 0;
  while (at < bytes.size()) {
    std::size_t size = etcd_.piece != 0 ? std::min(etcd_.piece, bytes.size() - at) : bytes.size() - at;
    const bool last = etcd_.cut_after_ && *etcd_.cut_after_ <= size;
    if (last) size = *etcd_.cut_after_;
    if (etcd_.cut_after_) *etcd_.cut_after_ -= size;
    etcd_.bytes_sent_ += size;
    if (size > 0) listener_->on_data({bytes.data() + at, size});
    if (*destroyed || connection != connection_) return;
    if (last) {
      etcd_.cut_after_.reset();
      return end({Code::kClosed, 0, "cut"});
    }
    at += size;
  }
}

void ScriptedStream::end(const Error& error) {
  Listener* listener = listener_;
  close();
  listener->on_close(error, {});
}

/// Serves the requests that are complete. The clients here send one at a time.
void ScriptedStream::take_request() {
  const std::size_t head_end = in_.find("\r\n\r\n");
  if (head_end == std::string::npos) return;
  const std::string head = in_.substr(0, head_end + 2);
  const auto field = [&](const std::string& name) -> std::string {
    const std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const std::size_t from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  };
  const std::size_t length = std::stoul("0" + field("Content-Length"));
  if (in_.size() < head_end + 4 + length) return;
  ScriptedEtcd::Request request;
  const std::size_t path = head.find(' ') + 1;
  request.path = head.substr(path, head.find(' ', path) - path);
  request.body = in_.substr(head_end + 4, length);
  request.token = field("Authorization");
  request.hasleader = field("Grpc-Metadata-hasleader") == "true";
  in_.erase(0, head_end + 4 + length);
  answered_wrongly_ = false;
  if (!etcd_.silent_) etcd_.serve(*this, request);
}

}  // namespace flannelette::tests
