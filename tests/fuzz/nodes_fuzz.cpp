// SPDX-License-Identifier: Apache-2.0
// The whole registry in Kubernetes, with its two connections, the clock, the config file and the agent's
// calls as the input says: it keeps the rules of its seam, patches our Node alone and under the condition of
// its uid, and is never in a hot loop.
//
// Each byte is a step, some take more bytes: a connection opens or ends, a piece of an answer arrives (well
// formed with Nodes of the input's, or its raw bytes), time passes, the agent calls.
#include "flannelette/registry/kube.hpp"
#include "seam.hpp"

using namespace flannelette;
using namespace flannelette::fuzz;

namespace {

bool allowed(std::string_view request) {
  if (request.starts_with("GET /api/v1/nodes")) return true;
  return request.starts_with("PATCH /api/v1/nodes/n0/status HTTP/1.1\r\n") &&
         request.find("\"uid\":\"") != request.npos;
}

/// The config, as the input changes it.
struct FuzzFiles final : Files {
  static constexpr std::array<std::string_view, 4> kTexts{
      R"({"Network":"10.5.0.0/16","Backend":{"Type":"vxlan"}})", R"({"Network":"10.5.0.0/16","MTU":1})",
      R"({"Network":)", R"({"Network":"10.6.0.0/16"})"};
  Result<std::optional<std::string_view>> read(std::string_view, std::span<char> buffer) override {
    if (text.empty()) return std::optional<std::string_view>();
    std::ranges::copy(text, buffer.begin());
    return std::optional(std::string_view(buffer.data(), text.size()));
  }
  Result<bool> read_pieces(std::string_view, std::uint64_t, Pieces&) override { return false; }
  Result<void> replace_with(std::string_view, PieceSource&, unsigned) override { return {}; }
  Result<void> write_in_place(std::string_view, std::string_view) override { return {}; }
  std::string_view text = kTexts[0];
};

struct World {
  FuzzClock clock;
  NoSink sink;
  Log log{sink, clock, Level::kDebug};
  io::Loop loop{clock};
  FuzzRandom random;
  FuzzFiles files;
  FuzzStream requests;
  FuzzStream watch;
  Agent agent;
  bool joined = false;
  registry::KubeAccess access{files};
  std::optional<registry::KubeRegistry> registry;

  World() {
    requests.allowed = watch.allowed = allowed;
    agent.follows_config = agent.given = true;
    registry::KubeSettings settings;
    settings.servers[0] = {false, {"127.0.0.1"}, 8080};
    settings.servers[1] = {false, {"127.0.0.2"}, 8080};
    settings.server_count = 2;
    settings.node_name = "n0";
    Text<512> problem;
    must(static_cast<bool>(access.load(settings, problem)));
    registry.emplace(loop, clock, random, log, files, access, requests, watch, settings);
  }
  void pass(Millis time) { fuzz::pass(time, clock, loop, requests, watch); }
};

/// n0 (our own) to n3, with a podCIDR shown, stripped, or another's; as metadata or in full.
std::string node(Input& input, bool full) {
  const std::uint8_t what = input.byte();
  const std::string index = std::to_string(what & 3);
  const std::string shown = std::to_string((what >> 2) & 3);
  std::string out = R"("metadata":{"name":"n)" + index + R"(","uid":"u)" + std::to_string(what >> 6);
  out += R"(","resourceVersion":")" + number(input);
  out += R"(","creationTimestamp":"2026-11-27T10:11:1)" + index + "Z\"";
  const std::uint8_t how = input.byte();
  if ((how & 1) != 0) {
    out += R"(,"annotations":{"flannel.alpha.coreos.com/kube-subnet-manager":"true")";
    out +=
        R"(,"flannel.alpha.coreos.com/backend-type":"vxlan","flannel.alpha.coreos.com/public-ip":"192.0.2.)" +
        index + "\"";
    out += R"(,"flannel.alpha.coreos.com/backend-data":"{\"VNI\":1,\"VtepMAC\":\"02:00:00:00:00:0)" +
           std::to_string((how >> 1) & 3) + "\\\"}\"";
    if ((how & 8) != 0) out += R"(,"flannel.alpha.coreos.com/public-ip-overwrite":"192.0.2.99")";
    out += "}";
  }
  if ((how & 16) != 0) {
    out += R"(,"managedFields":[{"fieldsV1":{"f:spec":{"f:podCIDRs":{"v:\"10.5.)" + shown +
           R"(.0/24\"":{}}}}}])";
  }
  out += "}";
  if (full && (how & 32) != 0) out += R"(,"spec":{"podCIDRs":["10.5.)" + index + R"(.0/24"]})";
  if (full && (how & 64) != 0)
    out += R"(,"status":{"conditions":[{"type":"NetworkUnavailable","status":"False"}]})";
  return "{" + out;
}

