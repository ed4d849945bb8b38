// SPDX-License-Identifier: Apache-2.0
// The kernel room, whose kernel is the input: all that netlink (and the older iptables interface) answers is
// any bytes. The sockets are replaced at link time, by the functions at the end of this file.
//
// The input is one stream: a byte says what to ask for, then come the answers as frames. A frame is a byte,
// which says what recvmsg(2) does, and for a datagram its length (two bytes, little-endian) and its bytes.
// Sequence numbers are counted from the first one of what was asked, so that answers fit; where the input
// ends, everything is acknowledged.
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <sanitizer/asan_interface.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

#include "flannelette/base/clock.hpp"
#include "flannelette/kernel/monitor.hpp"

using namespace flannelette;
using namespace flannelette::kernel;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

/// The other side of all sockets.
struct Peer {
  std::span<const std::uint8_t> input;
  std::uint32_t first = 0;        ///< sequence number of the first request that was sent last ...
  std::uint32_t last = 0;         ///< ... and of the last one that is answered
  bool answered = false;          ///< with an input that has ended
  std::span<std::byte> poisoned;  ///< behind the datagram that was received last

  std::uint8_t byte() {
    if (input.empty()) return 0;
    const std::uint8_t value = input[0];
    input = input.subspan(1);
    return value;
  }
  std::span<const std::uint8_t> take(std::size_t size) {
    const auto taken = input.first(std::min(size, input.size()));
    input = input.subspan(taken.size());
    return taken;
  }
  std::uint32_t number() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | byte();
    return value;
  }
  void unpoison() {
    ASAN_UNPOISON_MEMORY_REGION(poisoned.data(), poisoned.size());
    poisoned = {};
  }

  void sent(std::span<const std::byte> request) {
    bool any = false;
    while (request.size() >= sizeof(nlmsghdr)) {
      nlmsghdr header;
      std::memcpy(&header, request.data(), sizeof header);
      must(header.nlmsg_len >= sizeof header && header.nlmsg_len <= request.size());
      if (!std::exchange(any, true)) first = header.nlmsg_seq;
      if ((header.nlmsg_flags & (NLM_F_ACK | NLM_F_DUMP)) != 0) last = header.nlmsg_seq;
      request = request.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), request.size()));
    }
    must(any && request.empty());
    answered = false;
  }

  /// Makes the sequence numbers of an answer fit, except where the highest bit is set.
  void number_messages(std::span<std::byte> answer) const {
    while (answer.size() >= sizeof(nlmsghdr)) {
      nlmsghdr header;
      std::memcpy(&header, answer.data(), sizeof header);
      if (header.nlmsg_seq >> 31 == 0) header.nlmsg_seq = first + header.nlmsg_seq % (last - first + 1);
      std::memcpy(answer.data(), &header, sizeof header);
      const std::size_t size = NLMSG_ALIGN(std::size_t{header.nlmsg_len});
      if (size < sizeof header || size > answer.size()) return;
      answer = answer.subspan(size);
    }
  }

  enum Frame : std::uint8_t { kDatagram, kAnswer, kEnd, kRefusal, kLoss, kStranger, kCut, kNothing };

  /// What recvmsg(2) does with one buffer; `flags` are its flags, then those of the message.
  ssize_t receive(std::span<std::byte> buffer, sockaddr_nl& from, int& flags) {
    const bool blocking = (flags & MSG_DONTWAIT) == 0;
    const bool whole_size = (flags & MSG_TRUNC) != 0;  // is returned, also if the buffer is smaller
    flags = 0;
    unpoison();
    from = {};
    from.nl_family = AF_NETLINK;
    if (input.empty() && std::exchange(answered, true)) return fail(EAGAIN);
    const Frame frame = input.empty() ? kEnd : static_cast<Frame>(byte() % 8);
    std::size_t size = 0;
    switch (frame) {
      case kEnd:
      case kRefusal: {
        if (!blocking) return fail(EAGAIN);
        struct {
          nlmsghdr header{};
          nlmsgerr error{};
        } end;
        end.header.nlmsg_len = sizeof end;
        end.header.nlmsg_type = NLMSG_ERROR;
        end.header.nlmsg_seq = last;
        end.error.error = frame == kRefusal ? -static_cast<int>(byte()) : 0;
        size = std::min(buffer.size(), sizeof end);
        std::memcpy(buffer.data(), &end, size);
        break;
      }
      case kLoss: return fail(ENOBUFS);
      case kNothing: return fail((byte() & 1) != 0 ? EINTR : EAGAIN);
      case kStranger: from.nl_pid = 1; [[fallthrough]];
      case kCut:
        if (frame == kCut) flags |= MSG_TRUNC;
        [[fallthrough]];
      case kDatagram:
      case kAnswer: {
        const std::size_t wanted = byte() | std::size_t{byte()} << 8;
        const auto bytes = take(std::min(wanted, buffer.size()));
        std::memcpy(buffer.data(), bytes.data(), bytes.size());
        size = bytes.size();
        number_messages(buffer.first(size));
        break;
      }
    }
    // A read behind the datagram is one beyond the end.
    poisoned = buffer.subspan(std::min(buffer.size(), (size + 7) & ~std::size_t{7}));
    ASAN_POISON_MEMORY_REGION(poisoned.data(), poisoned.size());
    return static_cast<ssize_t>(frame == kCut && whole_size ? buffer.size() + 1 : size);
  }
  static ssize_t fail(int why) {
    errno = why;
    return -1;
  }
};
Peer peer;

