// SPDX-License-Identifier: Apache-2.0
// Netlink replies as bytes: what no kernel should send, but a bug, a seccomp shim or an emulator may.
#include <doctest/doctest.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <vector>

#include "kernel/address.hpp"
#include "kernel/netlink.hpp"
#include "kernel/nexthop.hpp"
#include "kernel/route.hpp"
#include "support/rng.hpp"

using namespace flannelette;
using namespace flannelette::kernel;
using namespace flannelette::tests;

namespace {

/// A reply under construction.
struct Reply {
  Reply() = default;
  Reply(const Reply&) = delete;
  const nlmsghdr& message() const { return *reinterpret_cast<const nlmsghdr*>(bytes); }
  alignas(nlmsghdr) std::byte bytes[512];
  MessageWriter out{bytes};
};

struct Recorder final : Netlink::Reader {
  void message(const nlmsghdr&) override { ++messages; }
  void refused(std::uint32_t sequence, int sys_errno) override { refusals.emplace_back(sequence, sys_errno); }
  std::size_t messages = 0;
  std::vector<std::pair<std::uint32_t, int>> refusals;
};

struct Refusal : Reply {
  explicit Refusal(int code, std::uint32_t sequence = 7) {
    out.start<nlmsgerr>(NLMSG_ERROR, 0, sequence).error = code;
  }
};

}  // namespace

TEST_SUITE("kernel/replies") {
  TEST_CASE("a refusal carries an errno, whatever number the answer holds") {
    const struct {
      int code, sys_errno;
    } kRows[] = {{-EPERM, EPERM}, {-4095, 4095}, {-4096, EPROTO}, {INT_MIN, EPROTO}, {INT_MIN + 1, EPROTO}};
    for (const auto& row : kRows) {
      CAPTURE(row.code);
      const Refusal reply(row.code);
      Netlink::Progress progress{7, 7};
      Recorder reader;
      progress.take(reply.out.bytes(), reader);
      CHECK(progress.ended);
      REQUIRE(reader.refusals.size() == 1);
      CHECK(reader.refusals[0].second == row.sys_errno);
    }
    for (const int code : {0, 1, INT_MAX}) {
      const Refusal reply(code);
      Netlink::Progress progress{7, 7};
      Recorder reader;
      progress.take(reply.out.bytes(), reader);
      CHECK(progress.ended);
      CHECK(reader.refusals.empty());
    }
  }

  TEST_CASE("answers to other requests, and what is cut, are passed over") {
    Recorder reader;
    Netlink::Progress progress{7, 9};
    progress.take(Refusal(-EPERM, 6).out.bytes(), reader);
    progress.take(Refusal(-EPERM, 10).out.bytes(), reader);
    CHECK(reader.refusals.empty());
    const Refusal whole(-EPERM, 9);
    for (std::size_t size = 0; size < whole.out.bytes().size(); ++size)
      progress.take(whole.out.bytes().first(size), reader);
    CHECK(reader.refusals.empty());
    CHECK_FALSE(progress.ended);
    progress.take(whole.out.bytes(), reader);
    CHECK(progress.ended);
  }

  TEST_CASE("an address or a route with a prefix length over 32 is none") {
    for (const int length : {0, 24, 32, 33, 128, 255}) {
      CAPTURE(length);
      Reply address;
      auto& a = address.out.start<ifaddrmsg>(RTM_NEWADDR, 0, 1);
      a.ifa_family = AF_INET;
      a.ifa_prefixlen = static_cast<std::uint8_t>(length);
      address.out.put_ip4(IFA_LOCAL, Ip4{0x0a000001});
      CHECK(read_address(address.message()).has_value() == (length <= 32));
      Reply route;
      auto& r = route.out.start<rtmsg>(RTM_NEWROUTE, 0, 1);
      r.rtm_family = AF_INET;
      r.rtm_table = RT_TABLE_MAIN;
      r.rtm_dst_len = static_cast<std::uint8_t>(length);
      route.out.put_ip4(RTA_DST, Ip4{0x0a000000});
      CHECK(read_main_route(route.message()).has_value() == (length <= 32));
    }
  }

  TEST_CASE("an address of another family, or with attributes of another size, has no IPv4 address") {
    Reply reply;
    auto& a = reply.out.start<ifaddrmsg>(RTM_NEWADDR, 0, 1);
    a.ifa_family = AF_INET6;
    a.ifa_prefixlen = 24;
    CHECK_FALSE(read_address(reply.message()));
    a.ifa_family = AF_INET;
    const std::byte sixteen[16]{};
    reply.out.put(IFA_LOCAL, sixteen, sizeof sixteen);
    reply.out.put(IFA_ADDRESS, sixteen, 3);
    const auto found = read_address(reply.message());
    REQUIRE(found);
    CHECK(found->address.net.base == Ip4{});
  }

  TEST_CASE("any bytes as a reply are read without leaving them") {
    Rng rng;
    for (int round = 0; round < 20'000; ++round) {
      // From the heap and exactly as large, so that a sanitizer sees a step too far.
      std::vector<std::uint64_t> memory(1 + rng.next() % 24);
      for (auto& word : memory) word = rng.next() % 3 == 0 ? rng.next() : rng.next() & 0x0000001f0000001f;
      const std::span bytes = std::as_bytes(std::span(memory));
      const std::uint16_t types[] = {RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWNEXTHOP, NLMSG_ERROR, NLMSG_DONE};
      auto& header = *reinterpret_cast<nlmsghdr*>(memory.data());
      if (bytes.size() >= sizeof header) {
        header.nlmsg_len = static_cast<std::uint32_t>(rng.next() % (bytes.size() + 8));
        header.nlmsg_type = types[rng.next() % std::size(types)];
        header.nlmsg_seq = 1;
      }
      struct Readers final : Netlink::Reader {
        void message(const nlmsghdr& message) override {
          (void)read_address(message);
          (void)read_main_route(message);
          (void)read_nexthop(message);
        }
        void refused(std::uint32_t, int sys_errno) override { CHECK(sys_errno > 0); }
      } readers;
      Netlink::Progress progress{1, 1};
      progress.take(bytes, readers);
    }
  }
}
