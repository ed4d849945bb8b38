// SPDX-License-Identifier: Apache-2.0
// The whole registry in etcd, with its two connections, the clock and the agent's calls as the input says: it
// keeps the rules of its seam, writes under a condition only, and is never in a hot loop.
//
// Each byte is a step, some take more bytes: a connection opens or ends, a piece of an answer arrives (well
// formed with numbers of the input's, or its raw bytes), time passes, the agent calls.
#include "flannelette/registry/etcd.hpp"

#include "seam.hpp"

using namespace flannelette;
using namespace flannelette::fuzz;

namespace {

bool allowed(std::string_view request) {
  if (request.find("/v3/kv/txn ") != request.npos && request.find("\"compare\":[{") == request.npos)
    return false;
  return request.find("delete") == request.npos && request.find("/v3/kv/put") == request.npos;
}

struct World {
  FuzzClock clock;
  NoSink sink;
  Log log{sink, clock, Level::kDebug};
  io::Loop loop{clock};
  FuzzRandom random;
  FuzzStream requests;
  FuzzStream watch;
  Agent agent;
  bool joined = false;
  registry::EtcdRegistry registry{loop, random, log, requests, watch, settings()};

  static registry::EtcdSettings settings() {
    registry::EtcdSettings made;
    made.endpoints[0] = {false, {"192.0.2.1"}, 2379};
    made.endpoints[1] = {false, {"192.0.2.2"}, 2379};
    made.endpoint_count = 2;
    made.prefix = "/n";
    made.lease_ttl_seconds = 600;
    return made;
  }

  World() { requests.allowed = watch.allowed = allowed; }
  void pass(Millis time) { fuzz::pass(time, clock, loop, requests, watch); }
};

std::string header(Input& input) {
  return R"("header":{"cluster_id":"1","raft_term":"2","revision":")" + number(input) + "\"}";
}

/// A record at /n/subnets/10.5.<0..3>.0-24, or a foreign key.
std::string pair(Input& input) {
  static constexpr std::array<const char*, 5> kKeys{
      "L24vc3VibmV0cy8xMC41LjAuMC0yNA==", "L24vc3VibmV0cy8xMC41LjEuMC0yNA==",
      "L24vc3VibmV0cy8xMC41LjIuMC0yNA==", "L24vc3VibmV0cy8xMC41LjMuMC0yNA==", "L24vc3VibmV0cy9h"};
  static constexpr std::array<const char*, 3> kValues{
      "e30=", "eyJQdWJsaWNJUCI6IjE5Mi4wLjIuOSIsIkJhY2tlbmRUeXBlIjoidnhsYW4ifQ==", "bm8ganNvbg=="};
  std::string out = R"({"key":")" + std::string(kKeys[input.byte() % kKeys.size()]);
  out += R"(","value":")" + std::string(kValues[input.byte() % kValues.size()]);
  out += R"(","create_revision":")" + number(input);
  out += R"(","mod_revision":")" + number(input);
  return out + R"(","lease":")" + number(input) + "\"}";
}

std::string pairs(Input& input, const char* before, const char* after) {
  std::string out;
  for (int left = input.byte() % 4; left > 0; --left)
    out += (out.empty() ? "" : ",") + (before + pair(input)) + after;
  return "[" + out + "]";
}

std::string body(Input& input) {
  switch (input.byte() % 12) {
    case 0: return "{" + header(input) + R"(,"kvs":)" + pairs(input, "", "") + "}";
    case 1: return "{" + header(input) + R"(,"more":true,"kvs":)" + pairs(input, "", "") + "}";
    case 2:  // {"Network":"10.5.0.0/16"}
      return "{" + header(input) +
             R"(,"kvs":[{"key":"L24vY29uZmln","value":"eyJOZXR3b3JrIjoiMTAuNS4wLjAvMTYifQ=="}]})";
    case 3: return "{" + header(input) + R"(,"succeeded":true})";
    case 4:
      return "{" + header(input) + R"(,"responses":[{"response_range":{"kvs":)" + pairs(input, "", "") +
             "}}]}";
    case 5: return "{" + header(input) + R"(,"ID":")" + number(input) + R"(","TTL":"600"})";
    case 6: return R"({"result":{"ID":")" + number(input) + R"(","TTL":")" + number(input) + "\"}}";
    case 7: return R"({"result":{)" + header(input) + R"(,"created":true}})";
    case 8: {
      const char* type = (input.byte() & 1) != 0 ? R"({"type":"DELETE","kv":)" : R"({"kv":)";
      const char* fragment = (input.byte() & 3) == 0 ? R"(,"fragment":true,"events":)" : R"(,"events":)";
      return R"({"result":{)" + header(input) + fragment + pairs(input, type, "}") + "}}";
    }
    case 9:
      return R"({"result":{)" + header(input) + R"(,"canceled":true,"compact_revision":")" + number(input) +
             "\"}}";
    case 10: return R"({"error":"x","message":"x","code":)" + std::to_string(input.byte() % 18) + "}";
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
    case 10: return world.pass(input.byte() * 60'000);
    case 11: return world.registry.reconnect();
    case 12:
    case 13: {
      if (!world.agent.snapshot || world.agent.stopped || std::exchange(world.joined, true)) return;
      registry::Hints hints{.leases = &world.agent.table};
      if ((what & 16) != 0) hints.subnet = *parse_net4("10.5.1.0/24");
      if ((what & 32) != 0) hints.device_mac = Mac{{2, 0, 0, 0, 0, 1}};
      return world.registry.join({Ip4{0xc0000209}}, hints);
    }
    case 14: return world.registry.update({Ip4{0xc0000200u + input.byte() % 3}});
    default:
      if (input.byte() % 8 != 0) return;
      world.registry.stop();
      world.agent.stopped = true;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World world;
  world.registry.start(world.agent, world.agent);
  world.registry.follow();
  Input input{{reinterpret_cast<const char*>(data), size}};
  while (!input.bytes.empty()) step(input, world);
  world.pass(120'000);
  world.registry.stop();
  world.agent.stopped = true;
  world.pass(3'600'000);
  return 0;
}
