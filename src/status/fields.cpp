// SPDX-License-Identifier: Apache-2.0
// The field table: what of a status is shown, and under which names.
#include "status/fields.hpp"

#include <cstddef>
#include <cstring>

namespace flannelette::status {
namespace {

using Kind = Field::Kind;
constexpr std::uint8_t kCounter = Field::kCounter;
constexpr std::uint8_t kQuiet = Field::kQuiet;

#define AT(member) offsetof(Status, member)

constexpr Field number(const char* name, const char* help, std::size_t offset, std::uint8_t flags = 0) {
  return {name, help, static_cast<std::uint16_t>(offset), Kind::kNumber, flags};
}
constexpr Field counter(const char* name, const char* help, std::size_t offset) {
  return number(name, help, offset, kCounter);
}
/// Of an array of counters.
template <class Index>
constexpr Field counter(const char* name, std::size_t offset, Index index) {
  return counter(name, nullptr, offset + sizeof(std::int64_t) * static_cast<std::size_t>(index));
}

constexpr Field kUnready[] = {
    {"lease", nullptr, AT(unready.lease), Kind::kWords},
    {"kernel", nullptr, AT(unready.kernel), Kind::kWords},
    {"watch", nullptr, AT(unready.watch), Kind::kWords},
};
constexpr Field kNode[] = {
    {"state", nullptr, AT(node.state), Kind::kName},
    {"device", nullptr, AT(node.device), Kind::kWords},
    {"network", nullptr, AT(node.network), Kind::kNet},
    {"subnet", nullptr, AT(node.subnet), Kind::kNet},
    {"mac", nullptr, AT(node.mac), Kind::kMac},
    {"public_ip", nullptr, AT(node.public_ip), Kind::kIp},
    {"interface", nullptr, AT(node.interface), Kind::kWords},
    {"backend", nullptr, AT(node.backend), Kind::kName},
    number("mtu_bytes", "MTU of the overlay.", AT(node.mtu_bytes)),
    number("vni", nullptr, AT(node.vni)),
    number("port", nullptr, AT(node.port)),
};
constexpr Field kLease[] = {
    {"state", nullptr, AT(lease.state), Kind::kName},
    {"reservation", nullptr, AT(lease.reservation), Kind::kBoolean},
    number("held", "Whether a lease is held; else a cached one stands in for it, or there is none.",
           AT(lease.held), kQuiet),
    number("remaining_seconds", "Time until the lease ends unless it is kept alive.",
           AT(lease.remaining_seconds)),
};
constexpr Field kRegistry[] = {
    {"server", nullptr, AT(registry.server), Kind::kWords},
    number("connected_seconds", "Age of the connection of the watch.", AT(registry.connected_seconds)),
    {"watch", nullptr, AT(registry.watch), Kind::kName},
    number("watch_age_seconds", "Time since the watch's server was heard, which may be its TCP alone.",
           AT(registry.watch_age_seconds)),
    number("event_age_seconds", "Time since the watch brought a message.", AT(registry.event_age_seconds)),
    {"failure", nullptr, AT(registry.failure), Kind::kWords},
    counter("connections", "Connections of the watch, each but the first a reconnect.",
            AT(registry.connections)),
    counter("requests", "Requests that were sent, beside those of the watch.", AT(registry.requests)),
    counter("messages", "Messages that the watch brought.", AT(registry.messages)),
    counter("received_bytes", "Bytes received from the registry, TLS not counted.",
            AT(registry.received_bytes)),
    counter("sent_bytes", "Bytes sent to the registry, TLS not counted.", AT(registry.sent_bytes)),
};

constexpr Field kFailures[] = {
    counter("invalid", AT(failures), Code::kInvalid),
    counter("limit", AT(failures), Code::kLimit),
    counter("not_found", AT(failures), Code::kNotFound),
    counter("exists", AT(failures), Code::kExists),
    counter("conflict", AT(failures), Code::kConflict),
    counter("denied", AT(failures), Code::kDenied),
    counter("unsupported", AT(failures), Code::kUnsupported),
    counter("interrupted", AT(failures), Code::kInterrupted),
    counter("unavailable", AT(failures), Code::kUnavailable),
    counter("timeout", AT(failures), Code::kTimeout),
    counter("closed", AT(failures), Code::kClosed),
    counter("tls", AT(failures), Code::kTls),
    counter("system", AT(failures), Code::kSystem),
};

constexpr Field kPeers[] = {
    number("wanted", "Nodes that are to be reached.", AT(peers.wanted)),
    number("programmed", "Nodes whose entries are in the kernel.", AT(peers.programmed)),
    number("refused", "Nodes whose entries the kernel refused.", AT(peers.refused)),
};

using overlay::Ignored;
constexpr Field ignored(const char* name, Ignored why) {
  return number(name, nullptr, AT(ignored) + sizeof(std::int64_t) * static_cast<std::size_t>(why));
}
constexpr Field kIgnored[] = {
    ignored("other_backend", Ignored::kOtherBackend),
    ignored("unreadable", Ignored::kUnreadable),
    ignored("bad_subnet", Ignored::kBadSubnet),
    ignored("overlaps_ours", Ignored::kOverlapsOurs),
    ignored("bad_public_ip", Ignored::kBadPublicIp),
    ignored("our_public_ip", Ignored::kOurPublicIp),
    ignored("bad_mac", Ignored::kBadMac),
    ignored("our_mac", Ignored::kOurMac),
    ignored("other_vni", Ignored::kOtherVni),
    ignored("holds_protected", Ignored::kHoldsProtected),
    ignored("holds_public_ip", Ignored::kHoldsPublicIp),
    ignored("conflict", Ignored::kConflict),
};
static_assert(std::size(kIgnored) == Status::kReasons - 2 && std::size(kFailures) == Status::kFailures);

constexpr Field kKernel[] = {
    {"rules", nullptr, AT(kernel.rules), Kind::kName},
    {"failure", nullptr, AT(kernel.failure), Kind::kWords},
    counter("batches", "Batches of entries that were sent to the kernel.", AT(kernel.batches)),
    counter("changes", "Entries that were put or removed.", AT(kernel.changes)),
    counter("refusals", "Changes of entries that the kernel refused.", AT(kernel.refusals)),
    counter("audits", "Comparisons of all entries with the kernel's.", AT(kernel.audits)),
};
constexpr Field kRepairs[] = {
    counter("route", AT(repairs), 0),     counter("nexthop", AT(repairs), 1),
    counter("neighbour", AT(repairs), 2), counter("fdb", AT(repairs), 3),
    counter("rules", AT(repairs), 4),     counter("device", AT(repairs), 5),
};
constexpr Field kDevice[] = {
    counter("received_bytes", "Bytes that came in by our device.", AT(device.received_bytes)),
    counter("received_packets", "Packets that came in by our device.", AT(device.received_packets)),
    counter("sent_bytes", "Bytes that left by our device.", AT(device.sent_bytes)),
    counter("sent_packets", "Packets that left by our device.", AT(device.sent_packets)),
    counter("dropped_packets", "Packets that our device dropped or could not send.",
            AT(device.dropped_packets)),
};
constexpr Field kProcess[] = {
    number("start_time_seconds", "When the agent started, in Unix time.", AT(process.start_time_seconds),
           kQuiet),
    number("uptime_seconds", "Time since the agent started.", AT(process.uptime_seconds)),
    number("resident_memory_bytes", "Resident memory.", AT(process.resident_memory_bytes)),
    counter("wakeups", "Wake-ups of the event loop.", AT(process.wakeups)),
    counter("log_lines_dropped", "Lines of the log that were held back.", AT(process.log_lines_dropped)),
    counter("state_writes", "Writes of state files.", AT(process.state_writes)),
    counter("state_written_bytes", "Bytes written to state files.", AT(process.state_written_bytes)),
};
#undef AT

constexpr Section kStatus[] = {
    {"not_ready", "cause", "1: in this the node is not ready.", kUnready},
    {"node", nullptr, "This node.", kNode},
    {"lease", nullptr, nullptr, kLease},
    {"registry", nullptr, nullptr, kRegistry},
    {"registry_failures", "error", "Attempts to reach the registry, or requests, that failed.", kFailures},
    {"peers", nullptr, nullptr, kPeers},
    {"peers_ignored", "reason", "Records of nodes that are not to be reached.", kIgnored},
    {"kernel", nullptr, nullptr, kKernel},
    {"repairs", "kind", "Things in the kernel that others changed and that were repaired.", kRepairs},
    {"device", nullptr, nullptr, kDevice},
    {"process", nullptr, nullptr, kProcess},
};

constexpr Field kPeer[] = {
    {"subnet", nullptr, offsetof(PeerStatus, subnet), Kind::kNet},
    {"public_ip", nullptr, offsetof(PeerStatus, public_ip), Kind::kIp},
    {"mac", nullptr, offsetof(PeerStatus, mac), Kind::kMac},
    {"state", nullptr, offsetof(PeerStatus, state), Kind::kState},
    {"direct", nullptr, offsetof(PeerStatus, direct), Kind::kBoolean, kQuiet},
    {"reason", nullptr, offsetof(PeerStatus, why), Kind::kReason},
    {"shadowed_by", nullptr, offsetof(PeerStatus, shadowed_by), Kind::kNet},
};

/// The names of PeerStatus::State.
constexpr const char* kStates[] = {"ours", "programmed", "pending", "refused", "ignored"};

template <class T>
const T& member(const void* of, const Field& field) {
  return *reinterpret_cast<const T*>(static_cast<const char*>(of) + field.offset);
}

/// Printable ASCII, so that it is whole in every form.
void put_escaped(Writer& out, std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') out.put('\\');
    out.put(c >= ' ' && c < 0x7f ? c : '?');
  }
}

}  // namespace

