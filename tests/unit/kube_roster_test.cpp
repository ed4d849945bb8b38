// SPDX-License-Identifier: Apache-2.0
// Which Nodes are peers, and with which subnet: whom Kubernetes believes.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "flannelette/overlay/lease_table.hpp"
#include "registry/kube/roster.hpp"
#include "unit/manual_clock.hpp"

namespace flannelette::registry::kube {
namespace {

using overlay::LeaseKey;
using overlay::LeaseRecord;

std::string text(const LeaseKey& key) {
  return std::string(to_text<LeaseKey::kMaxText>([&](Writer& out) { write(out, key); }).view());
}

/// A Node by its metadata, as the watch brings it.
struct Sample {
  std::string name;
  std::string cidr;     ///< as managed fields show it
  std::string ip = "";  ///< empty: no flannel there
  std::int64_t created = 20261127101112;
  std::string uid = "";  ///< empty: the name

  Node metadata() const {
    Node node;
    node.name = std::string_view(name);
    node.uid = std::string_view(uid.empty() ? name : uid);
    node.created = created;
    node.resource_version = 1;
    node.managed_cidrs.add(cidr);
    const auto set = [&](Annotation annotation, std::string_view value) {
      node.annotations[static_cast<std::size_t>(annotation)] = value;
    };
    if (ip.empty()) return node;
    set(Annotation::kManager, "true");
    set(Annotation::kBackendType, "vxlan");
    set(Annotation::kBackendData, R"({"VNI":1,"VtepMAC":"02:00:00:00:00:07"})");
    set(Annotation::kPublicIp, ip);
    return node;
  }
  /// With the spec, which says `truth`.
  Node full(const std::string& truth) const {
    Node node = metadata();
    node.full = true;
    node.spec_cidrs.add(truth);
    return node;
  }
};

/// The roster in front of a lease table, and what it asks for.
struct Harness final : MemberListener, LogSink {
  ManualClock clock;
  io::Loop loop{clock};
  SystemRandom random;
  SystemFiles files;
  Log log{*this, clock, Level::kError};
  KubeAccess access{files};
  Core core{loop, clock, random, log, files, access, {}, {}, Text<Node::kMaxName>("own")};
  overlay::LeaseTable table;
  std::vector<std::string> asked, own;
  Roster roster{core, Roster::Ask::to<&Harness::ask>(this), Roster::OnOwn::to<&Harness::on_own>(this)};

  Harness() {
    core.members = this;
    roster.set_leases(table);
    overlay::LocalNode local{};
    local.config.network = *parse_net4("10.42.0.0/16");
    local.public_ip = *parse_ip4("172.30.0.1");
    local.subnet = *parse_net4("10.42.1.0/24");
    table.set_local(local);
  }
  void ask(std::string_view name) { asked.emplace_back(name); }
  void on_own(const Node& node, bool removed) {
    own.push_back((removed ? "-" : "+") + std::string(node.uid.view()));
  }
  void seen(const Sample& sample) { roster.on_node(sample.metadata(), false); }
  void gone(const Sample& sample) { roster.on_node(sample.metadata(), true); }
  void read(const Sample& sample, const std::string& truth) { roster.on_read(sample.full(truth)); }
  /// "10.42.7.0-24 at 172.30.0.7", one a line.
  std::string peers() const {
    struct Visitor final : overlay::LeaseTable::RecordVisitor {
      void record(const LeaseRecord& record) override {
        out += text(record.key) + " at " + std::string(text_of(record.value.public_ip).view()) + "\n";
      }
      std::string out;
    } visitor;
    table.visit_records(visitor);
    return visitor.out;
  }

