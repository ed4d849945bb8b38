// SPDX-License-Identifier: Apache-2.0
// What a node leaves behind when its agent has ended, and how it goes.
#include "flannelette/agent/cleanup.hpp"

#include <array>

#include "agent/state_files.hpp"
#include "flannelette/agent/known_node.hpp"
#include "flannelette/base/plain_array.hpp"
#include "flannelette/overlay/backend.hpp"
#include "flannelette/overlay/subnet_env.hpp"

namespace flannelette::agent {
namespace {

using overlay::Device;
using overlay::Entry;
using overlay::NodeState;

/// A larger one, with lines of other programs, is left alone.
using SubnetFile = std::array<char, overlay::kMaxSubnetFile>;

struct LinkList final : kernel::LinkVisitor {
  void link(const kernel::Link& link) override { all.append(link); }
  PlainArray<kernel::Link> all;
};

/// Devices with the VNI and MAC of this node, whatever they are called.
struct OwnDevices final : kernel::DeviceVisitor {
  OwnDevices(std::uint32_t our_vni, const Mac& our_mac) : vni(our_vni), mac(our_mac) {}
  void device(const Device& device) override {
    if (device.vni == vni && device.mac == mac) all.append(device);
  }
  std::uint32_t vni;
  Mac mac;
  PlainArray<Device> all;
};

struct EntryList final : kernel::EntryVisitor {
  void entry(const Entry& entry) override { all.append(entry); }
  /// Where the nexthop object of this route leads, which the route itself may not say. False: it has none.
  bool find_gateway(Entry& route) const {
    for (const Entry& entry : all) {
      if (entry.kind != Entry::Kind::kNexthop || entry.net.base != route.net.base) continue;
      route.via = entry.via;
      return true;
    }
    return false;
  }
  PlainArray<Entry> all;
};

class Cleanup {
 public:
  Cleanup(const CleanupPorts& ports, const Settings& settings, Cleaning cleaning)
      : ports_(ports), settings_(settings), cleaning_(cleaning) {}

  bool run(kernel::FindingVisitor* chains);

 private:
  void remove_device(const NodeState& node);
  void remove_entries(const NodeState& node);
  Result<bool> remove_entries(const kernel::Site& site);
  void remove_rules(std::uint32_t vni);
  void remove_subnet_file(std::optional<Net4> ours);
  void remove_flanneld(kernel::FindingVisitor* chains);
  void delete_device(const Device& device);
  bool for_flanneld() const { return cleaning_ == Cleaning::kForFlanneld; }
  /// True: it was done, and changed something. A failure is reported.
  bool done(const Result<bool>& removed, std::string_view what, const Field& which);

