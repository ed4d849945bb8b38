// SPDX-License-Identifier: Apache-2.0
// ethtool requests by ioctl: the offload of checksums, and the driver's name.
#include "offload.hpp"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "flannelette/base/unique_fd.hpp"

namespace flannelette::kernel {
namespace {

/// Any socket will do.
Result<void> ask(std::string_view link, void* request) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq what{};
  copy_cut(link, what.ifr_name);
  what.ifr_data = static_cast<char*>(request);
  if (!fd || ::ioctl(fd.get(), SIOCETHTOOL, &what) != 0) return last_error("ethtool");
  return {};
}

}  // namespace

Result<bool> set_tx_checksum(std::string_view link, bool on) {
  ethtool_value value{ETHTOOL_GTXCSUM, 0};
  FLT_TRY(ask(link, &value));
  if ((value.data != 0) == on) return false;
  value = {ETHTOOL_STXCSUM, on ? 1u : 0u};
  FLT_TRY(ask(link, &value));
  return true;
}

Text<32> driver(std::string_view link) {
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  if (!ask(link, &info)) return {};
  const std::string_view name(info.driver, sizeof info.driver);
  return name.substr(0, name.find('\0'));
}

}  // namespace flannelette::kernel
