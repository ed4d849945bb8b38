// SPDX-License-Identifier: Apache-2.0
// vxlan: one device for all peers; a route, a neighbour and an FDB entry for each, or with DirectRouting a
// route by its PublicIP alone for who is reached without a gateway.
#include "overlay/backend/vxlan.hpp"

#include "overlay/backend/host_gw.hpp"
#include "overlay/member_reader.hpp"
#include "overlay/peer_record.hpp"

namespace flannelette::overlay {
namespace {

using json::Token;
using namespace std::string_view_literals;

constexpr std::uint64_t kMaxVni = (1u << 24) - 1;
/// Below it the device's MTU would be less than the 68 that IPv4 asks of a link (50 bytes are VXLAN's).
constexpr std::uint64_t kMinMtu = 118;
constexpr std::uint64_t kMaxMtu = 65535;

std::optional<ConfigProblem> read_settings(std::string_view object, NetworkConfig& config) {
  std::uint64_t vni = config.vni;
  std::uint64_t port = 0;
  std::uint64_t mtu = 0;
  MemberReader in(object);
  in.document.next();
  in.document.members([&](std::string_view key) {
    if (in.is(key, "VNI"))
      return in.integer("Backend.VNI", kMaxVni, "VNI must be an integer from 0 to 16777215", vni);
    if (in.is(key, "Port"))
      return in.integer("Backend.Port", 65535, "Port must be an integer from 0 to 65535", port);
    if (in.is(key, "MTU")) {
      constexpr const char* kWhy = "MTU must be an integer from 118 to 65535, or 0 for the interface's";
      if (!in.integer("Backend.MTU", kMaxMtu, kWhy, mtu)) return false;
      if (mtu > 0 && mtu < kMinMtu) in.note("Backend.MTU", kWhy);
      return true;
    }
    if (in.is(key, "Learning")) return in.boolean("Backend.Learning", config.learning);
    if (in.is(key, "GBP")) return in.boolean("Backend.GBP", config.gbp);
    if (in.is(key, "DirectRouting")) return in.boolean("Backend.DirectRouting", config.direct);
    return in.document.skip();
  });
  if (in.fault) return in.fault;
  config.vni = static_cast<std::uint32_t>(vni);
  if (port != 0) config.port = static_cast<std::uint16_t>(port);
  config.mtu = static_cast<std::uint32_t>(mtu);
  return std::nullopt;
}

/// A fault in it makes it no data (flanneld ignores such a peer), not an unreadable
/// value: other backends write other things here.
bool read_data(json::Document& document, LeaseValue& out) {
  out.has_vxlan = false;
  out.vni.reset();
  out.mac = {};
  const Token first = document.next();
  if (first != Token::kBeginObject) return document.skip_rest(first);

  bool fault = false;
  std::optional<std::uint32_t> vni;
  std::optional<Mac> mac;
  const bool whole = document.members([&](std::string_view key) {
    const bool is_vni = equal_ignoring_case(key, "VNI"sv);
    if (!is_vni && !equal_ignoring_case(key, "VtepMAC"sv)) return document.skip();
    const Token token = document.next();
    if (is_vni && token == Token::kNumber) {
      const std::optional<std::uint64_t> value = json::to_uint64(document.text());
      fault |= !value || *value > UINT32_MAX;
      if (value) vni = static_cast<std::uint32_t>(*value);
      return true;
    }
    if (is_vni && token == Token::kNull) return true;
    if (!is_vni && token == Token::kString) {
      mac = parse_mac(document.text());
      fault |= !mac;
      return true;
    }
    fault = true;
    return document.skip_rest(token);
  });
  if (!whole) return false;
  if (fault || !mac) return true;
  out.has_vxlan = true;
  out.vni = vni;
  out.mac = *mac;
  return true;
}

void write_data(Writer& out, const LeaseValue& value) {
  out.put(R"({"VNI":)").put_unsigned(value.vni.value_or(0)).put(R"(,"VtepMAC":")");
  write(out, value.mac);
  out.put(R"("})");
}

DeviceSpec device(const NetworkConfig& config, Ip4 local, std::uint32_t underlay_mtu, const Mac& mac) {
  DeviceSpec spec;
  spec.name = device_name(config.vni);
  spec.vni = config.vni;
  spec.port = config.port;
  spec.local = local;
  spec.mtu = device_mtu(underlay_mtu, config.mtu);
  spec.mac = mac;
  spec.learning = config.learning;
  spec.gbp = config.gbp;
  return spec;
}

Ignored validate_peer(const PeerRecord& peer, const LocalNode& local) {
  const VxlanData data = peer.data();
  if (data == VxlanData::kNone || peer.mac.zero() || !peer.mac.unicast()) return Ignored::kBadMac;
  if (local.mac && peer.mac == *local.mac) return Ignored::kOurMac;
  if (data == VxlanData::kWrongVni) return Ignored::kOtherVni;
  if (data == VxlanData::kVni && peer.vni != local.config.vni) return Ignored::kOtherVni;
  return Ignored::kNo;
}

/// The gateway is the address of the peer's device, which is the subnet's base.
bool entry_of(Entry::Kind kind, const PeerRecord& peer, Entry& out) {
  const bool sender = kind == Entry::Kind::kSender;
  if (peer.direct && !sender) return direct_entry(kind, peer, out);  // either end may change first
  const Net4 subnet = peer.subnet();
  const bool fdb = kind == Entry::Kind::kFdb;
  const bool neighbour = kind == Entry::Kind::kNeighbour;
  out.kind = kind;
  out.net = subnet;
  if (fdb || neighbour) out.mac = peer.mac;
  if (!neighbour) out.via = Ip4{fdb || sender ? peer.public_ip : subnet.base.value};
  return true;
}

}  // namespace

const Backend kVxlanBackend{
    .type = "vxlan",
    .read_settings = read_settings,
    .read_data = read_data,
    .write_data = write_data,
    .device = device,
    .validate = validate_peer,
    .entry = entry_of,
};

}  // namespace flannelette::overlay