  const CleanupPorts& ports_;
  const Settings& settings_;
  const Cleaning cleaning_;
  LinkList links_;
  bool complete_ = true;
  bool any_ = false;
};

bool Cleanup::run(kernel::FindingVisitor* chains) {
  const auto found = find_node(ports_.links, ports_.device, ports_.files, ports_.log, settings_);
  const std::optional<NodeState> node = found ? *found : std::nullopt;
  if (const auto listed = ports_.links.dump_links(links_); !listed)
    (void)done(listed.error(), "links", {"of", "all"});
  if (node) {
    remove_entries(*node);
    if (!for_flanneld()) remove_device(*node);
    remove_rules(node->config.vni);
  }
  if (cleaning_ == Cleaning::kFlanneldToo) remove_flanneld(chains);
  if (!for_flanneld()) remove_subnet_file(node ? std::optional(node->subnet) : std::nullopt);
  if (complete_) {
    StateFiles state(ports_.files, ports_.log, settings_);
    const auto removed = state.remove();
    if (removed ? *removed : true) (void)done(removed, "the state", {"dir", settings_.state_dir.view()});
  }
  if (!any_ && complete_) ports_.log.info("there was nothing to remove");
  return complete_;
}

bool Cleanup::done(const Result<bool>& removed, std::string_view what, const Field& which) {
  if (!removed) {
    complete_ = false;
    ports_.log.error("cannot remove it; run cleanup again when the cause is gone",
                     {{"what", what}, which, Field(removed.error())});
    return false;
  }
  if (*removed) ports_.log.info("removed", {{"what", what}, which});
  any_ = any_ || *removed;
  return *removed;
}

void Cleanup::delete_device(const Device& device) {
  const auto deleted = ports_.device.delete_device(device.index);
  (void)done(deleted ? Result<bool>(true) : deleted.error(), "device", {"device", device.name.view()});
}

void Cleanup::remove_device(const NodeState& node) {
  if (overlay::backend_of(node.config).device == nullptr) return;
  OwnDevices ours(node.config.vni, node.mac);
  if (const auto listed = ports_.device.dump_devices(ours); !listed)
    return (void)done(listed.error(), "devices", {"of", "all"});
  for (const Device& device : ours.all) delete_device(device);
  const auto device = vxlan_named(ports_.device, overlay::device_name(node.config.vni));
  if (!device || device->mac == node.mac) return;
  ports_.log.warning("the device has another MAC than this node remembers, so it is not ours; it stays",
                     {{"device", device->name.view()}, {"mac", device->mac}, {"ours", node.mac}});
}

/// Those on other links; those on the device go with it, if it goes.
void Cleanup::remove_entries(const NodeState& node) {
  const auto device = overlay::device_name(node.config.vni);
  for (const kernel::Link& link : links_.all) {
    kernel::Site site{.underlay = link.index, .network = node.config.network, .direct = true};
    if (for_flanneld() && link.name == device) site.device = link.index;
    (void)done(remove_entries(site), for_flanneld() ? "nexthops" : "routes", {"link", link.name.view()});
  }
}

Result<bool> Cleanup::remove_entries(const kernel::Site& site) {
  EntryList entries;
  const auto listed = ports_.entries.dump_entries(site, entries);
  if (!listed && listed.error().code == Code::kNotFound) return false;  // the link is gone meanwhile
  if (!listed) return listed.error();
  kernel::EntryBatch& batch = ports_.entries.begin(site);
  for (Entry& entry : entries.all) {
    overlay::Change::Op op = overlay::Change::Op::kRemove;
    if (for_flanneld() && entry.kind != Entry::Kind::kNexthop) {
      const bool plain = entry.onlink != entry.underlay;  // as it should be
      if (entry.kind != Entry::Kind::kRoute || plain || !entries.find_gateway(entry)) continue;
      entry.onlink = !entry.underlay;
      op = overlay::Change::Op::kPut;
    }
    batch.change({op, entry});
  }
  const auto report = batch.finish();
  if (!report) return report.error();
  if (report->failed != 0) return report->first;
  return report->done != 0;
}

void Cleanup::remove_rules(std::uint32_t vni) {
  (void)done(ports_.rules.apply_rules(overlay::RuleSpec::none(vni)), "nf_tables table",
             {"table", overlay::rule_table(vni).view()});
}

/// Lines of other programs stay. One that names another subnet is another daemon's.
void Cleanup::remove_subnet_file(std::optional<Net4> ours) {
  SubnetFile buffer;
  const auto text = ports_.files.read(settings_.subnet_file, buffer);
  const Field which("file", settings_.subnet_file.view());
  if (!text) return (void)done(text.error(), "subnet file", which);
  if (!*text) return;
  const auto named = overlay::previous_subnet(**text);
  if (cleaning_ == Cleaning::kOurs && (!named || named != ours)) return;
  const auto rest =
      to_text<overlay::kMaxSubnetFile>([&](Writer& out) { overlay::write_foreign(out, **text); });
  if (rest.view() == **text) return;
  if (rest.empty()) return (void)done(ports_.files.remove(settings_.subnet_file), "subnet file", which);
  const auto written = ports_.files.replace(settings_.subnet_file, rest, 0644);
  (void)done(written ? Result<bool>(true) : written.error(), "subnet", which);
}

void Cleanup::remove_flanneld(kernel::FindingVisitor* chains) {
  for (const kernel::Link& link : links_.all) {
    const std::string_view name = link.name;
    if (!name.starts_with("flannel.") && !name.starts_with("flannel-v6.")) continue;
    const auto device = vxlan_named(ports_.device, name);
    if (device && device->lower_index != 0) delete_device(*device);  // ours are not bound to a link
  }
  (void)done(ports_.rules.remove_flanneld_tables(), "nf_tables tables",
             {"table", "flannel-ipv4, flannel-ipv6"});
  if (chains == nullptr) return;
  if (const auto seen = ports_.rules.inspect_firewall({}, *chains); !seen)
    (void)done(seen.error(), "iptables chains", {"of", "flanneld"});
}

}  // namespace

bool clean_up(const CleanupPorts& ports, const Settings& settings, Cleaning cleaning,
              kernel::FindingVisitor* chains) {
  return Cleanup(ports, settings, cleaning).run(chains);
}

}  // namespace flannelette::agent
