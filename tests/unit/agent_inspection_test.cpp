// SPDX-License-Identifier: Apache-2.0
// What an inspection makes of what it read: the way to a peer, and what a person is told to do.
#include <doctest/doctest.h>

#include <cerrno>

#include "agent/inspection/peer_probe.hpp"
#include "agent/inspection/registry_probe.hpp"
#include "agent/inspection/remedies.hpp"

using namespace flannelette;
using namespace flannelette::agent;

namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE(
    "inspection: large packets through the tunnel prove the way to a peer, whatever the underlay answers") {
  using enum PeerWay;
  CHECK(way_of({.small = true, .large = true}) == kOpen);
  CHECK(way_of({.small = true}) == kNarrow);
  CHECK(way_of({}) == kSilent);
  CHECK(way_of({.tunnelled = true, .tunnel_small = true, .tunnel_large = true}) == kOpen);
  CHECK(way_of({.small = true, .tunnelled = true, .tunnel_small = true, .tunnel_large = true}) == kOpen);
  CHECK(way_of({.small = true, .large = true, .tunnelled = true, .tunnel_small = true}) == kNarrow);
  CHECK(way_of({.small = true, .large = true, .tunnelled = true}) == kBlocked);
  CHECK(way_of({.tunnelled = true}) == kSilent);
}

TEST_CASE("inspection: packets over the underlay are no larger than the config allows") {
  Underlay underlay;
  underlay.mtu = 9000;
  overlay::NetworkConfig config;
  CHECK(underlay_mtu(underlay, config) == 9000);
  config.mtu = 1500;
  CHECK(underlay_mtu(underlay, config) == 1500);
  config.mtu = 9216;
  CHECK(underlay_mtu(underlay, config) == 9000);
}

TEST_CASE("inspection: a default endpoint that fails matters only if no other one works") {
  struct Deaf final : RegistryProbe::Listener {
    void on_network(const overlay::NetworkConfig&) override {}
    void on_server(const Ip&) override {}
    void on_record(const overlay::LeaseRecord&) override {}
    void on_rehearsal(registry::Registry&) override {}
    void on_probed() override {}
  } deaf;
  const InspectedRegistry given, optional{{}, nullptr, true};
  CHECK(RegistryProbe(given, deaf).matters(true));
  CHECK_FALSE(RegistryProbe(optional, deaf).matters(true));
  CHECK(RegistryProbe(optional, deaf).matters(false));
}

TEST_CASE("inspection: the system is known by ID and ID_LIKE of os-release") {
  CHECK(system_of("NAME=\"OpenWrt\"\nID=\"openwrt\"\nID_LIKE=\"lede openwrt\"\n") == System::kOpenWrt);
  CHECK(system_of("ID=immortalwrt\nID_LIKE=\"lede openwrt\"") == System::kOpenWrt);
  CHECK(system_of("PRETTY_NAME=\"Debian\"\nID=debian\n") == System::kOther);
  CHECK(system_of("ID=raspbian\nID_LIKE=debian\n") == System::kOther);
  CHECK(system_of("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n") == System::kOther);
  CHECK(system_of("ID=ubuntu\nID_LIKE=debian\n") == System::kUbuntu);
  CHECK(system_of("ID_LIKE=debian\nID=\"ubuntu\"") == System::kUbuntu);
  CHECK(system_of("ID=poky\nNAME=\"Poky (Yocto Project Reference Distro)\"\n") == System::kYocto);
  CHECK(system_of("ID=fedora\nHOME_URL=\"https://example.org/?ID=debian\"\n") == System::kOther);
  CHECK(system_of("") == System::kOther);
}

