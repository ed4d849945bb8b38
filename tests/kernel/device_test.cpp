// SPDX-License-Identifier: Apache-2.0
// The VXLAN device and its address in a real kernel.
#include "kernel/kernel_node.hpp"
#include "support/poll.hpp"

using namespace flannelette;
using namespace flannelette::tests;

TEST_SUITE("kernel/device") {
  TEST_CASE("a device is created whole: MAC, MTU, port, local, no learning, no lower link, down") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev1");
    auto absent = n.kernel.find_device("flannel.1");
    REQUIRE(absent);
    CHECK_FALSE(*absent);

    REQUIRE(n.kernel.create_device(device_spec()));
    const std::string shown = ip("-j -d link show flannel.1");
    for (const char* field : {R"("info_kind":"vxlan")", R"("id":1,)", R"("local":"192.0.2.1")",
                              R"("port":8472)", R"("learning":false)", R"("ttl":0,)", R"("ageing":300)",
                              R"("udp_csum":true)", R"("port_range":{"low":0,"high":0})",
                              R"("address":"02:00:00:00:00:01")", R"("mtu":1450)", R"("operstate":"DOWN")"}) {
      INFO(field);
      CHECK(has(shown, field));
    }
    CHECK_FALSE(has(shown, R"("link":)"));

    auto found = n.kernel.find_device("flannel.1");
    REQUIRE(found);
    REQUIRE(*found);
    const overlay::Device& device = **found;
    CHECK(device.name.view() == "flannel.1");
    CHECK(device.is_vxlan);
    CHECK_FALSE(device.external);
    CHECK_FALSE(device.up);
    CHECK(device.vni == 1);
    CHECK(device.port == 8472);
    CHECK(device.local == ip4("192.0.2.1"));
    CHECK(device.lower_index == 0);
    CHECK(device.group == Ip4{});
    CHECK(device.mtu == 1450);
    CHECK(device.mac == mac("02:00:00:00:00:01"));
    CHECK_FALSE(device.learning);
    CHECK_FALSE(device.gbp);
  }

  TEST_CASE("learning, GBP and an unknown local address are created as asked, an MTU beyond any NIC too") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev2");
    auto spec = device_spec();
    spec.local = {};
    spec.learning = true;
    spec.gbp = true;
    spec.mtu = 8950;
    REQUIRE(n.kernel.create_device(spec));
    auto found = n.kernel.find_device("flannel.1");
    REQUIRE((found && *found));
    CHECK((*found)->local == Ip4{});
    CHECK((*found)->learning);
    CHECK((*found)->gbp);
    CHECK((*found)->mtu == 8950);
  }

  TEST_CASE("a device that others made is read as it is") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev3");
    ip("link add eth0 type bridge");
    ip("link add flannel.1 type vxlan id 7 dev eth0 group 239.1.1.1 dstport 4789");
    ip("link add flannel.2 type vxlan external dstport 4790");
    ip("link add flannel.3 type bridge");
    auto bound = n.kernel.find_device("flannel.1");
    REQUIRE((bound && *bound));
    CHECK((*bound)->lower_index != 0);
    CHECK((*bound)->group == ip4("239.1.1.1"));
    CHECK((*bound)->vni == 7);
    CHECK((*bound)->port == 4789);
    CHECK((*bound)->learning);
    auto external = n.kernel.find_device("flannel.2");
    REQUIRE((external && *external));
    CHECK((*external)->is_vxlan);
    CHECK((*external)->external);
    auto bridge = n.kernel.find_device("flannel.3");
    REQUIRE((bridge && *bridge));
    CHECK_FALSE((*bridge)->is_vxlan);
  }

  TEST_CASE("a name, or a VNI and port, that another device has is kExists") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev4");
    ip("link add other type vxlan id 1 dstport 8472");
    auto taken = n.kernel.create_device(device_spec());
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == Code::kExists);
    ip("link delete other");
    ip("link add flannel.1 type bridge");
    auto named = n.kernel.create_device(device_spec());
    REQUIRE_FALSE(named);
    CHECK(named.error().code == Code::kExists);
  }

  TEST_CASE("a socket on the UDP port is named when the device is set up") {
    REQUIRE_MEANS(namespaces(), program("ip"), program("python3"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev5");
    Process holder({.args = {"python3", "-c",
                             "import socket,time; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                             "s.bind(('',8472)); print('bound', flush=True); time.sleep(60)"}});
    REQUIRE(wait_until(std::chrono::seconds(10), [&] { return has(holder.output(), "bound"); }));
    REQUIRE(n.kernel.create_device(device_spec()));
    auto found = n.kernel.find_device("flannel.1");
    REQUIRE((found && *found));
    overlay::DevicePlan plan;
    plan.set_up = true;
    auto up = n.kernel.change_device((*found)->index, device_spec(), plan);
    REQUIRE_FALSE(up);
    CHECK(up.error().code == Code::kExists);
    CHECK(has(up.error().context, "UDP port"));
  }

  TEST_CASE("local, learning, MTU, MAC and state change in place, each only if planned") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev6");
    const int index = make_device(n);
    auto spec = device_spec();
    spec.local = ip4("192.0.2.9");
    spec.learning = true;
    spec.mtu = 1400;
    spec.mac = mac("02:00:00:00:00:99");
    const std::string before = ip("-d link show flannel.1");
    REQUIRE(n.kernel.change_device(index, spec, {}));
    CHECK(ip("-d link show flannel.1") == before);

    overlay::DevicePlan plan;
    plan.set_local = true;
    REQUIRE(n.kernel.change_device(index, spec, plan));
    const std::string shown = ip("-j -d link show flannel.1");
    CHECK(has(shown, R"("local":"192.0.2.9")"));
    CHECK(has(shown, R"("port":8472)"));
    CHECK(has(shown, R"("learning":false)"));
    plan = {};
    plan.set_learning = true;
    REQUIRE(n.kernel.change_device(index, spec, plan));
    CHECK((*n.kernel.find_device("flannel.1"))->learning);
    spec.learning = false;
    REQUIRE(n.kernel.change_device(index, spec, plan));
    CHECK_FALSE((*n.kernel.find_device("flannel.1"))->learning);
    plan = {};
    plan.set_mtu = true;
    plan.set_mac = true;
    REQUIRE(n.kernel.change_device(index, spec, plan));
    auto device = n.kernel.find_device("flannel.1");
    REQUIRE((device && *device));
    CHECK((*device)->mtu == 1400);
    CHECK((*device)->mac == spec.mac);
    CHECK((*device)->up);
    CHECK((*device)->index == index);
    CHECK((*device)->local == spec.local);
  }

  TEST_CASE(
      "forwarding and a strict rp_filter, its own or that of all links, are read and set, of it alone") {
    REQUIRE_MEANS(namespaces(), program("ip"), program("sysctl"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev10");
    const auto set = [](const std::string& what) { output_of("sysctl -qw net.ipv4." + what); };
    const auto settings = [](const char* link) {
      return output_of(std::string("sysctl net.ipv4.conf.") + link);
    };
    const auto device = [&] { return **n.kernel.find_device("flannel.1"); };
    set("ip_forward=0");
    ip("link add pod0 type bridge");
    const int index = make_device(n);
    const std::string others = settings("pod0") + settings("all") + settings("default") + settings("lo");
    CHECK_FALSE(device().forwarding);
    CHECK_FALSE(device().strict_rp_filter);
    overlay::DevicePlan plan;
    plan.set_forwarding = true;
    const std::string before = settings("flannel/1");
    REQUIRE(n.kernel.change_device(index, device_spec(), plan));
    CHECK(device().forwarding);
    std::string expected = before;
    const std::string off = "flannel/1.forwarding = 0";
    expected.replace(expected.find(off), off.size(), "flannel/1.forwarding = 1");
    CHECK(settings("flannel/1") == expected);
    plan = {};
    plan.set_rp_filter = true;
    for (const char* strict : {"flannel/1", "all"}) {
      set(std::string("conf.") + strict + ".rp_filter=1");
      CHECK(device().strict_rp_filter);
      REQUIRE(n.kernel.change_device(index, device_spec(), plan));
      CHECK_FALSE(device().strict_rp_filter);
      CHECK(has(settings("flannel/1"), "flannel/1.rp_filter = 2"));
      set("conf.flannel/1.rp_filter=0");
    }
    set("conf.all.rp_filter=0");
    CHECK(device().forwarding);
    CHECK(settings("pod0") + settings("all") + settings("default") + settings("lo") == others);
  }

  TEST_CASE("a device that was renamed while it is up gets its name back, and one in a bridge is taken out") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev9");
    const int index = make_device(n);
    ip("link add br0 type bridge");
    ip("link set flannel.1 master br0");
    if (run({.args = words("ip link set flannel.1 name wan0")}).status != 0) {
      ip("link set flannel.1 down");  // Linux before 6.2
      ip("link set flannel.1 name wan0");
      ip("link set wan0 up");
    }
    ip("route add 10.42.9.0/24 via 10.42.9.0 dev wan0 onlink");
    overlay::DevicePlan plan;
    plan.set_name = true;
    REQUIRE(n.kernel.change_device(index, device_spec(), plan));
    const auto renamed = *n.kernel.find_device("flannel.1");
    REQUIRE(renamed);
    CHECK(renamed->index == index);
    CHECK(renamed->up);
    CHECK(renamed->master_index != 0);
    plan = {};
    plan.clear_master = true;
    REQUIRE(n.kernel.change_device(index, device_spec(), plan));
    CHECK((*n.kernel.find_device("flannel.1"))->master_index == 0);
    CHECK((*n.kernel.find_device("flannel.1"))->up);
  }

  TEST_CASE("a bound device shows the MTU that its lower link allows, which is what the kernel takes") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev10");
    ip("link add eth0 mtu 1400 type bridge");
    ip("link add flannel.1 type vxlan id 1 dev eth0 dstport 8472 nolearning");
    const auto device = *n.kernel.find_device("flannel.1");
    REQUIRE(device);
    CHECK(device->max_mtu == 1350);
    auto spec = device_spec();
    overlay::DevicePlan plan;
    plan.set_mtu = true;
    spec.mtu = 1350;
    CHECK(n.kernel.change_device(device->index, spec, plan));
    spec.mtu = 1351;
    CHECK_FALSE(n.kernel.change_device(device->index, spec, plan));
    ip("link set eth0 mtu 1300");
    CHECK((*n.kernel.find_device("flannel.1"))->max_mtu == 1250);
    plan = {};
    plan.set_local = true;  // also bound, in place
    CHECK(n.kernel.change_device(device->index, spec, plan));
    CHECK((*n.kernel.find_device("flannel.1"))->local == spec.local);
    CHECK((*n.kernel.find_device("flannel.1"))->lower_index != 0);
  }

  TEST_CASE("all VXLAN devices are listed, and nothing else") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev11");
    ip("link add br0 type bridge");
    ip("link add flannel.1 address 02:00:00:00:00:01 type vxlan id 1 dstport 8472");
    ip("link add other type vxlan external dstport 4790");
    struct Names final : kernel::DeviceVisitor {
      void device(const overlay::Device& d) override {
        text += std::string(d.name.view()) + " " + std::to_string(d.vni) + " " + std::to_string(d.port) +
                " " + std::to_string(d.external) + "\n";
      }
      std::string text;
    } names;
    REQUIRE(n.kernel.dump_devices(names));
    CHECK(names.text == "flannel.1 1 8472 0\nother 0 4790 1\n");
  }

  TEST_CASE("the socket at a UDP port is found with its user and inode, IPv6's and the kernel's own too") {
    REQUIRE_MEANS(namespaces(), program("ip"), program("python3"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev12");
    const auto bind = [](const std::string& family, const std::string& port) {
      return "import os,socket,time; s=socket.socket(socket." + family +
             ", socket.SOCK_DGRAM); s.bind(('', " + port +
             ")); print('inode', os.fstat(s.fileno()).st_ino, flush=True); time.sleep(60)";
    };
    CHECK(n.kernel.find_socket(8472).inode == 0);
    Process v4({.args = {"python3", "-c", bind("AF_INET", "8472")}});
    Process v6({.args = {"python3", "-c", bind("AF_INET6", "8473")}});
    for (auto* holder : {&v4, &v6}) {
      REQUIRE(wait_until(std::chrono::seconds(10), [&] { return has(holder->output(), "\n"); }));
      const auto found = n.kernel.find_socket(holder == &v4 ? 8472 : 8473);
      CHECK(has(holder->output(), "inode " + std::to_string(found.inode) + "\n"));
      CHECK(found.uid == 0);
    }
    ip("link add other type vxlan external dstport 4790");
    ip("link set other up");
    CHECK(n.kernel.find_socket(4790).inode != 0);
  }

  TEST_CASE("the checksum offload is set by ethtool's request, and written only if it differs") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev13");
    make_device(n);
    for (const bool on : {false, true}) {
      auto first = n.kernel.set_tx_checksum("flannel.1", on);
      REQUIRE(first);
      CHECK(*first);
      auto second = n.kernel.set_tx_checksum("flannel.1", on);
      REQUIRE(second);
      CHECK_FALSE(*second);
    }
    CHECK(n.kernel.driver("flannel.1").view() == "vxlan");
    CHECK(n.kernel.driver("none").empty());
    CHECK_FALSE(n.kernel.set_tx_checksum("none", true));
  }

  TEST_CASE("a device that was moved to another network namespace keeps its VNI and port") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev14");
    const Node other("kdev14b");
    make_device(n);
    ip("link set flannel.1 netns kdev14b");
    REQUIRE_FALSE(*n.kernel.find_device("flannel.1"));
    const auto taken = n.kernel.create_device(device_spec());
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == Code::kExists);
    other.ip("link delete flannel.1");
    CHECK(n.kernel.create_device(device_spec()));
  }

  TEST_CASE("a local address is cleared in place") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev7");
    const int index = make_device(n);
    auto spec = device_spec();
    spec.local = {};
    overlay::DevicePlan plan;
    plan.set_local = true;
    REQUIRE(n.kernel.change_device(index, spec, plan));
    CHECK((*n.kernel.find_device("flannel.1"))->local == Ip4{});
  }

  TEST_CASE("a deleted device is gone, and deleting it again is no error") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kdev8");
    const int index = make_device(n);
    REQUIRE(n.kernel.delete_device(index));
    auto found = n.kernel.find_device("flannel.1");
    REQUIRE(found);
    CHECK_FALSE(*found);
    CHECK(n.kernel.delete_device(index));
    Entries nothing;
    auto dumped = n.kernel.dump_entries({index, 0, kNetwork}, nothing);
    if (!dumped) CHECK(dumped.error().code == Code::kNotFound);
    CHECK(nothing.routes.empty());
  }
}

