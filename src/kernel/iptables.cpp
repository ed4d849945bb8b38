// SPDX-License-Identifier: Apache-2.0
// Reads the kernel's older iptables interface, to find chains that stop the overlay's packets.
#include "iptables.hpp"

#include <sys/socket.h>
// These two bring linux/in.h and linux/if.h along and cannot stand beside libc's netinet/in.h and net/if.h.
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/netfilter_ipv4/ip_tables.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <span>

#include "flannelette/base/function_ref.hpp"
#include "flannelette/base/unique_fd.hpp"

namespace flannelette::kernel {
namespace {

constexpr std::size_t kMaxTable = 1024 * 1024;  ///< a larger rule set is not inspected
constexpr std::string_view kNames = "/proc/net/ip_tables_names";
/// How the kernel marks the beginning of a chain: an entry with this target, the chain's name behind it.
constexpr std::string_view kErrorTarget = "ERROR";
constexpr std::string_view kFilter = "filter";

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

/// NF_INET_FORWARD or NF_INET_LOCAL_IN.
bool policy_drops(std::span<const std::byte> entries, const ipt_getinfo& info, unsigned hook) {
  if ((info.valid_hooks & 1u << hook) == 0) return false;
  const std::size_t at = info.underflow[hook];
  ipt_entry entry;
  xt_standard_target target;
  if (!read_at(entries, at, entry) || !read_at(entries, at + entry.target_offset, target)) return false;
  return target.verdict == -NF_DROP - 1;
}

bool is_net(Net4 net, in_addr address, in_addr mask) {
  return net.length != 0 && address.s_addr == __cpu_to_be32(net.base.value) &&
         mask.s_addr == __cpu_to_be32(net.mask());
}

bool names(const ipt_ip& ip, const Passage& passage, bool forward) {
  return text_in(ip.iniface, sizeof ip.iniface) == passage.link ||
         (forward && text_in(ip.outiface, sizeof ip.outiface) == passage.link) ||
         is_net(passage.network, ip.src, ip.smsk) || is_net(passage.network, ip.dst, ip.dmsk);
}

/// Whether some rule accepts what `passage` names.
bool accepts(std::span<const std::byte> entries, const Passage& passage, bool forward) {
  for (std::size_t at = 0; at < entries.size();) {
    ipt_entry entry;
    xt_standard_target target;
    if (!read_at(entries, at, entry) || entry.next_offset < sizeof entry) return false;
    bool named = names(entry.ip, passage, forward);
    for (std::size_t match_at = at + sizeof entry; match_at < at + entry.target_offset;) {
      xt_entry_match match;
      if (!read_at(entries, match_at, match) || match.u.match_size < sizeof match ||
          entries.size() - match_at < match.u.match_size)
        return false;
      named =
          named || match_names_port(text_in(match.u.user.name, sizeof match.u.user.name),
                                    entries.subspan(match_at).first(match.u.match_size).subspan(sizeof match),
                                    passage.port);
      match_at += match.u.match_size;
    }
    if (named && read_at(entries, at + entry.target_offset, target) &&
        text_in(target.target.u.user.name, sizeof target.target.u.user.name).empty() &&
        target.verdict == -NF_ACCEPT - 1)
      return true;
    at += entry.next_offset;
  }
  return false;
}

using Inspect = FunctionRef<void(std::span<const std::byte> entries, const ipt_getinfo& info)>;

Result<void> inspect_table(int fd, std::string_view table, Inspect inspect) {
  ipt_getinfo info{};
  std::memcpy(info.name, table.data(), table.size());
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_IP, IPT_SO_GET_INFO, &info, &size) != 0)
    return last_error("inspect the iptables rules");
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
    return last_error("inspect the iptables rules");
  }
  inspect({memory.get() + sizeof(ipt_get_entries), info.size}, info);
  return {};
}

/// Calls `inspect(table, entries, info)` for those of the tables that are in use.
Result<void> inspect_tables(
    Files& files, std::span<const std::string_view> tables,
    FunctionRef<void(std::string_view, std::span<const std::byte>, const ipt_getinfo&)> inspect) {
  std::array<char, 256> buffer;
  const auto names = files.read(kNames, buffer);
  if (!names || !*names) return {};
  UniqueFd fd;
  for (const std::string_view table : tables) {
    if (!in_use(**names, table)) continue;
    // Any IPv4 socket does; a raw one, as iptables takes, would need CAP_NET_RAW.
    if (!fd) fd = UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd) return last_error("inspect the iptables rules");
    FLT_TRY(inspect_table(fd.get(), table, [&](std::span<const std::byte> entries, const ipt_getinfo& info) {
      inspect(table, entries, info);
    }));
  }
  return {};
}

}  // namespace

bool match_names_port(std::string_view name, std::span<const std::byte> info, std::uint16_t port) {
  if (port == 0) return false;
  xt_udp udp;
  if (name != "udp") return name == "multiport";  // it may
  return read_at(info, 0, udp) && udp.dpts[0] <= port && port <= udp.dpts[1];
}

Result<void> inspect_legacy_iptables(Files& files, const Passage& passage, FindingVisitor& visitor) {
  static constexpr std::string_view kTables[] = {"nat", kFilter};
  return inspect_tables(
      files, kTables,
      [&](std::string_view table, std::span<const std::byte> entries, const ipt_getinfo& info) {
        find_chains(entries, table, visitor);
        if (table == kFilter && policy_drops(entries, info, NF_INET_FORWARD) &&
            !accepts(entries, passage, true))
          report(visitor, FirewallFinding::Kind::kForeignDrop, table, "FORWARD");
      });
}

Result<void> inspect_legacy_input(Files& files, std::string_view link, std::uint16_t port,
                                  FindingVisitor& visitor) {
  return inspect_tables(
      files, {&kFilter, 1},
      [&](std::string_view table, std::span<const std::byte> entries, const ipt_getinfo& info) {
        if (policy_drops(entries, info, NF_INET_LOCAL_IN) && !accepts(entries, {link, port}, false))
          report(visitor, FirewallFinding::Kind::kInputDrop, table, "INPUT");
      });
}

}  // namespace flannelette::kernel
