// SPDX-License-Identifier: Apache-2.0
// The capabilities that the process gives up.
#include "cli/privileges.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

#include "flannelette/base/unique_fd.hpp"

// libc has them; their header comes with another library.
extern "C" int capget(cap_user_header_t header, cap_user_data_t data);
extern "C" int capset(cap_user_header_t header, const __user_cap_data_struct* data);

namespace flannelette::cli {
namespace {

using Set = std::uint64_t;  ///< of capabilities
constexpr Set bit(int capability) { return Set{1} << capability; }
constexpr Set kReadSearch = bit(CAP_DAC_READ_SEARCH);
constexpr Set kOverride = bit(CAP_DAC_OVERRIDE);

constexpr __user_cap_header_struct kOurs{_LINUX_CAPABILITY_VERSION_3, 0};

/// All where it is not told.
Set permitted_set() {
  __user_cap_header_struct header = kOurs;
  __user_cap_data_struct halves[2]{};
  if (::capget(&header, halves) != 0) return ~Set{};
  return halves[0].permitted | Set{halves[1].permitted} << 32;
}

/// Nothing is inheritable (nor ambient, which follows from it).
bool set_capabilities(Set effective, Set permitted) {
  __user_cap_header_struct header = kOurs;
  const auto half = [&](int shift) {
    return __user_cap_data_struct{static_cast<std::uint32_t>(effective >> shift),
                                  static_cast<std::uint32_t>(permitted >> shift), 0};
  };
  const __user_cap_data_struct halves[2] = {half(0), half(32)};
  return ::capset(&header, halves) == 0;
}

using Path = Text<Files::kMaxPath>;

/// 0, or why it cannot be opened. O_NONBLOCK: it may be a FIFO. The mode is for O_TMPFILE.
int try_open(const Path& path, int flags) {
  const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600));
  return fd ? 0 : errno;
}

/// Whether permissions keep us from making files beside this one, or from making its folder.
bool sealed(std::string_view path) {
  int why = ENOENT;
  while (why == ENOENT && !path.empty()) {
    const std::size_t slash = path.rfind('/');
    path = path.substr(0, slash == path.npos ? 0 : slash);
    // A file without a name, which leaves nothing. A file system that has none looks at permissions all the
    // same.
    why = try_open(path.empty() ? (slash == 0 ? "/" : ".") : path, O_TMPFILE | O_WRONLY);
  }
  return why == EACCES;
}

}  // namespace

bool may_administer_network() { return (permitted_set() & bit(CAP_NET_ADMIN)) != 0; }

void give_up_privileges(const agent::Settings& settings, std::span<const std::string_view> read, Log& log) {
  bool done = ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
  done = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && done;

  // First without effect only: what is missed then stays.
  const Set permitted = permitted_set();
  Set wanted = permitted & bit(CAP_NET_ADMIN);
  done = set_capabilities(wanted, permitted) && done;
  const Set overruling = permitted & (kReadSearch | kOverride);
  for (const std::string_view path : read) {
    if (overruling == 0 || path.empty() || try_open(path, O_RDONLY) != EACCES) continue;
    const bool reads = (overruling & kReadSearch) != 0;  // containers tend to have the other one only
    wanted |= reads ? kReadSearch : kOverride;
    log.info("a capability stays, since a file cannot be read without it",
             {{"capability", reads ? "CAP_DAC_READ_SEARCH" : "CAP_DAC_OVERRIDE"}, {"file", path}});
    break;
  }
  const Path state = to_text<Files::kMaxPath>([&](Writer& out) { out.put(settings.state_dir).put('/'); });
  for (const Path* path : {&settings.subnet_file, &state}) {
    if ((permitted & kOverride) == 0 || !sealed(*path)) continue;
    wanted |= kOverride;
    log.info("a capability stays, since a folder cannot be written to without it",
             {{"capability", "CAP_DAC_OVERRIDE"}, {"path", path->view()}});
    break;
  }

  set_capabilities(permitted & bit(CAP_SETPCAP), permitted);
  for (int capability = 0; capability < 64; ++capability) {
    if ((wanted & bit(capability)) == 0) ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
  done = set_capabilities(wanted, wanted) && done;
  if (!done) log.debug("some privileges could not be given up", {Field(last_error("prctl or capset"))});
}

}  // namespace flannelette::cli
