// SPDX-License-Identifier: Apache-2.0
// Which Node makes which record.
#include <doctest/doctest.h>

#include <string>

#include "flannelette/overlay/lease_table.hpp"
#include "registry/kube/node_record.hpp"

namespace flannelette::registry::kube {
namespace {

using overlay::BackendType;

/// The Node of a vxlan peer.
struct Sample {
  const char* manager = "true";
  const char* type = "vxlan";
  std::string data = R"({"VNI":1,"VtepMAC":"e6:fb:a6:8d:72:6c"})";
  const char* public_ip = "172.30.0.11";
  const char* public_ipv6 = "";
  const char* v6_data = "";
  const char* cidr = "10.42.7.0/24";
  const char* cidr6 = "";

  Node node() const {
    Node made;
    made.name = "n7";
    made.uid = "5f1c";
    made.resource_version = 4711;
    made.created = 20261127101112;
    const auto set = [&](Annotation annotation, std::string_view text) {
      REQUIRE(made.annotations[static_cast<std::size_t>(annotation)].assign(text));
    };
    set(Annotation::kManager, manager);
    set(Annotation::kBackendType, type);
    set(Annotation::kBackendData, data);
    set(Annotation::kPublicIp, public_ip);
    set(Annotation::kPublicIpv6, public_ipv6);
    set(Annotation::kBackendV6Data, v6_data);
    made.managed_cidrs.add(cidr);
    made.managed_cidrs.add(cidr6);
    return made;
  }
};

/// A record in a few words.
std::string words(const std::optional<overlay::LeaseRecord>& record) {
  if (!record) return "none";
  std::string out = std::string(to_text<64>([&](Writer& writer) { write(writer, record->key); }).view());
  if (!record->readable) return out + " unreadable";
  const overlay::LeaseValue& value = record->value;
  out += " " + std::string(text_of(value.public_ip).view());
  out += value.backend == BackendType::kVxlan  ? " vxlan"
         : value.backend == BackendType::kNone ? " none"
                                               : " other";
  if (value.has_vxlan) out += " " + std::string(text_of(value.mac).view());
  if (value.vni) out += " " + std::to_string(*value.vni);
  return out;
}

overlay::Ignored why_ignored(const overlay::LeaseRecord& record) {
  overlay::LeaseTable table;
  overlay::LocalNode local{};
  local.config.network = {{0x0a2a0000}, 16};
  local.config.subnet_min = {0x0a2a0100};
  local.config.subnet_max = {0x0a2aff00};
  local.public_ip = Ip4{0xac1e0001};
  local.subnet = Net4{{0x0a2a0100}, 24};
  table.set_local(local);
  return table.upsert(record);
}

}  // namespace

TEST_SUITE("registry/kube_node_record") {
  TEST_CASE("which Node makes which record") {
    const std::string peer = "10.42.7.0-24 172.30.0.11 vxlan e6:fb:a6:8d:72:6c 1";
    const std::string unreadable = "10.42.7.0-24 unreadable";
    struct Row {
      const char* what;
      Sample sample;
      std::string record;
    };
    const Row rows[] = {
        {"a peer", {}, peer},
        {"flannel does not run there", {.manager = ""}, "none"},
        {"flannel does not run there any more", {.manager = "false"}, "none"},
        {"only the text true counts", {.manager = "True"}, "none"},
        {"no podCIDR yet", {.cidr = ""}, "none"},
        {"no podCIDR of IPv4", {.cidr = "", .cidr6 = "fd00:7::/64"}, "none"},
        {"no public-ip", {.public_ip = ""}, unreadable},
        {"a public-ip that is none", {.public_ip = "node7.example.org"}, unreadable},
        {"a public-ip with a blank", {.public_ip = "172.30.0.11 "}, unreadable},
        {"a public-ip of the other family", {.public_ip = "fd00::11"}, unreadable},
        {"no backend-data", {.data = ""}, unreadable},
        {"backend-data that is no JSON", {.data = "{\"VNI\":1"}, unreadable},
        {"backend-data with something behind", {.data = "{} {}"}, unreadable},
        {"backend-data without a MAC", {.data = "{\"VNI\":1}"}, "10.42.7.0-24 172.30.0.11 vxlan"},
        {"backend-data null", {.data = "null"}, "10.42.7.0-24 172.30.0.11 vxlan"},
        {"backend-data with blanks, in another order",
         {.data = R"( { "VtepMAC" : "E6-FB-A6-8D-72-6C" , "x":[1], "VNI" : 1 } )"},
         peer},
        {"no VNI",
         {.data = R"({"VtepMAC":"e6:fb:a6:8d:72:6c"})"},
         "10.42.7.0-24 172.30.0.11 vxlan e6:fb:a6:8d:72:6c"},
        {"another backend, whatever its data are",
         {.type = "wireguard", .data = "x"},
         "10.42.7.0-24 172.30.0.11 other"},
        {"a backend is compared exactly", {.type = "VXLAN"}, "10.42.7.0-24 172.30.0.11 other"},
        {"no backend, as udp and alloc have it",
         {.type = "", .data = "null"},
         "10.42.7.0-24 172.30.0.11 none"},
        {"a dual-stack peer",
         {.public_ipv6 = "fd00::11", .v6_data = "{}", .cidr6 = "fd00:7::/64"},
         "10.42.7.0-24&fd00:7::-64 172.30.0.11 vxlan e6:fb:a6:8d:72:6c 1"},
        {"IPv6 that is broken leaves IPv4",
         {.public_ipv6 = "x", .v6_data = "x", .cidr6 = "fd00:7::/64"},
         "10.42.7.0-24&fd00:7::-64 172.30.0.11 vxlan e6:fb:a6:8d:72:6c 1"},
        {"contradictory podCIDRs", {.cidr6 = "10.42.8.0/24"}, "none"},
    };
    for (const Row& row : rows) {
      CAPTURE(row.what);
      CHECK(words(record_of(row.sample.node())) == row.record);
    }
  }

  TEST_CASE("a peer without IPv6 stays usable in a dual-stack cluster, which flanneld drops") {
    // flannel's subnet/kube/kube.go, nodeToLease: with IPv6 in the config, all of IPv6 must be there.
    const auto record = record_of(Sample{}.node());
    REQUIRE(record);
    CHECK(why_ignored(*record) == overlay::Ignored::kNo);
    const auto dual = record_of(Sample{.public_ipv6 = "fd00::11", .cidr6 = "fd00:7::/64"}.node());
    REQUIRE(dual);
    CHECK(why_ignored(*dual) == overlay::Ignored::kNo);
  }

  TEST_CASE(
      "both ages are that of the Node, so that a heartbeat changes nothing; it has no lease that ends") {
    const auto record = record_of(Sample{}.node());
    REQUIRE(record);
    CHECK(record->created == 20261127101112);
    CHECK(record->modified == 20261127101112);
    CHECK(record->lease == 0);
  }

  TEST_CASE("a Node with something over its limit is unreadable") {
    Node node = Sample{}.node();
    node.overlong = true;
    CHECK(words(record_of(node)) == "10.42.7.0-24 unreadable");
  }

  TEST_CASE("of a full Node the spec counts") {
    Node node = Sample{}.node();
    node.full = true;
    CHECK(words(record_of(node)) == "none");
    node.spec_cidrs.add("10.42.9.0/24");
    CHECK(words(record_of(node)) == "10.42.9.0-24 172.30.0.11 vxlan e6:fb:a6:8d:72:6c 1");
  }
}

}  // namespace flannelette::registry::kube
