// SPDX-License-Identifier: Apache-2.0
#include "sim/scripted_stream.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <utility>

namespace flannelette::tests {
namespace {
constexpr Millis kDrip = 3'000;
}

ScriptedStream::ScriptedStream(ScriptedServer& server, io::Loop& loop)
    : server_(server), timer_(loop, Delegate<void()>::to<&ScriptedStream::on_turn>(this)) {
  server_.streams_.insert(this);
}

ScriptedStream::~ScriptedStream() {
  close();
  server_.streams_.erase(this);
  *destroyed_ = true;
}

void ScriptedStream::open(const io::Endpoint& endpoint, Listener& listener) {
  close();
  listener_ = &listener;
  host_ = endpoint.host.view();
  ++server_.connections_;
  const auto name = server_.names.find(host_);
  const auto address = name != server_.names.end() ? std::optional(name->second) : parse_ip4(host_);
  if (address && on_address_) on_address_(*address);
  timer_.arm_in(server_.delay);
}

Result<void> ScriptedStream::write(std::string_view bytes) {
  if (!opened_) return Error{Code::kClosed, 0, "write"};
  in_ += bytes;
  counts_.sent += bytes.size();
  timer_.arm_at_latest_in(server_.delay);
  return {};
}

/// As if each probe were answered at once.
io::StreamReport ScriptedStream::report(bool probe) {
  io::StreamReport report = counts_;
  if (!opened_) return report;
  const Millis now = server_.clock_.now();
  if (probe && probed_ < 0) probed_ = now;
  report.connected = now - connected_;
  report.heard = server_.unplugged_ < 0 ? 0 : now - server_.unplugged_;
  if (probed_ >= 0) report.probed = now - probed_;
  return report;
}

void ScriptedStream::time_out() {
  if (opened_) end({Code::kSystem, ETIMEDOUT, "read"});
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
  server_.forget(*this);
}

void ScriptedStream::send(const std::string& bytes) {
  if (listener_ == nullptr || cut_ || server_.silent_) return;
  out_ += bytes;
  timer_.arm_at_latest_in(server_.delay);
}

void ScriptedStream::drip() {
  send_wrongly("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
  dripping_ = true;
}

void ScriptedStream::hold() { held_until_ = server_.clock_.now() + 1'000; }

void ScriptedStream::cut() {
  if (listener_ == nullptr) return;
  out_.clear();
  in_.clear();
  hang_up();
}

void ScriptedStream::hang_up() {
  if (listener_ == nullptr) return;
  cut_ = true;
  server_.forget(*this);
  timer_.arm_at_latest_in(0);
}

void ScriptedStream::on_turn() {
  const std::shared_ptr<bool> destroyed = destroyed_;
  const unsigned connection = connection_;
  const auto over = [&] { return *destroyed || connection != connection_; };

  if (!opened_ && !server_.silent_) {
    if (server_.down_.count(host_) != 0 || cut_) {
      end({Code::kSystem, ECONNREFUSED, "connect"});
    } else {
      opened_ = true;
      ++counts_.connections;
      connected_ = server_.clock_.now();
      probed_ = -1;
      listener_->on_open();
    }
  } else if (opened_) {
    if (!in_.empty()) take_request();
    if (dripping_) out_ += "1\r\n \r\n";
    if (const Millis now = server_.clock_.now(); held_until_ > now) return timer_.arm_in(held_until_ - now);
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
    std::size_t size = server_.piece != 0 ? std::min(server_.piece, bytes.size() - at) : bytes.size() - at;
    const bool last = server_.cut_after_ && *server_.cut_after_ <= size;
    if (last) size = *server_.cut_after_;
    if (server_.cut_after_) *server_.cut_after_ -= size;
    server_.bytes_sent_ += size;
    counts_.received += size;
    server_.sent_[kind_] += size;
    if (size > 0) listener_->on_data({bytes.data() + at, size});
    if (*destroyed || connection != connection_) return;
    if (last) {
      server_.cut_after_.reset();
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

namespace {

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' || i + 2 >= text.size()) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
    i += 2;
  }
  return out;
}

/// "a=1&b=2"
std::map<std::string, std::string> parameters(std::string_view text) {
  std::map<std::string, std::string> all;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
    const std::size_t name = std::min(one.find('='), one.size());
    all[decoded(one.substr(0, name))] = decoded(one.substr(std::min(name + 1, one.size())));
  }
  return all;
}

/// `head`: whole lines.
ScriptedRequest parse_head(std::string_view head) {
  const auto line = [&] {
    const std::string_view first = head.substr(0, head.find("\r\n"));
    head.remove_prefix(first.size() + 2);
    return first;
  };
  ScriptedRequest request;
  const std::string_view first = line();
  const std::size_t target = first.find(' ') + 1;
  const std::string_view url = first.substr(target, first.find(' ', target) - target);
  const std::size_t path = std::min(url.find('?'), url.size());
  request.method = first.substr(0, target - 1);
  request.path = url.substr(0, path);
  request.query = parameters(url.substr(std::min(path + 1, url.size())));
  while (!head.empty()) {
    const std::string_view field = line();
    const std::size_t colon = field.find(": ");
    std::string name(field.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    request.headers[name] = field.substr(colon + 2);
  }
  return request;
}

}  // namespace

/// Serves the requests that are complete. The clients here send one at a time.
void ScriptedStream::take_request() {
  const std::size_t head_end = in_.find("\r\n\r\n");
  if (head_end == std::string::npos) return;
  ScriptedRequest request = parse_head(std::string_view(in_).substr(0, head_end + 2));
  const std::size_t length = std::stoul("0" + request.field("content-length"));
  if (in_.size() < head_end + 4 + length) return;
  request.body = in_.substr(head_end + 4, length);
  in_.erase(0, head_end + 4 + length);
  answered_wrongly_ = false;
  kind_ = server_.kind_of(request);
  if (!server_.silent_) server_.receive(*this, kind_, request);
}

}  // namespace flannelette::tests
