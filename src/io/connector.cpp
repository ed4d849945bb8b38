// SPDX-License-Identifier: Apache-2.0
// From an endpoint to a connected socket: names, addresses in turn, TCP, TLS.
#include "io/connector.hpp"

#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace flannelette::io {
namespace {

using State = ConnectorState;

/// Every supported kernel knows these options. Should one be refused, the connection works all the same.
void set_option(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

void configure(int fd, const TcpSettings& tcp) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, tcp.keepalive_idle_seconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, tcp.keepalive_interval_seconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, tcp.keepalive_probes);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(tcp.user_timeout_ms));
}

}  // namespace

Connector::Connector(Loop& loop, const TcpSettings& tcp, TlsContext& tls, Log& log, Listener& listener)
    : tcp_(tcp),
      tls_(tls),
      log_(log),
      listener_(listener),
      source_(loop, Source::Handler::to<&Connector::on_ready>(this)),
      timer_(loop, Delegate<void()>::to<&Connector::on_timer>(this)),
      resolver_(loop, Delegate<void()>::to<&Connector::on_resolved>(this)) {}

void Connector::start(const Endpoint& endpoint, Delegate<void(Ip)> on_address) {
  cancel();
  endpoint_ = endpoint;
  on_address_ = on_address;
  address_count_ = 0;
  address_next_ = 0;
  error_ = {Code::kNotFound, 0, "resolver: the name has no address"};
  detail_.clear();
  if (endpoint_.tls && !tls_.loaded()) return fail_later({Code::kTls, 0, "tls: no CA file is loaded"});
  if (const std::optional<Ip> ip = parse_ip(endpoint_.host)) {
    addresses_[address_count_++] = {*ip};
    return connect_next();
  }
  state_.enter(State::kResolving, log_);
  timer_.arm_in(tcp_.connect_timeout);
  resolver_.start(endpoint_.host);
}

void Connector::cancel() {
  if (state_ == State::kIdle) return;
  resolver_.cancel();
  timer_.cancel();
  release();
  state_.enter(State::kIdle, log_);
}

void Connector::release() {
  session_.reset();
  source_.unwatch();
  fd_.reset();
}

void Connector::on_resolved() { resolved(resolver_.result()); }

void Connector::resolved(const Result<void>& result) {
  const bool known = good_address_ && good_endpoint_ == endpoint_;
  if (result) {
    const std::span<const HostAddress> found = resolver_.addresses();
    address_count_ = found.size();
    std::ranges::copy(found, addresses_.begin());
    if (known) {  // first among them, if it is still one of them
      const auto all = std::span(addresses_).first(address_count_);
      const auto good = std::ranges::find(all, *good_address_);
      if (good != all.end()) {
        std::copy_backward(all.begin(), good, good + 1);
        all.front() = *good_address_;
      }
    }
  } else {
    error_ = result.error();
    if (known) addresses_[address_count_++] = *good_address_;
  }
  connect_next();
}

void Connector::on_timer() {
  switch (state_.state()) {
    case State::kResolving:
      resolver_.cancel();
      return resolved(Error{Code::kTimeout, 0, "resolver: no answer in time"});
    case State::kConnecting: return next_address({Code::kTimeout, 0, "connect: no answer in time"});
    case State::kHandshaking:
      return next_address({Code::kTimeout, 0, "tls: no answer to the handshake in time"});
    case State::kFailed: {
      const Error error = error_;
      const Detail detail = detail_;
      cancel();
      return listener_.on_unreachable(error, detail);
    }
    case State::kIdle: return;
  }
}

void Connector::on_ready(std::uint32_t) {
  if (state_ == State::kConnecting) {
    if (const Result<void> done = finish_connect(); !done) return next_address(done.error());
    if (!endpoint_.tls || !TlsContext::available()) return connected();
    state_.enter(State::kHandshaking, log_);
    session_.reset(new TlsSession(tls_));
    if (const Result<void> started = session_->start(fd_.get(), endpoint_.host); !started) {
      return next_address(started.error());
    }
  }
  if (TlsContext::available()) handshake();
}

/// Starts with the next address that lets us start, or gives up.
void Connector::connect_next() {
  while (address_next_ < address_count_) {
    const Result<void> started = connect(addresses_[address_next_++]);
    if (started) {
      state_.enter(State::kConnecting, log_);
      timer_.arm_in(tcp_.connect_timeout);
      return;
    }
    release();
    error_ = started.error();
    detail_.clear();
  }
  fail_later(error_);
}

Result<void> Connector::connect(const HostAddress& address) {
  if (on_address_) on_address_(address.ip);
  SocketAddress to;
  const socklen_t size = to_socket_address(address, endpoint_.port, to);
  fd_ = UniqueFd(::socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) return last_error("socket");
  configure(fd_.get(), tcp_);
  if (::connect(fd_.get(), &to.any, size) != 0 && errno != EINPROGRESS) return last_error("connect");
  return source_.watch(fd_.get(), EPOLLOUT);
}

void Connector::next_address(const Error& why) {
  error_ = why;
  detail_.clear();
  if (TlsContext::available() && session_) detail_ = session_->detail();
  release();
  connect_next();
}

Result<void> Connector::finish_connect() const {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return system_error("connect", error);
  return {};
}

void Connector::handshake() {
  const Result<Wait> wait = session_->handshake();
  if (!wait) return next_address(wait.error());
  if (*wait == Wait::kNothing) return connected();
  const Result<void> watched = source_.watch(fd_.get(), *wait == Wait::kWritable ? EPOLLOUT : EPOLLIN);
  if (!watched) next_address(watched.error());
}

void Connector::connected() {
  good_endpoint_ = endpoint_;
  good_address_ = addresses_[address_next_ - 1];
  source_.unwatch();
  timer_.cancel();
  state_.enter(State::kIdle, log_);
  listener_.on_connected(std::move(fd_), std::move(session_));
}

void Connector::fail_later(const Error& error) {
  error_ = error;
  state_.enter(State::kFailed, log_);
  timer_.arm_in(0);
}

}  // namespace flannelette::io
