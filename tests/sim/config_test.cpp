// SPDX-License-Identifier: Apache-2.0
// The network config: waited for, refused in one line, honoured.
#include "sim/world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr Millis kHour = 3'600'000;
/// The longest pause between two looks at the config, and a bit.
constexpr Millis kNextLook = 61'000;

}  // namespace

TEST_SUITE("agent/config") {
  TEST_CASE("no config yet: it says so once, waits, and joins when it comes") {
    World world(nullptr);
    SimNode& node = world.add_started(1);
    world.advance(24 * kHour);
    CHECK(node.state() == agent::State::kConfig);
    CHECK(node.log.count("there is no network config") == 1);
    CHECK(node.kernel.writes == 0);
    CHECK(world.etcd.requests() < 24 * 720 + 20);
    world.put_config(World::kConfig);
    CHECK(world.run_until([&] { return node.running(); }, kNextLook));
  }

  TEST_CASE("a config that is wrong is named in one clear line; the node waits and joins when it is mended") {
    struct {
      const char* config;
      const char* line;
    } const wrong[] = {
        {R"({"Network":"10.5.0.0/16")",
         "error: the network config is wrong config=/coreos.com/network/config key=\"\" reason="},
        {"?", "error: the network config is wrong"},
        {R"([1,2])", "the config must be a JSON object"},
        {R"({"Backend":{"Type":"vxlan"}})", "key=Network reason=\"please define a correct Network"},
        {R"({"Network":"10.5.0.0/16","SubnetLen":31,"Backend":{"Type":"vxlan"}})", "key=SubnetLen"},
        {R"({"Network":"10.5.0.0/16","SubnetMin":"10.9.0.0","Backend":{"Type":"vxlan"}})", "key=SubnetMin"},
        {R"({"Network":"10.5.0.0/16","Backend":{}})", "key=Backend.Type"},
        {R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","Port":"8472"}})", "key=Backend.Port"},
    };
    for (const auto& each : wrong) {
      CAPTURE(each.line);
      World world(each.config);
      SimNode& node = world.add_started(1);
      world.advance(2 * kHour);
      CHECK(node.state() == agent::State::kConfig);
      CHECK(node.log.count(each.line) == 1);
      CHECK(node.log.count("error:") == 1);
      CHECK(node.kernel.writes == 0);
      world.put_config(World::kConfig);
      CHECK(world.run_until([&] { return node.running(); }, kNextLook));
    }
  }

  TEST_CASE("a config key that is there and empty is named as such") {
    World world("");
    SimNode& node = world.add_started(1);
    world.advance(kHour);
    CHECK(node.state() == agent::State::kConfig);
    CHECK(node.log.count("there is no network config") == 0);
    CHECK(node.log.count("the network config is wrong") == 1);
    CHECK(node.log.has("config=/coreos.com/network/config"));
    CHECK(node.log.has("reason=\"the config is empty\""));
  }

  TEST_CASE("no config: the key that was asked for is named, and what cannot be seen in it shows") {
    struct {
      const char* prefix;
      const char* key;
    } const wrong[] = {
        {"/coreos.com/netwrok", "key=/coreos.com/netwrok/config"},
        {"/coreos.com/network\r", "key=\"/coreos.com/network\\x0d/config\""},
        {"/coreos.com/network ", "key=\"/coreos.com/network /config\""},
        {"", "key=config"},
        {"\"/coreos.com/network\"", R"(key="\"/coreos.com/network\"/config")"},
    };
    for (const auto& each : wrong) {
      CAPTURE(each.key);
      World world;
      SimNode& node = world.add(1);
      node.etcd_settings.prefix = each.prefix;
      node.start();
      world.advance(kHour);
      CHECK(node.log.count("there is no network config in the registry yet; waiting for it ") == 1);
      CHECK(node.log.count(each.key) == 1);
    }
  }

  TEST_CASE("broken JSON is shown at the byte where it breaks") {
    struct {
      const char* config;
      const char* at;
    } const wrong[] = {
        {R"({"Network":"10.5.0.0/16",})", "offset=25 at=}"},
        {R"({'Network':"10.5.0.0/16"})", "offset=1 at='"},
        {"{\"Network\":\"10.5.0.0/16\"\r}x", "at=x"},
        {"\xef\xbb\xbf{}", "offset=0 at=\"\\xef\""},
        {R"({"Network":"10.5.0.0/16")", "at=\"\""},
    };
    for (const auto& each : wrong) {
      CAPTURE(each.at);
      World world(each.config);
      SimNode& node = world.add_started(1);
      world.advance(10'000);
      CHECK(node.log.has(each.at));
      if (!node.log.has(each.at)) MESSAGE(node.log.text());
    }
  }

  TEST_CASE("what is not built yet is refused by name") {
    struct {
      const char* config;
      const char* key;
    } const refused[] = {
        {R"({"Network":"10.5.0.0/16","Backend":{"Type":"ipip","DirectRouting":true}})", "key=Backend.Type"},
        {R"({"Network":"10.5.0.0/16","Backend":{"Type":"wireguard"}})", "key=Backend.Type"},
        {R"({"Network":"10.5.0.0/16","Backend":{"Type":"udp"}})", "key=Backend.Type"},
        {R"({"Network":"10.5.0.0/16","EnableIPv6":true,"IPv6Network":"fd00::/48","Backend":{"Type":"vxlan"}})",
         "key=EnableIPv6"},
    };
    for (const auto& each : refused) {
      CAPTURE(each.key);
      World world(each.config);
      SimNode& node = world.add_started(1);
      world.advance(kHour);
      CHECK(node.state() == agent::State::kConfig);
      CHECK(node.log.count("error: the network config asks for what flannelette cannot do") == 1);
      CHECK(node.log.has(each.key));
      CHECK(node.kernel.writes == 0);
    }
  }

  TEST_CASE("a second fault after the first one is mended is named too") {
    World world(R"({"Network":"10.5.0.0/16","Backend":{"Type":"ipip"}})");
    SimNode& node = world.add_started(1);
    world.advance(kHour);
    world.put_config(R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan","VNI":-1}})");
    world.advance(kHour);
    CHECK(node.log.count("key=Backend.VNI") == 1);
  }

  TEST_CASE("VNI, Port, MTU, Learning and GBP are honoured") {
    World world(
        R"({"Network":"10.5.0.0/16","Backend":{"Type":"VXLAN","VNI":7,"Port":4789,"MTU":1400,"Learning":true,"GBP":true}})");
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    auto found = node.kernel.find_device("flannel.7");
    REQUIRE(found);
    REQUIRE(*found);
    const overlay::Device& device = **found;
    CHECK(device.vni == 7);
    CHECK(device.port == 4789);
    CHECK(device.mtu == 1350);
    CHECK(device.learning);
    CHECK(device.gbp);
    CHECK(world.value_of(node.key()).find(R"("VNI":7)") != std::string::npos);
    CHECK(node.subnet_env().find("FLANNEL_MTU=1350\n") != std::string::npos);
  }

  TEST_CASE("no Backend means vxlan; a record without BackendType is a sign of flanneld's udp, told once") {
    World world(R"({"Network":"10.5.0.0/16"})");
    world.put("subnets/10.5.9.0-24", R"({"PublicIP":"172.31.0.9","PublicIPv6":null})");
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    CHECK(node.device()->is_vxlan);
    // A second listing, after a compaction, must not repeat it.
    world.etcd.cut_all();
    world.put_peer(3);
    world.put_peer(4);
    world.etcd.compact(world.etcd.revision());
    REQUIRE(world.run_until([&] { return node.counts().peers == 2; }, 60'000));
    world.advance(10'000);
    CHECK(node.log.count("no Backend") == 1);
    CHECK(node.routes() == 2);
  }

  TEST_CASE("no Backend and all records vxlan: not a word") {
    World world(R"({"Network":"10.5.0.0/16"})");
    world.put_peer(3);
    SimNode& node = world.add_started(1);
    REQUIRE(world.run_until([&] { return node.ready_count() == 1; }));
    world.advance(1'000);
    CHECK(!node.log.has("no Backend"));
  }
}
