// SPDX-License-Identifier: Apache-2.0
// Names to addresses, in a child process.
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

// musl takes an error in one answer for an error of both, and many name servers have one for AAAA: what fails
// is asked again, one family at a time. musl believes such an error after 5 s only; with these limits for the
// others all is asked within a connection's 10 s. It repeats a question after 2.5 s: one that was lost gets
// an answer too, of the family that etcd has most often.
constexpr int kFamilies[] = {AF_UNSPEC, AF_INET, AF_INET6};
constexpr Millis kLimits[] = {0, 3000, 1700};
constexpr const char* kNobody = "resolver: no name server could answer";

/// What the child writes, in one piece that a pipe takes whole (POSIX: PIPE_BUF >= 512).
struct Answer {
  bool no_such_name = true;  ///< why there are no addresses
  std::uint8_t count = 0;
  std::int32_t sys_errno = 0;  ///< why nobody could be asked
  std::array<HostAddress, Resolver::kMaxAddresses> addresses;
};
static_assert(sizeof(Answer) <= 512);

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

[[noreturn]] void run_child(const char* name, int family, int pipe) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) {
    if (signal != SIGSYS) ::sigaction(signal, &action, nullptr);  // the sandbox is here, too
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(pipe, kChildPipe);
  close_inherited();

  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(name, nullptr, &hints, &list);
  Answer answer;
  answer.no_such_name = error == 0 || says_no(error);
  if (error == EAI_SYSTEM) answer.sys_errno = errno;
  for (; list != nullptr && answer.count < Resolver::kMaxAddresses; list = list->ai_next) {
    if (list->ai_family != AF_INET && list->ai_family != AF_INET6) continue;
    answer.addresses[answer.count++] = from_socket_address(list->ai_addr);
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
  if (!(name_ == name)) first_ = 0;
  name_ = name;
  ask(first_);
}

void Resolver::ask(unsigned question) {
  question_ = question;
  wanted_ = true;
  if (reap()) launch();
}

void Resolver::cancel() {
  wanted_ = false;
  failed_ = false;
  timer_.cancel();
  source_.unwatch();
  pipe_.reset();
  if (child_ > 0) ::kill(child_, SIGKILL);
  reap();
}

void Resolver::launch() {
  wanted_ = false;
  count_ = 0;
  const Result<void> started = start_child();
  if (!started) {
    result_ = started;
    failed_ = true;
    source_.unwatch();  // the pipe ends without an answer
    timer_.arm_in(0);
  } else if (question_ > 0) {
    timer_.arm_in(kLimits[question_]);
  }
}

Result<void> Resolver::start_child() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return last_error("resolver: pipe");
  pipe_ = UniqueFd(ends[0]);
  const UniqueFd child_end(ends[1]);
  FLT_TRY(source_.watch(pipe_.get(), EPOLLIN));
  child_ = ::fork();
  if (child_ == 0) run_child(name_.c_str(), kFamilies[question_], child_end.get());
  if (child_ < 0) return last_error("resolver: fork");
  return {};
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
  if (pipe_) return no_addresses({Code::kUnavailable, 0, kNobody});
  if (reap() && wanted_) launch();
}

void Resolver::on_readable(std::uint32_t) {
  Answer answer;
  const ssize_t size = ::read(pipe_.get(), &answer, sizeof answer);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size != sizeof answer)
    return no_addresses({Code::kUnavailable, 0, "resolver: the child that asks was killed"});
  count_ = std::min<std::size_t>(answer.count, kMaxAddresses);
  addresses_ = answer.addresses;
  if (count_ > 0) return finish({});
  if (answer.no_such_name) return no_addresses({Code::kNotFound, 0, "resolver: the name does not exist"});
  if (answer.sys_errno != 0) return no_addresses(system_error("resolver: question", answer.sys_errno));
  no_addresses({Code::kUnavailable, 0, kNobody});
}

void Resolver::no_addresses(const Error& why) {
  // The name does not exist if it has no address of either family.
  const Result<void> result = question_ == 2 && why.code == Code::kNotFound ? result_.error() : why;
  if (question_ == 2) return finish(result);
  cancel();
  result_ = result;
  ask(question_ + 1);
}

void Resolver::finish(Result<void> result) {
  cancel();
  result_ = result;
  first_ = result ? question_ : 0;
  const Delegate<void()> done = done_;
  done();
}

}  // namespace flannelette::io
