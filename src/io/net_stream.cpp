// SPDX-License-Identifier: Apache-2.0
#include "flannelette/io/net_stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "io/resolver.hpp"
#include "io/tls.hpp"

namespace flannelette::io {
namespace {

/// One read of any stream of the process lands here: what it holds is consumed before the next read, and the
/// process has one thread. As large as the largest TLS record.
std::array<char, 16 * 1024> read_buffer;

union SocketAddress {
  sockaddr any;
  sockaddr_in in4;
  sockaddr_in6 in6;
};

socklen_t fill(SocketAddress& out, const Address& address, std::uint16_t port) {
  out = {};
  if (address.v6) {
    out.in6.sin6_family = AF_INET6;
    out.in6.sin6_port = htons(port);
    out.in6.sin6_scope_id = address.scope;
    std::memcpy(&out.in6.sin6_addr, address.bytes.data(), 16);
    return sizeof out.in6;
  }
  out.in4.sin_family = AF_INET;
  out.in4.sin_port = htons(port);
  std::memcpy(&out.in4.sin_addr, address.bytes.data(), 4);
  return sizeof out.in4;
}

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

/// kIdle -> [kResolving ->] kConnecting -> [kHandshaking ->] kOpen -> kIdle. What fails before kOpen moves on
/// to the next address, and after the last one to kFailed, from where the timer tells the listener and goes
/// to kIdle.
struct NetStream::Impl {
  enum class State : std::uint8_t { kIdle, kResolving, kConnecting, kHandshaking, kOpen, kFailed };

