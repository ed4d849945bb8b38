// SPDX-License-Identifier: Apache-2.0
// bench_probe: parts of the shipped program, each alone, with the flags and libraries that it is shipped
// with. No C++ runtime library here: stdio, and nothing that throws.
#pragma once

#include <time.h>

#include <cstdint>
#include <cstdio>
#include <string_view>

namespace flannelette::bench {

/// What a read from a socket gives at most.
inline constexpr std::size_t kPiece = 16 * 1024;

inline double seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// The file's bytes; ends the process if it cannot be read.
std::string_view whole_file(const char* path);

// Each is one word of the command line (probe.cpp) and returns the exit status.
int floor_of(int peers);
int direct_of(int peers, bool as_agent);
int parse_speed(std::string_view what, std::string_view bytes);
int hot_path(std::string_view until, std::string_view list, std::string_view events);

}  // namespace flannelette::bench