TEST_CASE("inspection: each system is given its own commands") {
  const auto modules = [](System system, const char* package, const char* names) {
    return to_text<512>([&](Writer& out) { load_modules(out, system, package, names); });
  };
  CHECK(modules(System::kOpenWrt, "vxlan", "vxlan").view() ==
        "opkg update && opkg install kmod-vxlan, or from OpenWrt 25.12 on apk update && apk add kmod-vxlan");
  CHECK(modules(System::kYocto, "vxlan", "vxlan").view() == "add kernel-module-vxlan to IMAGE_INSTALL");
  CHECK(modules(System::kYocto, "nft-nat", "nft_chain_nat nft_masq").view() ==
        "add kernel-module-nft-chain-nat kernel-module-nft-masq to IMAGE_INSTALL");
  CHECK(modules(System::kOther, "vxlan", "vxlan").view() == "modprobe vxlan");
  CHECK(modules(System::kOther, "nft-nat", "nft_chain_nat nft_masq").view() ==
        "modprobe -a nft_chain_nat nft_masq");
  CHECK(modules(System::kUbuntu, "vxlan", "vxlan").view() ==
        "modprobe vxlan; on a Raspberry Pi apt install linux-modules-extra-raspi");
  const auto sysctl = [](System system) {
    return to_text<512>([&](Writer& out) { set_sysctl(out, system, "a=1"); });
  };
  CHECK(contains(sysctl(System::kOpenWrt), ">> /etc/sysctl.conf"));
  CHECK(contains(sysctl(System::kOther), "echo a=1 >> /etc/sysctl.d/"));
  const auto service = [](System system) {
    return to_text<512>([&](Writer& out) { stop_service(out, system, "flanneld"); });
  };
  CHECK(service(System::kOpenWrt).view() == "service flanneld stop; service flanneld disable");
  CHECK(service(System::kOther).view() ==
        "systemctl disable --now flanneld; in Kubernetes: kubectl -n kube-flannel delete daemonset "
        "kube-flannel-ds");
  kernel::FirewallFinding finding{};
  finding.family = "inet";
  finding.table = "fw";
  finding.chain = "in";
  const auto accept = [&](System system, bool firewalld) {
    return to_text<512>([&](Writer& out) { accept_port(out, system, firewalld, finding, 8472); });
  };
  CHECK(accept(System::kOther, false).view() == "nft insert rule inet fw in udp dport 8472 accept");
  CHECK(contains(accept(System::kOther, true), "firewall-cmd --permanent --add-port=8472/udp"));
  CHECK(contains(accept(System::kOpenWrt, true), "/etc/config/firewall"));
  finding.legacy = true;
  CHECK(contains(accept(System::kOther, false), "iptables-legacy -I INPUT"));
}

TEST_CASE("inspection: a failure of the registry leads to what mends it") {
  const auto mends = [](std::string_view failure, std::string_view by) {
    return contains(agent::repair_of(failure), by);
  };
  CHECK(mends("TLS: the server's certificate is not signed by the configured CA", "ca-file"));
  CHECK(mends("TLS: the server's certificate is not valid yet: the clock of this machine says 1970-01-01",
              "clock"));
  CHECK(mends("TLS: the server's certificate has expired", "renew"));
  CHECK(mends("TLS: the server requires a client certificate", "cert-file"));
  CHECK(mends("TLS: the server does not speak HTTP/1.1", "k3s"));
  CHECK(mends("config: http: this is no HTTP/1 response", "k3s"));
  CHECK(mends("config: etcd: UNIMPLEMENTED (is the JSON gateway off?)", "--enable-grpc-gateway"));
  CHECK(mends("authenticate: etcd: INVALID_ARGUMENT: etcdserver: authentication failed", "password-file"));
  CHECK(mends("config: etcd: PERMISSION_DENIED", "readwrite on <prefix>/subnets/"));
  CHECK(mends("10.6.0.0/24, Network 10.5.0.0/16: it is no part of the network in the config",
              "let Network be what --cluster-cidr"));
  CHECK(mends("10.5.1.0/24, Network 10.5.0.0/16: it holds an address that must be reached directly",
              "hold no address of a node's interface"));
  CHECK(mends("connect: Connection refused", "is it running"));
  CHECK(mends("connect: no answer in time", "firewall"));
  CHECK(mends("resolver: no such name", "resolv.conf"));
  CHECK(mends(registry::kNoWatch, "proxy_buffering off"));
  CHECK(agent::repair_of("list: something that nobody has seen yet").empty());
}

TEST_CASE("inspection: an error is its context, and what the kernel said") {
  const auto text = [](const Error& error) {
    return to_text<100>([&](Writer& out) { agent::put_error(out, error); });
  };
  CHECK(text(system_error("connect", ECONNREFUSED)).view() == "connect: Connection refused");
  CHECK(text(Error{Code::kTls, -0x2700, "no"}).view() == "no");
}
