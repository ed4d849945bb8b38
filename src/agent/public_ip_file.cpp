// SPDX-License-Identifier: Apache-2.0
// The public address of this node, as a file has it.
#include "agent/public_ip_file.hpp"

#include <array>

#include "flannelette/base/fnv.hpp"

namespace flannelette::agent {

PublicIpFile::PublicIpFile(io::Loop& loop, Log& log, Files& files, const InterfaceSettings& settings,
                           Delegate<void()> on_change)
    : log_(log),
      files_(files),
      settings_(settings),
      on_change_(on_change),
      timer_(loop, Delegate<void()>::to<&PublicIpFile::on_timer>(this)) {}

void PublicIpFile::start(std::optional<Ip4> before) {
  if (settings_.public_ip_file.empty()) return;
  address_ = settings_.public_ip ? settings_.public_ip : before;
  timer_.arm_in(kCheckEvery);
}

void PublicIpFile::on_timer() {
  timer_.arm_in(kCheckEvery);
  const auto before = address_;
  if (read() != before) on_change_();
}

const std::optional<Ip4>& PublicIpFile::read() {
  if (settings_.public_ip_file.empty()) return address_;
  std::array<char, 64> buffer;
  const auto text = files_.read(settings_.public_ip_file, buffer);
  if (!text) {
    report(static_cast<std::uint64_t>(text.error().sys_errno), Field(text.error()));
  } else if (!*text) {
    report(0, {"reason", "there is no such file"});
  } else {
    const std::string_view word = (*text)->substr(0, (*text)->find_last_not_of(" \t\r\n") + 1);
    const auto ip = parse_ip4(word);
    if (!ip || !is_unicast(*ip) || is_loopback(*ip) || (subnet_ && subnet_->contains(*ip))) {
      report(Fnv1a::of(word), {"not_a_host_address", word});
    } else {
      reported_.clear();
      address_ = *ip;
    }
  }
  return address_;
}

void PublicIpFile::report(std::uint64_t digest, const Field& why) {
  if (!reported_.is_news(digest | 1, 0)) return;
  log_.warning("the public IP file has no address that can be used; the one before stays",
               {{"file", settings_.public_ip_file.view()}, why, {"public_ip", address_.value_or(Ip4{})}});
}

}  // namespace flannelette::agent
