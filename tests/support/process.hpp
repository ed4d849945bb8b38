// SPDX-License-Identifier: Apache-2.0
// Child processes of a test. A Process never outlives its object, nor a test binary that crashes.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace flannelette::tests {

/// What a container's runtime leaves a program of the machine, behind the binds of its command.
struct Confinement {
  std::string root{};                    ///< its root; empty: nothing of this
  std::vector<std::string> read_only{};  ///< what cannot be written to, each a path that is bound
  std::uint64_t capabilities = 0;        ///< bits; all that root may ever have
};

struct Command {
  std::vector<std::string> args;   ///< args[0] is looked up in PATH
  std::vector<std::string> env{};  ///< "NAME=value", added to our own environment
  std::string netns{};             ///< name of a network namespace (netns.hpp); empty: the caller's
  std::string output_file{};       ///< stdout and stderr go there (appended); empty: to memory
  /// What it sees at the second path is what is at the first, in their order; both exist. It gets a mount
  /// namespace of its own then.
  std::vector<std::pair<std::string, std::string>> binds{};
  Confinement confinement{};
};

class Process {
 public:
  /// Starts it in a process group of its own; returns when the program itself runs. A program that cannot be
  /// executed exits 127 with the reason as output.
  explicit Process(Command command);
  /// Kills the whole process group and waits for the child.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running() { return !exit_status().has_value(); }

  /// Exit status as a shell shows it (128 + signal if one ended it); empty while it runs. Does not block.
  std::optional<int> exit_status();
  /// Waits for the end; empty when `limit` has passed.
  std::optional<int> wait(std::chrono::milliseconds limit);
  /// To the child alone, not to its group.
  void signal(int number);

  /// What it has written so far to stdout and stderr.
  std::string output() const;

 private:
  pid_t pid_ = -1;
  int output_fd_ = -1;
  std::optional<int> status_;
};

struct Outcome {
  int status;  ///< as Process::exit_status; 124 if it did not end in time
  std::string output;
};

/// Runs to the end, or kills at the limit.
Outcome run(Command command, std::chrono::milliseconds limit = std::chrono::seconds{10});

/// run(), and its output; anything but exit status 0 throws std::runtime_error with command line and output.
std::string must_run(Command command, std::chrono::milliseconds limit = std::chrono::seconds{10});

/// Splits at spaces; no quoting.
std::vector<std::string> words(const std::string& text);

}  // namespace flannelette::tests
