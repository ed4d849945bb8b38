// SPDX-License-Identifier: Apache-2.0
// ICMP echo requests to several IPv4 addresses at once.
#include "flannelette/io/echo.hpp"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace flannelette::io {
namespace {

constexpr std::size_t kIpHeader = 20;

/// RFC 1071, of zeros behind an ICMP header.
std::uint16_t checksum(const icmphdr& header) {
  std::array<std::uint16_t, sizeof header / 2> words;
  std::memcpy(words.data(), &header, sizeof header);
  std::uint32_t sum = 0;
  for (const std::uint16_t word : words) sum += word;
  return static_cast<std::uint16_t>(~(sum + (sum >> 16)));
}

std::uint16_t own_id() { return htons(static_cast<std::uint16_t>(::getpid())); }

}  // namespace

Echo::Echo(Loop& loop, Delegate<void()> done)
    : done_(done),
      source_(loop, Source::Handler::to<&Echo::on_readable>(this)),
      timer_(loop, Delegate<void()>::to<&Echo::on_timer>(this)) {}

Result<void> Echo::start(std::span<EchoProbe> probes) {
  constexpr int kFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  fd_ = UniqueFd(::socket(AF_INET, SOCK_RAW | kFlags, IPPROTO_ICMP));
  raw_ = static_cast<bool>(fd_);
  if (!raw_) fd_ = UniqueFd(::socket(AF_INET, SOCK_DGRAM | kFlags, IPPROTO_ICMP));
  if (!fd_) return last_error("socket");
  // DF, and no heed to what the kernel thinks of the path.
  const int probe = IP_PMTUDISC_PROBE;
  (void)::setsockopt(fd_.get(), IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
  FLT_TRY(source_.watch(fd_.get(), EPOLLIN));
  probes_ = probes;
  open_ = probes.size();
  round_ = 0;
  on_timer();
  return {};
}

void Echo::on_timer() {
  if (open_ == 0 || round_++ == kRounds) {
    source_.unwatch();
    fd_.reset();
    return done_();
  }
  send();
  timer_.arm_in(open_ == 0 ? 0 : kRound);
}

void Echo::send() {
  static std::byte zeros[EchoProbe::kMaxSize];
  for (std::size_t i = 0; i < probes_.size(); ++i) {
    const EchoProbe& probe = probes_[i];
    if (probe.answered) continue;
    icmphdr header{};
    header.type = ICMP_ECHO;
    header.un.echo.id = own_id();
    header.un.echo.sequence = htons(static_cast<std::uint16_t>(i));
    header.checksum = checksum(header);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(probe.to.value);
    iovec parts[] = {{&header, sizeof header}, {zeros, probe.size - kIpHeader - sizeof header}};
    msghdr message{};
    message.msg_name = &to;
    message.msg_namelen = sizeof to;
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    // What cannot be sent (no route, too large for the link) has no answer.
    (void)::sendmsg(fd_.get(), &message, 0);
    on_readable(0);  // a raw socket also has what is not for us, and no room for all of it
  }
}

void Echo::on_readable(std::uint32_t) {
  for (;;) {
    std::array<std::byte, 128> memory;
    sockaddr_in from{};
    socklen_t from_size = sizeof from;
    const ssize_t size = ::recvfrom(fd_.get(), memory.data(), memory.size(), 0,
                                    reinterpret_cast<sockaddr*>(&from), &from_size);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      // What was said of a packet that could not be delivered is read like this, too.
      if (errno == EAGAIN) return;
      continue;
    }
    std::size_t at = 0;
    if (raw_) at = (std::to_integer<std::size_t>(memory[0]) & 0xf) * 4;
    icmphdr header;
    if (static_cast<std::size_t>(size) < at + sizeof header) continue;
    std::memcpy(&header, memory.data() + at, sizeof header);
    const std::size_t index = ntohs(header.un.echo.sequence);
    if (header.type != ICMP_ECHOREPLY || (raw_ && header.un.echo.id != own_id()) || index >= probes_.size())
      continue;
    EchoProbe& probe = probes_[index];
    if (probe.answered || from.sin_addr.s_addr != htonl(probe.to.value)) continue;
    probe.answered = true;
    if (--open_ == 0) timer_.arm_in(0);
  }
}

}  // namespace flannelette::io
