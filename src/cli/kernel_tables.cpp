// SPDX-License-Identifier: Apache-2.0
// The kernel's tables, for people.
#include "cli/kernel_tables.hpp"

#include <array>

namespace flannelette::cli {
namespace {

using overlay::Entry;

class Tables final : public kernel::LinkVisitor,
                     public kernel::AddressVisitor,
                     public kernel::RouteVisitor,
                     public kernel::DeviceVisitor,
                     public kernel::EntryVisitor,
                     public kernel::FindingVisitor {
 public:
  Tables(std::uint32_t vni, Pieces& out) : vni_(vni), out_(out) {}
  int device() const { return device_; }
  void put_rest() {
    if (entries_ <= kMaxEntries) return;
    number("and", entries_ - kMaxEntries);
    end("more entries", true);
  }

 private:
  Tables& text(std::string_view text) {
    line_.put(' ').put(text);
    return *this;
  }
  void number(const char* name, std::uint64_t value) {
    if (value != 0) text(name).line_.put(' ').put_unsigned(value);
  }
  template <class Value>
  void value(const char* name, const Value& value) {
    write(text(name).line_.put(' '), value);
  }
  /// With a last word, if it is so.
  void end(const char* word, bool so) {
    if (so) text(word);
    line_.put('\n');
    out_.piece(line_.view());
    line_.clear();
  }

  void link(const kernel::Link& link) override {
    text("link").text(link.name);
    number("index", static_cast<std::uint64_t>(link.index));
    number("mtu", link.mtu);
    if (link.carrier) text("carrier");
    end("up", link.up);
  }
  void address(const kernel::Address& address) override {
    value("address", address.net);
    number("link", static_cast<std::uint64_t>(address.link_index));
    end("deprecated", address.deprecated);
  }
  void route(const kernel::Route& route) override {
    value("route via", route.gateway);
    number("link", static_cast<std::uint64_t>(route.link_index));
    number("metric", route.metric);
    number("mtu", route.mtu);
    end("default", route.is_default());
  }
  void device(const overlay::Device& device) override {
    if (device.vni == vni_) device_ = device.index;
    text("vxlan").text(device.name);
    value("mac", device.mac);
    value("local", Ip(device.local));
    number("vni", device.vni);
    number("port", device.port);
    number("mtu", device.mtu);
    number("bound to link", static_cast<std::uint64_t>(device.lower_index));
    end("up", device.up);
  }
  void entry(const Entry& entry) override {
    static constexpr const char* kKinds[] = {"route", "nexthop of", "neighbour", "fdb of"};
    if (++entries_ > kMaxEntries) return;
    value(kKinds[static_cast<std::size_t>(entry.kind)], entry.net);
    if (entry.mac != Mac{}) value("mac", entry.mac);
    if (entry.via != Ip4{}) value("via", entry.via);
    end("not permanent", !entry.permanent);
  }
  void finding(const kernel::FirewallFinding& finding) override {
    const bool drops = finding.kind == kernel::FirewallFinding::Kind::kForeignDrop;
    text(drops ? "drops forwarded packets:" : "of flanneld:").text(finding.family).text(finding.table);
    text(finding.chain);
    end("iptables-legacy", finding.legacy);
  }

  const std::uint32_t vni_;
  Pieces& out_;
  int device_ = 0;
  std::size_t entries_ = 0;
  std::array<char, 256> buffer_;
  Writer line_{buffer_};
};

}  // namespace

void put_kernel_tables(kernel::NetlinkKernel& kernel, const std::optional<overlay::NodeState>& node,
                       Pieces& out) {
  Tables tables(node ? node->config.vni : 0, out);
  (void)kernel.dump_links(tables);
  (void)kernel.dump_addresses(tables);
  (void)kernel.dump_routes(tables);
  (void)kernel.dump_devices(tables);
  overlay::RuleSpec spec;
  if (node) {
    spec.network = node->config.network;
    spec.vni = node->config.vni;
  }
  (void)kernel.inspect_firewall(spec, tables);
  if (!node) return;
  (void)kernel.dump_entries({.device = tables.device(), .network = node->config.network}, tables);
  tables.put_rest();
}

}  // namespace flannelette::cli
