// SPDX-License-Identifier: Apache-2.0
// The host-gw backend: its config, its records, what a peer is.
#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "flannelette/overlay/backend.hpp"
#include "flannelette/overlay/entry_plan.hpp"
#include "flannelette/overlay/state.hpp"
#include "unit/overlay_leases.hpp"

using namespace flannelette;
using namespace flannelette::overlay;
using namespace flannelette::tests;

namespace {

using Kind = Entry::Kind;

LocalNode gateway_node() {
  LocalNode local = local_node();
  local.config = config_of(R"({"Network":"10.64.0.0/16","Backend":{"Type":"Host-GW","VNI":"any"}})");
  local.mac.reset();
  return local;
}

/// At 172.30.x.y of the number.
LeaseRecord gateway(std::string_view key, unsigned number, std::int64_t create = 5, std::int64_t mod = 0) {
  LeaseRecord record = lease(key, number, create, mod);
  record.value = own_value(gateway_node().config, record.value.public_ip, {});
  return record;
}

std::string text_of(const LeaseValue& value) {
  return std::string(to_text<LeaseValue::kMaxText>([&](Writer& out) { write(out, value); }).view());
}

struct Changes final : ChangeSink {
  void change(const Change& change) override { all.push_back(change); }
  std::vector<Change> all;
};

/// A table, its plan, and what is written next.
struct Cluster {
  LeaseTable table;
  EntryPlan plan{table};
  Cluster() {
    table.set_local(gateway_node());
    Changes none;
    plan.begin_audit();
    plan.finish_audit(none);
    plan.commit();
  }
  std::vector<Change> written() {
    Changes changes;
    plan.plan(changes);
    plan.commit();
    return changes.all;
  }
};

Entry route(const char* subnet, const char* via) {
  Entry entry = Entry::route(*parse_net4(subnet), ip(via));
  entry.onlink = false;
  entry.underlay = true;
  return entry;
}

}  // namespace

