// SPDX-License-Identifier: Apache-2.0
// Parser throughput over a real response, fed in pieces as a socket gives them.
#include <algorithm>
#include <array>

#include "bench/probe/probe.hpp"
#include "flannelette/http/response.hpp"
#include "flannelette/json/reader.hpp"
#include "registry/etcd/decode.hpp"

namespace flannelette::bench {
namespace {

using registry::etcd::Decoder;

constexpr double kLeast = 1.0;  // seconds

struct NoSink final : Decoder::Sink {
  void on_value(std::string_view value) override { bytes += value.size(); }
  void on_pair(const registry::etcd::Pair&) override { ++pairs; }
  std::size_t bytes = 0;
  std::size_t pairs = 0;
};

bool parse_http(std::string_view bytes) {
  using Event = http::ResponseParser::Event;
  static http::ResponseParser parser;
  parser.feed({});
  parser.reset();
  Event event = Event::kNeedMore;
  for (; !bytes.empty() && event == Event::kNeedMore; bytes.remove_prefix(std::min(kPiece, bytes.size()))) {
    parser.feed(bytes.substr(0, kPiece));
    do {
      event = parser.next();
    } while (event == Event::kHead || event == Event::kBody);
  }
  return event == Event::kDone;
}

bool parse_json(std::string_view bytes) {
  using json::Token;
  static std::array<char, Decoder::kScratch> scratch;
  json::Reader reader(scratch);
  Token token = Token::kNeedMore;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kPiece, bytes.size()))) {
    reader.feed(bytes.substr(0, kPiece));
    do {
      token = reader.next();
      if (token == Token::kEnd) return true;
    } while (token != Token::kNeedMore && token != Token::kBad);
  }
  return false;
}

bool decode(std::string_view bytes) {
  static std::array<char, Decoder::kScratch> scratch;
  static Decoder decoder(scratch);
  NoSink sink;
  decoder.reset(sink);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kPiece, bytes.size()))) {
    decoder.feed(bytes.substr(0, kPiece));
    if (decoder.next() == Decoder::Step::kMessage) return sink.pairs > 0;
  }
  return false;
}

}  // namespace

int parse_speed(std::string_view what, std::string_view bytes) {
  bool (*const parse)(std::string_view) = what == "http"     ? parse_http
                                          : what == "json"   ? parse_json
                                          : what == "decode" ? decode
                                                             : nullptr;
  if (parse == nullptr) return 2;
  double parsed = 0;
  const double start = seconds();
  double end = start;
  while (end - start < kLeast) {
    if (!parse(bytes)) {
      fputs("this cannot be parsed\n", stderr);
      return 1;
    }
    parsed += static_cast<double>(bytes.size());
    end = seconds();
  }
  printf("%.1f\n", parsed / 1e6 / (end - start));
  return 0;
}

}  // namespace flannelette::bench
