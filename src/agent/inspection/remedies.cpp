// SPDX-License-Identifier: Apache-2.0
// What a person does about a finding, in the words of this system.
#include "agent/inspection/remedies.hpp"

#include <array>

namespace flannelette::agent {
namespace {

bool has(std::string_view text, std::string_view word) { return text.find(word) != text.npos; }

}  // namespace

System system_of(std::string_view os_release) {
  System system = System::kOther;
  while (!os_release.empty()) {
    const std::size_t end = os_release.find('\n');
    const std::string_view entry = os_release.substr(0, end);
    os_release.remove_prefix(end == os_release.npos ? os_release.size() : end + 1);
    if (!entry.starts_with("ID=") && !entry.starts_with("ID_LIKE=")) continue;
    if (has(entry, "openwrt")) return System::kOpenWrt;
    if (entry == "ID=ubuntu" || entry == "ID=\"ubuntu\"") system = System::kUbuntu;
    if (has(entry, "poky") || has(entry, "openembedded")) system = System::kYocto;
  }
  return system;
}

System system_of(Files& files) {
  std::array<char, 4096> memory;
  const auto text = files.read("/etc/os-release", memory);
  return text && *text ? system_of(**text) : System::kOther;
}

void load_modules(Writer& out, System system, std::string_view package, std::string_view modules) {
  switch (system) {
    case System::kOpenWrt:
      out.put("opkg update && opkg install kmod-").put(package);
      out.put(", or from OpenWrt 25.12 on apk update && apk add kmod-").put(package);
      return;
    case System::kYocto:  // a package has the module's name with hyphens
      out.put("add kernel-module-");
      for (const char c : modules) {
        if (c == ' ') {
          out.put(" kernel-module-");
        } else {
          out.put(c == '_' ? '-' : c);
        }
      }
      out.put(" to IMAGE_INSTALL");
      return;
    case System::kUbuntu:
    case System::kOther: out.put(has(modules, " ") ? "modprobe -a " : "modprobe ").put(modules);
  }
  if (system == System::kUbuntu) out.put("; on a Raspberry Pi apt install linux-modules-extra-raspi");
}

void set_sysctl(Writer& out, System system, std::string_view assignment) {
  out.put("sysctl -w ").put(assignment).put("; echo ").put(assignment);
  out.put(system == System::kOpenWrt ? " >> /etc/sysctl.conf" : " >> /etc/sysctl.d/90-flannelette.conf");
}

void stop_service(Writer& out, System system, std::string_view name) {
  if (system == System::kOpenWrt) {
    out.put("service ").put(name).put(" stop; service ").put(name).put(" disable");
  } else {
    out.put("systemctl disable --now ")
        .put(name)
        .put("; in Kubernetes: kubectl -n kube-flannel delete daemonset kube-flannel-ds");
  }
}

void accept_port(Writer& out, System system, bool firewalld, const kernel::FirewallFinding& finding,
                 std::uint16_t port) {
  if (system == System::kOpenWrt) {
    out.put("a rule in /etc/config/firewall: src the zone of the interface, proto udp, dest_port ")
        .put_unsigned(port)
        .put(", target ACCEPT");
  } else if (firewalld) {
    out.put("firewall-cmd --permanent --add-port=").put_unsigned(port).put("/udp; firewall-cmd --reload");
  } else if (finding.legacy) {
    out.put("iptables-legacy -I INPUT -p udp --dport ").put_unsigned(port).put(" -j ACCEPT");
  } else {
    out.put("nft insert rule ").put(finding.family).put(" ").put(finding.table).put(" ").put(finding.chain);
    out.put(" udp dport ").put_unsigned(port).put(" accept");
  }
}

}  // namespace flannelette::agent
