// SPDX-License-Identifier: Apache-2.0
// The network config, read and checked; what is the backend's, the backend reads.
#include "flannelette/overlay/config.hpp"

#include <optional>

#include "flannelette/overlay/backend.hpp"
#include "member_reader.hpp"

namespace flannelette::overlay {
namespace {

using json::Token;

/// The Backend object. A later duplicate replaces an earlier one as a whole, its faults included, as Go's
/// RawMessage does.
struct BackendDraft {
  bool absent = true;
  bool type_empty = true;
  BackendType backend = BackendType::kOther;
  std::string_view object;  ///< its text; empty if it is none
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
};

/// No pod can be there: 0/8, loopback, link-local, multicast. 240/4 some clouds give to pods.
constexpr Net4 kReserved[] = {{{0}, 8}, {{127u << 24}, 8}, {{0xa9fe0000}, 16}, {{224u << 24}, 4}};

bool is_net6(std::string_view text) {
  const std::size_t slash = text.find('/');
  std::uint64_t length = 0;
  return slash != text.npos && parse_ip6(text.substr(0, slash)) &&
         parse_unsigned(text.substr(slash + 1), length) && length <= 128;
}

class ConfigReader : public MemberReader {
 public:
  explicit ConfigReader(std::string_view text) : MemberReader(text), text_(text) {}

  bool read(Draft& draft) {
    const Token first = document.next();
    if (first == Token::kBad) return false;
    if (first == Token::kBeginObject) {
      if (!document.members([&](std::string_view key) { return member(key, draft); })) return false;
    } else if (first != Token::kNull) {  // Go takes null for an object without members
      if (!wrong(first, "", "the config must be a JSON object")) return false;
    }
    return document.ends();
  }
  ConfigProblem broken() const { return {"", document.error(), document.offset(), false}; }

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
    return document.skip();
  }

  bool backend(Draft& draft) {
    draft.backend = {};
    draft.backend.absent = false;
    const Token token = document.next();
    if (token == Token::kBad) return false;
    if (token == Token::kNull) return true;
    if (token != Token::kBeginObject) {
      draft.backend.fault = ConfigProblem{"Backend", "Backend must be an object with a Type"};
      return document.skip_rest(token);
    }
    const std::size_t begin = document.offset() - 1;
    if (!document.members(
            [&](std::string_view key) { return is(key, "Type") ? type(draft.backend) : document.skip(); })) {
      return false;
    }
    draft.backend.object = text_.substr(begin, document.offset() - begin);
    return true;
  }

  bool type(BackendDraft& draft) {
    const Token token = document.next();
    if (token == Token::kBad) return false;
    if (token == Token::kNull) return true;
    if (token != Token::kString) {
      draft.fault = ConfigProblem{"Backend.Type", "Type must be a string"};
      return document.skip_rest(token);
    }
    draft.backend = backend_type(document.text(), equal_ignoring_case);
    draft.type_empty = document.text().empty() && !document.overlong();
    return true;
  }

  bool address(const char* key, Ip4& out) {
    constexpr const char* kWhy = "must be an IPv4 address (10.42.1.0)";
    const Token token = document.next();
    if (token != Token::kString) return wrong(token, key, kWhy);
    const std::optional<Ip4> ip = parse_ip4(document.text());
    if (ip) {
      out = *ip;
    } else {
      note(key, kWhy);
    }
    return true;
  }

  bool network(const char* key, std::optional<Net4>& out) {
    constexpr const char* kWhy = "invalid IPv4 CIDR format, expected a text like 10.42.0.0/16";
    const Token token = document.next();
    if (token != Token::kString) return wrong(token, key, kWhy);
    if (const std::optional<Net4> net = parse_net4(document.text())) {
      out = net->masked();
    } else {
      note(key, is_net6(document.text()) ? "invalid IPv4 CIDR format: an IPv6 network belongs in IPv6Network"
                                         : kWhy);
    }
    return true;
  }

  bool network6() {
    constexpr const char* kWhy = "invalid IPv6 CIDR format, expected a text like fd00:42::/56";
    const Token token = document.next();
    if (token != Token::kString) return wrong(token, "IPv6Network", kWhy);
    if (!is_net6(document.text())) note("IPv6Network", kWhy);
    return true;
  }

  bool address6(const char* key) {
    constexpr const char* kWhy = "must be an IPv6 address";
    const Token token = document.next();
    if (token == Token::kNull) return true;
    if (token != Token::kString) return wrong(token, key, kWhy);
    if (!parse_ip6(document.text())) note(key, kWhy);
    return true;
  }

  static bool is(std::string_view key, const char* name) { return equal_ignoring_case(key, name); }

