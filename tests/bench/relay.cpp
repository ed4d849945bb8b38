// SPDX-License-Identifier: Apache-2.0
#include "bench/relay.hpp"

#include <netinet/tcp.h>
#include <poll.h>

#include <string_view>
#include <vector>

#include "bench/tables.hpp"

namespace flannelette::bench {
namespace {

using namespace tests;

struct Way {
  UniqueFd client, server;
  unsigned char from = 0;  ///< the last byte of the client's address
  bool watch = false;
};

Way open_way(int listener) {
  Way way;
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  way.client = UniqueFd(accept(listener, reinterpret_cast<sockaddr*>(&peer), &size));
  way.from = static_cast<unsigned char>(ntohl(peer.sin_addr.s_addr));
  way.server = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in to = socket_address("172.30.0.1", 2379);
  const int on = 1;
  for (const UniqueFd* fd : {&way.client, &way.server})
    setsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(way.server.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) way.server.reset();
  return way;
}

/// One read, and its bytes written; false: that was the end.
bool pass(const UniqueFd& from, const UniqueFd& to, Way& way, std::atomic<double>& passed) {
  char bytes[64 * 1024];
  const ssize_t size = read(from.get(), bytes, sizeof bytes);
  if (size <= 0) return false;
  const std::string_view text(bytes, static_cast<std::size_t>(size));
  if (&from == &way.client) {
    way.watch = way.watch || text.starts_with("POST /v3/watch");
  } else if (way.watch && text.find("\"events\":[") != text.npos) {  // progress has none
    passed = now();
  }
  return write(to.get(), bytes, static_cast<std::size_t>(size)) == size;
}

}  // namespace

void Relay::serve(int listener, Times& times) {
  std::vector<Way> ways;
  for (;;) {
    std::vector<pollfd> ready{{listener, POLLIN, 0}};
    for (const Way& way : ways) {
      ready.push_back({way.client.get(), POLLIN, 0});
      ready.push_back({way.server.get(), POLLIN, 0});
    }
    if (poll(ready.data(), ready.size(), -1) <= 0) return;
    for (std::size_t i = ways.size(); i-- > 0;) {
      Way& way = ways[i];
      std::atomic<double>& passed = times.passed[way.from];
      const bool lives = (ready[2 * i + 1].revents == 0 || pass(way.client, way.server, way, passed)) &&
                         (ready[2 * i + 2].revents == 0 || pass(way.server, way.client, way, passed));
      if (!lives) ways.erase(ways.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (ready[0].revents != 0) ways.push_back(open_way(listener));
  }
}

Relay::Relay(const Etcd& etcd)
    : listener_(etcd.node().inside([] { return bound_socket(SOCK_STREAM, "172.30.0.1", kPort); })),
      process_([this, &etcd] { etcd.node().inside([this] { serve(listener_.get(), *times_); }); }) {}

double Relay::passed(const Machine& machine) const {
  const std::string address = machine.address();
  return times_->passed[std::stoul(address.substr(address.rfind('.') + 1))];
}

}  // namespace flannelette::bench
