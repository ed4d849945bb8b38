// SPDX-License-Identifier: Apache-2.0
// Notifications of a real kernel, and sysctls.
#include <fstream>

#include "kernel/kernel_node.hpp"
#include "support/poll.hpp"
#include "support/temp_dir.hpp"

using namespace flannelette;
using namespace flannelette::tests;
using namespace std::chrono_literals;

namespace {

struct Bell {
  void ring(const kernel::Ring& ring) {
    ++rings;
    last = ring;
  }
  int rings = 0;
  kernel::Ring last;
};

/// Turns the loop until nothing is left to do; true if the bell rang.
bool rang(KernelNode& n, Bell& bell) {
  bell.rings = 0;
  return wait_until(5s, [&] {
    REQUIRE(n.loop.step(0));
    return bell.rings != 0;
  });
}
void drain(KernelNode& n) {
  for (std::uint64_t before = ~0ull; before != n.loop.wakeups();) {
    before = n.loop.wakeups();
    REQUIRE(n.loop.step(50));
    if (before + 1 == n.loop.wakeups()) break;
  }
}

}  // namespace

TEST_SUITE("kernel/monitor") {
  TEST_CASE("links and IPv4 addresses ring the doorbell, IPv6 and routes do not") {
    REQUIRE_MEANS(namespaces(), program("ip"));
    KernelNode n("kmon1");
    Bell bell;
    n.monitor.set_doorbell(Delegate<void(const kernel::Ring&)>::to<&Bell::ring>(&bell));
    ip("link add eth0 type bridge");
    CHECK(rang(n, bell));
    ip("link set eth0 up");
    CHECK(rang(n, bell));
    CHECK(bell.last.has(kernel::Cause::kLinks));
    CHECK_FALSE(bell.last.has(kernel::Cause::kAddresses));
    drain(n);
    ip("address add 192.0.2.1/24 dev eth0");
    CHECK(rang(n, bell));
    CHECK(bell.last.has(kernel::Cause::kAddresses));
    ip("address delete 192.0.2.1/24 dev eth0");
    CHECK(rang(n, bell));
    drain(n);
    bell.rings = 0;
    ip("address add 2001:db8::1/64 dev lo");
    ip("route add blackhole 198.51.100.0/24");
    REQUIRE(n.loop.step(100));
    CHECK(bell.rings == 0);
    ip("link delete eth0");
    CHECK(rang(n, bell));
  }

  TEST_CASE("a burst that overruns the socket rings, and the bell works after it") {
    REQUIRE_MEANS(namespaces(), program("ip"));
    KernelNode n("kmon2");
    Bell bell;
    n.monitor.set_doorbell(Delegate<void(const kernel::Ring&)>::to<&Bell::ring>(&bell));
    ip("link add eth0 type bridge");
    std::string batch;
    for (int i = 0; i < 3000; ++i) {
      batch += "address add 10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1) +
               "/32 dev eth0\n";
    }
    must_run({.args = {"sh", "-c", "printf '" + batch + "' | ip -batch -"}}, 30s);
    REQUIRE(n.loop.step(0));
    CHECK(bell.rings == 1);  // one ring a wake-up
    for (const auto cause : {kernel::Cause::kLinks, kernel::Cause::kAddresses, kernel::Cause::kLost})
      CHECK(bell.last.has(cause));
    CHECK(n.monitor.times_down() == 1);  // as far as anybody can tell
    drain(n);
    ip("link set eth0 up");
    CHECK(rang(n, bell));
  }
}