std::string list(Input& input, const char* kind) {
  std::string items;
  for (int left = input.byte() % 5; left > 0; --left)
    items += (items.empty() ? "" : ",") + node(input, false) + "}";
  const bool more = (input.byte() & 3) == 0;
  return R"({"kind":")" + std::string(kind) + R"(","metadata":{"resourceVersion":")" + number(input) + "\"" +
         (more ? R"(,"continue":"abc")" : "") + R"(},"items":[)" + items + "]}";
}

std::string body(Input& input) {
  static constexpr std::array<const char*, 5> kEvents{"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "OTHER"};
  static constexpr std::array<int, 8> kCodes{401, 403, 404, 409, 410, 422, 429, 504};
  const auto status = [&] {
    return R"({"kind":"Status","code":)" + std::to_string(kCodes[input.byte() % kCodes.size()]) +
           R"(,"message":"no"})";
  };
  const std::uint8_t what = input.byte();
  switch (what % 8) {
    case 0:
    case 1: return list(input, "PartialObjectMetadataList");
    case 2: return list(input, "NodeList");
    case 3: return node(input, true) + R"(,"kind":"Node"})";
    case 4: return node(input, false) + R"(,"kind":"PartialObjectMetadata"})";
    case 5:
      return R"({"type":")" + std::string(kEvents[input.byte() % kEvents.size()]) + R"(","object":)" +
             node(input, false) + R"(,"kind":"PartialObjectMetadata"}})";
    case 6: return (what & 8) != 0 ? status() : R"({"type":"ERROR","object":)" + status() + "}";
    default: return std::string(input.take(input.byte()));
  }
}

void answer(Input& input, FuzzStream& stream) {
  const std::uint8_t how = input.byte();
  std::string text = body(input);
  if ((how & 8) != 0) text += body(input);
  fuzz::answer(how, text, stream);
}

void step(Input& input, World& world) {
  const std::uint8_t what = input.byte();
  FuzzStream& stream = (what & 0x80) != 0 ? world.watch : world.requests;
  switch (what & 0x0f) {
    case 0:
    case 1:
    case 2:
    case 3:
      world.pass(0);
      stream.accept();
      return answer(input, stream);
    case 4: return stream.accept();
    case 5: return stream.end({Code::kClosed, 0, "closed"});
    case 6: return stream.end({Code::kSystem, 111, "connect"});
    case 7: return stream.send(std::string(input.take(input.byte() % 64)), false);
    case 8: return world.pass(input.byte());
    case 9: return world.pass(input.byte() * 1'000);
    case 10: return world.pass(input.byte() * 10'000);
    case 11: return world.registry->reconnect();
    case 12:
    case 13: {
      if (!world.agent.snapshot || world.agent.stopped || std::exchange(world.joined, true)) return;
      registry::Hints hints{.leases = &world.agent.table};
      if ((what & 32) != 0) hints.device_mac = Mac{{2, 0, 0, 0, 0, 1}};
      return world.registry->join({Ip4{0xc0000209}}, hints);
    }
    case 14:
      if ((what & 16) != 0) return world.registry->announce_ready();
      if ((what & 32) != 0) return world.registry->update({Ip4{0xc0000200u + input.byte() % 3}});
      world.files.text = (what & 64) != 0 ? FuzzFiles::kTexts[input.byte() % FuzzFiles::kTexts.size()] : "";
      return;
    default:
      if (input.byte() % 8 != 0) return;
      world.registry->stop();
      world.agent.stopped = true;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World world;
  world.registry->start(world.agent, world.agent);
  world.registry->follow();
  Input input{{reinterpret_cast<const char*>(data), size}};
  while (!input.bytes.empty()) step(input, world);
  world.pass(120'000);
  world.registry->stop();
  world.agent.stopped = true;
  world.pass(3'600'000);
  return 0;
}
