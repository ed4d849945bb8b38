// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <array>
#include <string>

#include "flannelette/overlay/lease.hpp"

using namespace flannelette;
using namespace flannelette::overlay;

namespace {

std::string written(const LeaseKey& key) {
  return std::string(to_text<LeaseKey::kMaxText>([&](Writer& out) { write(out, key); }).view());
}

}  // namespace

TEST_SUITE("overlay/lease key") {
  TEST_CASE("a key is read and written in exactly one form") {
    for (const char* text : {"10.126.90.0-24", "0.0.0.0-0", "255.255.255.255-32", "10.70.9.1-24",
                             "10.64.27.0-24&fd00:64:0:4f::-64", "0.0.0.0-0&fd00::-64", "10.0.0.0-8&::-0",
                             "10.0.0.0-8&ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-128"}) {
      CAPTURE(text);
      const auto key = parse_lease_key(text);
      REQUIRE(key);
      CHECK(written(*key) == text);
    }
    const auto dual = parse_lease_key("10.64.27.0-24&fd00:64:0:4f::-64");
    CHECK(dual->subnet == Net4{{0x0a401b00}, 24});
    REQUIRE(dual->subnet6);
    CHECK(dual->subnet6->length == 64);
    CHECK(dual->subnet6->base.bytes[7] == 0x4f);
  }

  TEST_CASE("host bits stay, so that a wrong record keeps its identity") {
    CHECK(parse_lease_key("10.70.9.1-24")->subnet.base == Ip4{0x0a460901});
    CHECK(parse_lease_key("10.70.9.1-24") != parse_lease_key("10.70.9.0-24"));
  }

  TEST_CASE("anything else is a foreign key") {
    for (const char* text : {"",
                             "-",
                             "&",
                             "readme",
                             "10.1.2.0",
                             "10.1.2.0-",
                             "-24",
                             "10.1.2.0-33",
                             "10.1.2.0-024",
                             "10.1.2.0-+24",
                             "10.1.2.0-24 ",
                             " 10.1.2.0-24",
                             "x10.70.12.0-24",
                             "10.1.2.0-24/sub",
                             "10.1.2.0/24",
                             "10.1.2-24",
                             "10.1.2.256-24",
                             "010.1.2.0-24",
                             "10.1.2.0--24",
                             "10.1.2.0-24&",
                             "10.1.2.0-24&fd00::",
                             "10.1.2.0-24&fd00::-129",
                             "10.1.2.0-24&FD00::-64",
                             "10.1.2.0-24&fd00:0:0:0:0:0:0:0-64",
                             "10.1.2.0-24&fd00::-64&fd01::-64",
                             "10.1.2.0-24&10.1.2.0-24",
                             "fd00::-64",
                             "10.1.2.0-24&fd00::-064",
                             "10.1.2.0-99999999999999999999"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_lease_key(text));
    }
    CHECK_FALSE(parse_lease_key(std::string(1000, '1')));
  }

  TEST_CASE("no proper prefix of a key is taken for the same key") {
    const std::string text = "10.64.27.0-24&fd00:64:0:4f::-64";
    for (std::size_t cut = 0; cut < text.size(); ++cut) {
      const auto key = parse_lease_key(text.substr(0, cut));
      if (key) CHECK(*key != *parse_lease_key(text));
    }
  }
}

