// SPDX-License-Identifier: Apache-2.0
// Which system calls the process may make: a seccomp filter.
#include "cli/sandbox.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <iterator>

#include "flannelette/base/standard_streams.hpp"

namespace flannelette::cli {
namespace {

// The architecture, as the filter sees it, and where a signal handler finds the result of a system call.
#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
auto& result_of(ucontext_t& context) { return context.uc_mcontext.gregs[REG_RAX]; }
#elif defined(__i386__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_I386;
auto& result_of(ucontext_t& context) { return context.uc_mcontext.gregs[REG_EAX]; }
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
auto& result_of(ucontext_t& context) { return context.uc_mcontext.regs[0]; }
#elif defined(__arm__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_ARM;
auto& result_of(ucontext_t& context) { return context.uc_mcontext.arm_r0; }
#elif defined(__riscv)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_RISCV64;
auto& result_of(ucontext_t& context) { return context.uc_mcontext.__gregs[10]; }
#elif defined(__s390x__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_S390X;
auto& result_of(ucontext_t& context) { return context.uc_mcontext.gregs[2]; }
#else
#error "no sandbox for this architecture: FLANNELETTE_SANDBOX=OFF"
#endif

/// What the agent, the child that resolves names, and musl below them call.
// clang-format off
constexpr std::uint16_t kAllowed[] = {
    // files
    SYS_read, SYS_readv, SYS_write, SYS_writev, SYS_close, SYS_openat, SYS_fstat, SYS_statx, SYS_readlinkat,
    SYS_faccessat, SYS_mkdirat, SYS_unlinkat, SYS_renameat2, SYS_linkat, SYS_fchmod, SYS_fchmodat, SYS_fchown,
    SYS_fchownat, SYS_umask, SYS_ftruncate, SYS_fsync, SYS_getdents64, SYS_ioctl, SYS_dup3, SYS_pipe2,
    // sockets
    SYS_socket, SYS_connect, SYS_bind, SYS_listen, SYS_accept4, SYS_shutdown, SYS_sendto, SYS_sendmsg,
    SYS_recvfrom, SYS_recvmsg, SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt,
    // the loop, the machine
    SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_timerfd_create, SYS_signalfd4, SYS_getrandom,
    SYS_sysinfo, SYS_uname, SYS_restart_syscall,
    // memory
    SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise,
    // processes
    SYS_wait4, SYS_kill, SYS_tkill, SYS_getpid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
    SYS_exit, SYS_exit_group, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_set_tid_address,
    SYS_prctl, SYS_capget, SYS_capset, SYS_prlimit64,
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef SYS_close_range
    SYS_close_range,
#endif
#ifdef SYS_fcntl64
    SYS_fcntl64, SYS__llseek, SYS_fstat64, SYS_fstatat64, SYS_ftruncate64,
#else
    SYS_fcntl, SYS_lseek, SYS_newfstatat,
#endif
#ifdef SYS_clock_gettime32  // musl's name
    SYS_clock_gettime32, SYS_clock_gettime64, SYS_ppoll_time64, SYS_timerfd_settime32, SYS_timerfd_settime64,
    SYS_clock_nanosleep_time64, SYS_nanosleep, SYS_futex, SYS_futex_time64,
#else
    SYS_clock_gettime, SYS_ppoll, SYS_timerfd_settime, SYS_clock_nanosleep, SYS_nanosleep, SYS_futex,
#endif
#ifdef SYS_open  // what the newer architectures have no more
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename,
    SYS_link, SYS_chmod, SYS_chown, SYS_lchown, SYS_dup2, SYS_pipe, SYS_poll, SYS_epoll_wait, SYS_fork,
#endif
#ifdef SYS_stat64
    SYS_stat64, SYS_lstat64, SYS_chown32, SYS_lchown32, SYS_fchown32, SYS_getuid32, SYS_geteuid32,
    SYS_getgid32, SYS_getegid32, SYS_sigreturn,
#endif
#ifdef SYS_socketcall
    SYS_socketcall,
#endif
};
// clang-format on

#ifdef SYS_mmap2
constexpr std::uint32_t kMap = SYS_mmap2;
#else
constexpr std::uint32_t kMap = SYS_mmap;
#endif
#ifdef __s390x__
constexpr int kCloneFlags = 1;
constexpr bool kMapHasArguments = false;  // but a pointer to them, which no filter can follow
#else
constexpr int kCloneFlags = 0;
constexpr bool kMapHasArguments = true;
#endif
constexpr std::uint32_t kNewNamespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

/// The lower half of an argument: what is asked of them has no bits in the upper.
constexpr std::uint32_t argument(int number) {
  const bool big = std::endian::native == std::endian::big;
  return offsetof(seccomp_data, args) + static_cast<std::uint32_t>(number) * 8 + (big ? 4 : 0);
}

constexpr sock_filter load(std::uint32_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset); }
constexpr sock_filter jump(std::uint16_t how, std::uint32_t value, std::size_t yes, std::size_t no) {
  return BPF_JUMP(static_cast<std::uint16_t>(BPF_JMP | how | BPF_K), value, static_cast<std::uint8_t>(yes),
                  static_cast<std::uint8_t>(no));
}

constexpr std::size_t kCount = std::size(kAllowed);
constexpr std::size_t kProtection = 3 + 3 + kCount;  ///< where the arguments of mmap and mprotect are checked
constexpr std::size_t kFlags = kProtection + 2;      ///< and those of clone
constexpr std::size_t kRefuse = kFlags + 2;
constexpr std::size_t kAllow = kRefuse + 1;
static_assert(kAllow < 256);  // the longest jump

/// One comparison a call, and the three with an argument that counts.
struct Program {
  constexpr explicit Program(std::uint32_t refused) {
    add(load(offsetof(seccomp_data, arch)));
    add(jump(BPF_JEQ, kArchitecture, 0, to(kRefuse)));
    add(load(offsetof(seccomp_data, nr)));
    add(jump(BPF_JEQ, kMap, to(kMapHasArguments ? kProtection : kAllow), 0));
    add(jump(BPF_JEQ, SYS_mprotect, to(kProtection), 0));
    add(jump(BPF_JEQ, SYS_clone, to(kFlags), 0));
    for (std::size_t i = 0; i < kCount; ++i)
      add(jump(BPF_JEQ, kAllowed[i], to(kAllow), i + 1 < kCount ? 0 : to(kRefuse)));
    add(load(argument(2)));
    add(jump(BPF_JSET, PROT_EXEC, to(kRefuse), to(kAllow)));
    add(load(argument(kCloneFlags)));
    add(jump(BPF_JSET, kNewNamespaces, to(kRefuse), to(kAllow)));
    add(BPF_STMT(BPF_RET | BPF_K, refused));
    add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  constexpr std::size_t to(std::size_t target) const { return target - size - 1; }
  constexpr void add(sock_filter one) { code[size++] = one; }

  std::array<sock_filter, kAllow + 1> code{};
  std::size_t size = 0;
};

/// Those that were named, a bit each, in memory that the children share.
using Named = std::array<std::uint32_t, 16>;
Named* named = nullptr;

void on_refused(int, siginfo_t* info, void* context) {
  const int saved = errno;
  const auto number = static_cast<std::uint32_t>(info->si_syscall);
  std::uint32_t& word = (*named)[number / 32 % named->size()];
  const std::uint32_t bit = 1u << number % 32;
  if ((word & bit) == 0) {
    word |= bit;
    const auto text = to_text<200>([&](Writer& out) {
      out.put(
             "warning: the sandbox refuses a system call, which fails with ENOSYS; report it, and run with "
             "sandbox = off system_call=")
          .put_unsigned(number);
    });
    StreamSink(STDERR_FILENO).line(Level::kWarning, text);
  }
  result_of(*static_cast<ucontext_t*>(context)) = -ENOSYS;
  errno = saved;
}

Result<void> name_refused() {
  void* memory = ::mmap(nullptr, sizeof(Named), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return last_error("sandbox: mmap");
  named = static_cast<Named*>(memory);
  struct sigaction action = {};
  action.sa_sigaction = on_refused;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGSYS, &action, nullptr);
  return {};
}

}  // namespace

Result<void> enter_sandbox(Sandbox sandbox, Log& log) {
  if (sandbox == Sandbox::kOff) return {};
  const bool strict = sandbox == Sandbox::kStrict;
  if (!strict) FLT_TRY(name_refused());
  Program program(strict ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_TRAP);
  const sock_fprog filter{static_cast<unsigned short>(program.size), program.code.data()};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0) return {};
  const Error error = last_error("sandbox: seccomp");
  if (strict) return error;
  log.info("this kernel has no seccomp filter; system calls are not restricted", {Field(error)});
  return {};
}

}  // namespace flannelette::cli
