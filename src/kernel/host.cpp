// SPDX-License-Identifier: Apache-2.0
// What an inspection asks of a machine.
#include "flannelette/kernel/host.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "flannelette/base/function_ref.hpp"
#include "input_chain.hpp"
#include "netlink_kernel_impl.hpp"
#include "nexthop.hpp"
#include "rule_table.hpp"
#include "vxlan_device.hpp"

namespace flannelette::kernel {
namespace {

using Path = Text<Files::kMaxPath>;

Path in_folder(std::string_view folder, std::string_view name) {
  return to_text<Path::kCapacity>([&](Writer& out) { out.put(folder).put("/").put(name); });
}

/// Calls `visit(const char* name)` with the name of each entry until it gives true; whether it did.
bool find_entry(const char* folder, FunctionRef<bool(const char*)> visit) {
  DIR* const entries = ::opendir(folder);
  if (entries == nullptr) return false;
  bool found = false;
  while (!found) {
    const dirent* entry = ::readdir(entries);
    if (entry == nullptr) break;
    found = visit(static_cast<const char*>(entry->d_name));
  }
  ::closedir(entries);
  return found;
}

/// Empty if it cannot be read.
Text<63> link_target(const Path& path) {
  std::array<char, 63> target;
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  return std::string_view(target.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
}

bool find_process(FunctionRef<bool(int, const Path&)> visit) {
  return find_entry("/proc", [&](const char* name) {
    std::uint64_t pid = 0;
    return parse_unsigned(name, pid) && visit(static_cast<int>(pid), in_folder("/proc", name));
  });
}

Program program_of(Files& files, int pid, const Path& process) {
  std::array<char, 32> memory;
  const auto text = files.read(in_folder(process, "comm"), memory);
  if (!text || !*text) return {};
  return {pid, trimmed((*text)->substr(0, (*text)->find('\n')))};
}

}  // namespace

Result<void> Host::try_vxlan() { return kernel::try_vxlan(kernel_.impl_->route); }
Result<void> Host::try_rules(const overlay::RuleSpec& spec) {
  return kernel::try_rules(kernel_.impl_->netfilter, spec);
}
Result<bool> Host::has_nexthops() { return kernel::has_nexthops(kernel_.impl_->route); }
Result<void> Host::inspect_input(std::string_view link, std::uint16_t port, FindingVisitor& visitor) {
  return kernel::inspect_input(kernel_.impl_->netfilter, files_, link, port, visitor);
}

void Host::visit_programs(ProgramVisitor& visitor) {
  const Text<63> ours = link_target("/proc/self/ns/net");
  (void)find_process([&](int pid, const Path& process) {
    if (pid == ::getpid() || link_target(in_folder(process, "ns/net")) != ours) return false;
    const Program program = program_of(files_, pid, process);
    if (program.pid != 0) visitor.program(program);
    return false;
  });
}

Program Host::holder_of(std::uint64_t inode) {
  const auto socket = to_text<63>([&](Writer& out) { out.put("socket:[").put_unsigned(inode).put(']'); });
  Program holder;
  (void)find_process([&](int pid, const Path& process) {
    const Path open = in_folder(process, "fd");
    const bool found = find_entry(
        open.c_str(), [&](const char* name) { return link_target(in_folder(open, name)) == socket; });
    if (found) holder = program_of(files_, pid, process);
    return found;
  });
  return holder;
}

bool Host::mentions(const char* path, std::string_view word) {
  const auto has = [&](std::string_view file) {
    std::array<char, 8 * 1024> memory;
    const auto text = files_.read(file, memory);
    return text && *text && (*text)->find(word) != std::string_view::npos;
  };
  return has(path) || find_entry(path, [&](const char* name) { return has(in_folder(path, name)); });
}

Result<void> Host::may_write(std::string_view file, Writing how) {
  if (how == Writing::kInPlace)
    return ::access(Path(file).c_str(), W_OK) == 0 ? Result<void>() : last_error("open");
  FLT_TRY(check_target(Path(file).c_str()));
  for (;;) {
    const std::size_t slash = file.rfind('/');
    file = file.substr(0, slash == file.npos ? 0 : slash);
    const Path folder = in_folder(file, {});  // a slash at the end asks for a folder
    if (::access(folder.c_str(), W_OK | X_OK) == 0) {
      struct statvfs space {};
      if (::statvfs(folder.c_str(), &space) != 0) return {};
      // Some file systems count no blocks, some no inodes.
      const bool full =
          (space.f_blocks != 0 && space.f_bavail == 0) || (space.f_files != 0 && space.f_favail == 0);
      return full ? system_error("write", ENOSPC) : Result<void>();
    }
    if (errno != ENOENT || file.empty()) return last_error("write");
    struct stat info;
    if (::lstat(Path(file).c_str(), &info) == 0)
      return Error{Code::kNotFound, 0, "a link to nothing; is the disk mounted?"};
  }
}

}  // namespace flannelette::kernel