TEST_SUITE("overlay/lease value") {
  TEST_CASE("what flanneld writes is understood") {
    const auto v4 = parse_lease_value(R"({"PublicIP":"172.30.0.11","PublicIPv6":null,"BackendType":"vxlan",)"
                                      R"("BackendData":{"VNI":1,"VtepMAC":"f2:09:be:00:30:fd"}})");
    REQUIRE(v4);
    CHECK(v4->public_ip == Ip4{0xac1e000b});
    CHECK(v4->backend == BackendType::kVxlan);
    CHECK(v4->has_vxlan);
    CHECK(v4->vni == 1u);
    CHECK(v4->mac == Mac{{0xf2, 0x09, 0xbe, 0x00, 0x30, 0xfd}});

    const auto dual = parse_lease_value(
        R"({"PublicIP":"172.30.0.12","PublicIPv6":"fd00:30::12","BackendType":"vxlan","BackendData":{"VNI":1,)"
        R"("VtepMAC":"e2:7c:c5:62:6f:74"},"BackendV6Data":{"VNI":1,"VtepMAC":"ee:fd:31:2f:8c:fc"}})");
    REQUIRE(dual);
    CHECK(dual->mac == Mac{{0xe2, 0x7c, 0xc5, 0x62, 0x6f, 0x74}});

    const auto v6 =
        parse_lease_value(R"({"PublicIP":"0.0.0.0","PublicIPv6":"fd00:30::11","BackendType":"vxlan",)"
                          R"("BackendV6Data":{"VNI":1,"VtepMAC":"ee:fd:31:2f:8c:fc"}})");
    REQUIRE(v6);
    CHECK(v6->backend == BackendType::kVxlan);
    CHECK_FALSE(v6->has_vxlan);
    CHECK(v6->public_ip == Ip4{});

    const auto host_gw =
        parse_lease_value(R"({"PublicIP":"172.30.0.11","PublicIPv6":null,"BackendType":"host-gw"})");
    REQUIRE(host_gw);
    CHECK(host_gw->backend == BackendType::kHostGw);
    CHECK_FALSE(host_gw->has_vxlan);

    const auto udp = parse_lease_value(R"({"PublicIP":"172.30.0.11","PublicIPv6":null})");
    REQUIRE(udp);
    CHECK(udp->backend == BackendType::kNone);

    const auto extension = parse_lease_value(
        R"({"PublicIP":"172.30.0.11","PublicIPv6":null,"BackendType":"extension","BackendData":"a \u0026 b"})");
    REQUIRE(extension);
    CHECK(extension->backend == BackendType::kOther);
    CHECK_FALSE(extension->has_vxlan);

    const auto wireguard = parse_lease_value(
        R"({"PublicIP":"172.30.0.11","PublicIPv6":null,"BackendType":"wireguard",)"
        R"("BackendData":{"PublicKey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","Port":51820}})");
    REQUIRE(wireguard);
    CHECK(wireguard->backend == BackendType::kOther);
    CHECK_FALSE(wireguard->has_vxlan);
  }

  TEST_CASE("the strictness is flanneld's where flanneld is right") {
    struct Row {
      const char* json;
      bool readable;
      bool has_vxlan;
    };
    const Row rows[] = {
        {R"({"publicip":"1.2.3.4","BACKENDTYPE":"vxlan","backenddata":{"vni":1,"vtepmac":"02:00:00:00:00:01"},"x":[1]})",
         true, true},
        {R"({"PublicIP":"1.2.3.4","BackendType":"vxlan","BackendData":{"VtepMAC":"02-00-00-00-00-01"}})",
         true, true},
        {R"({"PublicIP":"1.2.3.4","BackendType":"vxlan","BackendData":{"VNI":null,"VtepMAC":"02:00:00:00:00:01"}})",
         true, true},
        {R"({"PublicIP":"1.2.3.4","BackendType":"vxlan","BackendData":{"VNI":"1","VtepMAC":"02:00:00:00:00:01"}})",
         true, false},
        {R"({"PublicIP":"1.2.3.4","BackendType":"vxlan","BackendData":{"VNI":1.5,"VtepMAC":"02:00:00:00:00:01"}})",
         true, false},
        {R"({"PublicIP":"1.2.3.4","BackendType":"vxlan","BackendData":{"VNI":4294967296,"VtepMAC":"02:00:00:00:00:01"}})",
         true, false},
        {R"({"PublicIP":"1.2.3.4","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00"}})", true,
         false},
        {R"({"PublicIP":"1.2.3.4","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":7}})", true, false},
        {R"({"PublicIP":"1.2.3.4","BackendType":"vxlan","BackendData":{"VNI":{"a":1},"VtepMAC":["x"]}})",
         true, false},
        {R"({"PublicIP":"1.2.3.4","BackendType":"vxlan","BackendData":"text"})", true, false},
        {R"({"PublicIP":"1.2.3.4","BackendType":"vxlan","BackendData":[1]})", true, false},
        {R"({"PublicIP":"1.2.3.4","BackendType":"vxlan","BackendData":{"VtepMAC":"02:00:00:00:00:01"},"BackendData":{}})",
         true, false},
        {R"({"PublicIP":"1.2.3.4","BackendType":null})", true, false},
        {R"({"BackendType":"vxlan"})", true, false},
        {"{}", true, false},
        {"null", true, false},
        {R"({"PublicIP":null})", false, false},
        {R"({"PublicIP":"fd00::1"})", false, false},
        {R"({"PublicIP":17})", false, false},
        {R"({"PublicIP":"1.2.3.4","PublicIPv6":7})", false, false},
        {R"({"PublicIP":"1.2.3.4","PublicIPv6":"x"})", false, false},
        {R"({"PublicIP":"1.2.3.4","BackendType":5})", false, false},
        {"[]", false, false},
        {"7", false, false},
        {"\"text\"", false, false},
        {"", false, false},
        {"bogus", false, false},
        {R"({"PublicIP":"1.2.3.4"} x)", false, false},
        {R"({"PublicIP":"1.2.3.4"}{})", false, false},
    };
    for (const Row& row : rows) {
      CAPTURE(row.json);
      const auto value = parse_lease_value(row.json);
      CHECK(value.has_value() == row.readable);
      if (value) CHECK(value->has_vxlan == row.has_vxlan);
    }
    CHECK(parse_lease_value(R"({"BackendType":"VXLAN"})")->backend == BackendType::kOther);
    CHECK(parse_lease_value(R"({"BackendType":""})")->backend == BackendType::kNone);
    CHECK_FALSE(parse_lease_value(R"({"BackendData":{"VtepMAC":"02:00:00:00:00:01"}})")->vni);
  }

  TEST_CASE("a value cut at any byte is unreadable") {
    const std::string whole =
        R"({"PublicIP":"172.30.0.11","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"f2:09:be:00:30:fd"}})";
    for (std::size_t cut = 0; cut < whole.size(); ++cut) CHECK_FALSE(parse_lease_value(whole.substr(0, cut)));
    CHECK(parse_lease_value(whole));
  }

  TEST_CASE("our value is flanneld's byte for byte, and reads back") {
    std::array<char, LeaseValue::kMaxText> buffer;
    Writer out(buffer);
    const Mac mac{{0xf2, 0x09, 0xbe, 0x00, 0x30, 0xfd}};
    const LeaseValue value{Ip4{0xac1e000b}, BackendType::kVxlan, true, 1u, mac};
    write(out, value);
    CHECK(std::string(out.view()) == R"({"PublicIP":"172.30.0.11","PublicIPv6":null,"BackendType":"vxlan",)"
                                     R"("BackendData":{"VNI":1,"VtepMAC":"f2:09:be:00:30:fd"}})");
    const auto back = parse_lease_value(out.view());
    REQUIRE(back);
    CHECK(*back == value);
  }
}
