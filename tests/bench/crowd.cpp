// SPDX-License-Identifier: Apache-2.0
#include "bench/crowd.hpp"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "bench/tables.hpp"

namespace flannelette::bench {
namespace {

using namespace tests;

constexpr double kByteEvery = 0.2;   // a slow client's
constexpr double kAgainAfter = 0.2;  // ... that was refused
constexpr std::size_t kMaxOpen = 200;
constexpr std::string_view kCheck = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

struct Place {
  std::uint16_t port;
  std::string socket;

  /// Not blocking; what is not connected yet becomes writable when it is. None: not now.
  UniqueFd connect(bool tcp) const {
    const int kind = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    UniqueFd fd(::socket(tcp ? AF_INET : AF_UNIX, kind, 0));
    const sockaddr_in in = socket_address("127.0.0.1", port);
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    socket.copy(un.sun_path, sizeof un.sun_path - 1);
    const bool done = tcp ? ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&in), sizeof in) == 0
                          : ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&un), sizeof un) == 0;
    if (!done && errno != EINPROGRESS) fd.reset();
    return fd;
  }
};

void send_all(const UniqueFd& fd, std::string_view bytes) {
  static_cast<void>(!::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

class Slow {
 public:
  Slow(const Place& place, bool tcp, double first) : place_(place), tcp_(tcp), next_(first) {}
  /// False: there is a connection and no byte is due yet.
  void turn(double time, Crowd::Counts& counts) {
    if (time < next_) return;
    char one;
    if (fd_ && ::recv(fd_.get(), &one, 1, MSG_DONTWAIT) >= 0) {  // refused, or cut off
      fd_.reset();
      next_ = time + kAgainAfter;
      return;
    }
    if (!fd_) {
      fd_ = place_.connect(tcp_);
      counts.connections += bool{fd_};
    }
    send_all(fd_, "G");
    next_ = time + kByteEvery;
  }

 private:
  const Place& place_;
  const bool tcp_;
  double next_;
  UniqueFd fd_;
};

/// Health checks that are under way.
class Checks {
 public:
  explicit Checks(const Place& place) : place_(place) {}

  void begin(Crowd::Counts& counts) {
    if (open_.size() >= kMaxOpen) return;
    UniqueFd fd = place_.connect(true);
    if (!fd) return;
    open_.push_back({.fd = fd.get(), .events = POLLOUT, .revents = 0});
    owners_.push_back(std::move(fd));
    ++counts.sent;
  }
  /// Waits for them, at most so many milliseconds.
  void turn(int wait, Crowd::Counts& counts) {
    if (::poll(open_.data(), open_.size(), wait) <= 0) return;
    for (std::size_t i = open_.size(); i-- > 0;) {
      pollfd& one = open_[i];
      if (one.revents == 0) continue;
      if (one.events == POLLOUT) {
        send_all(owners_[i], kCheck);
        one.events = POLLIN;
        continue;
      }
      char answer[512];
      const ssize_t got = ::recv(one.fd, answer, sizeof answer, 0);
      if (got > 9) counts.ok += answer[9] == '2';
      if (got > 9) counts.busy += answer[9] == '5';
      open_[i] = open_.back();
      open_.pop_back();
      std::swap(owners_[i], owners_.back());
      owners_.pop_back();
    }
  }

 private:
  const Place& place_;
  std::vector<pollfd> open_;
  std::vector<UniqueFd> owners_;
};

void crowd(const Place& place, Crowd::Counts& counts) {
  ::setpriority(PRIO_PROCESS, 0, 19);
  std::vector<Slow> slow;
  slow.reserve(Crowd::kSlow);
  const double start = now();
  for (int i = 0; i < Crowd::kSlow; ++i)
    slow.emplace_back(place, i % 2 == 0, start + i * kByteEvery / Crowd::kSlow);
  Checks checks(place);
  for (long begun = 0;;) {
    const double time = now();
    const auto due = static_cast<long>((time - start) * Crowd::kChecksASecond);
    begun = std::max(begun, due - 20);  // what could not be sent in time is not made up for
    for (; begun < due; ++begun) checks.begin(counts);
    for (Slow& one : slow) one.turn(time, counts);
    checks.turn(1, counts);
  }
}

}  // namespace

Crowd::Crowd(const Node& node, std::uint16_t port, const std::string& socket)
    : process_([this, &node, place = Place{port, socket}] { node.inside([&] { crowd(place, *counts_); }); }) {
}

}  // namespace flannelette::bench
