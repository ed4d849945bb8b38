// SPDX-License-Identifier: Apache-2.0
// What is written on our own Node, byte for byte.
#include <doctest/doctest.h>

#include <array>
#include <string>

#include "registry/kube/node_patch.hpp"

namespace flannelette::registry::kube {
namespace {

const overlay::Backend& vxlan() { return *overlay::built_in(overlay::BackendType::kVxlan); }

overlay::LeaseValue value() {
  overlay::LeaseValue made;
  made.public_ip = Ip4{0xac1e000b};
  made.backend = overlay::BackendType::kVxlan;
  made.has_vxlan = true;
  made.vni = 1;
  made.mac = *parse_mac("e6:fb:a6:8d:72:6c");
  return made;
}

std::string annotations(const AnnotationPrefix& prefix, std::string_view uid,
                        const overlay::LeaseValue& wanted, const overlay::Backend& backend = vxlan()) {
  std::array<char, kMaxPatch> memory;
  json::Writer writer(memory);
  write_annotations(writer, prefix, uid, backend, wanted);
  CHECK_FALSE(writer.overflowed());
  return std::string(writer.view());
}

}  // namespace

TEST_SUITE("registry/kube_node_patch") {
  TEST_CASE("the annotations are flanneld's byte for byte, for the Node of that uid") {
    CHECK(
        annotations({}, "5f1c", value()) ==
        R"({"metadata":{"annotations":{"flannel.alpha.coreos.com/backend-data":"{\"VNI\":1,\"VtepMAC\":\"e6:fb:a6:8d:72:6c\"}",)"
        R"("flannel.alpha.coreos.com/backend-type":"vxlan","flannel.alpha.coreos.com/kube-subnet-manager":"true",)"
        R"("flannel.alpha.coreos.com/public-ip":"172.30.0.11"},"uid":"5f1c"}})");
    CHECK(
        annotations({}, "5f1c", value(), *overlay::built_in(overlay::BackendType::kHostGw)) ==
        R"({"metadata":{"annotations":{"flannel.alpha.coreos.com/backend-data":"null",)"
        R"("flannel.alpha.coreos.com/backend-type":"host-gw","flannel.alpha.coreos.com/kube-subnet-manager":"true",)"
        R"("flannel.alpha.coreos.com/public-ip":"172.30.0.11"},"uid":"5f1c"}})");
    const auto prefix = AnnotationPrefix::parse("example.org/second");
    REQUIRE(prefix);
    CHECK(
        annotations(*prefix, "5f1c", value()) ==
        R"({"metadata":{"annotations":{"example.org/second-backend-data":"{\"VNI\":1,\"VtepMAC\":\"e6:fb:a6:8d:72:6c\"}",)"
        R"("example.org/second-backend-type":"vxlan","example.org/second-kube-subnet-manager":"true",)"
        R"("example.org/second-public-ip":"172.30.0.11"},"uid":"5f1c"}})");
  }

  TEST_CASE("flanneld finds the MAC: what it splits at :\" has two parts, and the MAC is in the second") {
    const std::string data(to_text<256>([](Writer& out) { vxlan().write_data(out, value()); }).view());
    const std::size_t at = data.find(":\"");
    REQUIRE(at != data.npos);
    CHECK(data.find(":\"", at + 1) == data.npos);
    CHECK(data.substr(at + 2) == "e6:fb:a6:8d:72:6c\"}");
  }

  TEST_CASE("the longest prefix and uid have room, even escaped") {
    const auto prefix = AnnotationPrefix::parse(std::string(250, 'a') + ".bc/" + std::string(41, 'x'));
    REQUIRE(prefix);
    overlay::LeaseValue longest = value();
    longest.vni = 0xffffff;
    longest.public_ip = Ip4{0xffffffff};
    const std::string text = annotations(*prefix, std::string(Node::kMaxUid, '<'), longest);
    CHECK(text.size() > 1'500);
    CHECK(text.ends_with("\\u003c\"}}"));
  }

  TEST_CASE("annotations are written only if one of the four differs") {
    Node node;
    const auto set = [&](Annotation annotation, std::string_view text) {
      node.annotations[static_cast<std::size_t>(annotation)] = text;
    };
    CHECK_FALSE(publishes(node, vxlan(), value()));
    set(Annotation::kBackendData, R"({"VNI":1,"VtepMAC":"e6:fb:a6:8d:72:6c"})");
    set(Annotation::kBackendType, "vxlan");
    set(Annotation::kManager, "true");
    set(Annotation::kPublicIp, "172.30.0.11");
    const Node right = node;
    CHECK(publishes(node, vxlan(), value()));
    set(Annotation::kPublicIpv6, "fd00::1");  // not ours to write
    set(Annotation::kPublicIpOverwrite, "192.0.2.1");
    CHECK(publishes(node, vxlan(), value()));

    struct Row {
      Annotation annotation;
      const char* text;
    };
    for (const Row& row : {Row{Annotation::kBackendData, R"({"VNI":1, "VtepMAC":"e6:fb:a6:8d:72:6c"})"},
                           Row{Annotation::kBackendData, R"({"VNI":1,"VtepMAC":"e6:fb:a6:8d:72:6d"})"},
                           Row{Annotation::kBackendType, "host-gw"}, Row{Annotation::kManager, "false"},
                           Row{Annotation::kManager, ""}, Row{Annotation::kPublicIp, "172.30.0.12"}}) {
      CAPTURE(row.text);
      node = right;
      set(row.annotation, row.text);
      CHECK_FALSE(publishes(node, vxlan(), value()));
    }
  }

  TEST_CASE("the condition NetworkUnavailable is flanneld's, for the Node of that uid") {
    std::array<char, kMaxPatch> memory;
    json::Writer writer(memory);
    write_network_available(writer, "5f1c", "2026-11-27T10:11:12Z");
    CHECK(
        writer.view() ==
        R"({"metadata":{"uid":"5f1c"},"status":{"conditions":[{"type":"NetworkUnavailable","status":"False",)"
        R"("lastHeartbeatTime":"2026-11-27T10:11:12Z","lastTransitionTime":"2026-11-27T10:11:12Z",)"
        R"("reason":"FlannelIsUp","message":"Flannel is running on this node"}]}})");
    CHECK_FALSE(writer.overflowed());
  }
}

}  // namespace flannelette::registry::kube
