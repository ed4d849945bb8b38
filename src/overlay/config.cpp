// SPDX-License-Identifier: Apache-2.0
#include "flannelette/overlay/config.hpp"

#include <optional>

#include "json_document.hpp"

namespace flannelette::overlay {
namespace {

using json::Token;

constexpr std::uint64_t kMaxVni = (1u << 24) - 1;
/// Below it the device's MTU would be less than the 68 that IPv4 asks of a link (50 bytes are VXLAN's).
constexpr std::uint64_t kMinMtu = 118;
constexpr std::uint64_t kMaxMtu = 65535;

/// The Backend object. A later duplicate replaces an earlier one as a whole, its faults included, as Go's
/// RawMessage does.
struct BackendDraft {
  bool absent = true;
  bool is_vxlan = false;
  bool type_empty = true;
  std::uint64_t vni = 1;
  std::uint64_t port = 0;
  std::uint64_t mtu = 0;
  bool learning = false;
  bool gbp = false;
  bool direct_routing = false;
  std::optional<ConfigProblem> fault;
};

struct Draft {
  bool enable_ipv4 = true;
  bool enable_ipv6 = false;
  bool nftables = false;
  std::optional<Net4> network;
  std::uint64_t subnet_len = 0;
  Ip4 subnet_min;
  Ip4 subnet_max;
  BackendDraft backend;
  std::optional<ConfigProblem> fault;
};

/// No pod can be there: 0/8, loopback, link-local, multicast. 240/4 some clouds give to pods.
constexpr Net4 kReserved[] = {{{0}, 8}, {{127u << 24}, 8}, {{0xa9fe0000}, 16}, {{224u << 24}, 4}};

bool is_net6(std::string_view text) {
  const std::size_t slash = text.find('/');
  std::uint64_t length = 0;
  return slash != text.npos && parse_ip6(text.substr(0, slash)) &&
         parse_unsigned(text.substr(slash + 1), length) && length <= 128;
}

/// Walks the document. A value of the wrong type is noted (the first one) and the walk goes on, so that
/// broken JSON is always named before a wrong value; the functions are false only for broken JSON.
class ConfigReader {
 public:
  explicit ConfigReader(std::string_view text) : document_(text) {}

  bool read(Draft& draft) {
    const Token first = document_.next();
    if (first == Token::kBad) return false;
    fault_ = &draft.fault;
    if (first == Token::kBeginObject) {
      if (!document_.members([&](std::string_view key) { return member(key, draft); })) return false;
    } else if (first != Token::kNull) {  // Go takes null for an object without members
      if (!wrong(first, "", "the config must be a JSON object")) return false;
    }
    return document_.ends();
  }
  ConfigProblem broken() const { return {"", document_.error(), document_.offset(), false}; }

 private:
  bool member(std::string_view key, Draft& draft) {
    if (is(key, "EnableIPv4")) return boolean("EnableIPv4", draft.enable_ipv4);
    if (is(key, "EnableIPv6")) return boolean("EnableIPv6", draft.enable_ipv6);
    if (is(key, "EnableNFTables")) return boolean("EnableNFTables", draft.nftables);
    if (is(key, "Network")) return network("Network", draft.network);
    if (is(key, "SubnetLen"))
      return integer("SubnetLen", UINT64_MAX, "SubnetLen must be a plain integer", draft.subnet_len);
    if (is(key, "SubnetMin")) return address("SubnetMin", draft.subnet_min);
    if (is(key, "SubnetMax")) return address("SubnetMax", draft.subnet_max);
    // IPv6 is refused when it is switched on; when it is off its keys must be well-formed all the same.
    std::uint64_t ignored = 0;
    if (is(key, "IPv6Network")) return network6();
    if (is(key, "IPv6SubnetLen"))
      return integer("IPv6SubnetLen", UINT64_MAX, "IPv6SubnetLen must be a plain integer", ignored);
    if (is(key, "IPv6SubnetMin")) return address6("IPv6SubnetMin");
    if (is(key, "IPv6SubnetMax")) return address6("IPv6SubnetMax");
    if (is(key, "Backend")) return backend(draft);
    return document_.skip();
  }

  bool backend(Draft& draft) {
    draft.backend = {};
    draft.backend.absent = false;
    const Token token = document_.next();
    if (token == Token::kBad) return false;
    if (token == Token::kNull) return true;
    fault_ = &draft.backend.fault;
    const bool ok =
        token == Token::kBeginObject
            ? document_.members([&](std::string_view key) { return backend_member(key, draft.backend); })
            : wrong(token, "Backend", "Backend must be an object with a Type");
    fault_ = &draft.fault;
    return ok;
  }