TEST_SUITE("kernel/address") {
  TEST_CASE("the device gets the one /32 inside the network, others inside go, others outside stay") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kaddr1");
    REQUIRE(n.kernel.create_device(device_spec()));
    const int index = (*n.kernel.find_device("flannel.1"))->index;
    ip("address add 10.42.3.0/32 dev flannel.1");
    ip("address add 10.42.0.0/24 dev flannel.1");
    ip("address add 10.42.0.7/24 dev flannel.1");  // a secondary one: it goes with its primary
    ip("address add 10.42.9.0 peer 10.42.0.0/32 dev flannel.1");
    ip("address add 172.16.0.1/24 dev flannel.1");
    ip("link add decoy type bridge");
    ip("address add 10.42.77.1/24 dev decoy");

    REQUIRE(n.kernel.set_device_address(index, ip4("10.42.0.0"), net4("10.42.0.0/16")));
    const std::string shown = ip("-o -4 address show dev flannel.1");
    CHECK(has(shown, "inet 10.42.0.0/32 scope global flannel.1"));
    CHECK(has(shown, "172.16.0.1/24"));
    CHECK(count_of(shown, "inet ") == 2);
    CHECK(has(ip("-o -4 address show dev decoy"), "10.42.77.1/24"));
    CHECK(has(ip("route show table local dev flannel.1"), "local 10.42.0.0"));
  }

  TEST_CASE("an address that is right already is not written") {
    REQUIRE_MEANS(namespaces(), program("ip"), link_kind("type vxlan id 1 dstport 8472"));
    KernelNode n("kaddr2");
    const int index = make_device(n);
    Process monitor({.args = words("ip -4 monitor address")});
    REQUIRE(n.kernel.set_device_address(index, ip4("10.42.0.0"), net4("10.42.0.0/16")));
    ip("link add decoy type bridge");
    // The decoy's address is the fence: what came before it has been printed too. Asked again, as the monitor
    // may not listen yet.
    int i = 0;
    REQUIRE(wait_until(std::chrono::seconds(10), [&] {
      REQUIRE(n.kernel.set_device_address(index, ip4("10.42.0.0"), net4("10.42.0.0/16")));
      ip("address add 198.51.100." + std::to_string(++i) + "/32 dev decoy");
      return has(monitor.output(), "decoy");
    }));
    CHECK_FALSE(has(monitor.output(), "flannel.1"));
  }

  TEST_CASE("addresses are listed with length, host bits and flags") {
    REQUIRE_MEANS(namespaces(), program("ip"));
    KernelNode n("kaddr3");
    ip("link add eth0 type bridge");
    ip("link set eth0 up");
    ip("address add 192.0.2.5/24 dev eth0");
    ip("address add 192.0.2.6/24 dev eth0 valid_lft 3600 preferred_lft 0");
    ip("address add 169.254.1.1/16 dev eth0 scope link");
    struct Collect final : kernel::AddressVisitor {
      void address(const kernel::Address& a) override { all.push_back(a); }
      std::vector<kernel::Address> all;
    } c;
    REQUIRE(n.kernel.dump_addresses(c));
    REQUIRE(c.all.size() == 4);  // lo's too
    const auto find = [&](Net4 net) {
      auto at = std::find_if(c.all.begin(), c.all.end(), [&](const auto& a) { return a.net == net; });
      REQUIRE(at != c.all.end());
      return *at;
    };
    const auto first = find(net4("192.0.2.5/24"));
    CHECK_FALSE(first.secondary);
    CHECK_FALSE(first.deprecated);
    CHECK_FALSE(first.link_scope);
    const auto second = find(net4("192.0.2.6/24"));
    CHECK(second.secondary);
    CHECK(second.deprecated);
    CHECK(find(net4("169.254.1.1/16")).link_scope);
    CHECK(find(net4("127.0.0.1/8")).link_scope);
  }
}
