// SPDX-License-Identifier: Apache-2.0
// The field table: what of a status is shown, and under which names.
#include "status/fields.hpp"

#include <cstddef>
#include <string_view>

#include "flannelette/base/text_pool.hpp"

namespace flannelette::status {
namespace {

using Kind = Field::Kind;
using overlay::Ignored;
constexpr std::uint8_t kCounter = Field::kCounter;
constexpr std::uint8_t kQuiet = Field::kQuiet;

/// A row as it is written down here.
struct Row {
  const char* name;
  const char* help;  ///< "": none
  std::size_t offset;
  Kind kind;
  std::uint8_t flags = 0;
  const char* label = "";
};

consteval Row section(const char* name, const char* help = "", const char* label = "") {
  return {name, help, 0, Kind::kSection, 0, label};
}
consteval Row number(const char* name, std::size_t offset, const char* help = "", std::uint8_t flags = 0) {
  return {name, help, offset, Kind::kNumber, flags};
}
consteval Row counter(const char* name, std::size_t offset, const char* help = "") {
  return {name, help, offset, Kind::kNumber, kCounter};
}
/// Of an array of numbers.
template <class Index>
consteval Row at(const char* name, std::size_t offset, Index index, std::uint8_t flags = 0) {
  return number(name, offset + sizeof(std::int64_t) * static_cast<std::size_t>(index), "", flags);
}

#define AT(member) offsetof(Status, member)

constexpr Row kStatus[] = {
    section("not_ready", "1: for this cause.", "cause"),
    {"lease", "", AT(unready.lease), Kind::kWords},
    {"kernel", "", AT(unready.kernel), Kind::kWords},
    {"watch", "", AT(unready.watch), Kind::kWords},

    section("node", "This node."),
    {"state", "", AT(node.state), Kind::kName},
    {"device", "", AT(node.device), Kind::kWords},
    {"network", "", AT(node.network), Kind::kNet},
    {"subnet", "", AT(node.subnet), Kind::kNet},
    {"mac", "", AT(node.mac), Kind::kMac},
    {"public_ip", "", AT(node.public_ip), Kind::kIp},
    {"interface", "", AT(node.interface), Kind::kWords},
    {"backend", "", AT(node.backend), Kind::kName},
    {"mtu_bytes", "MTU of the overlay.", AT(node.mtu_bytes), Kind::kKnown},
    {"vni", "", AT(node.vni), Kind::kKnown},
    {"port", "", AT(node.port), Kind::kKnown},

    section("lease"),
    {"state", "", AT(lease.state), Kind::kName},
    {"reservation", "", AT(lease.reservation), Kind::kBoolean},
    number("held", AT(lease.held), "Whether a lease is held, not cached.", kQuiet),
    {"remaining", "Until the lease ends unless it is kept alive.", AT(lease.remaining), Kind::kDuration},

    section("registry"),
    {"server", "", AT(registry.server), Kind::kWords},
    {"connected", "Age of the watch's connection.", AT(registry.connected), Kind::kDuration},
    {"watch", "", AT(registry.watch), Kind::kName},
    {"watch_age", "Since the watch's server was heard.", AT(registry.watch_age), Kind::kDuration},
    {"event_age", "Since the watch brought a message.", AT(registry.event_age), Kind::kDuration},
    {"failure", "", AT(registry.failure), Kind::kWords},
    counter("connections", AT(registry.connections), "Connections of the watch."),
    counter("requests", AT(registry.requests), "Requests sent, beside the watch."),
    counter("messages", AT(registry.messages), "Messages of the watch."),
    counter("received_bytes", AT(registry.received_bytes), "From the registry, without TLS."),
    counter("sent_bytes", AT(registry.sent_bytes), "To the registry, without TLS."),

    section("registry_failures", "Requests and connections that failed.", "error"),
    at("invalid", AT(failures), Code::kInvalid, kCounter),
    at("limit", AT(failures), Code::kLimit, kCounter),
    at("not_found", AT(failures), Code::kNotFound, kCounter),
    at("exists", AT(failures), Code::kExists, kCounter),
    at("conflict", AT(failures), Code::kConflict, kCounter),
    at("denied", AT(failures), Code::kDenied, kCounter),
    at("unsupported", AT(failures), Code::kUnsupported, kCounter),
    at("interrupted", AT(failures), Code::kInterrupted, kCounter),
    at("unavailable", AT(failures), Code::kUnavailable, kCounter),
    at("timeout", AT(failures), Code::kTimeout, kCounter),
    at("closed", AT(failures), Code::kClosed, kCounter),
    at("tls", AT(failures), Code::kTls, kCounter),
    at("system", AT(failures), Code::kSystem, kCounter),

    section("peers"),
    number("wanted", AT(peers.wanted), "Nodes to be reached."),
    number("programmed", AT(peers.programmed), "Nodes that are in the kernel."),
    number("refused", AT(peers.refused), "Nodes that the kernel refused."),

    section("peers_ignored", "Records that are not to be reached.", "reason"),
    at("other_backend", AT(ignored), Ignored::kOtherBackend),
    at("unreadable", AT(ignored), Ignored::kUnreadable),
    at("bad_subnet", AT(ignored), Ignored::kBadSubnet),
    at("overlaps_ours", AT(ignored), Ignored::kOverlapsOurs),
    at("bad_public_ip", AT(ignored), Ignored::kBadPublicIp),
    at("our_public_ip", AT(ignored), Ignored::kOurPublicIp),
    at("bad_mac", AT(ignored), Ignored::kBadMac),
    at("our_mac", AT(ignored), Ignored::kOurMac),
    at("other_vni", AT(ignored), Ignored::kOtherVni),
    at("holds_protected", AT(ignored), Ignored::kHoldsProtected),
    at("holds_public_ip", AT(ignored), Ignored::kHoldsPublicIp),
    at("conflict", AT(ignored), Ignored::kConflict),

    section("kernel"),
    {"rules", "", AT(kernel.rules), Kind::kName},
    {"failure", "", AT(kernel.failure), Kind::kWords},
    counter("batches", AT(kernel.batches), "Batches of entries sent."),
    counter("changes", AT(kernel.changes), "Entries put or removed."),
    counter("refusals", AT(kernel.refusals), "Entries refused."),
    counter("audits", AT(kernel.audits), "Comparisons of all entries."),

    section("repairs", "What others changed and was repaired.", "kind"),
    at("route", AT(repairs), 0, kCounter),
    at("nexthop", AT(repairs), 1, kCounter),
    at("neighbour", AT(repairs), 2, kCounter),
    at("fdb", AT(repairs), 3, kCounter),
    at("sender", AT(repairs), 4, kCounter),
    at("rules", AT(repairs), 5, kCounter),
    at("device", AT(repairs), 6, kCounter),

    section("device"),
    counter("received_bytes", AT(device.received_bytes), "By our device."),
    counter("received_packets", AT(device.received_packets), "By our device."),
    counter("sent_bytes", AT(device.sent_bytes), "By our device."),
    counter("sent_packets", AT(device.sent_packets), "By our device."),
    counter("dropped_packets", AT(device.dropped_packets), "By our device, either way."),

    section("process"),
    number("start_time_seconds", AT(process.start_time_seconds), "Start in Unix time.", kQuiet),
    {"uptime", "Since the start.", AT(process.uptime), Kind::kDuration},
    {"resident_memory_bytes", "Resident memory.", AT(process.resident_memory_bytes), Kind::kKnown},
    counter("wakeups", AT(process.wakeups), "Turns of the event loop."),
    counter("log_lines_dropped", AT(process.log_lines_dropped), "Lines of the log held back."),
    counter("state_writes", AT(process.state_writes), "Writes of state files."),
    counter("state_written_bytes", AT(process.state_written_bytes), "To state files."),
};
#undef AT

constexpr Row kPeer[] = {
    {"subnet", "", offsetof(PeerStatus, subnet), Kind::kNet},
    {"public_ip", "", offsetof(PeerStatus, public_ip), Kind::kIp},
    {"mac", "", offsetof(PeerStatus, mac), Kind::kMac},
    {"state", "", offsetof(PeerStatus, state), Kind::kState},
    {"direct", "", offsetof(PeerStatus, direct), Kind::kBoolean, kQuiet},
    {"reason", "", offsetof(PeerStatus, why), Kind::kReason},
    {"shadowed_by", "", offsetof(PeerStatus, shadowed_by), Kind::kNet},
};

/// The rows as they are kept: 8 bytes each.
template <std::size_t kSize>
struct Table {
  TextPool<kSize> pool;
  Field fields[std::size(kStatus) + std::size(kPeer)]{};