TEST_SUITE("overlay/host-gw") {
  TEST_CASE("a config takes the type in any letter case, and has no keys of its own") {
    const NetworkConfig config = gateway_node().config;
    CHECK(config.backend == BackendType::kHostGw);
    CHECK(config.direct);
    CHECK(backend_of(config).type == "host-gw");
    CHECK_FALSE(bool(backend_of(config).device));
  }

  TEST_CASE("compat 1.10: our value is flanneld's byte for byte, without BackendData, and reads back") {
    const LeaseValue own = own_value(gateway_node().config, ip("172.30.0.11"), {});
    const LeaseValue value{ip("172.30.0.11"), BackendType::kHostGw, false, {}, {}};
    CHECK(text_of(own) == text_of(value));
    const std::string text = R"({"PublicIP":"172.30.0.11","PublicIPv6":null,"BackendType":"host-gw"})";
    CHECK(text_of(value) == text);
    CHECK(parse_lease_value(text) == value);
    // What flanneld passes over.
    CHECK(parse_lease_value(R"({"BackendData":null,"PublicIP":"172.30.0.11","BackendType":"host-gw"})") ==
          value);
    CHECK(
        parse_lease_value(
            R"({"BackendData":{"VtepMAC":"02:00:00:00:00:01"},"PublicIP":"172.30.0.11","BackendType":"host-gw"})") ==
        value);
    CHECK_FALSE(parse_lease_value(R"({"PublicIP":"172.30.0.11","BackendType":"host-gw","BackendData":})"));
  }

  TEST_CASE("BackendData may stand before or behind BackendType, the last one counts") {
    for (
        const char* text :
        {R"({"BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:07"},"BackendType":"vxlan"})",
         R"({"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:07"}})",
         R"({"BackendData":7,"BackendType":"vxlan","BackendData" : {"VNI":1,"VtepMAC":"02:00:00:00:00:07"} })"}) {
      const auto value = parse_lease_value(text);
      REQUIRE(value);
      CHECK(value->has_vxlan);
      CHECK(value->vni == 1);
      CHECK(value->mac == mac(7));
    }
  }

  TEST_CASE("records are checked as those of vxlan are, and those of another backend are no peers") {
    LeaseTable table;
    table.set_local(gateway_node());
    CHECK(table.upsert(gateway("10.64.5.0-24", 5)) == Ignored::kNo);
    CHECK(table.upsert(lease("10.64.6.0-24", 6)) == Ignored::kOtherBackend);
    CHECK(table.upsert(gateway("10.65.7.0-24", 7)) == Ignored::kBadSubnet);
    CHECK(table.upsert(gateway("10.64.1.0-25", 8)) == Ignored::kOverlapsOurs);
    CHECK(table.upsert(gateway("10.64.8.0-24", 1)) == Ignored::kOurPublicIp);
    CHECK(table.upsert(gateway("10.64.1.0-24", 1)) == Ignored::kOurs);
    LeaseRecord record = gateway("10.64.9.0-24", 9);
    record.value.public_ip = ip("224.0.0.1");
    CHECK(table.upsert(record) == Ignored::kBadPublicIp);
    record = gateway("10.64.10.0-24", 10);
    record.value.public_ip = ip("10.64.10.9");
    CHECK(table.upsert(record) == Ignored::kHoldsPublicIp);

    table.set_local(local_node());  // the network becomes a vxlan one
    CHECK(table.upsert(gateway("10.64.5.0-24", 5)) == Ignored::kOtherBackend);
    CHECK(table.upsert(lease("10.64.6.0-24", 6)) == Ignored::kNo);
  }

  TEST_CASE("records without a MAC do not conflict by it; overlaps and one PublicIP are resolved as ever") {
    LeaseTable table;
    table.set_local(gateway_node());
    for (unsigned i = 2; i < 60; ++i) table.upsert(gateway("10.64." + std::to_string(i) + ".0-24", i));
    CHECK(table.counts().peers == 58);
    table.upsert(gateway("10.64.60.0-24", 2, 5, 9));
    CHECK(table.counts().peers == 58);
    table.upsert(gateway("10.64.3.0-25", 70, 1));
    CHECK(table.counts().peers == 58);
    CHECK(ignored_of(table).size() == 2);
  }

  TEST_CASE(
      "a peer is one route by its PublicIP on the underlay; a new PublicIP replaces it, nothing else is "
      "written") {
    Cluster c;
    c.table.upsert(gateway("10.64.5.0-24", 5));
    auto written = c.written();
    REQUIRE(written.size() == 1);
    CHECK(written[0].puts(Kind::kRoute));
    CHECK(written[0].entry == route("10.64.5.0/24", "172.30.0.5"));
    CHECK(c.written().empty());

    c.table.upsert(gateway("10.64.5.0-24", 6, 5, 6));
    written = c.written();
    REQUIRE(written.size() == 1);
    CHECK(written[0].puts(Kind::kRoute));
    CHECK(written[0].entry == route("10.64.5.0/24", "172.30.0.6"));

    c.table.remove(gateway("10.64.5.0-24", 6).key, 7);
    written = c.written();
    REQUIRE(written.size() == 2);
    CHECK(written[0].removes(Kind::kRoute));
    CHECK(written[0].entry.underlay);
    CHECK(written[1].removes(Kind::kNexthop));
    CHECK(written[1].entry.underlay);
  }

  TEST_CASE("an audit keeps what is right, puts what is not, and removes what no peer wants") {
    Cluster c;
    for (unsigned i = 5; i < 10; ++i) c.table.upsert(gateway("10.64." + std::to_string(i) + ".0-24", i));
    c.written();
    c.plan.begin_audit();
    c.plan.audit_entry(route("10.64.5.0/24", "172.30.0.5"));
    c.plan.audit_entry(route("10.64.6.0/24", "172.30.0.66"));  // another gateway
    Entry on_device = Entry::route(*parse_net4("10.64.7.0/24"), ip("10.64.7.0"));
    c.plan.audit_entry(on_device);                         // of vxlan, before
    c.plan.audit_entry(route("10.64.8.0/24", "0.0.0.0"));  // through an object that is right
    c.plan.audit_entry(route("10.64.9.0/24", "0.0.0.0"));  // and one that is not
    c.plan.audit_entry(route("10.64.99.0/24", "172.30.0.99"));
    c.plan.audit_entry(route("10.99.0.0/24", "172.30.0.99"));  // of the Network before
    const auto object = [](const char* subnet, const char* via) {
      Entry entry = route(subnet, via);
      entry.kind = Kind::kNexthop;
      return entry;
    };
    c.plan.audit_entry(object("10.64.8.0/24", "172.30.0.8"));
    c.plan.audit_entry(object("10.64.9.0/24", "172.30.0.1"));
    Entry device_object = Entry::nexthop(*parse_net4("10.64.7.0/24"), ip("10.64.7.0"));
    c.plan.audit_entry(device_object);
    c.plan.audit_entry(Entry::neighbour(*parse_net4("10.64.7.0/32"), mac(7)));
    c.plan.audit_entry(Entry::fdb(mac(7), ip("172.30.0.7")));
    Changes changes;
    c.plan.finish_audit(changes);
    c.plan.commit();
    std::vector<std::string> put, removed;
    for (const Change& change : changes.all) {
      const std::string net(text_of(change.entry.net).view());
      if (change.op == Change::Op::kPut) {
        CHECK(change.entry.kind == Kind::kRoute);
        put.push_back(net);
      } else {
        removed.push_back(std::to_string(static_cast<int>(change.entry.kind)) + " " + net +
                          (change.entry.underlay ? " underlay" : ""));
      }
    }
    CHECK(put == std::vector<std::string>{"10.64.6.0/24", "10.64.7.0/24", "10.64.9.0/24"});
    CHECK(removed == std::vector<std::string>{"0 10.64.99.0/24 underlay", "0 10.99.0.0/24 underlay",
                                              "1 10.64.7.0/0", "2 10.64.7.0/0", "3 0.0.0.0/0"});
  }

  TEST_CASE("a refused route is news once, and again when the peer has another address") {
    Cluster c;
    c.table.upsert(gateway("10.64.5.0-24", 5));
    const Entry wanted = c.written().at(0).entry;
    CHECK(c.plan.refused(wanted));
    CHECK_FALSE(c.plan.refused(wanted));
    CHECK_FALSE(c.plan.refused(route("10.64.6.0/24", "172.30.0.6")));
    c.table.upsert(gateway("10.64.5.0-24", 6, 5, 6));
    CHECK(c.plan.refused(c.written().at(0).entry));
  }

  TEST_CASE("node and peers are remembered with their backend") {
    NodeState node;
    node.config = gateway_node().config;
    node.subnet = *gateway_node().subnet;
    node.public_ip = ip("172.30.0.1");
    const auto text = to_text<NodeState::kMaxText>([&](Writer& out) { write(out, node); });
    StateProblem problem{};
    CHECK(parse_node_state(text.view(), problem) == node);
    LeaseTable peers;
    peers.set_local(gateway_node());
    peers.upsert(gateway("10.64.5.0-24", 5));
    struct File final : Pieces {
      void piece(std::string_view piece) override { text += piece; }
      std::string text;
    } file;
    PeerStateSource(peers).write_to(file);
    LeaseTable read;
    read.set_local(gateway_node());
    PeerStateReader reader(&read);
    reader.piece(file.text);
    CHECK_FALSE(reader.problem());
    CHECK(read.counts().peers == 1);
    LeaseTable vxlan;
    vxlan.set_local(local_node());
    PeerStateReader again(&vxlan);
    again.piece(file.text);
    CHECK(vxlan.counts().peers == 0);
  }
}