  void on_snapshot_begin() override {}
  void on_snapshot_end() override {}
  void on_snapshot_abort() override {}
  void on_record(const LeaseRecord& record) override { table.upsert(record); }
  void on_removed(const LeaseKey& key, std::int64_t modified) override { table.remove(key, modified); }
  void on_events_end() override {}
  void on_skipped(std::string_view, Skipped) override {}
  void line(Level, std::string_view) override {}
};

}  // namespace

TEST_SUITE("registry/kube_roster") {
  TEST_CASE("a Node is a peer as long as flannel runs there") {
    Harness h;
    const Sample n7{"n7", "10.42.7.0/24", "172.30.0.7"};
    h.seen({"n7", "10.42.7.0/24"});
    CHECK(h.peers() == "");
    h.seen(n7);
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.7\n");
    h.seen({"n7", "10.42.7.0/24"});
    CHECK(h.peers() == "");
    h.seen(n7);
    h.gone(n7);
    CHECK(h.peers() == "");
    CHECK(h.asked.empty());
  }

  TEST_CASE("our own Node is no peer, and is passed on") {
    Harness h;
    h.seen({"own", "10.42.1.0/24", "172.30.0.1"});
    h.gone({"own", "10.42.1.0/24", "172.30.0.1"});
    CHECK(h.peers() == "");
    CHECK(h.own == std::vector<std::string>{"+own", "-own"});
  }

  TEST_CASE("a Node whose managed fields were stripped is read in full, once a uid") {
    Harness h;
    const Sample stripped{"n7", "", "172.30.0.7"};
    h.seen({"n7", ""});
    CHECK(h.asked.empty());  // no flannel there
    h.seen(stripped);
    CHECK(h.asked == std::vector<std::string>{"n7"});
    h.read(stripped, "10.42.7.0/24");
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.7\n");
    h.seen({"n7", "", "172.30.0.77"});
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.77\n");
    h.seen({"n7", ""});
    CHECK(h.peers() == "");
    h.seen(stripped);
    h.gone(stripped);
    CHECK(h.peers() == "");
    CHECK(h.asked.size() == 1);
    h.seen({"n7", "", "172.30.0.7", 20261128000000, "another"});
    CHECK(h.asked.size() == 2);
  }

  TEST_CASE("one that has no podCIDR yet is read again when it changes") {
    Harness h;
    const Sample stripped{"n7", "", "172.30.0.7"};
    h.seen(stripped);
    h.read(stripped, "");
    h.seen(stripped);
    CHECK(h.asked.size() == 2);
    h.read(stripped, "10.42.7.0/24");
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.7\n");
  }

  TEST_CASE("what a full read has shown is forgotten with the Node, also if that was deleted unseen") {
    Harness h;
    const Sample stripped{"n7", "", "172.30.0.7"};
    h.seen(stripped);
    h.read(stripped, "10.42.7.0/24");
    h.roster.begin_list();
    h.roster.end_list();
    h.seen(stripped);
    CHECK(h.asked.size() == 2);
  }

  TEST_CASE("a Node that shows another's subnet is read in full before it is believed") {
    Harness h;
    h.seen({"n7", "10.42.7.0/24", "172.30.0.7"});
    const Sample liar{"n8", "10.42.7.0/24", "172.30.0.8", 20261128000000};
    h.seen(liar);
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.7\n");
    CHECK(h.asked == std::vector<std::string>{"n8"});
    h.read(liar, "10.42.8.0/24");
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.7\n10.42.8.0-24 at 172.30.0.8\n");
    h.seen(liar);  // it is known now
    CHECK(h.asked.size() == 1);
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.7\n10.42.8.0-24 at 172.30.0.8\n");
  }

  TEST_CASE("a Node that shows a part of another's subnet is read, too") {
    Harness h;
    h.seen({"n7", "10.42.7.0/24", "172.30.0.7"});
    h.seen({"n8", "10.42.7.128/25", "172.30.0.8", 20261128000000});
    h.seen({"n9", "10.42.6.0/23", "172.30.0.9", 20261128000000});
    CHECK(h.asked == std::vector<std::string>{"n8", "n9"});
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.7\n");
  }

  TEST_CASE("one that was believed first is found out when the true one comes, and the true one gets in") {
    Harness h;
    const Sample liar{"n8", "10.42.7.0/24", "172.30.0.8", 20261128000000};
    const Sample honest{"n7", "10.42.7.0/24", "172.30.0.7"};
    h.seen(liar);
    h.seen(honest);
    CHECK(h.asked == std::vector<std::string>{"n7"});
    h.read(honest, "10.42.7.0/24");
    h.seen(liar);  // its next heartbeat
    CHECK(h.asked == std::vector<std::string>{"n7", "n8"});
    h.read(liar, "10.42.8.0/24");
    h.seen(honest);  // its next heartbeat
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.7\n10.42.8.0-24 at 172.30.0.8\n");
    CHECK(h.asked.size() == 2);
  }

  TEST_CASE("two Nodes that have one subnet in truth: the one made last has it, whatever they say and when") {
    Harness h;
    const Sample older{"n7", "10.42.7.0/24", "172.30.0.7"};
    const Sample newer{"n8", "10.42.7.0/24", "172.30.0.8", 20261128000000};
    h.seen(older);
    h.seen(newer);
    h.read(newer, "10.42.7.0/24");
    h.seen(older);
    h.read(older, "10.42.7.0/24");
    for (int heartbeats = 0; heartbeats < 3; ++heartbeats) {
      h.seen(older);
      h.seen(newer);
    }
    CHECK(h.asked.size() == 2);
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.8\n");
    h.gone(older);
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.8\n");
    h.gone(newer);
    h.seen(older);  // it was forgotten with its deletion, and this subnet is in doubt
    CHECK(h.asked.size() == 3);
    h.read(older, "10.42.7.0/24");
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.7\n");
  }

  TEST_CASE("a Node without flannel that shows a peer's subnet takes nothing away") {
    Harness h;
    h.seen({"n7", "10.42.7.0/24", "172.30.0.7"});
    h.seen({"n8", "10.42.7.0/24", "", 20261128000000});
    h.gone({"n8", "10.42.7.0/24", "", 20261128000000});
    CHECK(h.peers() == "10.42.7.0-24 at 172.30.0.7\n");
  }

  TEST_CASE("a Node that was made anew with the same name") {
    Harness h;
    h.seen({"n7", "10.42.7.0/24", "172.30.0.7", 20261127101112, "first"});
    h.gone({"n7", "10.42.7.0/24", "172.30.0.7", 20261127101112, "first"});
    h.seen({"n7", "10.42.9.0/24", "172.30.0.7", 20261128000000, "second"});
    CHECK(h.peers() == "10.42.9.0-24 at 172.30.0.7\n");
  }
}

}  // namespace flannelette::registry::kube
