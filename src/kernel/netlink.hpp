// SPDX-License-Identifier: Apache-2.0
// A netlink socket for requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "flannelette/base/function_ref.hpp"
#include "flannelette/base/result.hpp"
#include "message.hpp"
#include "socket.hpp"

namespace flannelette::kernel {

/// A netlink socket for requests and their answers, one exchange at a time. The kernel works a request off
/// inside sendmsg, so that nothing here waits for long; a receive timeout sees to it that a bug cannot hang
/// the process.
///
/// Whatever ends early still drains the socket: the next exchange begins clean, and answers to an older one
/// are skipped by their sequence numbers.
class Netlink {
 public:
  /// The kernel makes dump answers as large as the reader's buffer, from 8 KiB on.
  static constexpr std::size_t kBuffer = 16 * 1024;
  using Buffer = std::byte[kBuffer];

  /// Who reads the answers. It must not start another exchange from these calls.
  class Reader {
   public:
    virtual void message(const nlmsghdr& message) = 0;
    /// Request `sequence` was refused.
    virtual void refused(std::uint32_t sequence, int sys_errno) = 0;

   protected:
    ~Reader() = default;
  };

  /// How far the answers to requests [first, last] have come. Pure: it sees bytes, whoever sent them.
  struct Progress {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    bool lost = false;   ///< something is missing, or a dump was inconsistent
    bool ended = false;  ///< the answer to `last` is complete
    /// Reads one datagram. Answers to other requests are skipped.
    void take(std::span<const std::byte> datagram, Reader& reader);
  };

  using Visit = FunctionRef<void(const nlmsghdr&)>;

  /// `out` and `in` may be shared with other sockets: they hold nothing between exchanges. `protocol` is
  /// NETLINK_ROUTE, ...
  Netlink(int protocol, Buffer& out, Buffer& in) : protocol_(protocol), in_(in), out_(out) {}

  /// Opens the socket if it is not open. Every exchange does this by itself.
  Result<void> open();

  /// The kernel's name for the socket, as notifications give it of what we changed; 0: it is not open.
  std::uint32_t port() const { return socket_ ? mnl_socket_get_portid(socket_.get()) : 0; }

  MessageWriter& out() { return out_; }
  std::uint32_t next_sequence() { return ++sequence_; }

  /// Begins the only request of an exchange.
  template <class Header>
  Header& request(std::uint16_t type, std::uint16_t flags = 0) {
    return *static_cast<Header*>(request(type, flags, sizeof(Header)));
  }
  /// Sends the request and waits for its acknowledgement. The error has `context` and a code after the errno.
  Result<void> run(const char* context);
  /// The same; `visit` gets the answer.
  Result<void> get(const char* context, Visit visit);
  /// A dump. kInterrupted if what was visited may be incomplete or inconsistent.
  Result<void> dump(const char* context, Visit visit);

  /// The layer below: sends what out() holds ...
  Result<void> send(const char* context);
  /// ... and reads until the end of the answer to `last` (an acknowledgement, an error or the end of a dump).
  /// Answers to requests outside [first, last] are skipped. kInterrupted if answers were lost or a dump was
  /// inconsistent; kTimeout closes the socket.
  Result<void> receive(const char* context, std::uint32_t first, std::uint32_t last, Reader& reader);

 private:
  void* request(std::uint16_t type, std::uint16_t flags, std::size_t header);
  Result<void> call(const char* context, Visit visit);

  const int protocol_;
  Buffer& in_;
  MessageWriter out_;
  Socket socket_;
  std::uint32_t sequence_ = 0;
};

/// The code that fits an errno of a refused request.
Error netlink_error(const char* context, int sys_errno);

}  // namespace flannelette::kernel
