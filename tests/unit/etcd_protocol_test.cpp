// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <array>
#include <string>

#include "registry/etcd/grpc_status.hpp"
#include "registry/etcd/keepalive.hpp"
#include "registry/etcd/keys.hpp"
#include "registry/etcd/protocol.hpp"
#include "unit/manual_clock.hpp"

namespace flannelette::registry::etcd {
namespace {

template <class Fill>
std::string body(Fill fill) {
  std::array<char, 4096> memory;
  json::Writer out(memory);
  fill(out);
  REQUIRE(!out.overflowed());
  return std::string(out.view());
}

}  // namespace

TEST_SUITE("registry/etcd_protocol") {
  TEST_CASE("the prefix is joined as flanneld does it") {
    CHECK(Keys("/coreos.com/network").config().view() == "/coreos.com/network/config");
    CHECK(Keys("/coreos.com//network///").config().view() == "/coreos.com/network/config");
    CHECK(Keys("net").subnets().view() == "net/subnets/");
    CHECK(Keys("").config().view() == "config");
    CHECK(Keys("/").config().view() == "/config");
  }

  TEST_CASE("the listed range is the folder of the subnets and not its neighbour") {
    const Keys keys("/n");
    CHECK(keys.subnets().view() == "/n/subnets/");
    CHECK(keys.subnets_end().view() == "/n/subnets0");
  }

  TEST_CASE("a key is named and parsed, a foreign one is not") {
    const Keys keys("/n");
    const overlay::LeaseKey key{{{0x0a053400}, 24}, std::nullopt};
    CHECK(keys.lease(key).view() == "/n/subnets/10.5.52.0-24");
    CHECK(keys.parse("/n/subnets/10.5.52.0-24") == key);
    CHECK(!keys.parse("/n/subnets/readme"));
    CHECK(!keys.parse("/n/subnets2/10.5.52.0-24"));
    CHECK(!keys.parse("10.5.52.0-24"));
  }

  TEST_CASE("every key of a subnet lies in its range, dual stack too, and no other does") {
    const Keys keys("/n");
    const std::string first(keys.subnet_first({0x0a050000}).view());
    const std::string end(keys.subnet_end({0x0a050000}).view());
    for (const std::string key :
         {"/n/subnets/10.5.0.0-24", "/n/subnets/10.5.0.0-8", "/n/subnets/10.5.0.0-24&fd00::-64"}) {
      CHECK(first <= key);
      CHECK(key < end);
    }
    for (const std::string key :
         {"/n/subnets/10.5.0.1-24", "/n/subnets/10.5.1.0-24", "/n/subnets/110.5.0.0-24"}) {
      CHECK((key < first || key >= end));
    }
  }

  TEST_CASE("request bodies are what the gateway reads") {
    CHECK(body([](auto& out) { write_range(out, "a", {}, 0, 0); }) == R"({"key":"YQ=="})");
    CHECK(body([](auto& out) { write_range(out, "a", "b", 500, 7); }) ==
          R"({"key":"YQ==","range_end":"Yg==","limit":"500","revision":"7"})");
    CHECK(
        body([](auto& out) { write_watch(out, "a", "b", 8); }) ==
        R"({"create_request":{"key":"YQ==","range_end":"Yg==","start_revision":"8","progress_notify":true,"fragment":true}})");
    CHECK(body([](auto& out) { write_grant(out, 86400); }) == R"({"TTL":"86400"})");
    CHECK(body([](auto& out) { write_lease(out, 7587899091531079689); }) ==
          R"({"ID":"7587899091531079689"})");
    CHECK(body([](auto& out) { write_authenticate(out, "u", "p\"w"); }) ==
          R"({"name":"u","password":"p\"w"})");
  }

  TEST_CASE("a new key is put only if the whole range of its subnet is empty") {
    CHECK(
        body([](auto& out) {
          write_create(out, "a", "b", {"ab", "x", 9});
        }) ==
        R"({"compare":[{"key":"YQ==","range_end":"Yg==","target":"VERSION","result":"EQUAL","version":"0"}],)"
        R"("success":[{"request_put":{"key":"YWI=","value":"eA==","lease":"9"}}],)"
        R"("failure":[{"request_range":{"key":"YQ==","range_end":"Yg==","limit":"4"}}]})");
  }

  TEST_CASE("a key that is there is put only at the revision that was seen, a reservation without lease") {
    CHECK(body([](auto& out) {
            write_update(out, 5, {"ab", "x", 0});
          }) == R"({"compare":[{"key":"YWI=","target":"MOD","result":"EQUAL","mod_revision":"5"}],)"
                R"("success":[{"request_put":{"key":"YWI=","value":"eA=="}}],)"
                R"("failure":[{"request_range":{"key":"YWI=","limit":"4"}}]})");
  }

  TEST_CASE("a lease is kept alive at the earlier of a third of its life and its life minus the margin") {
    CHECK(keepalive_delay(86'400, 3'600) == 28'800'000);
    CHECK(keepalive_delay(86'400, 80'000) == 6'400'000);
    CHECK(keepalive_delay(60, 3'600) == 20'000);
    CHECK(keepalive_delay(60, 59) == 1'000);
    CHECK(keepalive_delay(1, 0) == 1'000);
  }

  TEST_CASE("the back-off doubles up to its limit and begins anew after a success") {
    NoRandom random;
    Backoff backoff = kBackoff;
    CHECK(backoff.next(random) == 50);
    CHECK(backoff.next(random) == 100);
    for (int i = 0; i < 100; ++i) (void)backoff.next(random);
    CHECK(backoff.next(random) == EtcdRegistry::kBackoffMax / 2);
    backoff.reset();
    CHECK(backoff.next(random) == 50);
  }

  TEST_CASE("what went wrong is not said twice: the log writes the kind of an error behind its context") {
    for (std::int64_t code = 1; code <= 20; ++code) {
      Message message;
      message.code = code;
      const Error error = describe(400, message).error;
      const std::string context = error.context;
      CHECK(context.starts_with("etcd: "));
      CHECK(context.find(name(error.code)) == std::string::npos);
    }
  }

  TEST_CASE("errors go by the gRPC code, and by the HTTP status only where there is none") {
    Message message;
    message.code = 14;
    CHECK(transient(describe(400, message)));
    message.code = 7;
    CHECK(!transient(describe(503, message)));
    CHECK(describe(503, message).error.code == Code::kDenied);
    message.code = 0;
    CHECK(transient(describe(503, message)));
    CHECK(describe(404, message).error.code == Code::kUnsupported);
    CHECK(wants_token(describe(401, message)));
    message.code = 3;
    message.text = "etcdserver: user name is empty";
    CHECK(wants_token(describe(400, message)));
    message.text = "etcdserver: authentication failed, invalid user ID or password";
    CHECK(!wants_token(describe(400, message)));
  }

  TEST_CASE("another member is asked where this one cannot answer, unless etcd has no authentication") {
    Message message;
    message.code = 9;
    for (const char* text : {"etcdserver: rpc not supported for learner", "etcdserver: not capable"}) {
      message.text = text;
      CHECK(transient(describe(400, message)));
      CHECK(!auth_is_off(describe(400, message)));
    }
    message.text = "etcdserver: authentication is not enabled";
    CHECK(!transient(describe(400, message)));
    CHECK(auth_is_off(describe(400, message)));
  }
}

}  // namespace flannelette::registry::etcd