  constexpr Table() {
    std::size_t next = 0;
    for (const Row& row : kStatus) fields[next++] = pack(row);
    for (const Row& row : kPeer) fields[next++] = pack(row);
  }
  constexpr Field pack(const Row& row) {
    const std::size_t offset = row.kind == Kind::kSection ? pool.place(row.label) : row.offset;
    return {pool.place(row.name), pool.place(row.help), static_cast<std::uint16_t>(offset), row.kind,
            row.flags};
  }
};
constinit const Table<Table<4'096>().pool.size> kTable;

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

void put_value(Writer& out, const Field& field, const void* of) {
  switch (field.kind) {
    case Kind::kSection: return;
    case Kind::kNumber:
    case Kind::kKnown:
    case Kind::kDuration: {
      const auto number = member<std::int64_t>(of, field);
      if (number != 0 || field.is(Kind::kNumber))
        out.put_signed(field.is(Kind::kDuration) ? number / 1'000 : number);
      return;
    }
    case Kind::kBoolean:
      if (member<bool>(of, field)) out.put("true");
      return;
    case Kind::kWords: return put_escaped(out, member<Words>(of, field));
    case Kind::kName:
      if (const auto* name = member<const char*>(of, field)) out.put(name);
      return;
    case Kind::kNet:
      if (const Net& net = member<Net>(of, field); net.base != Ip4{}) write(out, net);
      return;
    case Kind::kIp:
      if (const Ip& ip = member<Ip>(of, field); ip != Ip4{}) write(out, ip);
      return;
    case Kind::kMac:
      if (const Mac& mac = member<Mac>(of, field); !mac.zero()) write(out, mac);
      return;
    case Kind::kState:
      out.put(kStates[static_cast<std::size_t>(member<PeerStatus::State>(of, field))]);
      return;
    case Kind::kReason:
      if (const auto why = member<Ignored>(of, field); why != Ignored::kNo) out.put(name(why));
      return;
  }
}

}  // namespace

const char* Field::name() const { return kTable.pool.text + name_at; }
const char* Field::help() const { return kTable.pool.text + help_at; }
const char* Field::label() const { return kTable.pool.text + offset; }

std::span<const Field> status_fields() { return std::span(kTable.fields).first(std::size(kStatus)); }
std::span<const Field> peer_fields() { return std::span(kTable.fields).subspan(std::size(kStatus)); }

Value value_of(const Field& field, const void* of) {
  return to_text<Value::kCapacity>([&](Writer& out) { put_value(out, field, of); });
}

}  // namespace flannelette::status
