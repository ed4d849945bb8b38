// SPDX-License-Identifier: Apache-2.0
#include "bench/probe/probe.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace flannelette::bench {

std::string_view whole_file(const char* path) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (file < 0 || fstat(file, &info) != 0 || info.st_size == 0) {
    perror(path);
    exit(2);
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  void* const memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  close(file);
  if (memory == MAP_FAILED) {
    perror(path);
    exit(2);
  }
  return {static_cast<const char*>(memory), size};
}

}  // namespace flannelette::bench

int main(int argc, char** argv) {
  using namespace flannelette::bench;
  const auto is = [&](const char* word, int arguments) {
    return argc == arguments + 2 && strcmp(argv[1], word) == 0;
  };
  if (is("floor", 1)) return floor_of(atoi(argv[2]));
  if (is("direct", 2)) return direct_of(atoi(argv[2]), strcmp(argv[3], "agent") == 0);
  if (is("speed", 2)) return parse_speed(argv[2], whole_file(argv[3]));
  if (is("hot", 2)) return hot_path(argv[2], whole_file(argv[3]), {});
  if (is("hot", 3)) return hot_path(argv[2], whole_file(argv[3]), whole_file(argv[4]));
  fputs(
      "bench_probe floor PEERS           make a device here and program so many peers: seconds\n"
      "bench_probe direct PEERS agent|bare\n"
      "                                  put so many host-gw routes on the link under0: seconds\n"
      "bench_probe speed http|json|decode FILE\n"
      "                                  parse a recorded response (or its body) again and again: MB/s\n"
      "bench_probe hot parse|table|plan|audit|event LIST [EVENTS]\n"
      "                                  once through the hot path, as far as named, for callgrind\n",
      stderr);
  return 2;
}
