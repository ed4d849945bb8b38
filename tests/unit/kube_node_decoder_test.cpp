// SPDX-License-Identifier: Apache-2.0
// The API server's answers about Nodes, cut at every byte.
#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "registry/kube/node_decoder.hpp"

namespace flannelette::registry::kube {
namespace {

const char* text_of_event(Event event) {
  static constexpr std::array kTexts{"", "added ", "modified ", "deleted ", "bookmark ", "error ", "other "};
  return kTexts[static_cast<std::size_t>(event)];
}

const char* text_of_kind(Kind kind) {
  static constexpr std::array kTexts{"-", "Node", "Metadata", "NodeList", "MetadataList", "Status", "other"};
  return kTexts[static_cast<std::size_t>(kind)];
}

/// Everything that the decoder says, as text.
class Transcript final : public NodeDecoder::Sink {
 public:
  std::string text;

  void on_node(const Node& node, Event event) override {
    text += text_of_event(event);
    text += "node " + std::string(node.name.view()) + " " + std::string(node.uid.view());
    text += " rv=" + std::to_string(node.resource_version);
    if (node.created != 0) text += " created=" + std::to_string(node.created);
    if (node.full) text += " full";
    if (node.overlong) text += " overlong";
    if (node.network_available) text += " available";
    const PodCidrs& cidrs = node.pod_cidrs();
    if (cidrs.v4) text += " " + std::string(text_of(*cidrs.v4).view());
    if (cidrs.v6) text += " " + std::string(text_of(Net(*cidrs.v6)).view());
    if (cidrs.contradictory) text += " contradictory";
    if (!node.shows_pod_cidrs()) text += " unknown";
    for (std::size_t i = 0; i < kAnnotationCount; ++i) {
      const auto annotation = static_cast<Annotation>(i);
      if (node.annotation(annotation).empty()) continue;
      text += "\n  " + std::string(name(annotation)) + ": " + std::string(node.annotation(annotation));
    }
    text += "\n";
  }
  void on_message(const Message& message) {
    text += std::string("message ") + text_of_event(message.event) + text_of_kind(message.kind);
    text += " rv=" + std::to_string(message.resource_version);
    text += " nodes=" + std::to_string(message.nodes);
    if (!message.continue_token.empty()) text += " continue=" + std::string(message.continue_token.view());
    if (message.continue_overlong) text += " continue-overlong";
    if (message.code != 0) text += " code=" + std::to_string(message.code);
    if (!message.reason.empty()) text += " " + std::string(message.reason.view());
    if (!message.text.empty()) text += " \"" + std::string(message.text.view()) + "\"";
    text += "\n";
  }
};

/// Decodes it whole, and cut at every byte, and byte for byte: always the same. Long ones at some bytes.
std::string decode(const std::string& bytes) {
  static std::array<char, NodeDecoder::kScratch> scratch;
  const AnnotationPrefix prefix;
  const auto run = [&](const std::vector<std::string_view>& pieces) {
    Transcript transcript;
    NodeDecoder decoder(prefix, scratch);
    decoder.reset(transcript);
    for (const std::string_view piece : pieces) {
      decoder.feed(piece);
      for (;;) {
        const NodeDecoder::Step step = decoder.next();
        if (step == NodeDecoder::Step::kMessage) transcript.on_message(decoder.message());
        if (step == NodeDecoder::Step::kBad) return transcript.text + "bad\n";
        if (step == NodeDecoder::Step::kNeedMore) break;
      }
    }
    return transcript.text;
  };
  const std::string_view all = bytes;
  const std::string whole = run({all});
  const bool large = bytes.size() > 16 * 1024;
  const std::size_t stride = large ? bytes.size() / 8 : bytes.size() > 4096 ? 101 : 1;
  for (std::size_t at = 1; at < bytes.size(); at += stride) {
    const std::string cut = run({all.substr(0, at), all.substr(at)});
    if (cut != whole) FAIL("cut at byte " << at << ": " << cut);
  }
  if (large) return whole;
  std::vector<std::string_view> single;
  for (std::size_t at = 0; at < bytes.size(); ++at) single.push_back(all.substr(at, 1));
  CHECK(run(single) == whole);
  return whole;
}

// In the forms that kube-apiserver 1.36.3 writes.
const std::string kAnnotationsJson =
    R"("annotations":{"flannel.alpha.coreos.com/backend-data":"{\"VNI\":1,\"VtepMAC\":\"e6:fb:a6:8d:72:6c\"}",)"
    R"("flannel.alpha.coreos.com/backend-type":"vxlan","flannel.alpha.coreos.com/kube-subnet-manager":"true",)"
    R"("flannel.alpha.coreos.com/public-ip":"172.30.0.11","node.alpha.kubernetes.io/ttl":"0",)"
    R"("volumes.kubernetes.io/controller-managed-attach-detach":"true"})";
const std::string kManagedFields =
    R"("managedFields":[{"manager":"kubelet","operation":"Update","apiVersion":"v1","time":"2026-11-27T10:11:12Z",)"
    R"("fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:annotations":{".":{},"f:volumes.kubernetes.io/x":{}},)"
    R"("f:labels":{".":{},"f:kubernetes.io/os":{}}}}},{"manager":"kube-controller-manager","operation":"Update",)"
    R"("apiVersion":"v1","time":"2026-11-27T10:11:13Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:podCIDR":{},)"
    R"("f:podCIDRs":{".":{},"v:\"10.100.9.0/24\"":{},"v:\"fd00:9::/64\"":{}}}}},{"manager":"kubelet",)"
    R"("operation":"Update","fieldsV1":{"f:status":{"f:conditions":{"k:{\"type\":\"Ready\"}":{"f:status":{}}}}},)"
    R"("subresource":"status"}])";