  Impl(Loop& event_loop, const TcpSettings& settings, TlsContext& context)
      : tcp(settings),
        tls(context),
        source(event_loop, Source::Handler::to<&Impl::on_ready>(this)),
        timer(event_loop, Delegate<void()>::to<&Impl::on_timer>(this)),
        resolver(event_loop, Delegate<void()>::to<&Impl::on_resolved>(this)) {}
  ~Impl() {
    close();
    if (destroyed != nullptr) *destroyed = true;
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void open(const Endpoint& to, Listener& who, Delegate<void(Ip4)> on_address);
  Result<void> write(std::string_view bytes);
  void close();

  void on_resolved();
  void resolved(const Result<void>& result);
  void on_timer();
  void on_ready(std::uint32_t events);

  void connect_next();
  Result<void> connect(const Address& address);
  void next_address(const Error& why);
  Result<void> finish_connect();
  void handshake();
  void opened();
  void receive();
  Result<Transfer> read();
  void flush();
  void watch();
  void drop_connection();
  void fail_later(const Error& error);
  void deliver(const Error& error);

  const TcpSettings tcp;
  TlsContext& tls;
  UniqueFd fd;
  Source source;
  Timer timer;
  Resolver resolver;
  std::unique_ptr<TlsSession> session;
  Listener* listener = nullptr;
  Delegate<void(Ip4)> told_address;
  bool* destroyed = nullptr;  ///< told by the destructor, while a callback runs
  unsigned connection = 0;    ///< changes when a connection ends: callbacks compare it
  State state = State::kIdle;
  Wait handshake_wait = Wait::kNothing;
  bool write_waits = false;  ///< the socket is full
  Endpoint endpoint;
  Endpoint good_endpoint;  ///< where good_address led
  std::optional<Address> good_address;
  std::array<Address, Resolver::kMaxAddresses> addresses;
  std::size_t address_count = 0;
  std::size_t address_next = 0;
  Error last_error;
  std::size_t out_size = 0;
  std::array<char, kWriteBuffer> out;
};

void NetStream::Impl::open(const Endpoint& to, Listener& who, Delegate<void(Ip4)> on_address) {
  close();
  told_address = on_address;
  endpoint = to;
  listener = &who;
  address_count = 0;
  address_next = 0;
  last_error = {Code::kNotFound, 0, "resolver: the name has no address"};
  if (endpoint.tls && !tls.loaded()) return fail_later({Code::kTls, 0, "tls: no CA file is loaded"});
  if (const std::optional<Address> address = parse_address(endpoint.host)) {
    addresses[address_count++] = *address;
    return connect_next();
  }
  state = State::kResolving;
  timer.arm_in(tcp.connect_timeout);
  resolver.start(endpoint.host);
}

Result<void> NetStream::Impl::write(std::string_view bytes) {
  if (state != State::kOpen) return Error{Code::kClosed, 0, "write: not connected"};
  if (bytes.size() > kWriteBuffer - out_size)
    return Error{Code::kLimit, 0, "write: more than 16 KiB would be waiting"};
  if (!bytes.empty()) std::memcpy(out.data() + out_size, bytes.data(), bytes.size());
  out_size += bytes.size();
  flush();
  return {};
}

void NetStream::Impl::close() {
  resolver.cancel();
  timer.cancel();
  drop_connection();
  state = State::kIdle;
  listener = nullptr;
}

void NetStream::Impl::drop_connection() {
  ++connection;
  session.reset();
  source.unwatch();
  fd.reset();
  out_size = 0;
  write_waits = false;
}

void NetStream::Impl::on_resolved() { resolved(resolver.result()); }

void NetStream::Impl::resolved(const Result<void>& result) {
  const bool known = good_address && good_endpoint == endpoint;
  if (result) {
    const std::span<const Address> found = resolver.addresses();
    address_count = found.size();
    std::ranges::copy(found, addresses.begin());
    if (known) {  // first among them, if it is still one of them
      const auto all = std::span(addresses).first(address_count);
      const auto good = std::ranges::find(all, *good_address);
      if (good != all.end()) {
        std::copy_backward(all.begin(), good, good + 1);
        all.front() = *good_address;
      }
    }
  } else {
    last_error = result.error();
    if (known) addresses[address_count++] = *good_address;
  }
  connect_next();
}

void NetStream::Impl::on_timer() {
  switch (state) {
    case State::kResolving:
      resolver.cancel();
      return resolved(Error{Code::kTimeout, 0, "resolver: no answer in time"});
    case State::kConnecting: return next_address({Code::kTimeout, 0, "connect: no answer in time"});
    case State::kHandshaking:
      return next_address({Code::kTimeout, 0, "tls: no answer to the handshake in time"});
    case State::kFailed: return deliver(last_error);
    case State::kIdle:
    case State::kOpen: return;
  }
}

void NetStream::Impl::on_ready(std::uint32_t events) {
  if (state == State::kConnecting) {
    if (const Result<void> connected = finish_connect(); !connected) return next_address(connected.error());
    if (!endpoint.tls) return opened();
    state = State::kHandshaking;
    session.reset(new TlsSession(tls));
    if (const Result<void> started = session->start(fd.get(), endpoint.host); !started) {
      return next_address(started.error());
    }
  }
  if (state == State::kHandshaking) return handshake();
  if (state != State::kOpen) return;
  if (out_size > 0) flush();
  if (state == State::kOpen && (session || (events & ~std::uint32_t{EPOLLOUT}))) receive();
}

/// Starts with the next address that lets us start, or gives up.
void NetStream::Impl::connect_next() {
  while (address_next < address_count) {
    const Result<void> started = connect(addresses[address_next++]);
    if (started) {
      state = State::kConnecting;
      timer.arm_in(tcp.connect_timeout);
      return;
    }
    drop_connection();
    last_error = started.error();
  }
  fail_later(last_error);
}

Result<void> NetStream::Impl::connect(const Address& address) {
  if (const auto ip = ip4_of(address); ip && told_address) told_address(*ip);
  const int family = address.v6 ? AF_INET6 : AF_INET;
  fd = UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return system_error("socket", errno);
  configure(fd.get(), tcp);
  SocketAddress to;
  const socklen_t size = fill(to, address, endpoint.port);
  if (::connect(fd.get(), &to.any, size) != 0 && errno != EINPROGRESS) return system_error("connect", errno);
  return source.watch(fd.get(), EPOLLOUT);
}

void NetStream::Impl::next_address(const Error& why) {
  last_error = why;
  drop_connection();
  connect_next();
}

Result<void> NetStream::Impl::finish_connect() {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return system_error("connect", error);
  return {};
}

void NetStream::Impl::handshake() {
  const Result<Wait> wait = session->handshake();
  if (!wait) return next_address(wait.error());
  if (*wait == Wait::kNothing) return opened();
  const Result<void> watched = source.watch(fd.get(), *wait == Wait::kWritable ? EPOLLOUT : EPOLLIN);
  if (!watched) next_address(watched.error());
}

void NetStream::Impl::opened() {
  state = State::kOpen;
  timer.cancel();
  good_endpoint = endpoint;
  good_address = addresses[address_next - 1];
  watch();
  if (state == State::kOpen) listener->on_open();
}

/// One read a turn, so that no peer keeps the loop for itself; but all that the TLS layer holds, of which
/// epoll knows nothing.
void NetStream::Impl::receive() {
  bool gone = false;
  const unsigned number = connection;
  do {
    const Result<Transfer> got = read();
    if (!got) return deliver(got.error());
    if (got->bytes == 0) {
      if (got->wait == Wait::kWritable) write_waits = true;
      return watch();
    }
    destroyed = &gone;
    listener->on_data({read_buffer.data(), got->bytes});
    if (gone) return;
    destroyed = nullptr;
    if (number != connection) return;
  } while (session && session->pending());
}

Result<Transfer> NetStream::Impl::read() {
  if (session) return session->read(read_buffer);
  const ssize_t got = ::recv(fd.get(), read_buffer.data(), read_buffer.size(), 0);
  if (got > 0) return Transfer{static_cast<std::size_t>(got), Wait::kNothing};
  if (got == 0) return Error{Code::kClosed, 0, "the peer closed the connection"};
  if (errno == EAGAIN || errno == EINTR) return Transfer{0, Wait::kReadable};
  return system_error("read", errno);
}

/// Sends what the socket takes now. It may be called by the listener, so a failure is told later.
void NetStream::Impl::flush() {
  write_waits = false;
  std::size_t done = 0;
  while (done < out_size) {
    const std::string_view rest(out.data() + done, out_size - done);
    if (session) {
      const Result<Transfer> sent = session->write(rest);
      if (!sent) return fail_later(sent.error());
      if (sent->bytes == 0) {
        write_waits = sent->wait == Wait::kWritable;
        break;
      }
      done += sent->bytes;
    } else {
      const ssize_t sent = ::send(fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) return fail_later(system_error("write", errno));
      if (sent <= 0) {
        write_waits = true;
        break;
      }
      done += static_cast<std::size_t>(sent);
    }
  }
  out_size -= done;
  if (done > 0 && out_size > 0) std::memmove(out.data(), out.data() + done, out_size);
  watch();
}

void NetStream::Impl::watch() {
  const std::uint32_t events = write_waits ? EPOLLIN | EPOLLOUT : EPOLLIN;
  if (const Result<void> watched = source.watch(fd.get(), events); !watched) fail_later(watched.error());
}

void NetStream::Impl::fail_later(const Error& error) {
  last_error = error;
  drop_connection();
  state = State::kFailed;
  timer.arm_in(0);
}

void NetStream::Impl::deliver(const Error& error) {
  const Error copy = error;
  Listener* who = listener;
  close();
  who->on_close(copy);
}

NetStream::NetStream(Loop& loop, const TcpSettings& tcp, TlsContext& tls) : impl_(new Impl(loop, tcp, tls)) {}
NetStream::~NetStream() = default;
void NetStream::open(const Endpoint& endpoint, Listener& listener) {
  impl_->open(endpoint, listener, on_address_);
}
Result<void> NetStream::write(std::string_view bytes) { return impl_->write(bytes); }
void NetStream::close() { impl_->close(); }

}  // namespace flannelette::io
