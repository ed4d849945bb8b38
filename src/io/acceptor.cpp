// SPDX-License-Identifier: Apache-2.0
// A listening socket in the loop.
#include "flannelette/io/acceptor.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/socket_address.hpp"

namespace flannelette::io {
namespace {

/// Seconds that the kernel keeps a connection from us whose client is silent.
constexpr int kSilence = 5;
constexpr int kType = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

sockaddr_un unix_address(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  static_assert(sizeof address.sun_path == Acceptor::kMaxPath + 1);
  (void)copy_cut(path, address.sun_path);
  return address;
}

/// 0, or the errno.
int bind_to(const UniqueFd& fd, const sockaddr_un& address) {
  const mode_t before = ::umask(0117);  // from the first moment on
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int why = errno;
  ::umask(before);
  return bound == 0 ? 0 : why;
}

/// A socket that its process left behind.
bool is_stale(const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(address.sun_path, &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  const UniqueFd probe(::socket(AF_UNIX, kType, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
         errno == ECONNREFUSED;
}

}  // namespace

Acceptor::Acceptor(Loop& loop, Handler handler)
    : handler_(handler),
      source_(loop, Source::Handler::to<&Acceptor::on_ready>(this)),
      pause_(loop, Delegate<void()>::to<&Acceptor::watch>(this)) {}

Result<void> Acceptor::listen(const Ip& ip, std::uint16_t port) {
  close();
  SocketAddress address;
  const socklen_t size = to_socket_address({ip}, port, address);
  UniqueFd fd(::socket(address.any.sa_family, kType, 0));
  if (!fd) return last_error("socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &kSilence, sizeof kSilence);
  if (::bind(fd.get(), &address.any, size) != 0) return last_error("bind");
  return listen(std::move(fd));
}

Result<void> Acceptor::listen(std::string_view path) {
  close();
  if (path.size() > kMaxPath) return Error{Code::kLimit, 0, "the path of a socket has at most 107 bytes"};
  const sockaddr_un address = unix_address(path);
  const std::size_t slash = path.rfind('/');
  if (slash != path.npos && slash > 0) {
    const Text<kMaxPath> folder(path.substr(0, slash));
    if (::mkdir(folder.c_str(), 0755) == 0) ::chmod(folder.c_str(), 0755);
  }
  UniqueFd fd(::socket(AF_UNIX, kType, 0));
  if (!fd) return last_error("socket");
  int why = bind_to(fd, address);
  if (why == EADDRINUSE && is_stale(address) && ::unlink(address.sun_path) == 0) why = bind_to(fd, address);
  if (why != 0) return system_error("bind", why);
  path_ = path;
  return listen(std::move(fd));
}

Result<void> Acceptor::give_to(gid_t group) {
  if (::lchown(path_.c_str(), static_cast<uid_t>(-1), group) != 0) return last_error("chown");
  return {};
}

Result<void> Acceptor::listen(UniqueFd&& bound) {
  fd_ = std::move(bound);
  const int listens = ::listen(fd_.get(), kBacklog);
  const Result<void> watched = listens == 0 ? source_.watch(fd_.get(), EPOLLIN) : last_error("listen");
  if (!watched) close();
  return watched;
}

void Acceptor::close() {
  pause_.cancel();
  source_.unwatch();
  if (!path_.empty()) ::unlink(path_.c_str());
  path_.clear();
  fd_.reset();
}

void Acceptor::watch() { (void)source_.watch(fd_.get(), EPOLLIN); }

void Acceptor::on_ready(std::uint32_t) {
  UniqueFd connection(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (connection) return handler_(std::move(connection));
  // Others are of one connection, which is gone.
  if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS) return;
  source_.unwatch();
  pause_.arm_in(kPause);
}

}  // namespace flannelette::io
