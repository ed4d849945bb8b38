// SPDX-License-Identifier: Apache-2.0
#include "io/resolver.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "flannelette/io/net_stream.hpp"

namespace flannelette::io {
namespace {

constexpr Millis kReapAgain = 10;
constexpr int kChildPipe = 3;

/// What the child writes, in one piece that a pipe takes whole (POSIX: PIPE_BUF >= 512).
struct Answer {
  std::uint8_t known = 0;  ///< 0: nobody could say, 1: there is no such name, 2: here are its addresses
  std::uint8_t count = 0;
  std::array<Address, Resolver::kMaxAddresses> addresses;
};
static_assert(sizeof(Answer) <= 512);

Address to_address(const sockaddr* from) {
  Address address;
  if (from->sa_family == AF_INET6) {
    sockaddr_in6 in6;
    std::memcpy(&in6, from, sizeof in6);
    std::memcpy(address.bytes.data(), &in6.sin6_addr, 16);
    address.scope = in6.sin6_scope_id;
    address.v6 = 1;
  } else {
    sockaddr_in in4;
    std::memcpy(&in4, from, sizeof in4);
    std::memcpy(address.bytes.data(), &in4.sin_addr, 4);
  }
  return address;
}

bool says_no(int error) {
#ifdef EAI_NODATA  // a name without addresses; old musl does not tell it from EAI_NONAME
  if (error == EAI_NODATA) return true;
#endif
  return error == EAI_NONAME;
}

/// Nothing of the parent may stay open here: its sockets would outlive it.
void close_inherited() {
#ifdef SYS_close_range
  if (::syscall(SYS_close_range, kChildPipe + 1, ~0U, 0) == 0) return;  // Linux 5.9
#endif
  for (int fd = kChildPipe + 1; fd < 1024; ++fd) ::close(fd);
}

[[noreturn]] void run_child(const char* name, int pipe) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(pipe, kChildPipe);
  close_inherited();

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(name, nullptr, &hints, &list);
  Answer answer;
  answer.known = error == 0 ? 2 : says_no(error) ? 1 : 0;
  for (; list != nullptr && answer.count < Resolver::kMaxAddresses; list = list->ai_next) {
    if (list->ai_family != AF_INET && list->ai_family != AF_INET6) continue;
    answer.addresses[answer.count++] = to_address(list->ai_addr);
  }
  const ssize_t written = ::write(kChildPipe, &answer, sizeof answer);
  ::_exit(written == sizeof answer ? 0 : 1);
}

}  // namespace

bool NetStream::resolves_names() { return true; }

Resolver::Resolver(Loop& loop, Delegate<void()> done)
    : done_(done),
      source_(loop, Source::Handler::to<&Resolver::on_readable>(this)),
      timer_(loop, Delegate<void()>::to<&Resolver::on_timer>(this)) {}

Resolver::~Resolver() {
  cancel();
  if (child_ > 0) ::waitpid(child_, nullptr, 0);  // it was killed: this takes microseconds
}

void Resolver::start(const Text<Endpoint::kMaxHost>& name) {
  cancel();
  name_ = name;
  wanted_ = true;
  if (reap()) launch();
}

void Resolver::cancel() {
  wanted_ = false;
  failed_ = false;
  source_.unwatch();
  pipe_.reset();
  if (child_ > 0) ::kill(child_, SIGKILL);
  reap();
}

void Resolver::launch() {
  wanted_ = false;
  count_ = 0;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    result_ = system_error("resolver: pipe", errno);
  } else {
    pipe_ = UniqueFd(ends[0]);
    UniqueFd child_end(ends[1]);
    result_ = source_.watch(pipe_.get(), EPOLLIN);
    if (result_) {
      child_ = ::fork();
      if (child_ == 0) run_child(name_.c_str(), child_end.get());
      if (child_ < 0) result_ = system_error("resolver: fork", errno);
    }
  }
  failed_ = !result_;
  if (failed_) timer_.arm_in(0);
}

/// True if no child is left. It never waits: a killed child that is not dead yet is looked for again later.
bool Resolver::reap() {
  if (child_ > 0 && ::waitpid(child_, nullptr, WNOHANG) == 0) {
    timer_.arm_in(kReapAgain);
    return false;
  }
  child_ = -1;
  return true;
}

void Resolver::on_timer() {
  if (failed_) return finish(result_);
  if (reap() && wanted_) launch();
}

void Resolver::on_readable(std::uint32_t) {
  Answer answer;
  const ssize_t size = ::read(pipe_.get(), &answer, sizeof answer);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size != sizeof answer || answer.known == 0) {
    return finish(Error{Code::kUnavailable, 0, "resolver: no name server could answer"});
  }
  count_ = std::min<std::size_t>(answer.count, kMaxAddresses);
  addresses_ = answer.addresses;
  if (count_ == 0) return finish(Error{Code::kNotFound, 0, "resolver: the name does not exist"});
  finish({});
}

void Resolver::finish(Result<void> result) {
  cancel();
  result_ = result;
  const Delegate<void()> done = done_;
  done();
}

}  // namespace flannelette::io
