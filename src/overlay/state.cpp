// SPDX-License-Identifier: Apache-2.0
// The state files, written and read.
#include "flannelette/overlay/state.hpp"

#include <algorithm>

namespace flannelette::overlay {
namespace {

using std::string_view;

constexpr string_view kNodeTitle = "flannelette node ";
constexpr string_view kNodeVersion = "1\n";
constexpr string_view kPeersTitle = "flannelette peers ";
constexpr string_view kPeersVersion = "1\n";

/// CRC-32 of IEEE 802.3, by half bytes. Begin with 0.
std::uint32_t crc32(std::uint32_t crc, string_view bytes) {
  static constexpr std::uint32_t kTable[16] = {
      0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
      0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  crc = ~crc;
  for (const char c : bytes) {
    crc ^= static_cast<std::uint8_t>(c);
    crc = crc >> 4 ^ kTable[crc & 15];
    crc = crc >> 4 ^ kTable[crc & 15];
  }
  return ~crc;
}

/// Reads "key value" lines in their order; the first that does not fit spoils all.
class Lines {
 public:
  explicit Lines(string_view text) : rest_(text) {}
  string_view value(string_view key) {
    const std::size_t end = rest_.find('\n');
    if (end == rest_.npos || !rest_.starts_with(key) || rest_.substr(key.size(), 1) != " ") {
      good_ = false;
      return {};
    }
    const string_view value = rest_.substr(key.size() + 1, end - key.size() - 1);
    rest_.remove_prefix(end + 1);
    return value;
  }
  std::uint32_t number(string_view key, std::uint32_t max) {
    std::uint64_t number = 0;
    if (parse_unsigned(value(key), number) && number <= max) return static_cast<std::uint32_t>(number);
    good_ = false;
    return 0;
  }
  template <class T>
  void take(string_view key, T& out, std::optional<T> (*parse)(string_view)) {
    if (const auto parsed = parse(value(key))) {
      out = *parsed;
    } else {
      good_ = false;
    }
  }
  bool good() const { return good_ && rest_.empty(); }

 private:
  string_view rest_;
  bool good_ = true;
};

bool plausible(const NodeState& state) {
  const NetworkConfig& config = state.config;
  const bool length = config.subnet_len == 0 || config.subnet_len == state.subnet.length;
  return config.network.aligned() && state.subnet.length > config.network.length && state.subnet.aligned() &&
         length && config.network.contains(state.subnet) && state.mac.unicast() &&
         state.mac.zero() == (config.port == 0);
}

/// Bytes of a record, big-endian: base 4, length 1, flags 1, MAC 6, PublicIP 4, VNI 4, and 6 for each
/// age.
constexpr std::uint8_t kHasNet6 = 1;
constexpr std::uint8_t kHasVni = 2;
constexpr std::size_t kWithoutAges = 20;

void put(char*& at, std::uint64_t value, int bytes) {
  while (bytes-- > 0) *at++ = static_cast<char>(value >> (8 * bytes));
}
std::uint64_t get(const char*& at, int bytes) {
  std::uint64_t value = 0;
  while (bytes-- > 0) value = value << 8 | static_cast<std::uint8_t>(*at++);
  return value;
}

template <std::size_t N>
string_view encode(const LeaseRecord& record, std::array<char, N>& unit) {
  const LeaseValue& value = record.value;
  char* at = unit.data();
  put(at, record.key.subnet.base.value, 4);
  put(at, record.key.subnet.length, 1);
  put(at, (record.key.subnet6 ? kHasNet6 : 0u) | (value.vni ? kHasVni : 0u), 1);
  at = std::copy(value.mac.bytes.begin(), value.mac.bytes.end(), at);
  put(at, value.public_ip.v4().value, 4);
  put(at, value.vni.value_or(0), 4);
  put(at, static_cast<std::uint64_t>(record.created), 6);
  put(at, static_cast<std::uint64_t>(record.modified), 6);
  return {unit.data(), static_cast<std::size_t>(at - unit.data())};
}

LeaseRecord decode(const char* at) {
  LeaseRecord record;
  record.key.subnet.base.value = static_cast<std::uint32_t>(get(at, 4));
  record.key.subnet.length = std::min<std::uint8_t>(static_cast<std::uint8_t>(get(at, 1)), 32);
  const auto flags = static_cast<std::uint8_t>(get(at, 1));
  if ((flags & kHasNet6) != 0) record.key.subnet6 = Net6{};
  for (std::uint8_t& byte : record.value.mac.bytes) byte = static_cast<std::uint8_t>(*at++);
  record.value.public_ip = Ip4{static_cast<std::uint32_t>(get(at, 4))};
  const auto vni = static_cast<std::uint32_t>(get(at, 4));
  if ((flags & kHasVni) != 0) record.value.vni = vni;
  record.value.has_vxlan = !record.value.mac.zero();
  record.value.backend = record.value.has_vxlan ? BackendType::kVxlan : BackendType::kHostGw;
  record.created = static_cast<std::int64_t>(get(at, 6));
  record.modified = static_cast<std::int64_t>(get(at, 6));
  return record;
}

constexpr std::size_t kHeader = kPeersTitle.size() + kPeersVersion.size() + 4 + 4;
constexpr std::size_t kPeerBytes = kWithoutAges + 2 * 6;
constexpr std::size_t kSum = 4;

}  // namespace

string_view name(StateProblem problem) {
  switch (problem) {
    case StateProblem::kForeign: return "it is not a state file of flannelette";
    case StateProblem::kOtherVersion: return "another version of flannelette wrote it";
    case StateProblem::kDamaged: return "it is damaged";
  }
  return "";
}

// -- the node --

void write(Writer& out, const NodeState& state) {
  const NetworkConfig& config = state.config;
  const std::size_t first = out.size();
  out.put(kNodeTitle).put(kNodeVersion).put("network ");
  write(out, config.network);
  out.put("\nsubnet-len ").put_unsigned(config.subnet_len).put("\nsubnet-min ");
  write(out, config.subnet_min);
  out.put("\nsubnet-max ");
  write(out, config.subnet_max);
  out.put("\nvni ").put_unsigned(config.vni);
  out.put("\nport ").put_unsigned(config.port);
  out.put("\nmtu ").put_unsigned(config.mtu);
  out.put("\nlearning ").put_unsigned(config.learning ? 1 : 0);
  out.put("\ngbp ").put_unsigned(config.gbp ? 1 : 0);
  out.put("\nsubnet ");
  write(out, state.subnet);
  out.put("\nmac ");
  write(out, state.mac);
  out.put("\npublic-ip ");
  write(out, state.public_ip);
  out.put('\n');
  const std::uint32_t sum = crc32(0, out.view().substr(first));
  out.put("crc ").put_hex(sum, 8).put('\n');
}

std::optional<NodeState> parse_node_state(string_view text, StateProblem& problem) {
  problem = StateProblem::kForeign;
  if (!text.starts_with(kNodeTitle)) return std::nullopt;
  problem = StateProblem::kOtherVersion;
  if (text.size() <= kNodeTitle.size()) problem = StateProblem::kDamaged;
  if (!text.substr(kNodeTitle.size()).starts_with(kNodeVersion)) return std::nullopt;
  problem = StateProblem::kDamaged;
  constexpr std::size_t kCrcLine = sizeof "crc 00000000\n" - 1;
  if (text.size() < kCrcLine) return std::nullopt;
  const string_view summed = text.substr(0, text.size() - kCrcLine);
  const auto line =
      to_text<kCrcLine>([&](Writer& out) { out.put("crc ").put_hex(crc32(0, summed), 8).put('\n'); });
  if (text.substr(summed.size()) != line.view()) return std::nullopt;

  NodeState state;
  NetworkConfig& config = state.config;
  Lines lines(summed.substr(kNodeTitle.size() + kNodeVersion.size()));
  lines.take("network", config.network, parse_net4);
  config.subnet_len = static_cast<std::uint8_t>(lines.number("subnet-len", 30));
  lines.take("subnet-min", config.subnet_min, parse_ip4);
  lines.take("subnet-max", config.subnet_max, parse_ip4);
  config.vni = lines.number("vni", (1 << 24) - 1);
  config.port = static_cast<std::uint16_t>(lines.number("port", 65535));
  config.mtu = lines.number("mtu", 65535);
  config.learning = lines.number("learning", 1) != 0;
  config.gbp = lines.number("gbp", 1) != 0;
  lines.take("subnet", state.subnet, parse_net4);
  lines.take("mac", state.mac, parse_mac);
  lines.take("public-ip", state.public_ip, parse_ip4);
  if (!lines.good() || !plausible(state)) return std::nullopt;
  config.direct = config.port == 0;  // DirectRouting is not saved: without it all is reached, too
  if (config.direct) config.backend = BackendType::kHostGw;
  return state;
}

// -- the peers --

std::uint32_t PeerStateSource::digest() const {
  struct Digest final : LeaseTable::RecordVisitor {
    void record(const LeaseRecord& record) override {
      std::array<char, 32> unit;
      sum = crc32(sum, encode(record, unit).substr(0, kWithoutAges));
    }
    std::uint32_t sum = 0;
  } visitor;
  peers_.visit_records(visitor);
  return visitor.sum;
}

void PeerStateSource::write_to(Pieces& out) {
  struct Count final : LeaseTable::RecordVisitor {
    void record(const LeaseRecord&) override { ++count; }
    std::uint32_t count = 0;
  } counter;
  struct Encoder final : LeaseTable::RecordVisitor {
    explicit Encoder(Pieces& to) : out(to) {}
    void record(const LeaseRecord& record) override {
      std::array<char, 32> unit;
      piece(encode(record, unit));
    }
    void piece(string_view text) {
      sum = crc32(sum, text);
      out.piece(text);
    }
    Pieces& out;
    std::uint32_t sum = 0;
  } encoder(out);

  peers_.visit_records(counter);
  written_ = kHeader + std::size_t{counter.count} * kPeerBytes + kSum;
  encoder.piece(kPeersTitle);
  encoder.piece(kPeersVersion);
  std::array<char, 8> numbers;
  char* at = numbers.data();
  put(at, digest(), 4);
  put(at, counter.count, 4);
  encoder.piece({numbers.data(), numbers.size()});
  peers_.visit_records(encoder);
  at = numbers.data();
  put(at, encoder.sum, 4);
  out.piece({numbers.data(), kSum});
}

void PeerStateReader::piece(string_view text) {
  while (!text.empty() && !problem_) {
    if (ended_) {
      problem_ = StateProblem::kDamaged;  // something follows
      return;
    }
    const std::size_t wanted = !header_read_ ? kHeader : read_ < total_ ? kRecord : kSum;
    const std::size_t taken = std::min(wanted - filled_, text.size());
    std::copy_n(text.begin(), taken, unit_.begin() + filled_);
    text.remove_prefix(taken);
    filled_ += taken;
    if (filled_ < wanted) return;
    filled_ = 0;
    if (!header_read_) {
      take_header();
    } else if (read_ < total_) {
      take_record();
    } else {
      const char* at = unit_.data();
      ended_ = true;
      if (get(at, 4) != crc_) problem_ = StateProblem::kDamaged;
    }
  }
}

void PeerStateReader::take_header() {
  static_assert(kHeader <= kRecord);
  const string_view header(unit_.data(), kHeader);
  if (!header.starts_with(kPeersTitle)) {
    problem_ = StateProblem::kForeign;
  } else if (!header.substr(kPeersTitle.size()).starts_with(kPeersVersion)) {
    problem_ = StateProblem::kOtherVersion;
  }
  crc_ = crc32(0, header);
  const char* at = unit_.data() + kHeader - 8;
  digest_ = static_cast<std::uint32_t>(get(at, 4));
  total_ = static_cast<std::uint32_t>(get(at, 4));
  header_read_ = true;
}

void PeerStateReader::take_record() {
  ++read_;
  crc_ = crc32(crc_, {unit_.data(), kRecord});
  if (into_ != nullptr) into_->upsert(decode(unit_.data()));
}

std::optional<StateProblem> PeerStateReader::problem() const {
  if (problem_) return problem_;
  if (ended_) return std::nullopt;
  return header_read_ || string_view(unit_.data(), std::min(filled_, kPeersTitle.size())) ==
                             kPeersTitle.substr(0, filled_)
             ? StateProblem::kDamaged
             : StateProblem::kForeign;
}

}  // namespace flannelette::overlay