TEST_SUITE("kernel/monitor of rules") {
  overlay::RuleSpec masquerade() {
    overlay::RuleSpec spec;
    spec.masquerade = spec.forward = true;
    spec.network = net4("10.42.0.0/16");
    spec.subnet = net4("10.42.3.0/24");
    return spec;
  }

  TEST_CASE(
      "what another program does to nf_tables rings once a transaction, with its name; what we do does not") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("kmon4");
    Bell bell;
    n.monitor.set_doorbell(Delegate<void(const kernel::Ring&)>::to<&Bell::ring>(&bell));
    REQUIRE(n.kernel.apply_rules(masquerade()));
    REQUIRE(n.loop.step(50));
    CHECK(bell.rings == 0);
    std::string commands = "add table inet fw; add chain inet fw c; ";
    for (int i = 0; i < 300; ++i)
      commands += "add rule inet fw c ip saddr 10.1." + std::to_string(i / 250) + "." +
                  std::to_string(i % 250) + " accept; ";
    const TempDir dir;
    std::ofstream(dir.file("rules")) << commands;
    output_of("nft -f " + dir.file("rules"));
    REQUIRE(rang(n, bell));
    CHECK(bell.rings == 1);
    CHECK(bell.last.causes == static_cast<std::uint8_t>(kernel::Cause::kRules));
    CHECK(bell.last.program.view() == "nft");
    CHECK(bell.last.pid != 0);
    drain(n);
    CHECK(bell.rings == 1);
    output_of("nft flush ruleset");
    REQUIRE(rang(n, bell));
    REQUIRE(*n.kernel.apply_rules(masquerade()));  // they are back
    drain(n);
    CHECK(bell.rings == 1);
  }

  TEST_CASE("transactions faster than we read ring, too") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    KernelNode n("kmon5");
    Bell bell;
    n.monitor.set_doorbell(Delegate<void(const kernel::Ring&)>::to<&Bell::ring>(&bell));
    must_run({.args = {"sh", "-c", "for i in $(seq 400); do echo add table ip t$i; done | nft -i"}}, 30s);
    CHECK(rang(n, bell));
    CHECK(bell.last.has(kernel::Cause::kRules));
  }
}

TEST_SUITE("kernel/device") {
  TEST_CASE("a device that was down for a moment is counted, whoever asks: its routes are gone") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kmon3");
    const int index = make_device(n);
    drain(n);
    CHECK(n.monitor.times_down() == 0);  // that it was down before it was set up does not count
    ip("link set flannel.1 down");
    ip("link set flannel.1 up");
    drain(n);
    auto found = n.kernel.find_device("flannel.1");
    REQUIRE((found && *found));
    CHECK((*found)->up);
    CHECK(n.monitor.times_down() == 1);
    CHECK(n.monitor.times_down() == 1);
    ip("link set flannel.1 mtu 1400");
    ip("link set flannel.1 address 02:00:00:00:00:77");
    ip("link add pod type bridge");
    ip("link set pod up");
    ip("link set pod down");
    ip("link delete pod");
    drain(n);
    CHECK(n.monitor.times_down() == 1);
    REQUIRE(n.kernel.delete_device(index));
    make_device(n);
    drain(n);
    CHECK(n.monitor.times_down() == 2);
  }
}

TEST_SUITE("kernel/sysctl") {
  TEST_CASE("accept_ra of the device is switched off, and a device without IPv6 is no error") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("ksys1");
    CHECK(n.kernel.disable_accept_ra("flannel.1"));  // none yet
    CHECK_FALSE(n.kernel.disable_accept_ra("../all"));
    REQUIRE(n.kernel.create_device(device_spec()));
    REQUIRE(n.kernel.disable_accept_ra("flannel.1"));
    CHECK(output_of("cat /proc/sys/net/ipv6/conf/flannel.1/accept_ra") == "0\n");
  }

  TEST_CASE("ip_forward is read, and set once") {
    REQUIRE_MEANS(namespaces());
    KernelNode n("ksys2");
    struct Counting final : Files {
      Result<std::optional<std::string_view>> read(std::string_view path, std::span<char> buffer) override {
        return real.read(path, buffer);
      }
      Result<bool> read_pieces(std::string_view, std::uint64_t, Pieces&) override { return Error{}; }
      Result<void> replace_with(std::string_view, PieceSource&, unsigned) override { return Error{}; }
      Result<void> write_in_place(std::string_view path, std::string_view text) override {
        ++writes;
        return real.write_in_place(path, text);
      }
      SystemFiles real;
      int writes = 0;
    } files;
    kernel::NetlinkKernel k(files);
    output_of("sysctl -qw net.ipv4.ip_forward=0");
    CHECK_FALSE(*k.ip_forward());
    REQUIRE(k.set_ip_forward());
    CHECK(*k.ip_forward());
    REQUIRE(k.set_ip_forward());
    CHECK(files.writes == 1);
  }
}