const std::string kMetadata =
    R"({"name":"n9","uid":"5f1c","resourceVersion":"4711",)"
    R"("creationTimestamp":"2026-11-27T10:11:12Z","labels":{"kubernetes.io/os":"linux"},)" +
    kAnnotationsJson + "," + kManagedFields + "}";
const std::string kPartial =
    R"({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":)" + kMetadata + "}";
const std::string kFull =
    R"({"kind":"Node","apiVersion":"v1","metadata":)" + kMetadata +
    R"(,"spec":{"podCIDR":"10.100.9.0/24","podCIDRs":["10.100.9.0/24","fd00:9::/64"],"providerID":"x://y",)"
    R"("taints":[{"key":"a","effect":"NoSchedule"}]},"status":{"capacity":{"cpu":"2"},"conditions":[)"
    R"({"type":"NetworkUnavailable","status":"False","reason":"FlannelIsUp"},{"type":"Ready","status":"True"}],)"
    R"("addresses":[{"type":"InternalIP","address":"172.30.0.11"}],"images":[{"names":["a","b"],"sizeBytes":1}]}})";

/// What the transcript says of them, up to and after the pod CIDRs.
const std::string kN9 = "node n9 5f1c rv=4711 created=20261127101112";
const std::string kN9Cidrs = " 10.100.9.0/24 fd00:9::/64";
const std::string kN9Annotations =
    "\n  backend-data: {\"VNI\":1,\"VtepMAC\":\"e6:fb:a6:8d:72:6c\"}\n  backend-type: vxlan\n"
    "  kube-subnet-manager: true\n  public-ip: 172.30.0.11\n";
const std::string kN9Partial = kN9 + kN9Cidrs + kN9Annotations;
const std::string kN9Full = kN9 + " full available" + kN9Cidrs + kN9Annotations;

std::string metadata_list(const std::string& list_metadata, const std::string& items) {
  return R"({"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":)" + list_metadata +
         R"(,"items":[)" + items + "]}";
}

std::string item(const std::string& metadata) {
  return decode(R"({"items":[{"metadata":{)" + metadata + "}}]}");
}

}  // namespace

