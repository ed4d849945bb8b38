// SPDX-License-Identifier: Apache-2.0
#include "flannelette/overlay/state.hpp"

#include <doctest/doctest.h>

#include <string>

#include "unit/overlay_leases.hpp"

using namespace flannelette;
using namespace flannelette::overlay;
using namespace flannelette::tests;

namespace {

NodeState some_node() {
  NodeState node;
  node.config = local_node().config;
  node.config.vni = 7;
  node.config.port = 4789;
  node.config.mtu = 1400;
  node.config.gbp = true;
  node.subnet = {{0x0a400500}, 24};
  node.mac = mac(5);
  node.public_ip = {0xc0000205};
  return node;
}

std::string text_of(const NodeState& node) {
  return std::string(to_text<NodeState::kMaxText>([&](Writer& out) { write(out, node); }).view());
}

struct Collector final : Pieces {
  void piece(std::string_view piece_text) override { text += piece_text; }
  std::string text;
};

std::string file_of(const LeaseTable& peers) {
  Collector out;
  PeerStateSource(peers).write_to(out);
  return out.text;
}

std::optional<StateProblem> problem_of(const std::string& file, std::size_t step = SIZE_MAX) {
  PeerStateReader reader;
  for (std::size_t at = 0; at < file.size(); at += std::min(step, file.size())) {
    reader.piece(std::string_view(file).substr(at, step));
  }
  return reader.problem();
}

void fill(LeaseTable& peers) {
  peers.set_local(local_node());
  for (unsigned i = 1; i <= 6; ++i) {  // the first is our own
    LeaseRecord record = lease("10.64." + std::to_string(i) + ".0-24", i);
    record.created = 1000 + i;
    record.modified = 2000 + i;
    if (i == 2) record.value.vni.reset();
    if (i == 3) record.key.subnet6 = Net6{};
    peers.upsert(record);
  }
}

struct Lister final : LeaseTable::RecordVisitor {
  void record(const LeaseRecord& r) override { all.push_back(r); }
  std::vector<LeaseRecord> all;
};
std::vector<LeaseRecord> records_of(const LeaseTable& peers) {
  Lister lister;
  peers.visit_records(lister);
  return lister.all;
}

}  // namespace

