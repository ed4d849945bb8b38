// SPDX-License-Identifier: Apache-2.0
// Reads the kernel's older iptables interface, to find chains that stop the overlay's packets.
#include "iptables.hpp"

#include <sys/socket.h>
// These two bring linux/in.h and linux/if.h along and cannot stand beside libc's netinet/in.h and net/if.h.
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter_ipv4/ip_tables.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <span>

#include "flannelette/base/unique_fd.hpp"

namespace flannelette::kernel {
namespace {

constexpr std::size_t kMaxTable = 1024 * 1024;  ///< a larger rule set is not inspected
constexpr std::string_view kNames = "/proc/net/ip_tables_names";
/// How the kernel marks the beginning of a chain: an entry with this target, the chain's name behind it.
constexpr std::string_view kErrorTarget = "ERROR";

/// Asking for a table that is not listed would load its module. Unreadable or absent: nothing is in use that
/// we could see.
bool in_use(std::string_view names, std::string_view table) {
  while (!names.empty()) {
    const std::size_t end = names.find('\n');
    if (names.substr(0, end) == table) return true;
    names.remove_prefix(end == names.npos ? names.size() : end + 1);
  }
  return false;
}

std::string_view text_in(const char* begin, std::size_t capacity) {
  return {begin, strnlen(begin, capacity)};
}

/// Reads one entry's part of type T at `offset`; false if it lies outside.
template <class T>
bool read_at(std::span<const std::byte> bytes, std::size_t offset, T& value) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof value) return false;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return true;
}

void report(FindingVisitor& visitor, FirewallFinding::Kind kind, std::string_view table,
            std::string_view chain) {
  FirewallFinding finding{};
  finding.kind = kind;
  finding.family = "ip";
  finding.table = table;
  finding.chain = chain;
  finding.legacy = true;
  visitor.finding(finding);
}

void find_chains(std::span<const std::byte> entries, std::string_view table, FindingVisitor& visitor) {
  for (std::size_t at = 0; at < entries.size();) {
    ipt_entry entry;
    if (!read_at(entries, at, entry) || entry.next_offset < sizeof entry) return;
    xt_error_target target;
    if (read_at(entries, at + entry.target_offset, target) &&
        text_in(target.target.u.user.name, sizeof target.target.u.user.name) == kErrorTarget) {
      const std::string_view chain = text_in(target.errorname, sizeof target.errorname);
      if (is_flanneld_chain(chain)) report(visitor, FirewallFinding::Kind::kFlanneldIptables, table, chain);
    }
    at += entry.next_offset;
  }
}

bool forward_policy_drops(std::span<const std::byte> entries, const ipt_getinfo& info) {
  if ((info.valid_hooks & 1u << NF_INET_FORWARD) == 0) return false;
  const std::size_t at = info.underflow[NF_INET_FORWARD];
  ipt_entry entry;
  xt_standard_target target;
  if (!read_at(entries, at, entry) || !read_at(entries, at + entry.target_offset, target)) return false;
  return target.verdict == -NF_DROP - 1;
}

Result<void> inspect_table(int fd, std::string_view table, FindingVisitor& visitor) {
  ipt_getinfo info{};
  std::memcpy(info.name, table.data(), table.size());
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_IP, IPT_SO_GET_INFO, &info, &size) != 0)
    return system_error("inspect the iptables rules", errno);
  if (info.size > kMaxTable) return Error{Code::kLimit, 0, "inspect the iptables rules: too many"};

  const std::size_t total = sizeof(ipt_get_entries) + info.size;
  const std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[total]);
  if (!memory) return system_error("inspect the iptables rules", ENOMEM);
  auto* request = new (memory.get()) ipt_get_entries{};
  std::memcpy(request->name, table.data(), table.size());
  request->size = info.size;
  size = static_cast<socklen_t>(total);
  if (::getsockopt(fd, IPPROTO_IP, IPT_SO_GET_ENTRIES, request, &size) != 0) {
    if (errno == EAGAIN) return Error{Code::kInterrupted, EAGAIN, "inspect the iptables rules"};
    return system_error("inspect the iptables rules", errno);
  }
  const std::span entries(memory.get() + sizeof(ipt_get_entries), info.size);
  find_chains(entries, table, visitor);
  if (table == "filter" && forward_policy_drops(entries, info)) {
    report(visitor, FirewallFinding::Kind::kForeignDrop, table, "FORWARD");
  }
  return {};
}

}  // namespace

Result<void> inspect_legacy_iptables(Files& files, FindingVisitor& visitor) {
  std::array<char, 256> buffer;
  const auto names = files.read(kNames, buffer);
  if (!names || !*names) return {};
  UniqueFd fd;
  for (std::string_view table : {"nat", "filter"}) {
    if (!in_use(**names, table)) continue;
    // Any IPv4 socket does; a raw one, as iptables takes, would need CAP_NET_RAW.
    if (!fd) fd = UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd) return system_error("inspect the iptables rules", errno);
    FLT_TRY(inspect_table(fd.get(), table, visitor));
  }
  return {};
}

}  // namespace flannelette::kernel
