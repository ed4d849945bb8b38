// SPDX-License-Identifier: Apache-2.0
// Sysctls through procfs.
#include "sysctl.hpp"

#include <algorithm>
#include <array>

#include "flannelette/kernel/ports.hpp"

namespace flannelette::kernel {
namespace {

constexpr std::size_t kMaxValue = 32;

/// Without the line end; nullopt if the kernel does not have it.
Result<std::optional<Text<kMaxValue>>> read_value(Files& files, std::string_view path) {
  std::array<char, kMaxValue> buffer;
  auto text = files.read(path, buffer);
  if (!text) return text.error();
  if (!*text) return std::optional<Text<kMaxValue>>{};
  std::string_view value = **text;
  if (value.ends_with('\n')) value.remove_suffix(1);
  return std::optional(Text<kMaxValue>(value));
}

char rp_filter(Files& files, std::string_view link) {
  std::array<char, 64> path;
  std::array<char, kMaxValue> value;
  Writer out(path);
  out.put("/proc/sys/net/ipv4/conf/").put(link).put("/rp_filter");
  const auto text = files.read(out.view(), value);
  return text && *text ? value[0] : '0';
}

}  // namespace

Result<bool> ip_forward(Files& files) {
  auto value = read_value(files, kIpForwardPath);
  if (!value) return value.error();
  if (!*value) return Error{Code::kNotFound, 0, kIpForwardPath.data()};
  return (*value)->view() != "0";
}

Result<void> set_ip_forward(Files& files) {
  const auto set = ip_forward(files);
  if (!set) return set.error();
  if (*set) return {};
  return files.write_in_place(kIpForwardPath, "1\n");
}

/// The greater of its own and that of all counts: 2 is loose.
bool strict_rp_filter(Files& files, std::string_view link) {
  return std::max(rp_filter(files, "all"), rp_filter(files, link)) == '1';
}

Result<void> disable_accept_ra(Files& files, std::string_view device) {
  // The name becomes part of a path; no link can have these names.
  if (device.empty() || device == "." || device == ".." || device.find('/') != device.npos) {
    return Error{Code::kInvalid, 0, "interface name"};
  }
  const auto path = accept_ra_path(device);
  auto value = read_value(files, path);
  if (!value) return value.error();
  if (!*value || (*value)->view() == "0") return {};
  return files.write_in_place(path, "0\n");
}

}  // namespace flannelette::kernel