  std::string_view text_;
};

/// False, for the caller to return.
bool refuse(ConfigProblem& problem, const char* key, const char* why, bool unsupported = false) {
  problem = {key, why, 0, unsupported};
  return false;
}

/// flanneld's rules for subnets, in its order and with its texts; those about 0.0.0.0/0 and what is reserved
/// are ours, and the last one (flanneld ends as "out of subnets").
bool check_network(const Draft& draft, ConfigProblem& problem) {
  if (!draft.network)
    return refuse(problem, "Network", "please define a correct Network parameter in the flannel config");
  const Net4 network = *draft.network;
  if (network.length == 0) return refuse(problem, "Network", "0.0.0.0/0 is no IPv4 network");
  for (const Net4& reserved : kReserved) {
    if (!reserved.contains(network)) continue;
    return refuse(problem, "Network",
                  "no pod can have an address in 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16 or 224.0.0.0/4");
  }
  return true;
}

bool check_subnets(const Draft& draft, NetworkConfig& config, ConfigProblem& problem) {
  const Net4 network = *draft.network;
  if (draft.subnet_len > 0) {
    if (draft.subnet_len > NetworkConfig::kMaxSubnetLen)
      return refuse(problem, "SubnetLen", "SubnetLen must be less than /31");
    if (draft.subnet_len < network.length + 2u) {
      return refuse(problem, "SubnetLen", "network must be able to accommodate at least four subnets");
    }
    config.subnet_len = static_cast<std::uint8_t>(draft.subnet_len);
  } else {
    if (network.length > 28) {
      return refuse(problem, "Network", "network is too small. Minimum useful network prefix is /28");
    }
    config.subnet_len = network.length <= 22 ? 24 : static_cast<std::uint8_t>(network.length + 2);
  }

  const std::uint32_t size = 1u << (32 - config.subnet_len);
  config.subnet_min = draft.subnet_min.value != 0 ? draft.subnet_min : Ip4{network.base.value + size};
  config.subnet_max = draft.subnet_max.value != 0 ? draft.subnet_max : Ip4{network.last().value - size + 1};
  if (!network.contains(config.subnet_min)) {
    return refuse(problem, "SubnetMin", "SubnetMin is not in the range of the Network");
  }
  if (!network.contains(config.subnet_max)) {
    return refuse(problem, "SubnetMax", "SubnetMax is not in the range of the Network");
  }
  if (!Net4{config.subnet_min, config.subnet_len}.aligned()) {
    return refuse(problem, "SubnetMin", "SubnetMin is not on a SubnetLen boundary");
  }
  if (!Net4{config.subnet_max, config.subnet_len}.aligned()) {
    return refuse(problem, "SubnetMax", "SubnetMax is not on a SubnetLen boundary");
  }
  if (config.subnet_max < config.subnet_min)
    return refuse(problem, "SubnetMax", "SubnetMax is less than SubnetMin");
  return true;
}

bool check_backend(const BackendDraft& draft, NetworkConfig& config, ConfigProblem& problem) {
  config.backend_absent = draft.absent;
  if (draft.absent) return true;
  const Backend* backend = built_in(draft.backend);
  std::optional<ConfigProblem> fault = draft.fault;
  if (!fault && draft.type_empty)
    return refuse(problem, "Backend.Type", "unknown backend type: Type is missing or empty");
  if (!fault && backend == nullptr)
    return refuse(problem, "Backend.Type", "of the backends only vxlan and host-gw are built in", true);
  config.backend = draft.backend;
  if (!fault) fault = backend->read_settings(draft.object, config);
  if (fault) problem = *fault;
  return !fault;
}

void give_subnets(NetworkConfig& config) {
  config.subnet_len = 0;
  config.subnet_min = config.network.base;
  config.subnet_max = config.network.last();
}

bool check(const Draft& draft, SubnetsFrom subnets, NetworkConfig& config, ConfigProblem& problem) {
  if (draft.enable_ipv6) return refuse(problem, "EnableIPv6", "IPv6 is not built yet", true);
  if (!draft.enable_ipv4)
    return refuse(problem, "EnableIPv4", "a network without IPv4 is not built yet", true);
  config.nftables = draft.nftables;
  if (!check_network(draft, problem)) return false;
  config.network = *draft.network;
  if (subnets == SubnetsFrom::kRegistry) {
    give_subnets(config);
  } else if (!check_subnets(draft, config, problem)) {
    return false;
  }
  return check_backend(draft.backend, config, problem);
}

bool read(std::string_view json, SubnetsFrom subnets, NetworkConfig& config, ConfigProblem& problem) {
  if (json.empty()) return refuse(problem, "", "the config is empty");
  if (json.size() > NetworkConfig::kMaxText) return refuse(problem, "", "the config is longer than 16 KiB");
  Draft draft;
  ConfigReader reader(json);
  if (!reader.read(draft)) {
    problem = reader.broken();
    return false;
  }
  if (reader.fault) {
    problem = *reader.fault;
    return false;
  }
  return check(draft, subnets, config, problem);
}

}  // namespace

Result<void> parse_config(std::string_view json, NetworkConfig& config, ConfigProblem& problem,
                          SubnetsFrom subnets) {
  NetworkConfig parsed;
  if (!read(json, subnets, parsed, problem))
    return Error{problem.unsupported ? Code::kUnsupported : Code::kInvalid, 0, problem.why};
  config = parsed;
  return {};
}

}  // namespace flannelette::overlay