TEST_SUITE("overlay/state") {
  TEST_CASE("a node's state is read as it was written, and looks like this") {
    const NodeState node = some_node();
    const std::string text = text_of(node);
    CHECK(text.starts_with("flannelette node 1\nnetwork 10.64.0.0/16\nsubnet-len 24\n"));
    CHECK(text.find("\nsubnet 10.64.5.0/24\nmac 02:00:00:00:00:05\npublic-ip 192.0.2.5\ncrc ") != text.npos);
    StateProblem problem{};
    const auto read = parse_node_state(text, problem);
    REQUIRE(read);
    CHECK(*read == node);
  }

  TEST_CASE("the state of a node that was given a subnet of some length") {
    NodeState node = some_node();
    node.config.subnet_len = 0;
    node.subnet = *parse_net4("10.64.5.64/26");
    StateProblem problem{};
    const auto read = parse_node_state(text_of(node), problem);
    REQUIRE(read);
    CHECK(*read == node);
    node.subnet = node.config.network;
    CHECK_FALSE(parse_node_state(text_of(node), problem));
  }

  TEST_CASE("files of 0.1.0 are read") {
    StateProblem problem{};
    const auto node = parse_node_state(
        "flannelette node 1\nnetwork 10.64.0.0/16\nsubnet-len 24\nsubnet-min 10.64.1.0\nsubnet-max "
        "10.64.255.0\n"
        "vni 7\nport 4789\nmtu 1400\nlearning 0\ngbp 1\nsubnet 10.64.5.0/24\nmac 02:00:00:00:00:05\n"
        "public-ip 192.0.2.5\ncrc b9f655aa\n",
        problem);
    REQUIRE(node);
    CHECK(*node == some_node());

    const unsigned char bytes[] = {
        0x66, 0x6c, 0x61, 0x6e, 0x6e, 0x65, 0x6c, 0x65, 0x74, 0x74, 0x65, 0x20, 0x70, 0x65, 0x65, 0x72,
        0x73, 0x20, 0x31, 0x0a, 0x8e, 0x58, 0x49, 0x08, 0x00, 0x00, 0x00, 0x05, 0x0a, 0x40, 0x02, 0x00,
        0x18, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0xac, 0x1e, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x03, 0xea, 0x00, 0x00, 0x00, 0x00, 0x07, 0xd2, 0x0a, 0x40, 0x03, 0x00,
        0x18, 0x03, 0x02, 0x00, 0x00, 0x00, 0x00, 0x03, 0xac, 0x1e, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01,
        0x00, 0x00, 0x00, 0x00, 0x03, 0xeb, 0x00, 0x00, 0x00, 0x00, 0x07, 0xd3, 0x0a, 0x40, 0x04, 0x00,
        0x18, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x04, 0xac, 0x1e, 0x00, 0x04, 0x00, 0x00, 0x00, 0x01,
        0x00, 0x00, 0x00, 0x00, 0x03, 0xec, 0x00, 0x00, 0x00, 0x00, 0x07, 0xd4, 0x0a, 0x40, 0x05, 0x00,
        0x18, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x05, 0xac, 0x1e, 0x00, 0x05, 0x00, 0x00, 0x00, 0x01,
        0x00, 0x00, 0x00, 0x00, 0x03, 0xed, 0x00, 0x00, 0x00, 0x00, 0x07, 0xd5, 0x0a, 0x40, 0x06, 0x00,
        0x18, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x06, 0xac, 0x1e, 0x00, 0x06, 0x00, 0x00, 0x00, 0x01,
        0x00, 0x00, 0x00, 0x00, 0x03, 0xee, 0x00, 0x00, 0x00, 0x00, 0x07, 0xd6, 0xe2, 0x78, 0x35, 0xbf};
    LeaseTable peers;
    peers.set_local(local_node());
    PeerStateReader reader(&peers);
    reader.piece({reinterpret_cast<const char*>(bytes), sizeof bytes});
    CHECK_FALSE(reader.problem());
    LeaseTable expected;
    fill(expected);
    CHECK(file_of(peers) == file_of(expected));
  }

  TEST_CASE("a node's state that is cut anywhere, or has one bit wrong, is not used") {
    const std::string text = text_of(some_node());
    StateProblem problem{};
    for (std::size_t size = 0; size < text.size(); ++size)
      CHECK_FALSE(parse_node_state(text.substr(0, size), problem));
    for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
      std::string wrong = text;
      wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
      CHECK_FALSE(parse_node_state(wrong, problem));
    }
    CHECK_FALSE(parse_node_state(text + "\n", problem));
    CHECK(problem == StateProblem::kDamaged);
    CHECK_FALSE(parse_node_state("#!/bin/sh\n", problem));
    CHECK(problem == StateProblem::kForeign);
    CHECK_FALSE(parse_node_state("flannelette node 2\nnew\n", problem));
    CHECK(problem == StateProblem::kOtherVersion);
  }

  TEST_CASE("a node's state that cannot be ours is not used, though its sum is right") {
    StateProblem problem{};
    NodeState node = some_node();
    SUBCASE("a subnet outside Network") { node.subnet.base.value = 0x0b000000; }
    SUBCASE("a subnet of another length") { node.subnet.length = 25; }
    SUBCASE("host bits") { node.subnet.base.value |= 1; }
    SUBCASE("no MAC") { node.mac = {}; }
    SUBCASE("a multicast MAC") { node.mac.bytes[0] |= 1; }
    SUBCASE("no port") { node.config.port = 0; }
    CHECK_FALSE(parse_node_state(text_of(node), problem));
    CHECK(problem == StateProblem::kDamaged);
  }

  TEST_CASE("peers are read as they were written, in pieces of any size") {
    LeaseTable peers;
    fill(peers);
    const std::string file = file_of(peers);
    CHECK(file.size() == 28 + 5 * 32 + 4);
    const auto before = records_of(peers);
    for (std::size_t step = 1; step <= file.size(); ++step) {
      LeaseTable fresh;
      fresh.set_local(local_node());
      PeerStateReader reader(&fresh);
      for (std::size_t at = 0; at < file.size(); at += step)
        reader.piece(std::string_view(file).substr(at, step));
      CHECK_FALSE(reader.problem());
      CHECK(reader.records() == 5);
      const auto after = records_of(fresh);
      REQUIRE(after.size() == before.size());
      for (std::size_t i = 0; i < after.size(); ++i) {
        CHECK(after[i].key == before[i].key);
        CHECK(after[i].value == before[i].value);
        CHECK(after[i].created == before[i].created);
        CHECK(after[i].modified == before[i].modified);
      }
      CHECK(PeerStateSource(fresh).digest() == reader.digest());
    }
  }

  TEST_CASE("peers that are cut anywhere, or have one bit wrong, or go on, are not used") {
    LeaseTable peers;
    fill(peers);
    const std::string file = file_of(peers);
    for (std::size_t size = 0; size < file.size(); ++size) CHECK(problem_of(file.substr(0, size)));
    for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
      std::string wrong = file;
      wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
      CHECK(problem_of(wrong));
    }
    CHECK(problem_of(file + "x") == StateProblem::kDamaged);
    CHECK(problem_of("flannelette peers 2\n0123456789abcdef") == StateProblem::kOtherVersion);
    CHECK(problem_of("something else that is long enough") == StateProblem::kForeign);
    CHECK(problem_of("short") == StateProblem::kForeign);
    CHECK(problem_of("flann") == StateProblem::kDamaged);
  }

  TEST_CASE("the digest knows peers by what is programmed, not by their ages") {
    LeaseTable peers;
    fill(peers);
    const auto digest = PeerStateSource(peers).digest();
    LeaseRecord renewed = lease("10.64.4.0-24", 4);
    renewed.created = 1004;
    renewed.modified = 5000;
    peers.upsert(renewed);
    CHECK(PeerStateSource(peers).digest() == digest);
    renewed.modified = 5001;
    renewed.value.mac = mac(77);
    peers.upsert(renewed);
    CHECK(PeerStateSource(peers).digest() != digest);
  }

  TEST_CASE("our own record and those that can be no peers are not kept") {
    LeaseTable peers;
    fill(peers);
    peers.upsert(lease("10.65.7.0-24", 7));  // outside Network
    CHECK(peers.counts().records == 7);
    CHECK(records_of(peers).size() == 5);
  }
}