constinit const std::span<const Section> kSections = kStatus;
constinit const std::span<const Field> kPeerFields = kPeer;

void put_value(Writer& out, const Field& field, const void* of) {
  const auto put = [&out](const Ip& address, const auto& value) {
    if (address != Ip4{}) write(out, value);
  };
  switch (field.kind) {
    case Kind::kNumber:
      if (const auto number = member<std::int64_t>(of, field); number != kNone) out.put_signed(number);
      return;
    case Kind::kBoolean:
      if (member<bool>(of, field)) out.put("true");
      return;
    case Kind::kWords: return put_escaped(out, member<Words>(of, field));
    case Kind::kName: return put_escaped(out, member<const char*>(of, field));
    case Kind::kNet: return put(member<Net>(of, field).base, member<Net>(of, field));
    case Kind::kIp: return put(member<Ip>(of, field), member<Ip>(of, field));
    case Kind::kMac:
      if (!member<Mac>(of, field).zero()) write(out, member<Mac>(of, field));
      return;
    case Kind::kState:
      out.put(kStates[static_cast<std::size_t>(member<PeerStatus::State>(of, field))]);
      return;
    case Kind::kReason:
      if (const auto why = member<overlay::Ignored>(of, field); why != overlay::Ignored::kNo)
        out.put(name(why));
      return;
  }
}

}  // namespace flannelette::status