  bool backend_member(std::string_view key, BackendDraft& draft) {
    if (is(key, "Type")) return type(draft);
    if (is(key, "VNI"))
      return integer("Backend.VNI", kMaxVni, "VNI must be an integer from 0 to 16777215", draft.vni);
    if (is(key, "Port"))
      return integer("Backend.Port", 65535, "Port must be an integer from 0 to 65535", draft.port);
    if (is(key, "MTU")) return mtu(draft.mtu);
    if (is(key, "Learning")) return boolean("Backend.Learning", draft.learning);
    if (is(key, "GBP")) return boolean("Backend.GBP", draft.gbp);
    if (is(key, "DirectRouting")) return boolean("Backend.DirectRouting", draft.direct_routing);
    return document_.skip();
  }

  bool type(BackendDraft& draft) {
    const Token token = document_.next();
    if (token == Token::kBad) return false;
    if (token == Token::kNull) return true;
    if (token != Token::kString) return wrong(token, "Backend.Type", "Type must be a string");
    draft.is_vxlan = equal_ignoring_case(document_.text(), "vxlan");
    draft.type_empty = document_.text().empty() && !document_.overlong();
    return true;
  }

  bool mtu(std::uint64_t& out) {
    constexpr const char* kWhy = "MTU must be an integer from 118 to 65535, or 0 for the interface's";
    if (!integer("Backend.MTU", kMaxMtu, kWhy, out)) return false;
    if (out > 0 && out < kMinMtu) note("Backend.MTU", kWhy);
    return true;
  }

  bool boolean(const char* key, bool& out) {
    const Token token = document_.next();
    if (token == Token::kTrue || token == Token::kFalse) out = token == Token::kTrue;
    if (token == Token::kTrue || token == Token::kFalse || token == Token::kNull) return true;
    return wrong(token, key, "must be true or false");
  }

  bool integer(const char* key, std::uint64_t limit, const char* why, std::uint64_t& out) {
    const Token token = document_.next();
    if (token == Token::kNull) return true;
    if (token != Token::kNumber) return wrong(token, key, why);
    const std::optional<std::uint64_t> value = json::to_uint64(document_.text());
    if (!value || *value > limit) {
      note(key, why);
    } else {
      out = *value;
    }
    return true;
  }

  bool address(const char* key, Ip4& out) {
    constexpr const char* kWhy = "must be an IPv4 address (10.42.1.0)";
    const Token token = document_.next();
    if (token != Token::kString) return wrong(token, key, kWhy);
    const std::optional<Ip4> ip = parse_ip4(document_.text());
    if (ip) {
      out = *ip;
    } else {
      note(key, kWhy);
    }
    return true;
  }

  bool network(const char* key, std::optional<Net4>& out) {
    constexpr const char* kWhy = "invalid IPv4 CIDR format, expected a text like 10.42.0.0/16";
    const Token token = document_.next();
    if (token != Token::kString) return wrong(token, key, kWhy);
    if (const std::optional<Net4> net = parse_net4(document_.text())) {
      out = net->masked();
    } else {
      note(key, is_net6(document_.text()) ? "invalid IPv4 CIDR format: an IPv6 network belongs in IPv6Network"
                                          : kWhy);
    }
    return true;
  }

  bool network6() {
    constexpr const char* kWhy = "invalid IPv6 CIDR format, expected a text like fd00:42::/56";
    const Token token = document_.next();
    if (token != Token::kString) return wrong(token, "IPv6Network", kWhy);
    if (!is_net6(document_.text())) note("IPv6Network", kWhy);
    return true;
  }

  bool address6(const char* key) {
    constexpr const char* kWhy = "must be an IPv6 address";
    const Token token = document_.next();
    if (token == Token::kNull) return true;
    if (token != Token::kString) return wrong(token, key, kWhy);
    if (!parse_ip6(document_.text())) note(key, kWhy);
    return true;
  }

  /// Notes a value of the wrong type and steps over it.
  bool wrong(Token token, const char* key, const char* why) {
    if (token == Token::kBad) return false;
    note(key, why);
    return (token != Token::kBeginObject && token != Token::kBeginArray) || document_.skip();
  }
  void note(const char* key, const char* why) {
    if (!*fault_) *fault_ = ConfigProblem{key, why, 0, false};
  }
  static bool is(std::string_view key, const char* name) { return equal_ignoring_case(key, name); }

