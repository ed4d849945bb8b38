// SPDX-License-Identifier: Apache-2.0
#include "support/process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <stdexcept>

#include "support/poll.hpp"

namespace flannelette::tests {

namespace {

[[noreturn]] void child_fails(const char* what) {
  dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
  _exit(127);
}

/// A container's: no way back, since the capability that leads out is gone.
void confine(const Confinement& to) {
  for (const std::string& path : to.read_only) {
    // What the mount may have already must stay; only programs below the root are run.
    const unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV;
    if (mount(nullptr, path.c_str(), nullptr, flags | (path == to.root ? 0 : MS_NOEXEC), nullptr) != 0)
      child_fails(path.c_str());
  }
  if (chroot(to.root.c_str()) != 0 || chdir("/") != 0) child_fails("chroot");
  for (unsigned capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
    if ((to.capabilities >> capability & 1) == 0) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) child_fails("no_new_privs");
}

// Between fork and exec: no allocation, nothing but system calls.
[[noreturn]] void become(char* const* argv, char* const* envp, int output_fd, int netns_fd,
                         const Command& command, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  setpgid(0, 0);
  // doctest's handlers must not run in the child: a signal that comes before exec ends it like one that comes
  // after.
  for (int number = 1; number < NSIG; number++) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(null, STDIN_FILENO);
  dup2(output_fd, STDOUT_FILENO);
  dup2(output_fd, STDERR_FILENO);
  if (netns_fd >= 0 && setns(netns_fd, CLONE_NEWNET) != 0) child_fails("setns");
  if (!command.binds.empty() && unshare(CLONE_NEWNS) != 0) child_fails("unshare");
  for (const auto& [from, to] : command.binds) {
    if (mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) child_fails(to.c_str());
  }
  if (!command.confinement.root.empty()) confine(command.confinement);
  execvpe(argv[0], argv, envp);
  child_fails(argv[0]);
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

int open_netns(const std::string& name) {
  const std::string path = "/run/netns/" + name;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error(path + ": " + strerror(errno));
  return fd;
}

}  // namespace

Process::Process(Command command) {
  const int netns_fd = command.netns.empty() ? -1 : open_netns(command.netns);
  output_fd_ = command.output_file.empty()
                   ? memfd_create("test-output", MFD_CLOEXEC)
                   : open(command.output_file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (output_fd_ < 0) throw std::runtime_error("no place for the output of " + command.args.at(0));

  // Ours come first: getenv takes the first of two.
  std::vector<std::string> env = std::move(command.env);
  for (char** entry = environ; *entry != nullptr; entry++) env.emplace_back(*entry);
  const std::vector<char*> argv = pointers(command.args);
  const std::vector<char*> envp = pointers(env);

  // The pipe closes by itself when the child becomes the program: from then on it is the program that gets
  // signals.
  int started[2];
  if (pipe2(started, O_CLOEXEC) != 0) throw std::runtime_error(std::string("pipe2: ") + strerror(errno));
  const pid_t parent = getpid();
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  pid_ = fork();
  if (pid_ == 0) become(argv.data(), envp.data(), output_fd_, netns_fd, command, parent);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  close(started[1]);
  if (netns_fd >= 0) close(netns_fd);
  if (pid_ < 0) {
    close(started[0]);
    close(output_fd_);
    throw std::runtime_error(std::string("fork: ") + strerror(errno));
  }
  char ignored = 0;
  while (read(started[0], &ignored, 1) < 0 && errno == EINTR) {
  }
  close(started[0]);
}

Process::~Process() {
  kill(-pid_, SIGKILL);
  if (!status_) waitpid(pid_, nullptr, 0);
  close(output_fd_);
}

std::optional<int> Process::exit_status() {
  int status = 0;
  if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_) {
    status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  return status_;
}

std::optional<int> Process::wait(std::chrono::milliseconds limit) {
  (void)wait_until(limit, [this] { return exit_status().has_value(); });
  return status_;
}

void Process::signal(int number) {
  if (running()) kill(pid_, number);
}

std::string Process::output() const {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = pread(output_fd_, buffer, sizeof(buffer), static_cast<off_t>(text.size()));
    if (got <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

Outcome run(Command command, std::chrono::milliseconds limit) {
  Process process(std::move(command));
  const std::optional<int> status = process.wait(limit);
  return {status.value_or(124), process.output()};
}

std::string must_run(Command command, std::chrono::milliseconds limit) {
  std::string line;
  for (const std::string& arg : command.args) line += arg + " ";
  Outcome outcome = run(std::move(command), limit);
  if (outcome.status != 0) {
    throw std::runtime_error(line + "-> " + std::to_string(outcome.status) + ": " + outcome.output);
  }
  return std::move(outcome.output);
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  return result;
}

}  // namespace flannelette::tests
