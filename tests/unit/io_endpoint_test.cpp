// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include "flannelette/io/stream.hpp"

using namespace flannelette;
using namespace flannelette::io;

namespace {

std::string round_trip(std::string_view url) {
  const Result<Endpoint> endpoint = parse_endpoint(url, 2379);
  if (!endpoint) return endpoint.error().context;
  return std::string(to_text<300>([&](Writer& out) { write(out, *endpoint); }).view());
}

}  // namespace

TEST_SUITE("io/endpoint") {
  TEST_CASE("names, addresses and ports are read and written back") {
    CHECK(round_trip("http://etcd.example:2379") == "http://etcd.example:2379");
    CHECK(round_trip("https://10.0.0.1:4001/") == "https://10.0.0.1:4001");
    CHECK(round_trip("http://[fd00::1]:80") == "http://[fd00::1]:80");
    CHECK(round_trip("HTTPS://[::1]/") == "https://[::1]:2379");
    CHECK(round_trip("http://node_1") == "http://node_1:2379");
    const Result<Endpoint> endpoint = parse_endpoint("https://[fd00::1]", 2379);
    REQUIRE(endpoint);
    CHECK(endpoint->tls);
    CHECK(endpoint->host.view() == "fd00::1");
  }

  TEST_CASE("the port of who asks stands in for one that is missing, and for no other") {
    CHECK(parse_endpoint("http://etcd.example", 6443)->port == 6443);
    CHECK(parse_endpoint("http://[::1]/", 6443)->port == 6443);
    CHECK(parse_endpoint("http://etcd.example:80", 6443)->port == 80);
  }

  TEST_CASE("the error names what is wrong") {
    CHECK(round_trip("") == "must begin with http:// or https://");
    CHECK(round_trip("10.0.0.1:2379") == "must begin with http:// or https://");
    CHECK(round_trip("unix:///run/etcd") == "must begin with http:// or https://");
    CHECK(round_trip("http://") == "the host is missing");
    CHECK(round_trip("http://:2379") == "the host is missing");
    CHECK(round_trip("http://a/b") == "a path is not allowed");
    CHECK(round_trip("http://a//") == "a path is not allowed");
    CHECK(round_trip("http://a?b") == "a path is not allowed");
    CHECK(round_trip("http://root:secret@a:1") == "user and password do not belong here");
    CHECK(round_trip("http://a b") == "the host has a forbidden character");
    CHECK(round_trip("http://a\r\nb") == "the host has a forbidden character");
    CHECK(round_trip("http://10.0.0.256") == "not a valid IPv4 address");
    CHECK(round_trip("http://10.1") == "not a valid IPv4 address");
    CHECK(round_trip("http://fd00::1:2379") == "an IPv6 address needs brackets");
    CHECK(round_trip("http://[fd00::1") == "']' is missing");
    CHECK(round_trip("http://[10.0.0.1]:1") == "no valid IPv6 address between the brackets");
    CHECK(round_trip("http://[fe80::1%eth0]:1") == "no valid IPv6 address between the brackets");
    CHECK(round_trip("http://[::1]2379") == "only a port may follow ']'");
    for (const char* url :
         {"http://a:", "http://a:0", "http://a:65536", "http://a:+1", "http://a:1x", "http://[::1]:"}) {
      CHECK(round_trip(url) == "the port must be a number from 1 to 65535");
    }
    CHECK(round_trip("http://" + std::string(253, 'a')) == "http://" + std::string(253, 'a') + ":2379");
    CHECK(round_trip("http://" + std::string(254, 'a')) == "the host is longer than 253 bytes");
  }

  TEST_CASE("what goes to another machine without TLS can be read on the path") {
    const auto openly = [](const char* url) { return travels_openly(*parse_endpoint(url, 1)); };
    CHECK(openly("http://10.0.0.1"));
    CHECK(openly("http://api.example"));
    CHECK(openly("http://[fd00::1]"));
    for (const char* url :
         {"https://10.0.0.1", "http://127.0.0.1", "http://127.8.0.1", "http://localhost", "http://[::1]"})
      CHECK_FALSE(openly(url));
  }
}