/// A socket has a descriptor that is always readable, so that the loop finds that notifications wait.
struct FakeSocket {
  bool open = false;
  const int fd = ::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
};
FakeSocket sockets[8];
FakeSocket& fake(const mnl_socket* socket) {
  return sockets[reinterpret_cast<const FakeSocket*>(socket) - sockets];
}

struct ProcFiles final : Files {
  Result<std::optional<std::string_view>> read(std::string_view path, std::span<char> buffer) override {
    const std::string_view text = path == "/proc/net/ip_tables_names" ? "nat\nfilter\n" : "1\n";
    must(text.size() <= buffer.size());
    std::memcpy(buffer.data(), text.data(), text.size());
    return std::optional(std::string_view(buffer.data(), text.size()));
  }
  Result<bool> read_pieces(std::string_view, std::uint64_t, Pieces&) override { return false; }
  Result<void> replace_with(std::string_view, PieceSource&, unsigned) override { return {}; }
  Result<void> write_in_place(std::string_view, std::string_view) override { return {}; }
};

/// Values that leave the kernel room keep what their types promise.
struct Checks final : LinkVisitor, AddressVisitor, RouteVisitor, EntryVisitor, FindingVisitor {
  void link(const Link&) override {}
  void address(const Address& address) override { must(address.net.length <= 32); }
  void route(const Route& route) override { must(route.is_default() || route.mtu != 0); }
  void entry(const overlay::Entry& entry) override { must(entry.net.v4().length <= 32); }
  void finding(const FirewallFinding& finding) override { must(finding.family.size() >= 2); }
};

struct StoppedClock final : Clock {
  Millis now() const override { return 0; }
  std::int64_t wall_seconds() const override { return 0; }
};

constexpr int kIndex = 7;
const Net4 kNetwork{{0x0a400000}, 16};

overlay::Change change_of(std::uint8_t byte) {
  const Net4 subnet{{kNetwork.base.value | std::uint32_t{byte} << 8}, 24};
  const Mac mac{{2, 0, 0, 0, 0, byte}};
  const Ip4 remote{0xac1e0000u | byte};
  using overlay::Change;
  using overlay::Entry;
  switch (byte % 7) {
    case 0: return {Change::Op::kPut, Entry::neighbour(subnet, mac)};
    case 1: return {Change::Op::kPut, Entry::fdb(mac, remote)};
    case 2: return {Change::Op::kPut, Entry::route(subnet, subnet.base)};
    case 3: return {Change::Op::kRemove, Entry::route(subnet, Ip4{})};
    case 4: return {Change::Op::kRemove, Entry::neighbour(subnet, mac)};
    case 5: return {Change::Op::kRemove, Entry::fdb(mac, remote)};
    default: return {Change::Op::kRemove, Entry::nexthop(subnet, Ip4{})};
  }
}

