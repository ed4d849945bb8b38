// SPDX-License-Identifier: Apache-2.0
// The API server's answers about Nodes over any bytes: the first one chooses how the rest is cut into pieces.
// Whole or in pieces the same Nodes and messages come; then their records, and what would be written.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "pieces.hpp"
#include "registry/kube/node_decoder.hpp"
#include "registry/kube/node_patch.hpp"
#include "registry/kube/node_record.hpp"

using namespace flannelette;
using namespace flannelette::registry::kube;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

void check_record(const Node& node) {
  const auto record = record_of(node);
  if (!record) return;
  must(node.managed() && record->key.subnet.aligned());
  const overlay::LeaseValue& value = record->value;
  must(value.public_ip.is_v4() && (value.has_vxlan || (!value.vni && value.mac.zero())));
  must(record->readable || value == overlay::LeaseValue{});
  if (!value.has_vxlan || value.backend != overlay::BackendType::kVxlan) return;

  // What we would write in its place fits, and is what we find there if it was written.
  const overlay::Backend& backend = *overlay::built_in(overlay::BackendType::kVxlan);
  std::array<char, kMaxPatch> memory;
  json::Writer writer(memory);
  write_annotations(writer, {}, node.uid, backend, value);
  must(!writer.overflowed());
  Node written = node;
  const auto set = [&](Annotation annotation, std::string_view text) {
    written.annotations[static_cast<std::size_t>(annotation)] = text;
  };
  set(Annotation::kBackendData, to_text<64>([&](Writer& out) { backend.write_data(out, value); }));
  set(Annotation::kPublicIp, text_of(value.public_ip));
  must(publishes(written, backend, value));
  if (value.vni) must(record_of(written)->value == value);
}

struct Sink final : NodeDecoder::Sink {
  std::string record;
  unsigned nodes = 0;

  void add(std::string_view text) {
    record += text;
    record += '\n';
  }
  void on_node(const Node& node, Event event) override {
    ++nodes;
    add(std::to_string(static_cast<int>(event)) + std::to_string(node.resource_version) +
        std::to_string(node.created) + (node.full ? "f" : "") + (node.overlong ? "o" : "") +
        (node.network_available ? "a" : ""));
    add(node.name);
    add(node.uid);
    for (const auto& text : node.annotations) add(text);
    const PodCidrs& cidrs = node.pod_cidrs();
    if (cidrs.v4) add(text_of(*cidrs.v4));
    if (cidrs.v6) add(text_of(Net(*cidrs.v6)));
    if (cidrs.contradictory) add("contradictory");
    check_record(node);
  }
  void on_message(const Message& message) {
    must(message.resource_version >= 0 && message.code >= 0 && message.nodes == nodes);
    nodes = 0;
    add(std::to_string(static_cast<int>(message.event)) + std::to_string(static_cast<int>(message.kind)) +
        std::to_string(message.resource_version) + std::to_string(message.code) +
        (message.continue_overlong ? "o" : ""));
    add(message.continue_token);
    add(message.reason);
    add(message.text);
    for (const char c : message.text.view()) must(static_cast<unsigned char>(c) >= ' ' && c != 0x7f);
  }
};

/// All that is decoded as one record. `cuts` is the seed of the random pieces; 0 feeds the whole at once.
std::string decoded(std::string_view text, std::uint32_t cuts) {
  const AnnotationPrefix prefix;
  std::array<char, NodeDecoder::kScratch> scratch;
  NodeDecoder decoder(prefix, scratch);
  Sink sink;
  decoder.reset(sink);
  while (!text.empty()) {
    const std::vector<char> piece = take_piece(text, cuts);
    decoder.feed({piece.data(), piece.size()});
    for (;;) {
      const NodeDecoder::Step step = decoder.next();
      if (step == NodeDecoder::Step::kBad) {
        must(decoder.next() == NodeDecoder::Step::kBad);
        return sink.record + "bad";
      }
      if (step == NodeDecoder::Step::kNeedMore) break;
      sink.on_message(decoder.message());
    }
  }
  return sink.record;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  must(decoded(text, 0) == decoded(text, data[0] + 1u));
  if (const auto prefix = AnnotationPrefix::parse(text)) {
    for (std::size_t i = 0; i < kAnnotationCount; ++i) {
      const auto annotation = static_cast<Annotation>(i);
      must(prefix->find(prefix->key(annotation)) == annotation);
    }
  }
  return 0;
}
