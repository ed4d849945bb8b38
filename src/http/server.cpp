// SPDX-License-Identifier: Apache-2.0
// A small HTTP/1.1 server for a few clients that are not trusted to be quick.
#include "flannelette/http/server.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "flannelette/http/request.hpp"

namespace flannelette::http {
namespace {

/// Bytes that are sent, or -1. 0: not now.
ssize_t send_now(const UniqueFd& fd, std::string_view bytes) {
  const ssize_t sent = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent >= 0 ? sent : errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/// Ends a connection in order: what is left unread would make the kernel drop what was sent.
void end(const UniqueFd& fd) {
  ::shutdown(fd.get(), SHUT_WR);
  char rest[512];
  static_cast<void>(!::recv(fd.get(), rest, sizeof rest, MSG_DONTWAIT));
}

// What stands around a piece of a chunked body: its size, and the end, of the last one also that of the body.
constexpr std::size_t kChunkHead = 5;
constexpr std::string_view kChunkEnd = "\r\n0\r\n\r\n";
static_assert(Server::kPiece <= 0xfff);
static_assert(Server::kPiece - Answer::kMaxText > 300);  // the head

}  // namespace

struct Server::Client {
  Client(Server& server, UniqueFd&& connection, Handler& handler);
  bool reads_head() const { return begin_ == nullptr; }
  void read();

  const Millis since;

 private:
  void on_ready(std::uint32_t events);
  void answer(RequestParser::Event event);
  void put_head(Writer& out, const Answer& answer);
  void put_piece(std::size_t at);
  void write();
  void close();

  Server& server_;
  const UniqueFd fd_;
  Handler& handler_;
  io::Source source_;
  io::Timer limit_;
  RequestParser parser_;
  std::unique_ptr<Body> body_;   ///< as long as it has more
  const char* begin_ = nullptr;  ///< of what is to be sent; null: the head is being read
  const char* end_ = nullptr;
  std::array<char, kPiece> out_;
};

Server::Server(io::Loop& loop) : loop_(loop) {}
Server::~Server() = default;

std::size_t Server::clients() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(clients_, [](const auto& c) { return c != nullptr; }));
}

/// Where one more may be, who takes the slowest one's place after that has had `grace`; null: nowhere.
std::unique_ptr<Server::Client>* Server::place(std::size_t limit, Millis grace) {
  std::unique_ptr<Client>* slowest = nullptr;
  std::unique_ptr<Client>* free = nullptr;
  for (auto& client : clients_) {
    if (!client) {
      free = &client;
    } else if (client->reads_head() && (slowest == nullptr || client->since < (*slowest)->since)) {
      slowest = &client;
    }
  }
  if (clients() < limit) return free;
  return slowest != nullptr && loop_.now() - (*slowest)->since >= grace ? slowest : nullptr;
}

void Server::accept(UniqueFd&& connection, Handler& handler, std::size_t limit) {
  char one;
  const bool asks = ::recv(connection.get(), &one, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
  if (auto* const at = place(limit, asks ? 0 : kHeadGrace)) {
    at->reset();  // before the next one is made, for there are so many at once at most
    *at = std::make_unique<Client>(*this, std::move(connection), handler);
    if (asks) (*at)->read();  // before another one takes its place
    return;
  }
  (void)send_now(
      connection,
      "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo busy\n");
  end(connection);
}

Server::Client::Client(Server& server, UniqueFd&& connection, Handler& handler)
    : since(server.loop_.now()),
      server_(server),
      fd_(std::move(connection)),
      handler_(handler),
      source_(server.loop_, io::Source::Handler::to<&Client::on_ready>(this)),
      limit_(server.loop_, Delegate<void()>::to<&Client::close>(this)) {
  (void)source_.watch(fd_.get(), EPOLLIN);
  limit_.arm_in(kHeadTime);
}

void Server::Client::close() {
  auto& place = *std::ranges::find_if(server_.clients_, [this](const auto& c) { return c.get() == this; });
  place.reset();
}

void Server::Client::on_ready(std::uint32_t) { reads_head() ? read() : write(); }

void Server::Client::read() {
  const ssize_t got = ::recv(fd_.get(), out_.data(), out_.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return close();
  const auto event = parser_.feed({out_.data(), static_cast<std::size_t>(got)});
  if (event != RequestParser::Event::kNeedMore) answer(event);
}

void Server::Client::answer(RequestParser::Event event) {
  using Method = RequestHead::Method;
  const RequestHead& head = parser_.head();
  Answer answer;
  if (event == RequestParser::Event::kBad) {
    answer.status = "400 Bad Request";
    answer.text = "bad request\n";
  } else if (head.method == Method::kOther) {
    answer.status = "405 Method Not Allowed\r\nAllow: GET, HEAD";
    answer.text = "GET or HEAD\n";
  } else {
    answer = handler_.answer(head.path(), head.query());
  }
  Writer out(out_);
  put_head(out, answer);
  if (head.method != Method::kHead) {
    body_ = std::move(answer.body);
    if (!body_) out.put(answer.text);
  }
  begin_ = out_.data();
  end_ = begin_ + out.size();
  if (body_) put_piece(out.size());
  limit_.arm_in(kStallTime);
  write();
}

void Server::Client::put_head(Writer& out, const Answer& answer) {
  out.put("HTTP/1.1 ").put(answer.status).put("\r\nContent-Type: ").put(answer.type);
  out.put("\r\nCache-Control: no-store\r\nConnection: close\r\n");
  if (!answer.body) {
    out.put("Content-Length: ").put_unsigned(answer.text.size()).put("\r\n");
  } else if (parser_.head().chunks) {
    out.put("Transfer-Encoding: chunked\r\n");
  }
  out.put("\r\n");
}

/// Behind the first `at` bytes. For those who know no chunks the end of the connection is that of the body.
void Server::Client::put_piece(std::size_t at) {
  const bool chunks = parser_.head().chunks;
  const std::size_t begin = at + (chunks ? kChunkHead : 0);
  const std::span<char> all(out_);
  Writer piece(all.subspan(begin, out_.size() - kChunkEnd.size() - begin));
  if (!body_->next(piece)) body_.reset();
  std::size_t end = begin + piece.size();
  if (chunks) {
    Writer(all.subspan(at, kChunkHead)).put_hex(piece.size(), 3).put("\r\n");
    const bool also_last = !body_ && piece.size() > 0;
    end += Writer(all.subspan(end)).put(kChunkEnd.substr(0, also_last ? kChunkEnd.npos : 2)).size();
  }
  begin_ = out_.data();
  end_ = begin_ + end;
}

/// One piece at most: what is left waits for the next turn.
void Server::Client::write() {
  if (begin_ == end_) put_piece(0);
  const ssize_t sent = send_now(fd_, {begin_, end_});
  if (sent < 0) return close();
  begin_ += sent;
  if (begin_ == end_ && !body_) {
    end(fd_);
    return close();
  }
  if (sent > 0) {
    const Millis left = since + kWholeTime - server_.loop_.now();
    limit_.arm_in(std::min(kStallTime, left));
  }
  if (!source_.watch(fd_.get(), EPOLLOUT)) close();
}

}  // namespace flannelette::http