void ask(NetlinkKernel& kernel, io::Loop& loop) {
  Checks checks;
  overlay::DeviceSpec spec;
  spec.name = "flannel.1";
  spec.vni = 1;
  spec.port = 8472;
  spec.mtu = 1450;
  overlay::DevicePlan plan;
  overlay::RuleSpec rules;
  rules.network = kNetwork;
  const Net4 subnet{{kNetwork.base.value | 0x100}, 24};
  rules.subnet = subnet;
  const std::uint8_t what = peer.byte();
  switch (what % 14) {
    case 0: (void)kernel.dump_links(checks); break;
    case 1: (void)kernel.dump_addresses(checks); break;
    case 2: (void)kernel.dump_routes(checks); break;
    case 3: (void)kernel.route_to(Ip4{peer.number()}); break;
    case 4: (void)kernel.find_device(spec.name); break;
    case 5: (void)kernel.create_device(spec); break;
    case 6:
      plan.set_local = plan.set_mac = plan.set_mtu = plan.set_up = true;
      (void)kernel.change_device(kIndex, spec, plan);
      break;
    case 7: (void)kernel.delete_device(kIndex); break;
    case 8: (void)kernel.set_device_address(kIndex, subnet.base, kNetwork); break;
    case 9: (void)kernel.dump_entries({kIndex, 0, kNetwork}, checks); break;
    case 10: {
      EntryBatch& batch = kernel.begin({kIndex, 0, kNetwork});
      const std::size_t count = peer.byte();
      for (std::size_t i = 0; i < count; ++i) batch.change(change_of(peer.byte()));
      const auto report = batch.finish();
      must(!report ||
           (report->done + report->failed <= count && (report->failed == 0) == !report->first.context[0]));
      break;
    }
    case 11:
      rules.masquerade = (what & 0x40) != 0;
      rules.forward = (what & 0x80) != 0;
      (void)kernel.apply_rules(rules);
      break;
    case 12: (void)kernel.inspect_firewall(rules, checks); break;
    case 13: (void)loop.step(0); break;  // notifications
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  peer = {};
  peer.input = {data, size};
  StoppedClock clock;
  ProcFiles files;
  io::Loop loop(clock);
  NetlinkKernel kernel(files);
  Monitor monitor(loop, kernel);
  if (kernel.open() && monitor.open()) {
    while (!peer.input.empty()) ask(kernel, loop);
  }
  peer.unpoison();
  return 0;
}

// --- In the place of libmnl's and libc's ---

extern "C" {

mnl_socket* mnl_socket_open2(int, int) {
  FakeSocket* free = std::ranges::find(sockets, false, &FakeSocket::open);
  must(free != std::end(sockets));
  free->open = true;
  return reinterpret_cast<mnl_socket*>(free);
}
int mnl_socket_bind(mnl_socket*, unsigned, pid_t) { return 0; }
unsigned mnl_socket_get_portid(const mnl_socket*) { return 1; }
int mnl_socket_get_fd(const mnl_socket* socket) { return fake(socket).fd; }
int mnl_socket_close(mnl_socket* socket) {
  fake(socket).open = false;
  return 0;
}
ssize_t mnl_socket_sendto(const mnl_socket*, const void* bytes, std::size_t size) {
  peer.sent({static_cast<const std::byte*>(bytes), size});
  return static_cast<ssize_t>(size);
}

ssize_t recvmsg(int, msghdr* message, int flags) {
  const iovec& piece = message->msg_iov[0];
  return peer.receive({static_cast<std::byte*>(piece.iov_base), piece.iov_len},
                      *static_cast<sockaddr_nl*>(message->msg_name), message->msg_flags = flags);
}
ssize_t recvfrom(int, void* bytes, std::size_t size, int flags, sockaddr* from, socklen_t*) {
  flags |= MSG_DONTWAIT;  // as the socket is
  return peer.receive({static_cast<std::byte*>(bytes), size}, *reinterpret_cast<sockaddr_nl*>(from), flags);
}

int setsockopt(int, int, int, const void*, socklen_t) { return 0; }
/// The older iptables interface: a size, then the table.
int getsockopt(int, int, int, void* value, socklen_t* size) {
  auto* out = static_cast<std::byte*>(value);
  const auto bytes = peer.take(std::min<std::size_t>(*size, peer.byte() | std::size_t{peer.byte()} << 8));
  if (bytes.empty()) return static_cast<int>(Peer::fail(EAGAIN));
  std::memcpy(out, bytes.data(), bytes.size());
  return 0;
}
int socket(int, int, int) { return ::dup(sockets[0].fd); }
}
