// SPDX-License-Identifier: Apache-2.0
// What the seccomp filter lets through, in a child: it is for good.
#include "cli/sandbox.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/standard_streams.hpp"
#include "support/skip.hpp"

using namespace flannelette;

namespace {

struct Child {
  int status = -1;
  std::string output;  ///< stderr
};

#if defined(FLANNELETTE_SANITIZE)
#define NEEDS_ITS_OWN_CALLS_ALONE SKIP("the sanitizer makes system calls of its own when a process ends")
#else
#define NEEDS_ITS_OWN_CALLS_ALONE
#endif

/// `act` gives the exit status.
Child in_sandbox(cli::Sandbox sandbox, int (*act)()) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    StreamSink sink(STDERR_FILENO);
    const SystemClock clock;
    Log log(sink, clock, Level::kDebug);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ::_exit(cli::enter_sandbox(sandbox, log) ? act() : 99);
  }
  ::close(ends[1]);
  Child child;
  char bytes[1024];
  for (ssize_t size; (size = ::read(ends[0], bytes, sizeof bytes)) > 0;)
    child.output.append(bytes, static_cast<std::size_t>(size));
  ::close(ends[0]);
  ::waitpid(pid, &child.status, 0);
  return child;
}

bool refused(long result) { return result == -1 && errno == ENOSYS; }

bool maps(int protection) {
  return ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

const std::string kNamed =
    "the sandbox refuses a system call, which fails with ENOSYS; report it, and run with sandbox = off "
    "system_call=";

}  // namespace

TEST_SUITE("kernel/sandbox") {
  TEST_CASE("a system call that the agent does not make fails with ENOSYS and is named once, by its number") {
    NEEDS_ITS_OWN_CALLS_ALONE;
    const Child child = in_sandbox(cli::Sandbox::kOn, [] {
      for (int i = 0; i < 3; ++i) {
        if (!refused(::syscall(SYS_chroot, "/"))) return 1;
      }
      // Not fork(): glibc 2.41 blocks all signals there while it makes calls of its own, and a blocked SIGSYS
      // ends the child.
      if (::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0)
        ::_exit(refused(::syscall(SYS_chroot, "/")) ? 0 : 1);
      int status = -1;
      ::wait(&status);
      return status == 0 && ::getpid() > 0 ? 0 : 2;
    });
    CHECK(child.status == 0);
    const std::string named = kNamed + std::to_string(SYS_chroot) + "\n";
    CHECK(child.output.find(named) != std::string::npos);
    CHECK(child.output.find(named) == child.output.rfind(named));  // glibc's own are named, too
  }

  TEST_CASE("no program is executed, no namespace made, no memory becomes code; a child and data are fine") {
    NEEDS_ITS_OWN_CALLS_ALONE;
    const Child child = in_sandbox(cli::Sandbox::kOn, [] {
      const char* const arguments[] = {"true", nullptr};
      if (!refused(::syscall(SYS_execve, "/bin/true", arguments, nullptr))) return 1;
      if (!refused(::unshare(CLONE_NEWUSER))) return 2;
      if (!refused(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0))) return 3;
      if (maps(PROT_READ | PROT_EXEC) || errno != ENOSYS) return 4;
      if (!maps(PROT_READ | PROT_WRITE)) return 5;
      return 0;
    });
    CHECK(child.status == 0);
  }

  TEST_CASE("strict: it ends the program") {
    const Child child =
        in_sandbox(cli::Sandbox::kStrict, [] { return refused(::syscall(SYS_chroot, "/")) ? 1 : 2; });
    CHECK(WIFSIGNALED(child.status));
    CHECK(WTERMSIG(child.status) == SIGSYS);
  }

  TEST_CASE("off: nothing is refused") {
    const Child child = in_sandbox(cli::Sandbox::kOff, [] { return maps(PROT_READ | PROT_EXEC) ? 0 : 1; });
    CHECK(child.status == 0);
    CHECK(child.output.empty());
  }
}
