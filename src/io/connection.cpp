// SPDX-License-Identifier: Apache-2.0
// Bytes over a connected socket, plain or through TLS.
#include "io/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace flannelette::io {
namespace {

/// One read of any connection of the process lands here: what it holds is consumed before the next read, and
/// the process has one thread. As large as the largest TLS record.
std::array<char, 16 * 1024> read_buffer;

}  // namespace

Connection::Connection(Loop& loop, Log& log, Listener& listener)
    : log_(log),
      listener_(listener),
      source_(loop, Source::Handler::to<&Connection::on_ready>(this)),
      failure_(loop, Delegate<void()>::to<&Connection::on_timer>(this)) {}

void Connection::start(UniqueFd&& fd, std::unique_ptr<TlsSession>&& session) {
  close();
  fd_ = std::move(fd);
  session_ = std::move(session);
  state_.enter(ConnectionState::kOpen, log_);
  watch();
}

Result<void> Connection::write(std::string_view bytes) {
  if (!open()) return Error{Code::kClosed, 0, "write: not connected"};
  if (bytes.size() > kWriteBuffer - out_size_)
    return Error{Code::kLimit, 0, "write: more than 16 KiB would be waiting"};
  if (!bytes.empty()) std::memcpy(out_.data() + out_size_, bytes.data(), bytes.size());
  out_size_ += bytes.size();
  flush();
  return {};
}

void Connection::close() {
  if (state_ == ConnectionState::kClosed) return;
  release();
  failure_.cancel();
  state_.enter(ConnectionState::kClosed, log_);
}

Millis Connection::silence() const {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return -1;
  return info.tcpi_last_ack_recv;
}

void Connection::probe_every(Millis silence) {
  const int seconds = static_cast<int>(silence / 1'000);
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
}

void Connection::release() {
  if (over_ != nullptr) *std::exchange(over_, nullptr) = true;
  session_.reset();
  source_.unwatch();
  fd_.reset();
  out_size_ = 0;
  write_waits_ = false;
}

void Connection::on_ready(std::uint32_t events) {
  if (out_size_ > 0) flush();
  if (open() && (session_ || (events & ~std::uint32_t{EPOLLOUT}))) receive();
}

/// One read a turn, so that no peer keeps the loop for itself; but all that the TLS layer holds, of which
/// epoll knows nothing.
void Connection::receive() {
  bool over = false;
  do {
    const Result<Transfer> got = read();
    if (!got) return lost(got.error());
    if (got->bytes == 0) {
      if (got->wait == Wait::kWritable) write_waits_ = true;
      return watch();
    }
    received_ += got->bytes;
    over_ = &over;
    listener_.on_data({read_buffer.data(), got->bytes});
    if (over) return;
    over_ = nullptr;
  } while (session_ && session_->pending());
}

Result<Transfer> Connection::read() {
  if (session_) return session_->read(read_buffer);
  const ssize_t got = ::recv(fd_.get(), read_buffer.data(), read_buffer.size(), 0);
  if (got > 0) return Transfer{static_cast<std::size_t>(got), Wait::kNothing};
  if (got == 0) return Error{Code::kClosed, 0, "the peer closed the connection"};
  if (errno == EAGAIN || errno == EINTR) return Transfer{0, Wait::kReadable};
  return last_error("read");
}

Result<Transfer> Connection::send(std::string_view bytes) {
  if (session_) return session_->write(bytes);
  const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent > 0) return Transfer{static_cast<std::size_t>(sent), Wait::kNothing};
  if (sent == 0 || errno == EAGAIN || errno == EINTR) return Transfer{0, Wait::kWritable};
  return last_error("write");
}

/// Sends what the socket takes now. It may be called by the listener, which hears of a failure later.
void Connection::flush() {
  write_waits_ = false;
  std::size_t done = 0;
  while (done < out_size_) {
    const Result<Transfer> sent = send({out_.data() + done, out_size_ - done});
    if (!sent) return fail_later(sent.error());
    if (sent->bytes == 0) {
      write_waits_ = sent->wait == Wait::kWritable;
      break;
    }
    done += sent->bytes;
  }
  out_size_ -= done;
  sent_ += done;
  if (done > 0 && out_size_ > 0) std::memmove(out_.data(), out_.data() + done, out_size_);
  watch();
}

void Connection::watch() {
  const std::uint32_t events = write_waits_ ? EPOLLIN | EPOLLOUT : EPOLLIN;
  if (const Result<void> watched = source_.watch(fd_.get(), events); !watched) fail_later(watched.error());
}

void Connection::fail_later(const Error& error) {
  error_ = error;
  release();
  state_.enter(ConnectionState::kFailed, log_);
  failure_.arm_in(0);
}

void Connection::on_timer() { lost(error_); }

void Connection::lost(Error error) {
  close();
  listener_.on_lost(error);
}

}  // namespace flannelette::io
