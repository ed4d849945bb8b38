// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include "flannelette/overlay/config.hpp"

using namespace flannelette;
using namespace flannelette::overlay;

namespace {

struct Parsed {
  bool ok = false;
  NetworkConfig config;
  ConfigProblem problem;
  Code code{};
};

Parsed parse(const std::string& json, SubnetsFrom subnets = SubnetsFrom::kNodes) {
  Parsed out;
  const Result<void> result = parse_config(json, out.config, out.problem, subnets);
  out.ok = static_cast<bool>(result);
  if (!result) out.code = result.error().code;
  return out;
}

std::string text(Ip4 ip) { return std::string(text_of(ip).view()); }
std::string text(Net4 net) { return std::string(text_of(net).view()); }

}  // namespace

TEST_SUITE("overlay/config") {
  TEST_CASE("a network alone gets flanneld's defaults") {
    struct Row {
      const char* json;
      const char* network;
      int length;
      const char* min;
      const char* max;
    };
    const Row rows[] = {
        {R"({"Network":"10.64.0.0/16"})", "10.64.0.0/16", 24, "10.64.1.0", "10.64.255.0"},
        {R"({"Network":"10.64.0.7/16"})", "10.64.0.0/16", 24, "10.64.1.0", "10.64.255.0"},
        {R"({"Network":"255.255.0.0/16"})", "255.255.0.0/16", 24, "255.255.1.0", "255.255.255.0"},
        {R"({"Network":"10.0.0.0/8"})", "10.0.0.0/8", 24, "10.0.1.0", "10.255.255.0"},
        {R"({"Network":"10.0.0.0/22"})", "10.0.0.0/22", 24, "10.0.1.0", "10.0.3.0"},
        {R"({"Network":"10.0.0.0/23"})", "10.0.0.0/23", 25, "10.0.0.128", "10.0.1.128"},
        {R"({"Network":"10.0.0.0/28"})", "10.0.0.0/28", 30, "10.0.0.4", "10.0.0.12"},
        {R"({"Network":"10.0.0.0/8","SubnetLen":30})", "10.0.0.0/8", 30, "10.0.0.4", "10.255.255.252"},
        {R"({"Network":"10.5.0.0/16","SubnetLen":28,"SubnetMin":"10.5.10.0","SubnetMax":"10.5.99.240"})",
         "10.5.0.0/16", 28, "10.5.10.0", "10.5.99.240"},
        {R"({"Network":"10.5.0.0/16","SubnetLen":0,"SubnetMin":"0.0.0.0"})", "10.5.0.0/16", 24, "10.5.1.0",
         "10.5.255.0"},
        {R"({"Network":"10.5.0.0/16","SubnetLen":null,"SubnetMin":"10.5.0.0"})", "10.5.0.0/16", 24,
         "10.5.0.0", "10.5.255.0"},
        {"{\"Network\":\"128.0.0.0/1\",\"SubnetLen\":3} \n", "128.0.0.0/1", 3, "160.0.0.0", "224.0.0.0"},
    };
    for (const Row& row : rows) {
      CAPTURE(row.json);
      const Parsed p = parse(row.json);
      REQUIRE(p.ok);
      CHECK(text(p.config.network) == row.network);
      CHECK(p.config.subnet_len == row.length);
      CHECK(text(p.config.subnet_min) == row.min);
      CHECK(text(p.config.subnet_max) == row.max);
      CHECK(p.config.backend_absent);
      CHECK(p.config.vni == 1);
      CHECK(p.config.port == 8472);
      CHECK(p.config.mtu == 0);
      CHECK_FALSE(p.config.learning);
      CHECK_FALSE(p.config.gbp);
      CHECK_FALSE(p.config.nftables);
    }
  }

  TEST_CASE("where the registry gives the subnets SubnetLen, SubnetMin and SubnetMax mean nothing") {
    const Parsed p =
        parse(R"({"Network":"10.42.0.0/24","SubnetLen":31,"SubnetMin":"10.9.0.1"})", SubnetsFrom::kRegistry);
    REQUIRE(p.ok);
    CHECK(p.config.has_subnet(*parse_net4("10.42.0.0/26")));
    CHECK(p.config.has_subnet(*parse_net4("10.42.0.192/27")));
    CHECK(p.config.has_subnet(*parse_net4("10.42.0.4/30")));
    CHECK_FALSE(p.config.has_subnet(*parse_net4("10.42.0.0/24")));
    CHECK_FALSE(p.config.has_subnet(*parse_net4("10.42.0.0/31")));
    CHECK_FALSE(p.config.has_subnet(*parse_net4("10.42.0.1/26")));
    CHECK_FALSE(p.config.has_subnet(*parse_net4("10.42.1.0/26")));
    CHECK_FALSE(parse(R"({"Network":"127.0.0.0/16"})", SubnetsFrom::kRegistry).ok);
    CHECK_FALSE(parse(R"({"Network":"10.42.0.0/16","SubnetMin":"x"})", SubnetsFrom::kRegistry).ok);
  }

  TEST_CASE("the vxlan backend's keys are honoured") {
    const Parsed p = parse(
        R"({"Network":"10.1.0.0/16","EnableNFTables":true,"Backend":{"Type":"VxLAN","VNI":16777215,)"
        R"("Port":4789,"MTU":1400,"GBP":true,"Learning":true,"DirectRouting":false,"Later":[{"a":1}]}})");
    REQUIRE(p.ok);
    CHECK_FALSE(p.config.backend_absent);
    CHECK(p.config.vni == 16777215);
    CHECK(p.config.port == 4789);
    CHECK(p.config.mtu == 1400);
    CHECK(p.config.gbp);
    CHECK(p.config.learning);
    CHECK(p.config.nftables);
  }

  TEST_CASE("JSON is read as Go reads it") {
    struct Row {
      const char* json;
      const char* network;
      std::uint32_t vni;
    };
    const Row rows[] = {
        {R"({"nEtWoRk":"10.1.0.0/16","BACKEND":{"tYPE":"vxlan","vni":7}})", "10.1.0.0/16", 7},
        {R"({"Network":"10.1.0.0/16","network":"10.2.0.0/16"})", "10.2.0.0/16", 1},
        {R"({"Network":"10.1.0.0/16","Unknown":{"Network":"10.9.0.0/16"},"x":[1,[2]],"y":null})",
         "10.1.0.0/16", 1},
        {R"({"Network":"10.1.0.0/16","EnableIPv4":null,"EnableIPv6":null,"EnableNFTables":null,"SubnetLen":null})",
         "10.1.0.0/16", 1},
        {R"({"Network":"10.1.0.0/16","IPv6SubnetMin":null,"IPv6SubnetMax":null,"IPv6SubnetLen":64})",
         "10.1.0.0/16", 1},
        {R"({"Network":"10.1.0.0/16","IPv6Network":"::/0","EnableIPv6":false})", "10.1.0.0/16", 1},
        // A later Backend replaces the earlier one as a whole, its faults too.
        {R"({"Network":"10.1.0.0/16","Backend":{"Type":"udp","VNI":"x"},"Backend":{"Type":"vxlan"}})",
         "10.1.0.0/16", 1},
        {R"({"Network":"10.1.0.0/16","Backend":{"Type":"vxlan","VNI":9},"Backend":{"Type":"vxlan"}})",
         "10.1.0.0/16", 1},
        {R"({"Network":"10.1.0.0/16","Backend":{"Type":"vxlan","VNI":null,"Port":null,"MTU":null,"GBP":null}})",
         "10.1.0.0/16", 1},
        {R"({"Network":"10.1.0.0/16","Backend":{"Type":"vxlan","Port":0,"VNI":0}})", "10.1.0.0/16", 0},
        {R"({"Network":"10.1.0.0\/16"})", "10.1.0.0/16", 1},
    };
    for (const Row& row : rows) {
      CAPTURE(row.json);
      const Parsed p = parse(row.json);
      REQUIRE_MESSAGE(p.ok, p.problem.key << ": " << p.problem.why);
      CHECK(text(p.config.network) == row.network);
      CHECK(p.config.vni == row.vni);
      CHECK(p.config.port == 8472);
    }
  }

  TEST_CASE("what is wrong is refused by the name of its key") {
    struct Row {
      const char* json;
      const char* key;
      const char* why;
    };
    const Row rows[] = {
        {"{}", "Network", "please define a correct Network parameter in the flannel config"},
        {"null", "Network", "please define a correct Network parameter"},
        {R"({"Network":"0.0.0.0/0"})", "Network", "0.0.0.0/0 is no IPv4 network"},
        {R"({"Network":"10.0.0.0/0"})", "Network", "0.0.0.0/0 is no IPv4 network"},
        {R"({"Network":"0.42.0.0/16"})", "Network", "no pod can have an address in 0.0.0.0/8"},
        {R"({"Network":"127.0.0.0/8"})", "Network", "no pod can have an address in"},
        {R"({"Network":"169.254.128.0/17"})", "Network", "no pod can have an address in"},
        {R"({"Network":"224.5.0.0/16"})", "Network", "no pod can have an address in"},
        {R"({"Network":"10.5.0.0/16","Network":"225.0.0.0/16"})", "Network", "no pod can have an address in"},
        {R"({"Network":null})", "Network", "invalid IPv4 CIDR format"},
        {R"({"Network":""})", "Network", "invalid IPv4 CIDR format"},
        {R"({"Network":"10.1.0.0"})", "Network", "invalid IPv4 CIDR format"},
        {R"({"Network":"10.1.0.0/33"})", "Network", "invalid IPv4 CIDR format"},
        {R"({"Network":"fd00:64::/48"})", "Network", "an IPv6 network belongs in IPv6Network"},
        {R"({"Network":["10.1.0.0/16"]})", "Network", "invalid IPv4 CIDR format"},
        {R"({"Network":"x","Network":"10.1.0.0/16"})", "Network", "invalid IPv4 CIDR format"},
        {R"({"Network":"10.0.0.0/29"})", "Network",
         "network is too small. Minimum useful network prefix is /28"},
        {R"({"Network":"10.0.0.0/16","SubnetLen":31})", "SubnetLen", "SubnetLen must be less than /31"},
        {R"({"Network":"10.0.0.0/16","SubnetLen":18446744073709551615})", "SubnetLen",
         "SubnetLen must be less than /31"},
        {R"({"Network":"10.0.0.0/16","SubnetLen":18446744073709551616})", "SubnetLen", "plain integer"},
        {R"({"Network":"10.0.0.0/16","SubnetLen":17})", "SubnetLen",
         "network must be able to accommodate at least four subnets"},
        {R"({"Network":"10.0.0.0/16","SubnetLen":24.0})", "SubnetLen", "plain integer"},
        {R"({"Network":"10.0.0.0/16","SubnetLen":"24"})", "SubnetLen", "plain integer"},
        {R"({"Network":"10.0.0.0/16","SubnetLen":-1})", "SubnetLen", "plain integer"},
        {R"({"Network":"10.0.0.0/16","SubnetLen":2e1})", "SubnetLen", "plain integer"},
        {R"({"Network":"10.0.0.0/16","SubnetMin":"10.1.0.0"})", "SubnetMin",
         "SubnetMin is not in the range of the Network"},
        {R"({"Network":"10.0.0.0/16","SubnetMax":"10.1.0.0"})", "SubnetMax",
         "SubnetMax is not in the range of the Network"},
        {R"({"Network":"10.0.0.0/16","SubnetMin":"10.0.1.1"})", "SubnetMin",
         "SubnetMin is not on a SubnetLen boundary"},
        {R"({"Network":"10.0.0.0/16","SubnetMax":"10.0.1.128"})", "SubnetMax",
         "SubnetMax is not on a SubnetLen boundary"},
        {R"({"Network":"10.0.0.0/16","SubnetMin":"10.0.9.0","SubnetMax":"10.0.8.0"})", "SubnetMax",
         "SubnetMax is less than SubnetMin"},
        {R"({"Network":"10.0.0.0/16","SubnetMin":null})", "SubnetMin", "IPv4 address"},
        {R"({"Network":"10.0.0.0/16","SubnetMax":"fd00::1"})", "SubnetMax", "IPv4 address"},
        {R"({"Network":"10.0.0.0/16","EnableIPv4":"true"})", "EnableIPv4", "true or false"},
        {R"({"Network":"10.0.0.0/16","EnableNFTables":1})", "EnableNFTables", "true or false"},
        {R"({"Network":"10.0.0.0/16","IPv6Network":null})", "IPv6Network", "invalid IPv6 CIDR format"},
        {R"({"Network":"10.0.0.0/16","IPv6Network":"10.0.0.0/16"})", "IPv6Network",
         "invalid IPv6 CIDR format"},
        {R"({"Network":"10.0.0.0/16","Backend":"vxlan"})", "Backend", "object"},
        {R"({"Network":"10.0.0.0/16","Backend":null})", "Backend.Type", "unknown backend type"},
        {R"({"Network":"10.0.0.0/16","Backend":{}})", "Backend.Type", "unknown backend type"},
        {R"({"Network":"10.0.0.0/16","Backend":{"Type":5}})", "Backend.Type", "string"},
        {R"({"Network":"10.0.0.0/16","Backend":{"Type":"vxlan","VNI":16777216}})", "Backend.VNI",
         "0 to 16777215"},
        {R"({"Network":"10.0.0.0/16","Backend":{"Type":"vxlan","VNI":-1}})", "Backend.VNI", "0 to 16777215"},
        {R"({"Network":"10.0.0.0/16","Backend":{"Type":"vxlan","VNI":"1"}})", "Backend.VNI", "0 to 16777215"},
        {R"({"Network":"10.0.0.0/16","Backend":{"Type":"vxlan","Port":65536}})", "Backend.Port",
         "0 to 65535"},
        {R"({"Network":"10.0.0.0/16","Backend":{"Type":"vxlan","MTU":117}})", "Backend.MTU", "118"},
        {R"({"Network":"10.0.0.0/16","Backend":{"Type":"vxlan","MTU":65536}})", "Backend.MTU", "65535"},
        {R"({"Network":"10.0.0.0/16","Backend":{"Type":"vxlan","Learning":{"a":[1]}}})", "Backend.Learning",
         "true or false"},
        {"[]", "", "JSON object"},
        {"\"x\"", "", "JSON object"},
        {"7", "", "JSON object"},
    };
    for (const Row& row : rows) {
      CAPTURE(row.json);
      const Parsed p = parse(row.json);
      REQUIRE_FALSE(p.ok);
      CHECK(std::string(p.problem.key) == row.key);
      CHECK(std::string(p.problem.why).find(row.why) != std::string::npos);
      CHECK(p.code == Code::kInvalid);
      CHECK_FALSE(p.problem.unsupported);
      CHECK(p.config == NetworkConfig{});
    }
  }

  TEST_CASE("what is not built yet is refused by name, and not taken for a fault") {
    const char* rows[][2] = {
        {R"({"Network":"10.0.0.0/16","Backend":{"Type":"ipip","DirectRouting":true}})", "Backend.Type"},
        {R"({"Network":"10.0.0.0/16","Backend":{"Type":"alloc"}})", "Backend.Type"},
        {R"({"Network":"10.0.0.0/16","Backend":{"Type":"udp","Port":8285,"MTU":"x"}})", "Backend.Type"},
        {R"({"Network":"10.0.0.0/16","Backend":{"Type":"wireguard","Mode":"auto"}})", "Backend.Type"},
        {R"({"Network":"10.0.0.0/16","EnableIPv6":true,"IPv6Network":"fd00::/48"})", "EnableIPv6"},
        {R"({"EnableIPv4":false})", "EnableIPv4"},
        {R"({"EnableIPv4":false,"EnableIPv6":true})", "EnableIPv6"},
    };
    for (const auto& row : rows) {
      CAPTURE(row[0]);
      const Parsed p = parse(row[0]);
      REQUIRE_FALSE(p.ok);
      CHECK(std::string(p.problem.key) == row[1]);
      CHECK(p.problem.unsupported);
      CHECK(p.code == Code::kUnsupported);
    }
  }

  TEST_CASE("broken JSON is refused with the byte where it breaks, before any wrong value") {
    const std::string good =
        R"({"Network":"10.1.0.0/16","SubnetLen":"x","Backend":{"Type":"vxlan","VNI":[{"a":7}]}})";
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
      CAPTURE(cut);
      const Parsed p = parse(good.substr(0, cut));
      REQUIRE_FALSE(p.ok);
      CHECK(std::string(p.problem.key).empty());
      CHECK(p.problem.offset <= cut);
      CHECK_FALSE(std::string(p.problem.why).empty());
    }
    CHECK(std::string(parse(good).problem.key) == "SubnetLen");
    CHECK(parse(R"({"Network":"10.1.0.0/16",})").problem.offset > 0);
    CHECK_FALSE(parse(R"({"Network":"10.1.0.0/16"} x)").ok);
    CHECK_FALSE(parse(R"({"Network":"10.1.0.0/16"}{})").ok);
  }

  TEST_CASE("a config of more than 16 KiB is refused") {
    const std::string blanks(NetworkConfig::kMaxText, ' ');
    CHECK_FALSE(parse(R"({"Network":"10.1.0.0/16"})" + blanks).ok);
    const std::string longest = R"({"Network":"10.1.0.0/16"})" + blanks.substr(25);
    REQUIRE(longest.size() == NetworkConfig::kMaxText);
    CHECK(parse(longest).ok);
  }
}
