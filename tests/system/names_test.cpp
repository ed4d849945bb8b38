// SPDX-License-Identifier: Apache-2.0
// Names, asked of a name server of our own by the shipped program, whose libc is musl.
#include <doctest/doctest.h>
#include <sys/mount.h>

#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "support/forked.hpp"
#include "support/means.hpp"
#include "support/poll.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

// RFC 1035, 4.1.1; and no answer at all.
constexpr int kNoError = 0, kServFail = 2, kNxDomain = 3, kNotImp = 4, kRefused = 5, kSilent = -1;
constexpr int kTypeA = 1, kTypeAaaa = 28;

struct Name {
  const char* label;  ///< the name is LABEL.test
  int a, aaaa;        ///< how the two questions are answered
};

/// Answers A with 172.30.0.1 and AAAA with fd00::1.
void answer_for_ever(int socket, const std::vector<Name>& names) {
  for (;;) {
    unsigned char packet[512];
    sockaddr_in from{};
    socklen_t from_size = sizeof from;
    const ssize_t got = ::recvfrom(socket, packet, 400, 0, reinterpret_cast<sockaddr*>(&from), &from_size);
    if (got < 18) continue;
    const std::string_view label(reinterpret_cast<const char*>(packet) + 13, packet[12]);
    const std::size_t end = 12 + 1 + label.size() + 1 + 4 + 1 + 4;  // "LABEL" "test" "", type, class
    const int type = packet[end - 3];
    int code = kNxDomain;
    for (const Name& name : names) {
      if (label == name.label) code = type == kTypeA ? name.a : name.aaaa;
    }
    if (code == kSilent) continue;
    std::size_t size = end;
    packet[2] = 0x81;
    packet[3] = static_cast<unsigned char>(0x80 | code);
    packet[7] = code == kNoError ? 1 : 0;
    std::memset(packet + 8, 0, 4);
    if (code == kNoError) {
      const unsigned char head[] = {0xc0, 12, 0, packet[end - 3], 0, 1, 0, 0, 0, 60, 0};
      std::memcpy(packet + size, head, sizeof head);
      size += sizeof head;
      const std::string data =
          type == kTypeA ? std::string("\xac\x1e\x00\x01", 4) : "\xfd" + std::string(14, '\0') + "\x01";
      packet[size++] = static_cast<unsigned char>(data.size());
      std::memcpy(packet + size, data.data(), data.size());
      size += data.size();
    }
    ::sendto(socket, packet, size, 0, reinterpret_cast<sockaddr*>(&from), from_size);
  }
}

/// A name server at 172.30.0.1, which this machine asks while the object lives.
class NameServer {
 public:
  NameServer(const Etcd& etcd, const std::vector<Name>& names)
      : socket_(etcd.node().inside([] { return bound_socket(SOCK_DGRAM, "172.30.0.1", 53); })),
        child_([&] { answer_for_ever(socket_.get(), names); }) {
    write_file(files_.file("resolv.conf"), "nameserver 172.30.0.1\n");
    REQUIRE(::mount(files_.file("resolv.conf").c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) == 0);
  }
  ~NameServer() { ::umount2("/etc/resolv.conf", MNT_DETACH); }

 private:
  TempDir files_;
  flannelette::UniqueFd socket_;
  Forked child_;
};

void start(Machine& machine, const std::string& label) {
  machine.start_with({"--iface=eth0", "--subnet-file=" + machine.subnet_file(),
                      "--etcd-endpoints=http://" + label + ".test:2379"});
}

}  // namespace

TEST_SUITE("system/names") {
  TEST_CASE("a name whose AAAA answer is an error leads to its IPv4 address") {
    REQUIRE_MEANS(cluster_means());
    const std::vector<Name> names = {{"good", kNoError, kNoError},      {"nxdomain", kNoError, kNxDomain},
                                     {"servfail", kNoError, kServFail}, {"refused", kNoError, kRefused},
                                     {"notimp", kNoError, kNotImp},     {"silent", kNoError, kSilent}};
    Etcd etcd;
    etcd.configure(kVxlanConfig);
    const NameServer server(etcd, names);
    std::vector<std::unique_ptr<Machine>> machines;
    for (const Name& name : names) {
      machines.push_back(std::make_unique<Machine>(etcd, static_cast<int>(machines.size()) + 1));
      start(*machines.back(), name.label);
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      CAPTURE(names[i].label);
      CHECK_MESSAGE(machines[i]->logs("ready"), machines[i]->log());
      CHECK_FALSE_MESSAGE(contains(machines[i]->log(), "resolver: "), machines[i]->log());
    }
  }

  TEST_CASE("a name whose A answer is an error leads to its IPv6 address, and words tell the rest apart") {
    REQUIRE_MEANS(cluster_means());
    const struct {
      Name name;
      const char* words;
    } cases[] = {
        {{"six", kNxDomain, kNoError}, "connect"},  // nobody is there
        {{"sixfail", kServFail, kNoError}, "connect"},
        {{"none", kNxDomain, kNxDomain}, "resolver: the name does not exist"},
        {{"ill", kServFail, kServFail}, "resolver: no name server could answer"},
        {{"half", kNxDomain, kRefused}, "resolver: no name server could answer"},
    };
    std::vector<Name> names;
    for (const auto& one : cases) names.push_back(one.name);
    Etcd etcd;
    const NameServer server(etcd, names);
    std::vector<std::unique_ptr<Machine>> machines;
    for (const auto& one : cases) {
      machines.push_back(std::make_unique<Machine>(etcd, static_cast<int>(machines.size()) + 1));
      start(*machines.back(), one.name.label);
    }
    for (std::size_t i = 0; i < machines.size(); ++i) {
      CAPTURE(cases[i].name.label);
      // On a busy machine a question may come too late, and is asked again with the next connection.
      CHECK_MESSAGE(wait_until(60s, [&] { return contains(machines[i]->log(), cases[i].words); }),
                    machines[i]->log());
    }
  }
}