  JsonDocument document_;
  std::optional<ConfigProblem>* fault_ = nullptr;
};

/// flanneld's rules for subnets, in its order and with its texts; those about 0.0.0.0/0 and what is reserved
/// are ours, and the last one (flanneld ends as "out of subnets").
std::optional<ConfigProblem> check_subnets(const Draft& draft, NetworkConfig& config) {
  if (!draft.network)
    return ConfigProblem{"Network", "please define a correct Network parameter in the flannel config"};
  const Net4 network = *draft.network;
  if (network.length == 0) return ConfigProblem{"Network", "0.0.0.0/0 is no IPv4 network"};
  for (const Net4& reserved : kReserved) {
    if (!reserved.contains(network)) continue;
    return ConfigProblem{
        "Network", "no pod can have an address in 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16 or 224.0.0.0/4"};
  }
  if (draft.subnet_len > 0) {
    if (draft.subnet_len > 30) return ConfigProblem{"SubnetLen", "SubnetLen must be less than /31"};
    if (draft.subnet_len < network.length + 2u) {
      return ConfigProblem{"SubnetLen", "network must be able to accommodate at least four subnets"};
    }
    config.subnet_len = static_cast<std::uint8_t>(draft.subnet_len);
  } else {
    if (network.length > 28) {
      return ConfigProblem{"Network", "network is too small. Minimum useful network prefix is /28"};
    }
    config.subnet_len = network.length <= 22 ? 24 : static_cast<std::uint8_t>(network.length + 2);
  }

  const std::uint32_t size = 1u << (32 - config.subnet_len);
  config.network = network;
  config.subnet_min = draft.subnet_min.value != 0 ? draft.subnet_min : Ip4{network.base.value + size};
  config.subnet_max = draft.subnet_max.value != 0 ? draft.subnet_max : Ip4{network.last().value - size + 1};
  if (!network.contains(config.subnet_min)) {
    return ConfigProblem{"SubnetMin", "SubnetMin is not in the range of the Network"};
  }
  if (!network.contains(config.subnet_max)) {
    return ConfigProblem{"SubnetMax", "SubnetMax is not in the range of the Network"};
  }
  if (!Net4{config.subnet_min, config.subnet_len}.aligned()) {
    return ConfigProblem{"SubnetMin", "SubnetMin is not on a SubnetLen boundary"};
  }
  if (!Net4{config.subnet_max, config.subnet_len}.aligned()) {
    return ConfigProblem{"SubnetMax", "SubnetMax is not on a SubnetLen boundary"};
  }
  if (config.subnet_max < config.subnet_min)
    return ConfigProblem{"SubnetMax", "SubnetMax is less than SubnetMin"};
  return std::nullopt;
}

std::optional<ConfigProblem> check_backend(const BackendDraft& draft, NetworkConfig& config) {
  config.backend_absent = draft.absent;
  if (draft.absent) return std::nullopt;
  if (!draft.is_vxlan) {
    // The members of another backend's object mean something else: only its type is named.
    if (draft.fault && std::string_view(draft.fault->key).substr(0, 12) == "Backend.Type") return draft.fault;
    if (draft.fault && std::string_view(draft.fault->key) == "Backend") return draft.fault;
    if (draft.type_empty)
      return ConfigProblem{"Backend.Type", "unknown backend type: Type is missing or empty"};
    return ConfigProblem{"Backend.Type", "of the backends only vxlan is built in", 0, true};
  }
  if (draft.fault) return draft.fault;
  if (draft.direct_routing)
    return ConfigProblem{"Backend.DirectRouting", "DirectRouting is not built yet", 0, true};
  config.vni = static_cast<std::uint32_t>(draft.vni);
  config.port = draft.port == 0 ? NetworkConfig::kDefaultPort : static_cast<std::uint16_t>(draft.port);
  config.mtu = static_cast<std::uint32_t>(draft.mtu);
  config.learning = draft.learning;
  config.gbp = draft.gbp;
  return std::nullopt;
}

std::optional<ConfigProblem> check(const Draft& draft, NetworkConfig& config) {
  if (draft.fault) return draft.fault;
  if (draft.enable_ipv6) return ConfigProblem{"EnableIPv6", "IPv6 is not built yet", 0, true};
  if (!draft.enable_ipv4)
    return ConfigProblem{"EnableIPv4", "a network without IPv4 is not built yet", 0, true};
  config.nftables = draft.nftables;
  if (auto problem = check_subnets(draft, config)) return problem;
  return check_backend(draft.backend, config);
}

}  // namespace

Result<void> parse_config(std::string_view json, NetworkConfig& config, ConfigProblem& problem) {
  std::optional<ConfigProblem> found;
  NetworkConfig parsed;
  if (json.empty()) {
    found = ConfigProblem{"", "the config is empty"};
  } else if (json.size() > NetworkConfig::kMaxText) {
    found = ConfigProblem{"", "the config is longer than 16 KiB"};
  } else {
    Draft draft;
    ConfigReader reader(json);
    found = reader.read(draft) ? check(draft, parsed) : reader.broken();
  }
  if (found) {
    problem = *found;
    return Error{problem.unsupported ? Code::kUnsupported : Code::kInvalid, 0, problem.why};
  }
  config = parsed;
  return {};
}

}  // namespace flannelette::overlay
