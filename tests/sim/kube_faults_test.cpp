// SPDX-License-Identifier: Apache-2.0
// Faults of the API server at random, hundreds of them: after each one the kernel says again what the Nodes
// say, in time, and our own Nodes say what they should.
#include <algorithm>
#include <set>

#include "sim/kube_world.hpp"

using namespace flannelette;
using namespace flannelette::tests;

namespace {

constexpr Millis kHour = 3'600'000;
constexpr Millis kBackoffMax = registry::KubeRegistry::kBackoffMax;
constexpr const char* kHosts[] = {"10.0.0.1", "10.0.0.2"};
constexpr const char* kKinds[] = {"list", "page", "watch", "node", "patch"};
/// Peers have 10.5.<n>.0/24 to begin with, n from 2 to kPeers, and own Nodes that are made anew higher ones.
constexpr unsigned kPeers = 60;

/// Two nodes with two API servers, a token each that changes, and peers that are only Nodes.
class Faults {
 public:
  explicit Faults(Rng& chance) : rng(chance) {
    kube.filler = 300;
    kube.metadata_filler = 100;
    kube.tokens = {token()};
    for (SimNode* node : {&a, &b}) {
      world.use_token(*node, token());
      for (std::size_t i = 0; i < 2; ++i) node->kube_settings->servers[i] = {false, {kHosts[i]}, 6443};
      node->kube_settings->server_count = 2;
    }
    for (unsigned third = 10; third < 40; ++third) world.add_peer(third);
    a.start();
    b.start();
    REQUIRE(equal_within(15'000));
  }

  std::string token() const { return "token-" + std::to_string(tokens_); }
  void rotate() {
    ++tokens_;
    kube.tokens = {token()};
  }
  void bring_tokens() {
    for (SimNode* node : {&a, &b}) node->files.all[KubeWorld::kTokenFile] = token();
  }

  /// What the kernel of `node` should hold, by what the Nodes say.
  std::set<std::string> truth(const SimNode& node) const {
    std::set<std::string> lines;
    for (const auto& [name, it] : kube.nodes()) {
      const auto has = [&, &texts = it->annotations](const std::string& key) {
        const auto found = texts.find(key);
        return found == texts.end() ? std::string() : found->second;
      };
      if (name == node.kube_settings->node_name.view() || has(kManager) != "true" || it->pod_cidrs.empty())
        continue;
      const std::string data = has(kData), cidr = it->pod_cidrs.front();
      if (data.empty() || has(kPublicIp).empty()) continue;
      const std::string base = cidr.substr(0, cidr.find('/'));
      const std::string peer_mac = data.substr(data.size() - 19, 17);
      lines.insert("neighbour " + base + " " + peer_mac);
      lines.insert("fdb " + peer_mac + " " + has(kPublicIp));
      lines.insert("route " + cidr + " via " + base);
    }
    return lines;
  }
  static std::set<std::string> have(const SimNode& node) {
    std::set<std::string> lines;
    const std::string all = node.entries();
    for (std::size_t at = 0; at < all.size();) {
      const std::size_t end = all.find('\n', at);
      lines.insert(all.substr(at, end - at));
      at = end + 1;
    }
    return lines;
  }
  bool annotated(const SimNode& node) const {
    const KubeNode* own = kube.find(std::string(node.kube_settings->node_name.view()));
    return own != nullptr && !own->pod_cidrs.empty() && own->annotations.count(kData) != 0 &&
           own->annotations.at(kData) == KubeWorld::data_of(node.mac()) &&
           own->annotations.count(kManager) != 0 && own->annotations.at(kManager) == "true" &&
           own->annotations.at(kPublicIp) == std::string(text_of(node.address).view()) &&
           own->pod_cidrs.front() == node.subnet_text();
  }
  bool equal(const SimNode& node) const {
    return node.running() && annotated(node) && have(node) == truth(node);
  }
  std::string differences(const SimNode& node) const {
    std::string text = std::string(name(node.state())) + (annotated(node) ? "" : ", not annotated") + "\n";
    const auto wanted = truth(node), there = have(node);
    for (const std::string& line : wanted) text += there.count(line) == 0 ? "missing " + line + "\n" : "";
    for (const std::string& line : there) text += wanted.count(line) == 0 ? "too much " + line + "\n" : "";
    const auto& log = node.log.lines;
    for (std::size_t i = log.size() > 25 ? log.size() - 25 : 0; i < log.size(); ++i) text += log[i] + "\n";
    return text;
  }
  bool equal_within(Millis limit) {
    Millis step = 100;
    for (Millis passed = 0; !(equal(a) && equal(b)); passed += step) {
      if (passed >= limit) return false;
      if (passed >= 10'000) step = 2'000;
      world.advance(step);
    }
    return true;
  }
  void settle(Millis limit) {
    const bool settled = equal_within(limit);
    REQUIRE_MESSAGE(settled, "after ", limit, " ms: ", differences(a), differences(b));
  }

  /// Peers come, go and change.
  void churn(std::uint64_t most = 8) {
    for (std::uint64_t n = rng.below(most + 1); n > 0; --n) {
      const auto third = static_cast<unsigned>(3 + rng.below(kPeers - 3));
      const std::string name = KubeWorld::peer_name(third);
      const KubeNode* it = kube.find(name);
      if (it == nullptr) {
        kube.create(name, {}, rng.one_in(2) ? KubeWorld::annotations_of(third) : Texts{});
        kube.assign_pod_cidrs(name, {KubeWorld::cidr(third)});
        kube.annotate(name, KubeWorld::annotations_of(third));
      } else if (rng.one_in(4)) {
        kube.remove(name);
      } else if (rng.one_in(4)) {
        const unsigned other = it->pod_cidrs.front() == KubeWorld::cidr(third) ? third + 100 : third;
        kube.recreate(name, {KubeWorld::cidr(other)}, KubeWorld::annotations_of(third));
      } else if (rng.one_in(3)) {
        kube.annotate(name, {{kManager, it->annotations.at(kManager) == "true" ? "false" : "true"}});
      } else if (rng.one_in(2)) {
        const unsigned number = third + 256 * static_cast<unsigned>(1 + rng.below(40));
        kube.annotate(name, KubeWorld::annotations_of(number));
      } else {
        kube.heartbeat(name);
      }
      if (rng.one_in(3)) world.advance(static_cast<Millis>(rng.below(80)));
    }
  }
  Millis between(Millis least, Millis most) {
    return least + static_cast<Millis>(rng.below(static_cast<std::uint64_t>(most - least + 1)));
  }
  void all_down(bool down) {
    for (const char* host : kHosts) kube.set_down(host, down);
  }
  std::string kind() { return kKinds[rng.below(std::size(kKinds))]; }
  /// One of the requests, or two, or the watch: made to happen.
  void provoke() {
    if (rng.one_in(2)) kube.compact();
    if (rng.one_in(2)) kube.remove_annotations("node-1", {kManager});
    kube.cut_all();
    churn();
  }
  void forget() {
    kube.pass_revisions(1);
    kube.compact();
  }

  using Texts = ScriptedKube::Texts;
  Rng& rng;
  KubeWorld world;
  ScriptedKube& kube = world.kube;
  SimNode& a = world.add(1);
  SimNode& b = world.add(2);
  unsigned next_own = 200;

 private:
  unsigned tokens_ = 1;
};

/// Own annotations that are wiped again and again are written with a back-off.
constexpr Millis kWiped = 65'000;

/// Each makes its fault and ends it; the result is how long the tables may take from then on.
using Fault = Millis (*)(Faults&);
struct Kind {
  const char* name;
  Fault fault;
};

Millis http_answers(Faults& f, const std::string& raw) {
  const auto times = static_cast<Millis>(1 + f.rng.below(3));
  for (Millis n = 0; n < times; ++n) f.kube.answer_next(f.kind(), raw);
  f.provoke();
  // A watch that is silent after half of what was promised is one until it should have ended, and the next
  // one may be such a one, too.
  return times * (2 * registry::KubeRegistry::kWatchMin + registry::KubeRegistry::kWatchGrace) + kWiped;
}

const Kind kFaults[] = {
    {"nothing but churn",
     [](Faults& f) -> Millis {
       f.churn(40);
       return 3'000;
     }},
    {"cut at any byte",
     [](Faults& f) -> Millis {
       f.kube.cut_after(f.rng.below(30'000));
       f.provoke();
       f.world.advance(f.between(0, 2'000));
       f.kube.clear_faults();
       return kWiped;
     }},
    {"cuts in a row",
     [](Faults& f) -> Millis {
       for (std::uint64_t n = 1 + f.rng.below(5); n > 0; --n) {
         f.kube.cut_all();
         f.churn(3);
         f.world.advance(f.between(0, 300));
       }
       return kBackoffMax + 3'000;
     }},
    {"delay",
     [](Faults& f) -> Millis {
       f.kube.delay = f.between(50, 1'500);
       if (f.rng.one_in(2)) f.kube.cut_all();
       f.churn();
       // Where managed fields are stripped, new peers are read one after another.
       const Millis limit = kBackoffMax + 5'000 + (f.kube.strip_managed_fields ? 80 : 20) * f.kube.delay;
       f.settle(limit);
       f.kube.delay = 0;
       f.churn();
       return limit;
     }},
    {"servers go and come, in any order",
     [](Faults& f) -> Millis {
       const std::size_t first = f.rng.below(2);
       f.kube.set_down(kHosts[first], true);
       f.churn();
       f.settle(2 * kBackoffMax + 3'000);
       f.kube.set_down(kHosts[first], false);
       f.kube.set_down(kHosts[1 - first], true);
       f.churn();
       f.settle(2 * kBackoffMax + 3'000);
       f.all_down(false);
       return 6'000;
     }},
    {"restart",
     [](Faults& f) -> Millis {
       f.kube.restart(f.rng.one_in(2));
       f.all_down(true);
       f.world.advance(f.between(100, 10'000));
       f.churn();
       f.all_down(false);
       return kBackoffMax + 2'000;
     }},
    {"partition",
     [](Faults& f) -> Millis {
       f.all_down(true);
       f.world.advance(f.between(10'000, 300'000));
       f.churn();
       if (f.rng.one_in(2)) f.forget();
       f.world.advance(f.between(0, 60'000));
       f.all_down(false);
       return kBackoffMax + 2'000;
     }},
    {"packets are dropped, then the kernel gives the connections up",
     [](Faults& f) -> Millis {
       f.kube.silence(true);
       f.churn();
       f.world.advance(f.between(5'000, 90'000));
       f.kube.silence(false);
       f.kube.cut_all();
       return 15'000;
     }},
    {"refusals",
     [](Faults& f) -> Millis {
       constexpr int kCodes[] = {400, 401, 403, 404, 408, 409, 410, 422, 429, 500, 502, 503, 504};
       for (std::uint64_t n = 1 + f.rng.below(4); n > 0; --n) {
         f.kube.refuse_next(f.kind(), {kCodes[f.rng.below(std::size(kCodes))], "Because", "of chance",
                                       static_cast<int>(f.rng.below(4))});
       }
       f.provoke();
       // What a 404 said wrongly of a Node is over with its next change.
       for (int n = 0; n < 6; ++n) {
         f.world.advance(f.between(1'000, 20'000));
         f.kube.heartbeat_all();
       }
       return 4 * kBackoffMax + kWiped;
     }},
    {"errors within the watch",
     [](Faults& f) -> Millis {
       constexpr int kCodes[] = {410, 410, 429, 500, 504};
       f.kube.fail_watches({kCodes[f.rng.below(5)], "Because", "of chance"});
       f.churn();
       return kBackoffMax + 2'000;
     }},
    {"answers that are lost, or come late",
     [](Faults& f) -> Millis {
       for (std::uint64_t n = 1 + f.rng.below(3); n > 0; --n) {
         if (f.rng.one_in(2)) {
           f.kube.lose_answer(f.kind(), f.rng.one_in(2));
         } else {
           f.kube.hold_answer(f.kind());
         }
       }
       f.provoke();
       return 3 * kBackoffMax + kWiped;
     }},
    {"what is no HTTP, or no JSON",
     [](Faults& f) -> Millis {
       constexpr const char* kRaw[] = {
           "SSH-2.0-OpenSSH_9.2\r\n",
           "\x15\x03\x01\x00\x02\x02\x50",
           "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
           "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n{\"kind\":\"NodeList\"",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
           "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[[[[[\r\n0\r\n\r\n"};
       return http_answers(f, kRaw[f.rng.below(std::size(kRaw))]);
     }},
    {"an endless answer to a request",
     [](Faults& f) -> Millis {
       constexpr const char* kRequests[] = {"list", "node", "patch"};
       f.kube.drip_next(kRequests[f.rng.below(3)]);
       f.provoke();
       return registry::KubeRegistry::kPageLimit + kWiped;
     }},
    {"the token is rotated",
     [](Faults& f) -> Millis {
       f.rotate();
       if (f.rng.one_in(2)) f.bring_tokens();
       if (f.rng.one_in(2)) f.kube.end_watches();
       f.churn();
       f.world.advance(f.between(0, 20'000));
       f.bring_tokens();
       return kBackoffMax + 3'000;
     }},
    {"a right is taken away and given back",
     [](Faults& f) -> Millis {
       constexpr const char* kRights[] = {"list nodes", "watch nodes", "get nodes", "patch nodes/status"};
       f.kube.denied = {kRights[f.rng.below(4)]};
       f.provoke();
       f.world.advance(f.between(0, 60'000));
       f.kube.denied.clear();
       return kWiped;
     }},
    {"managed fields are stripped from now on, or no more",
     [](Faults& f) -> Millis {
       f.kube.strip_managed_fields = !f.kube.strip_managed_fields;
       f.kube.heartbeat_all();  // in the event that strips them flannel is there still
       f.world.advance(100);
       if (f.rng.one_in(2)) f.provoke();
       f.churn();
       return kWiped;
     }},
    {"our Node is made anew",
     [](Faults& f) -> Millis {
       if (f.rng.one_in(3)) f.all_down(true);
       f.kube.remove("node-1");
       f.world.advance(f.between(0, 20'000));
       f.kube.create("node-1", {});
       if (f.rng.one_in(2)) f.world.advance(f.between(0, 20'000));
       f.kube.assign_pod_cidrs("node-1", {KubeWorld::cidr(f.rng.one_in(2) ? 1 : 200 + f.next_own++ % 50)});
       if (f.rng.one_in(2)) f.forget();
       f.all_down(false);
       return 2 * kWiped;  // a back-off until its podCIDR is seen, and one until it is written again
     }},
    {"our annotations are wiped",
     [](Faults& f) -> Millis {
       if (f.rng.one_in(3)) f.all_down(true);
       f.kube.remove_annotations("node-1", {kManager, kData, kPublicIp});
       if (f.rng.one_in(2)) f.kube.remove_annotations("node-2", {kData});
       f.world.advance(f.between(0, 5'000));
       if (f.rng.one_in(2)) f.forget();
       f.all_down(false);
       return kWiped;
     }},
    {"the program is restarted",
     [](Faults& f) -> Millis {
       f.a.restart();
       f.churn();
       return 8'000;
     }},
    {"another address",
     [](Faults& f) -> Millis {
       f.b.change_address(ip("172.30.9." + std::to_string(1 + f.rng.below(200))));
       if (f.rng.one_in(2)) f.provoke();
       return kWiped;
     }},
    {"the store is restored from a backup",
     [](Faults& f) -> Millis {
       const ScriptedKube::Nodes then = f.kube.nodes();
       const std::int64_t revision = f.kube.revision();
       f.churn();
       f.world.advance(f.between(0, 5'000));
       f.kube.go_back_to(then, revision);
       // What happens before it is noticed cannot be told from what is known: revisions are given out again.
       // It is not noticed at once where the tables are equal all the same.
       f.world.advance(11 * 60'000);
       return 3'000;
     }},
};

}  // namespace

TEST_SUITE("agent/kube_faults") {
  TEST_CASE("400 faults at random: after each the kernel says what the Nodes say, and the log stays small") {
    const int count = rounds(400);
    Rng rng;
    Faults f(rng);
    const Millis started = f.world.clock.time;
    for (int round = 0; round < count; ++round) {
      const Kind& kind =
          kFaults[round < static_cast<int>(std::size(kFaults)) ? static_cast<std::size_t>(round)
                                                               : rng.below(std::size(kFaults))];
      CAPTURE(round);
      CAPTURE(std::string(kind.name));
      f.kube.piece = rng.one_in(3) ? 1 + rng.below(60) : 0;
      f.kube.chunk_size = 1 + rng.below(9'000);
      f.settle(kind.fault(f));
      f.kube.clear_faults();
      REQUIRE(f.world.run_until([&] { return f.kube.watch_count() == 2 && !f.kube.answering_wrongly(); },
                                11 * 60'000));
      f.world.advance(6'000);
      if (rng.one_in(4)) f.world.advance(f.between(0, 300'000));
      f.kube.pass_revisions(static_cast<std::int64_t>(rng.below(20)));
    }
    const auto hours = static_cast<double>(f.world.clock.time - started) / kHour;
    MESSAGE(count, " faults in ", hours, " hours; lines of log: ", f.a.log.lines.size(), " and ",
            f.b.log.lines.size(), "; requests: ", f.kube.requests());
    CHECK(static_cast<double>(f.a.log.lines.size()) < 300 * hours);
    CHECK(static_cast<double>(f.b.log.lines.size()) < 300 * hours);
    CHECK_FALSE(f.a.log.has("token-"));

    // And then there is peace.
    f.world.advance(60'000);
    f.kube.reset_counts();
    f.world.advance(kHour);
    CHECK(f.kube.requests() == f.kube.requests("watch"));
    CHECK(f.kube.requests() <= 2 * 12);
  }
}
