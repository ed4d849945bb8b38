// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "registry/etcd/decode.hpp"

namespace flannelette::registry::etcd {
namespace {

/// Everything that the decoder says, as text.
class Transcript final : public Decoder::Sink {
 public:
  std::string text;

  void on_value(std::string_view value) override {
    text += "value ";
    text += value.size() < 100 ? value : std::string_view("long");
    text += "\n";
  }
  void on_pair(const Pair& pair) override {
    text += pair.removed ? "removed " : "pair ";
    text += pair.key_overlong ? "overlong:" + std::to_string(pair.key.size()) : std::string(pair.key);
    for (const auto number : {pair.create_revision, pair.mod_revision, pair.lease})
      text += " " + std::to_string(number);
    text += pair.value_overlong ? " overlong\n" : "\n";
  }
  void on_message(const Message& message) {
    text += "message";
    const auto number = [&](const char* name, std::int64_t value) {
      if (value != 0) text += std::string(" ") + name + "=" + std::to_string(value);
    };
    number("revision", message.revision);
    number("id", message.id);
    number("ttl", message.ttl);
    number("compacted", message.compact_revision);
    number("code", message.code);
    if (message.failed) text += " failed";
    if (message.more) text += " more";
    if (message.succeeded) text += " succeeded";
    if (message.created) text += " created";
    if (message.canceled) text += " canceled";
    if (message.fragment) text += " fragment";
    if (!message.token.empty()) text += " token=" + std::string(message.token.view());
    if (!message.text.empty()) text += " \"" + std::string(message.text.view()) + "\"";
    text += "\n";
  }
};

/// Decodes it whole, and cut at every byte, and byte for byte: always the same.
std::string decode(const std::string& bytes) {
  static std::array<char, Decoder::kScratch> scratch;
  const auto run = [&](const std::vector<std::string_view>& pieces) {
    Transcript transcript;
    Decoder decoder(scratch);
    decoder.reset(transcript);
    for (const std::string_view piece : pieces) {
      decoder.feed(piece);
      for (;;) {
        const Decoder::Step step = decoder.next();
        if (step == Decoder::Step::kMessage) transcript.on_message(decoder.message());
        if (step == Decoder::Step::kBad) return transcript.text + "bad\n";
        if (step == Decoder::Step::kNeedMore) break;
      }
    }
    return transcript.text;
  };
  const std::string_view all = bytes;
  const std::string whole = run({all});
  const std::size_t stride = bytes.size() > 4096 ? 1009 : 1;
  for (std::size_t at = 1; at < bytes.size(); at += stride) {
    const std::string cut = run({all.substr(0, at), all.substr(at)});
    if (cut != whole) FAIL("cut at byte " << at << ": " << cut);
  }
  std::vector<std::string_view> single;
  for (std::size_t at = 0; at < bytes.size(); ++at) single.push_back(all.substr(at, 1));
  CHECK(run(single) == whole);
  return whole;
}

std::string base64(const std::string& bytes) {
  std::string out(json::base64_size(bytes.size()), '\0');
  Writer writer(out);
  json::encode_base64(bytes, writer);
  return out;
}

// As recorded from etcd 3.4.23.
const std::string kHeader =
    R"("header":{"cluster_id":"9151734699010623715","member_id":"3153101805118352275","revision":"2","raft_term":"2"})";
const std::string kPair =
    R"({"key":"ay8xLTI0","create_revision":"2","mod_revision":"2","version":"1","value":"aGVsbG8="})";

}  // namespace

TEST_SUITE("registry/etcd_decode") {
  TEST_CASE("a range: pairs as they come, then the header and whether there is more") {
    CHECK(decode("{" + kHeader + R"(,"kvs":[)" + kPair + R"(],"count":"1"})") ==
          "value hello\npair k/1-24 2 2 0\nmessage revision=2\n");
    CHECK(decode("{" + kHeader + R"(,"kvs":[)" + kPair + "," + kPair + R"(],"more":true,"count":"3"})") ==
          "value hello\npair k/1-24 2 2 0\nvalue hello\npair k/1-24 2 2 0\nmessage revision=2 more\n");
    CHECK(decode("{" + kHeader + "}") == "message revision=2\n");
  }

  TEST_CASE("blanks between members, as Debian's 3.5.16 writes them, change nothing") {
    CHECK(
        decode(
            R"({"header":{"cluster_id":"1", "revision":"7"}, "kvs":[{"key":"YQ==", "mod_revision":"7", "lease":"9"}], )"
            "\"count\":\"1\"}\n") == "pair a 0 7 9\nmessage revision=7\n");
  }

  TEST_CASE("numbers may come as numbers, members in any order, unknown ones of any shape") {
    CHECK(
        decode(
            R"({"new":[1,{"kvs":[{"key":"eA=="}]}],"kvs":[{"lease":9,"value":"Yg==","x":{"key":"eA=="},"key":"YQ=="}],)"
            R"("header":{"revision":7,"revisions":[8]}})") == "value b\npair a 0 0 9\nmessage revision=7\n");
  }

  TEST_CASE("a transaction: done, or what stood in its way") {
    CHECK(decode("{" + kHeader +
                 R"(,"succeeded":true,"responses":[{"response_put":{"header":{"revision":"2"}}}]})") ==
          "message revision=2 succeeded\n");
    CHECK(decode("{" + kHeader + R"(,"responses":[{"response_range":{"header":{"revision":"9"},"kvs":[)" +
                 kPair + R"(],"count":"1"}}]})") == "value hello\npair k/1-24 2 2 0\nmessage revision=2\n");
  }

  TEST_CASE("leases and tokens") {
    CHECK(decode("{" + kHeader + R"(,"ID":"7751717535713413382","TTL":"60"})") ==
          "message revision=2 id=7751717535713413382 ttl=60\n");
    CHECK(decode(R"({"result":{)" + kHeader + R"(,"ID":"4242"}})" + "\n") == "message revision=2 id=4242\n");
    CHECK(decode(R"({"result":{)" + kHeader + R"(,"ID":"4242","TTL":"59"}})" + "\n") ==
          "message revision=2 id=4242 ttl=59\n");
    CHECK(decode("{" + kHeader + R"(,"token":"wnEQiNFnOKnkeycF.15"})") ==
          "message revision=2 token=wnEQiNFnOKnkeycF.15\n");
  }

  TEST_CASE("errors of requests: 3.4 and 3.5 with three members, 3.6 with two") {
    const std::string text = "etcdserver: requested lease not found";
    CHECK(decode(R"({"error":")" + text + R"(","message":")" + text + R"(","code":5})") ==
          "message code=5 failed \"" + text + "\"\n");
    CHECK(decode(R"({"code":5, "message":")" + text + R"("})") == "message code=5 failed \"" + text + "\"\n");
    CHECK(decode(R"({"code":5,"message":"x","details":[{"@type":"y"}]})") == "message code=5 failed \"x\"\n");
  }

  TEST_CASE("error lines of streams: 3.4 with gRPC and HTTP code, later ones with one") {
    CHECK(
        decode(
            R"({"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}})") ==
        "message code=14 failed \"etcdserver: no leader\"\n");
    CHECK(decode(R"({"error":{"code":14,"message":"etcdserver: no leader"}})") ==
          "message code=14 failed \"etcdserver: no leader\"\n");
    CHECK(decode(R"({"error":{}})") == "message failed\n");
  }

  TEST_CASE("a watch: lines without end, several events a line, deletions without value") {
    const std::string created = R"({"result":{)" + kHeader + R"(,"created":true}})" + "\n";
    const std::string events = R"({"result":{)" + kHeader + R"(,"events":[{"kv":)" + kPair +
                               R"(},{"type":"DELETE","kv":{"key":"YQ==","mod_revision":"5"}}]}})" + "\n";
    const std::string progress = R"({"result":{)" + kHeader + "}}\n";
    CHECK(decode(created + events + progress) ==
          "message revision=2 created\n"
          "value hello\npair k/1-24 2 2 0\nremoved a 0 5 0\nmessage revision=2\n"
          "message revision=2\n");
  }

  TEST_CASE("the type of an event counts wherever it stands") {
    CHECK(
        decode(
            R"({"result":{"events":[{"kv":{"key":"YQ==","mod_revision":"5"},"type":"DELETE"},{"type":"PUT","kv":{"key":"Yg=="}}]}})") ==
        "removed a 0 5 0\npair b 0 0 0\nmessage\n");
  }

  TEST_CASE("a previous value that nobody asked for is not taken for the value") {
    CHECK(
        decode(R"({"result":{"events":[{"kv":{"key":"YQ=="},"prev_kv":{"key":"Yg==","value":"Yg=="}}]}})") ==
        "pair a 0 0 0\nmessage\n");
  }

  TEST_CASE("a watch that ends: compacted, refused, in fragments") {
    CHECK(decode(R"({"result":{"header":{"cluster_id":"1"},"canceled":true,"compact_revision":"6"}})") ==
          "message compacted=6 canceled\n");
    CHECK(
        decode(
            R"({"result":{"watch_id":"-1","created":true,"canceled":true,"cancel_reason":"permission denied"}})") ==
        "message created canceled \"permission denied\"\n");
    CHECK(decode(R"({"result":{"header":{"revision":"9"},"fragment":true,"events":[]}})") ==
          "message revision=9 fragment\n");
  }

  TEST_CASE("a value over its limit is skipped and marked, and the stream goes on") {
    const std::string big = base64(std::string(EtcdRegistry::kMaxValue + 1, 'x'));
    const std::string huge = base64(std::string(100'000, 'x'));
    CHECK(decode(R"({"kvs":[{"key":"YQ==","value":")" + huge +
                 R"(","lease":"1"},{"key":"Yg==","value":"eA=="}]})") ==
          "pair a 0 0 1 overlong\nvalue x\npair b 0 0 0\nmessage\n");
    CHECK(decode(R"({"kvs":[{"key":"YQ==","value":")" + big + R"("}]})") ==
          "pair a 0 0 0 overlong\nmessage\n");
    const std::string most = base64(std::string(EtcdRegistry::kMaxValue, 'x'));
    CHECK(decode(R"({"kvs":[{"key":"YQ==","value":")" + most + R"("}]})") ==
          "value long\npair a 0 0 0\nmessage\n");
  }

  TEST_CASE("a key over its limit is marked, its beginning kept if there is memory for it") {
    CHECK(decode(R"({"kvs":[{"key":")" + base64(std::string(512, 'k')) + R"("}]})") ==
          "pair " + std::string(512, 'k') + " 0 0 0\nmessage\n");
    CHECK(decode(R"({"kvs":[{"key":")" + base64(std::string(513, 'k')) + R"("}]})") ==
          "pair overlong:510 0 0 0\nmessage\n");
    CHECK(decode(R"({"kvs":[{"key":")" + base64(std::string(50'000, 'k')) + R"("}]})") ==
          "pair overlong:0 0 0 0\nmessage\n");
  }

  TEST_CASE("a value that is no base64 is none") {
    CHECK(decode(R"({"kvs":[{"key":"YQ==","value":"!"}]})") == "pair a 0 0 0\nmessage\n");
  }

  TEST_CASE("members of the wrong type are ignored") {
    CHECK(
        decode(
            R"({"kvs":{"key":"YQ=="},"header":"x","more":"yes","ID":true,"events":7,"responses":null,"result":[1]})") ==
        "message\n");
    CHECK(decode(R"([{"kvs":[{"key":"YQ=="}]}])") == "message\n");
    CHECK(decode(R"("text" )") == "message\n");
  }

  TEST_CASE("a message's text is cut and cannot carry control bytes") {
    CHECK(decode(R"({"code":3,"message":"a\u001b[31m\nb"})") == "message code=3 failed \"a[31mb\"\n");
    CHECK(decode(R"({"code":3,"message":")" + std::string(500, 'x') + R"("})") ==
          "message code=3 failed \"" + std::string(160, 'x') + "\"\n");
  }

  TEST_CASE("what is no JSON is bad") {
    CHECK(decode("Not Found\n") == "bad\n");
    CHECK(decode("{" + kHeader + "]") == "bad\n");
  }
}

}  // namespace flannelette::registry::etcd