TEST_SUITE("registry/kube_node_decoder") {
  TEST_CASE("a list of metadata: its Nodes as they come, then its version and where it goes on") {
    CHECK(decode(metadata_list(R"({"resourceVersion":"5000","continue":"eyJ2Ijo","remainingItemCount":4500})",
                               kPartial + "," + kPartial)) ==
          kN9Partial + kN9Partial + "message MetadataList rv=5000 nodes=2 continue=eyJ2Ijo\n");
    CHECK(decode(metadata_list(R"({"resourceVersion":"5000"})", "")) ==
          "message MetadataList rv=5000 nodes=0\n");
  }

  TEST_CASE("a list of full Nodes, whose items have no kind") {
    CHECK(
        decode(
            R"({"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":)" +
            kMetadata +
            R"(,"spec":{"podCIDR":"10.1.0.0/24"},"status":{}},{"metadata":{"name":"b"},"spec":{}}]})") ==
        kN9 + " full 10.1.0.0/24" + kN9Annotations + "node b  rv=0 full\nmessage NodeList rv=7 nodes=2\n");
  }

  TEST_CASE("the metadata and the kind of a list may follow its items, and are not taken for a Node's") {
    CHECK(
        decode(
            R"({"items":[{"metadata":{"resourceVersion":"3","name":"a"}}],"metadata":{"resourceVersion":"9"},)"
            R"("kind":"NodeList"})") == "node a  rv=3 unknown\nmessage NodeList rv=9 nodes=1\n");
    CHECK(decode(
              R"({"metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"a","continue":"x"}}]})") ==
          "node a  rv=0 unknown\nmessage - rv=9 nodes=1\n");
  }

  TEST_CASE("lines of a watch, in either form") {
    const auto line = [](const char* type, const std::string& object) {
      return std::string(R"({"type":")") + type + R"(","object":)" + object + "}\n";
    };
    CHECK(decode(line("ADDED", kPartial) + line("MODIFIED", kFull) + line("DELETED", kPartial)) ==
          "added " + kN9Partial + "message added Metadata rv=4711 nodes=1\n" + "modified " + kN9Full +
              "message modified Node rv=4711 nodes=1\n" + "deleted " + kN9Partial +
              "message deleted Metadata rv=4711 nodes=1\n");
    CHECK(
        decode(line("BOOKMARK", R"({"kind":"PartialObjectMetadata","metadata":{"resourceVersion":"12"}})")) ==
        "message bookmark Metadata rv=12 nodes=0\n");
    CHECK(decode(line("BOOKMARK",
                      R"({"kind":"Node","metadata":{"resourceVersion":"12","creationTimestamp":null},)"
                      R"("spec":{},"status":{}})")) == "message bookmark Node rv=12 nodes=0\n");
    CHECK(decode(line("ERROR",
                      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":)"
                      R"("too old resource version: 1, 9","reason":"Expired","code":410})")) ==
          "message error Status rv=0 nodes=0 code=410 Expired \"too old resource version: 1, 9\"\n");
    CHECK(decode(line("SOMETHING", kPartial)) == "message other Metadata rv=4711 nodes=0\n");
    CHECK(decode(line("ADDED", R"({"kind":"Table","metadata":{"name":"x"}})")) ==
          "message added other rv=0 nodes=0\n");
  }

  TEST_CASE("nothing of one line is left for the next") {
    CHECK(decode(R"({"type":"ADDED","object":)" + kFull +
                 R"(}{"type":"ADDED","object":{"kind":)"
                 R"("PartialObjectMetadata","metadata":{"name":"b"}}}{"type":"BOOKMARK"})") ==
          "added " + kN9Full + "message added Node rv=4711 nodes=1\n" +
              "added node b  rv=0 unknown\nmessage added Metadata rv=0 nodes=1\nmessage bookmark - rv=0 "
              "nodes=0\n");
  }

  TEST_CASE("a single Node, in full or its metadata") {
    CHECK(decode(kFull) == kN9Full + "message Node rv=4711 nodes=1\n");
    CHECK(decode(kPartial) == kN9Partial + "message Metadata rv=4711 nodes=1\n");
  }

  TEST_CASE("keys in any order, unknown ones of any shape everywhere") {
    const std::string junk = R"("x":[{"name":"no","metadata":{"uid":"no"}},[],7,null],"y":{"annotations":)"
                             R"({"flannel.alpha.coreos.com/public-ip":"no"}},)";
    CHECK(decode("{" + junk + R"("object":{)" + junk + R"("status":{)" + junk + R"("conditions":[{)" + junk +
                 R"("status":"False","type":"NetworkUnavailable"}]},"spec":{)" + junk +
                 R"("podCIDRs":["10.1.2.0/24",{"a":["10.9.9.0/24"]},["10.9.9.0/24"],null,7]},"metadata":{)" +
                 junk + R"("managedFields":[[],7,{)" + junk + R"("fieldsV1":{)" + junk + R"("f:spec":{)" +
                 junk + R"("f:podCIDRs":{)" + junk + R"("v:\"10.1.2.0/24\"":{}}}}}],"annotations":{)" + junk +
                 R"("flannel.alpha.coreos.com/public-ip":"192.0.2.1"},)" + junk +
                 R"("resourceVersion":"8","uid":"u","name":"n"},"kind":"Node"},)" + junk +
                 R"("type":"ADDED"})") ==
          "added node n u rv=8 full available 10.1.2.0/24\n  public-ip: 192.0.2.1\n"
          "message added Node rv=8 nodes=1\n");
  }

  TEST_CASE("the podCIDR of metadata is in its managed fields, where families tell them apart") {
    const auto fields = [](const std::string& cidrs) {
      return item(R"("managedFields":[{"fieldsV1":{"f:spec":{"f:podCIDRs":{)" + cidrs + "}}}}]");
    };
    const std::string end = "\nmessage - rv=0 nodes=1\n";
    CHECK(fields(R"(".":{},"v:\"10.42.0.0/24\"":{})") == "node   rv=0 10.42.0.0/24" + end);
    CHECK(fields(R"("v:\"fd00:9::/64\"":{},"v:\"10.42.0.0/24\"":{},".":{})") ==
          "node   rv=0 10.42.0.0/24 fd00:9::/64" + end);
    CHECK(fields(R"("v:\"fd00:9::/64\"":{})") == "node   rv=0 fd00:9::/64" + end);
    CHECK(fields(R"("v:\"10.42.0.7/24\"":{})") == "node   rv=0 10.42.0.0/24" + end);  // as Go's ParseCIDR
    CHECK(fields(R"("v:\u0022\u0031\u0030.42.0.0\/24\u0022":{})") == "node   rv=0 10.42.0.0/24" + end);
    for (const char* none :
         {"", R"("v:10.42.0.0/24":{})", R"("v:\"10.42.0.0/24":{})", R"("f:\"10.42.0.0/24\"":{})",
          R"("v:\"10.42.0.0\"":{})", R"("v:\"10.42.0.0/33\"":{})", R"("v:7":{})", R"("v:":{})", R"("v":{})",
          R"("v:[\"10.42.0.0/24\"]":{})"}) {
      CAPTURE(none);
      CHECK(fields(none) == "node   rv=0 unknown" + end);
    }
    CHECK(fields("\"v:\\\"" + std::string(5'000, '1') + "\\\"\":{}") == "node   rv=0 unknown" + end);
  }

  TEST_CASE("managed fields of several managers add up, and those that contradict each other show nothing") {
    const auto managers = [](const char* first, const char* second) {
      const auto entry = [](const char* cidr) {
        return R"({"fieldsV1":{"f:spec":{"f:podCIDRs":{"v:\")" + std::string(cidr) + R"(\"":{}}}}})";
      };
      return item(R"("managedFields":[)" + entry(first) + "," + entry(second) + "]");
    };
    const std::string end = "\nmessage - rv=0 nodes=1\n";
    CHECK(managers("10.1.0.0/24", "10.1.0.0/24") == "node   rv=0 10.1.0.0/24" + end);
    CHECK(managers("10.1.0.0/24", "fd00::/64") == "node   rv=0 10.1.0.0/24 fd00::/64" + end);
    CHECK(managers("10.1.0.0/24", "10.2.0.0/24") == "node   rv=0 10.1.0.0/24 contradictory unknown" + end);
    CHECK(managers("fd00::/64", "fd00::/65") == "node   rv=0 fd00::/64 contradictory unknown" + end);
  }

  TEST_CASE("the spec of a full Node counts, whatever its managed fields show") {
    CHECK(decode(R"({"spec":{},"kind":"Node","metadata":{"managedFields":[{"fieldsV1":{"f:spec":)"
                 R"({"f:podCIDRs":{"v:\"10.6.6.0/24\"":{}}}}}]}})") ==
          "node   rv=0 full\nmessage Node rv=0 nodes=1\n");
    CHECK(decode(R"({"kind":"Node","metadata":{}})") == "node   rv=0 full\nmessage Node rv=0 nodes=1\n");
    CHECK(decode(R"({"items":[{"kind":"Node","spec":null}]})") ==
          "node   rv=0 full\nmessage - rv=0 nodes=1\n");
    CHECK(
        decode(R"({"kind":"Node","spec":{"podCIDR":"fd00::/64","podCIDRs":["fd00::/64","10.1.0.0/24"]}})") ==
        "node   rv=0 full 10.1.0.0/24 fd00::/64\nmessage Node rv=0 nodes=1\n");
  }

  TEST_CASE("the network is available only by a condition of that type that is False") {
    const auto conditions = [](const std::string& list) {
      return decode(R"({"kind":"Node","status":{"conditions":[)" + list + "]}}");
    };
    const std::string end = "\nmessage Node rv=0 nodes=1\n";
    CHECK(conditions(R"({"status":"False","type":"NetworkUnavailable"})") ==
          "node   rv=0 full available" + end);
    CHECK(conditions(R"({"status":"True","type":"NetworkUnavailable"})") == "node   rv=0 full" + end);
    CHECK(conditions(R"({"type":"NetworkUnavailable"},{"status":"False"})") == "node   rv=0 full" + end);
    CHECK(
        conditions(
            R"({"type":"MemoryPressure","status":"False"},{"type":"NetworkUnavailable","status":"Unknown"})") ==
        "node   rv=0 full" + end);
  }

  TEST_CASE(
      "a refusal: code, reason and words, cut and without control bytes; a list may go on after a 410") {
    CHECK(
        decode(R"({"kind":"Status","apiVersion":"v1","metadata":{"continue":"abc"},"status":"Failure",)"
               R"("message":"The provided continue parameter is too old","reason":"Expired","code":410})") ==
        "message Status rv=0 nodes=0 continue=abc code=410 Expired \"The provided continue parameter is too "
        "old\"\n");
    CHECK(decode(R"({"kind":"Status","status":"Failure","message":"a\u001b[31m\nb","reason":"Forbidden",)"
                 R"("details":{"name":"x","kind":"nodes","code":9},"code":403})") ==
          "message Status rv=0 nodes=0 code=403 Forbidden \"a[31mb\"\n");
    CHECK(decode(R"({"kind":"Status","code":"401","message":")" + std::string(500, 'x') + R"("})") ==
          "message Status rv=0 nodes=0 code=401 \"" + std::string(160, 'x') + "\"\n");
    CHECK(decode(R"({"kind":"Status","code":-5,"reason":")" + std::string(500, 'r') + R"("})") ==
          "message Status rv=0 nodes=0 " + std::string(Message::kMaxReason, 'r') + "\n");
  }

  TEST_CASE("what is over its limit is marked and empty, and the stream goes on") {
    const auto limit = [](const std::string& before, std::size_t size, const char* after = "\"") {
      return item(before + std::string(size, 'x') + after);
    };
    const std::string end = "\nmessage - rv=0 nodes=1\n";
    const std::string ip = R"("annotations":{"flannel.alpha.coreos.com/public-ip":")";
    CHECK(limit(R"("name":")", 253) == "node " + std::string(253, 'x') + "  rv=0 unknown" + end);
    CHECK(limit(R"("name":")", 254) == "node   rv=0 overlong unknown" + end);
    CHECK(limit(R"("name":")", 5'000) == "node   rv=0 overlong unknown" + end);
    CHECK(limit(R"("uid":")", 64) == "node  " + std::string(64, 'x') + " rv=0 unknown" + end);
    CHECK(limit(R"("uid":")", 65) == "node   rv=0 overlong unknown" + end);
    CHECK(limit(ip, 256, "\"}") == "node   rv=0 unknown\n  public-ip: " + std::string(256, 'x') + end);
    CHECK(limit(ip, 257, "\"}") == "node   rv=0 overlong unknown" + end);
    CHECK(limit(ip, 5'000, "\"}") == "node   rv=0 overlong unknown" + end);
    const auto list = [](std::size_t size) {
      return decode(R"({"metadata":{"continue":")" + std::string(size, 'c') + R"("}})");
    };
    CHECK(list(1024) == "message - rv=0 nodes=0 continue=" + std::string(1024, 'c') + "\n");
    CHECK(list(1025) == "message - rv=0 nodes=0 continue-overlong\n");
  }

  TEST_CASE("a Node of 2 MB is skipped over") {
    std::string images;
    while (images.size() < 1'000'000)
      images += R"({"names":["registry.example/a@sha256:00"],"sizeBytes":9},)";
    const std::string large = std::string(1'000'000, 'x');
    CHECK(decode(R"({"items":[{"metadata":{"annotations":{"big":")" + large +
                 R"(","flannel.alpha.coreos.com/public-ip":"192.0.2.1"},"name":"n"},"status":{"images":[)" +
                 images + R"({}]}},{"metadata":{"name":"m"}}]})") ==
          "node n  rv=0 unknown\n  public-ip: 192.0.2.1\nnode m  rv=0 unknown\nmessage - rv=0 nodes=2\n");
  }

  TEST_CASE("times and versions that are none are 0") {
    const std::string end = "\nmessage - rv=0 nodes=1\n";
    CHECK(item(R"("creationTimestamp":"2026-11-27T10:11:12Z")") ==
          "node   rv=0 created=20261127101112 unknown" + end);
    for (const char* time : {"", "2026-11-27", "2026-11-27T10:11:12.5Z", "2026-11-27T10:11:1xZ",
                             "2026-11-27 10:11:12Z", "2026-11-27T10:11:12+"})
      CHECK(item(R"("creationTimestamp":")" + std::string(time) + "\"") == "node   rv=0 unknown" + end);
    CHECK(item(R"("resourceVersion":"9223372036854775807")") ==
          "node   rv=9223372036854775807 unknown" + end);
    for (const char* version : {"\"\"", "\"-1\"", "\"x\"", "\"9223372036854775808\"", "null", "[1]"})
      CHECK(item(R"("resourceVersion":)" + std::string(version)) == "node   rv=0 unknown" + end);
  }

  TEST_CASE("members of the wrong type are ignored") {
    CHECK(decode(R"({"kind":["Node"],"items":{"metadata":{"name":"a"}},"metadata":[{"name":"a"}],"object":7,)"
                 R"("type":{},"spec":"x","status":7,"code":true,"reason":null,"message":[]})") ==
          "message - rv=0 nodes=0\n");
    CHECK(decode(R"({"items":[7,[{"metadata":{"name":"a"}}],null,{"metadata":null},"x"]})") ==
          "node   rv=0 unknown\nmessage - rv=0 nodes=1\n");
    CHECK(
        item(
            R"("annotations":["flannel.alpha.coreos.com/public-ip"],"managedFields":{"fieldsV1":{}},"name":7)") ==
        "node   rv=0 unknown\nmessage - rv=0 nodes=1\n");
    CHECK(item(R"("annotations":{"flannel.alpha.coreos.com/public-ip":{"a":"b"}})") ==
          "node   rv=0 unknown\nmessage - rv=0 nodes=1\n");
    CHECK(decode("[" + kFull + "]") == "message - rv=0 nodes=0\n");
    CHECK(decode("\"text\" ") == "message - rv=0 nodes=0\n");
  }

  TEST_CASE("objects inside objects end at a limit of depth, not in memory of others") {
    std::string deep;
    for (int i = 0; i < 30; ++i) deep += R"({"object":)";
    CHECK(decode(deep + R"({"kind":"Status"})" + std::string(30, '}')) == "message - rv=0 nodes=0\n");
  }

  TEST_CASE("what is no JSON is bad") {
    CHECK(decode("Too many requests, please try again later.\n") == "bad\n");
    CHECK(decode(R"({"items":[{"metadata":{"name":"a"}}}})") == "node a  rv=0 unknown\nbad\n");
  }
}

}  // namespace flannelette::registry::kube
