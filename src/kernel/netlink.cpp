// SPDX-License-Identifier: Apache-2.0
// A netlink socket: sends requests, reads answers until the last one is complete.
#include "netlink.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>

namespace flannelette::kernel {
namespace {

constexpr timeval kReceiveTimeout{5, 0};
constexpr int kReceiveQueue = 512 * 1024;  ///< asked for; the kernel gives what net.core.rmem_max allows

void set_option(int fd, int level, int option, int value) {
  // Best effort: an older kernel does without.
  (void)::setsockopt(fd, level, option, &value, sizeof value);
}

constexpr int kMaxErrno = 4095;  ///< MAX_ERRNO of the kernel

/// The code an NLMSG_ERROR or NLMSG_DONE carries, as a positive errno; 0 is an acknowledgement.
int carried_errno(const nlmsghdr& message) {
  const int* code = header_of<int>(message);
  if (code == nullptr || *code >= 0) return 0;
  return *code < -kMaxErrno ? EPROTO : -*code;
}

}  // namespace

Error netlink_error(const char* context, int sys_errno) {
  Error error = system_error(context, sys_errno);
  switch (sys_errno) {
    case EPERM:
    case EACCES: error.code = Code::kDenied; break;
    case EEXIST: error.code = Code::kExists; break;
    case ENOENT:
    case ESRCH:
    case ENODEV: error.code = Code::kNotFound; break;
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT: error.code = Code::kUnsupported; break;
    default: break;
  }
  return error;
}

Result<void> Netlink::open() {
  if (socket_) return {};
  Result<Socket> opened = open_socket(protocol_);
  if (!opened) return netlink_error(opened.error().context, opened.error().sys_errno);
  const int fd = mnl_socket_get_fd(opened->get());
  // Lets the kernel filter dumps (4.20 and later); we filter again ourselves.
  set_option(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
  set_option(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  // Errors need not repeat the request: hundreds of them must fit the receive queue.
  set_option(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
  set_option(fd, SOL_SOCKET, SO_RCVBUF, kReceiveQueue);
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kReceiveTimeout, sizeof kReceiveTimeout) != 0) {
    return last_error("netlink receive timeout");
  }
  socket_ = std::move(*opened);
  return {};
}

void* Netlink::request(std::uint16_t type, std::uint16_t flags, std::size_t header) {
  out_.clear();
  return out_.start(type, flags, next_sequence(), header);
}

Result<void> Netlink::run(const char* context) {
  return get(context, [](const nlmsghdr&) {});
}

Result<void> Netlink::get(const char* context, Visit visit) {
  out_.add_flags(NLM_F_ACK);
  return call(context, visit);
}

Result<void> Netlink::dump(const char* context, Visit visit) {
  out_.add_flags(NLM_F_DUMP);
  return call(context, visit);
}

Result<void> Netlink::call(const char* context, Visit visit) {
  struct Visitor final : Reader {
    explicit Visitor(Visit v) : visit(v) {}
    void message(const nlmsghdr& message) override { visit(message); }
    void refused(std::uint32_t, int sys_errno) override { failure = sys_errno; }
    Visit visit;
    int failure = 0;
  } visitor(visit);
  const std::uint32_t sequence = sequence_;
  FLT_TRY(send(context));
  FLT_TRY(receive(context, sequence, sequence, visitor));
  if (visitor.failure != 0) return netlink_error(context, visitor.failure);
  return {};
}

Result<void> Netlink::send(const char* context) {
  FLT_TRY(open());
  if (out_.overflowed()) return Error{Code::kLimit, 0, context};
  const std::span<const std::byte> bytes = out_.bytes();
  for (;;) {
    if (mnl_socket_sendto(socket_.get(), bytes.data(), bytes.size()) >= 0) return {};  // datagrams go whole
    if (errno != EINTR) return netlink_error(context, errno);
  }
}

Result<void> Netlink::receive(const char* context, std::uint32_t first, std::uint32_t last, Reader& reader) {
  Progress progress{first, last};
  for (;;) {
    iovec piece{in_, sizeof in_};
    sockaddr_nl from{};
    msghdr wrapper{};
    wrapper.msg_name = &from;
    wrapper.msg_namelen = sizeof from;
    wrapper.msg_iov = &piece;
    wrapper.msg_iovlen = 1;
    // After a loss the end of the answer may be what was lost: take what is there, wait for nothing.
    const ssize_t got =
        ::recvmsg(mnl_socket_get_fd(socket_.get()), &wrapper, progress.lost ? MSG_DONTWAIT : 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == ENOBUFS) {
        progress.lost = true;
        continue;
      }
      const int why = errno;
      socket_.reset();  // drops all answers that are still to come
      if (why != EAGAIN && why != EWOULDBLOCK) return system_error(context, why);
      return Error{progress.lost ? Code::kInterrupted : Code::kTimeout, 0, context};
    }
    if (from.nl_pid != 0) continue;  // not from the kernel
    if ((wrapper.msg_flags & MSG_TRUNC) != 0) progress.lost = true;
    progress.take({in_, static_cast<std::size_t>(got)}, reader);
    if (!progress.ended) continue;
    if (progress.lost) return Error{Code::kInterrupted, 0, context};
    return {};
  }
}

void Netlink::Progress::take(std::span<const std::byte> datagram, Reader& reader) {
  while (const nlmsghdr* message = take_message(datagram)) {
    if (message->nlmsg_seq - first > last - first) continue;
    if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) lost = true;
    switch (message->nlmsg_type) {
      case NLMSG_NOOP: break;
      case NLMSG_OVERRUN: lost = true; break;
      case NLMSG_DONE:
      case NLMSG_ERROR:
        if (const int refusal = carried_errno(*message); refusal == EINTR) {
          lost = true;
        } else if (refusal != 0) {
          reader.refused(message->nlmsg_seq, refusal);
        }
        ended = ended || message->nlmsg_seq == last;
        break;
      default: reader.message(*message); break;
    }
  }
}

}  // namespace flannelette::kernel
