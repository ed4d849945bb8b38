// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/ip.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace flannelette;

namespace {

std::string canonical6(std::string_view text) {
  const auto ip = parse_ip6(text);
  return ip ? std::string(text_of(*ip).view()) : "refused";
}

Net4 net(std::string_view text) {
  const auto parsed = parse_net4(text);
  REQUIRE_MESSAGE(parsed, text);
  return *parsed;
}

Ip4 ip(std::string_view text) {
  const auto parsed = parse_ip4(text);
  REQUIRE_MESSAGE(parsed, text);
  return *parsed;
}

}  // namespace

TEST_SUITE_BEGIN("base/ip");

TEST_CASE("IPv4 addresses are strict dotted quads") {
  CHECK(ip("10.0.0.1").value == 0x0a000001);
  CHECK(ip("255.255.255.255").value == 0xffffffff);
  CHECK(ip("0.0.0.0").value == 0);
  for (const char* bad :
       {"",         "1",         "1.2.3",     "1.2.3.",    "1.2.3.4.",  "1.2.3.4.5",  ".1.2.3",
        "1..2.3",   "256.1.1.1", "1.2.3.256", "01.2.3.4",  "1.2.3.00",  "1.2.3.0004", " 1.2.3.4",
        "1.2.3.4 ", "+1.2.3.4",  "1.2.3.-4",  "0x1.2.3.4", "1.2.3.4/8", "::1"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_ip4(bad));
  }
}

TEST_CASE("IPv4 addresses are written as they are read") {
  for (const char* text : {"0.0.0.0", "10.0.0.1", "192.168.100.20", "255.255.255.255"}) {
    CHECK(text_of(ip(text)).view() == text);
  }
}

TEST_CASE("IPv4 prefixes keep their host bits, are masked on demand and refuse what is no length") {
  CHECK(text_of(net("10.64.0.7/16")).view() == "10.64.0.7/16");
  CHECK(text_of(net("10.64.0.7/16").masked()).view() == "10.64.0.0/16");
  CHECK(net("1.2.3.4/0").mask() == 0);
  CHECK(net("1.2.3.4/32").mask() == 0xffffffff);
  CHECK(net("10.0.0.0/8").last() == ip("10.255.255.255"));
  CHECK(net("0.0.0.0/0").last() == ip("255.255.255.255"));
  CHECK(net("10.0.0.0/8").aligned());
  CHECK_FALSE(net("10.0.0.1/8").aligned());
  for (const char* bad : {"", "/", "1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/08", "1.2.3.4/-1",
                          "1.2.3.4/8 ", "1.2.3.4/008", "1.2.3/8", "1.2.3.4//8"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_net4(bad));
  }
}

TEST_CASE("prefixes contain and overlap each other") {
  CHECK(net("10.0.0.0/8").contains(ip("10.255.0.1")));
  CHECK_FALSE(net("10.0.0.0/8").contains(ip("11.0.0.0")));
  CHECK(net("0.0.0.0/0").contains(ip("200.0.0.1")));
  CHECK(net("10.0.0.0/8").contains(net("10.1.0.0/16")));
  CHECK_FALSE(net("10.1.0.0/16").contains(net("10.0.0.0/8")));
  CHECK(net("10.1.0.0/16").overlaps(net("10.0.0.0/8")));
  CHECK(net("10.0.0.0/8").overlaps(net("10.1.0.0/16")));
  CHECK_FALSE(net("10.1.0.0/16").overlaps(net("10.2.0.0/16")));
  CHECK(net("10.1.0.0/16").overlaps(net("0.0.0.0/0")));
}

TEST_CASE("addresses know what they are good for") {
  struct Row {
    const char* text;
    bool unicast, loopback, link_local;
  };
  for (const Row& row : {Row{"0.0.0.0", false, false, false},
                         {"0.255.255.255", false, false, false},
                         {"1.0.0.0", true, false, false},
                         {"126.255.255.255", true, false, false},
                         {"127.0.0.0", true, true, false},
                         {"127.255.255.255", true, true, false},
                         {"128.0.0.0", true, false, false},
                         {"169.253.255.255", true, false, false},
                         {"169.254.0.0", true, false, true},
                         {"169.254.255.255", true, false, true},
                         {"169.255.0.0", true, false, false},
                         {"223.255.255.255", true, false, false},
                         {"224.0.0.0", false, false, false},
                         {"240.0.0.1", false, false, false},
                         {"255.255.255.255", false, false, false}}) {
    CAPTURE(row.text);
    CHECK(is_unicast(ip(row.text)) == row.unicast);
    CHECK(is_loopback(ip(row.text)) == row.loopback);
    CHECK(is_link_local(ip(row.text)) == row.link_local);
  }
}

TEST_CASE("IPv6 addresses are written as RFC 5952 says") {
  struct Row {
    const char* text;
    const char* canonical;
  };
  for (const Row& row : {
           Row{"::", "::"},
           {"::1", "::1"},
           {"1::", "1::"},
           {"0:0:0:0:0:0:0:0", "::"},
           {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
           {"2001:0db8::0001", "2001:db8::1"},                // 4.1: no leading zeros
           {"2001:db8::0:1", "2001:db8::1"},                  // 4.2.1: as short as possible
           {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // 4.2.2: not for one group
           {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
           {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},        // 4.2.3: the longest run
           {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},  // 4.2.3: the first of equals
           {"2001:DB8::A", "2001:db8::a"},                 // 4.3: lower case
           {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
           {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
           {"0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"},
           {"0:2:3:4:5:6:7:0", "0:2:3:4:5:6:7:0"},
           {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
           {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
           {"fd00:64:0:4f::", "fd00:64:0:4f::"},
           {"::ffff:10.0.0.1", "::ffff:10.0.0.1"},  // 5: mapped
           {"::ffff:a00:1", "::ffff:10.0.0.1"},
           {"::ffff:0:0", "::ffff:0.0.0.0"},
           {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
           {"::10.0.0.1", "::a00:1"},
           {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
           {"1::5:6:1.2.3.4", "1::5:6:102:304"},
           {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
       }) {
    CAPTURE(row.text);
    CHECK(canonical6(row.text) == row.canonical);
    CHECK(canonical6(row.canonical) == row.canonical);
  }
}

TEST_CASE("what is no IPv6 address is refused") {
  for (const char* bad : {"",
                          ":",
                          ":::",
                          "1",
                          "1:",
                          ":1",
                          "1:2:3:4:5:6:7",
                          "1:2:3:4:5:6:7:8:9",
                          "1:2:3:4:5:6:7:8:",
                          ":1:2:3:4:5:6:7:8",
                          "1::2::3",
                          "1:::2",
                          "12345::",
                          "g::",
                          "1:2:3:4::5:6:7:8",
                          "::1:2:3:4:5:6:7:8",
                          "1:2:3:4:5:6:7:8::",
                          "fe80::1%eth0",
                          " ::1",
                          "::1 ",
                          "1.2.3.4",
                          "::1.2.3",
                          "::1.2.3.4.5",
                          "::256.1.1.1",
                          "::1.2.3.4:5",
                          "1:2:3:4:5:6:7:1.2.3.4",
                          "1:2:3:4:5:1.2.3.4",
                          "::01.2.3.4",
                          "[::1]",
                          "::1/64"}) {
    CAPTURE(bad);
    CHECK(canonical6(bad) == "refused");
  }
}

TEST_CASE("MAC addresses are read with colons or dashes and written with colons") {
  const auto canonical = [](std::string_view text) {
    const auto mac = parse_mac(text);
    return mac ? std::string(text_of(*mac).view()) : "refused";
  };
  CHECK(canonical("f2:09:be:00:30:fd") == "f2:09:be:00:30:fd");
  CHECK(canonical("F2-09-BE-00-30-FD") == "f2:09:be:00:30:fd");
  for (const char* bad : {"", "f2:09:be:00:30", "f2:09:be:00:30:", "f2:09:be:00:30:fd:01", "f2:09:be:00:30:f",
                          "f2-09:be:00:30:fd", "f2:09-be:00:30:fd", "f2:9:be:00:30:fd", "f209.be00.30fd",
                          "f209be0030fd", "g2:09:be:00:30:fd", "f2:09:be:00:30:fdd", " f2:09:be:00:30:fd"}) {
    CAPTURE(bad);
    CHECK(canonical(bad) == "refused");
  }
  CHECK(parse_mac("02:00:00:00:00:01")->unicast());
  CHECK_FALSE(parse_mac("01:00:5e:00:00:01")->unicast());
  CHECK(Mac{}.zero());
}

TEST_CASE("an address of either family is read and written canonically; a mapped one is IPv4, as for Go") {
  const auto canonical = [](std::string_view text) {
    const auto any = parse_ip(text);
    return any ? std::string(text_of(*any).view()) : "refused";
  };
  CHECK(canonical("10.0.0.1") == "10.0.0.1");
  CHECK(canonical("0.0.0.0") == "0.0.0.0");
  CHECK(canonical("::ffff:10.0.0.1") == "10.0.0.1");
  CHECK(canonical("::ffff:a00:1") == "10.0.0.1");
  CHECK(canonical("2001:DB8:0:0::1") == "2001:db8::1");
  CHECK(canonical("::") == "::");
  CHECK(canonical("::10.0.0.1") == "::a00:1");
  for (const char* bad : {"", "10.0.0", "010.0.0.1", "10.0.0.1/8", "fe80::1%eth0", "[::1]", ":", "1::2::3"}) {
    CAPTURE(bad);
    CHECK(canonical(bad) == "refused");
  }
}

TEST_CASE("an IPv4 address is itself again after it was mapped") {
  for (const char* text : {"0.0.0.0", "10.0.0.1", "255.255.255.255"}) {
    const Ip mapped = ip(text);
    CHECK(mapped.is_v4());
    CHECK(mapped.v4() == ip(text));
    CHECK(mapped == Ip(*parse_ip6(std::string("::ffff:") + text)));
    CHECK(mapped == *parse_ip(text));
  }
  CHECK_FALSE(Ip().is_v4());
  CHECK_FALSE(parse_ip("::fffe:10.0.0.1")->is_v4());
  CHECK_FALSE(parse_ip("1::ffff:10.0.0.1")->is_v4());
  CHECK(parse_ip("2001:db8::1")->v6() == *parse_ip6("2001:db8::1"));
  static_assert(sizeof(Ip) == 16 && sizeof(Net) <= 24);
  static_assert(Ip(Ip4{0x0a000001}) == Ip(Ip6{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}}));
}

TEST_CASE("addresses are ordered by their bytes, IPv4 ones naturally") {
  const char* const ordered[] = {"::",          "::1",         "9.255.255.255", "10.0.0.0", "10.0.0.1",
                                 "192.168.0.1", "2001:db8::1", "fe80::1",       "ff02::1"};
  for (std::size_t i = 1; i < std::size(ordered); ++i) {
    CAPTURE(ordered[i]);
    CHECK(*parse_ip(ordered[i - 1]) < *parse_ip(ordered[i]));
  }
}

TEST_CASE("addresses of either family know what they are good for") {
  struct Row {
    const char* text;
    bool unicast, loopback, link_local;
  };
  for (const Row& row : {Row{"::", false, false, false},
                         {"::1", true, true, false},
                         {"::2", true, false, false},
                         {"2001:db8::1", true, false, false},
                         {"fe7f::1", true, false, false},
                         {"fe80::1", true, false, true},
                         {"febf::1", true, false, true},
                         {"fec0::1", true, false, false},
                         {"ff02::1", false, false, false},
                         {"::ffff:127.0.0.1", true, true, false},
                         {"169.254.0.1", true, false, true},
                         {"224.0.0.1", false, false, false},
                         {"0.0.0.0", false, false, false}}) {
    CAPTURE(row.text);
    const Ip any = *parse_ip(row.text);
    CHECK(is_unicast(any) == row.unicast);
    CHECK(is_loopback(any) == row.loopback);
    CHECK(is_link_local(any) == row.link_local);
  }
}

TEST_CASE("prefixes of either family are read, masked and written in their family's lengths") {
  const auto masked = [](std::string_view text) {
    const auto any = parse_net(text);
    return any ? std::string(text_of(any->masked()).view()) : "refused";
  };
  CHECK(masked("10.64.3.7/16") == "10.64.0.0/16");
  CHECK(masked("10.64.3.7/0") == "0.0.0.0/0");
  CHECK(masked("10.64.3.7/32") == "10.64.3.7/32");
  CHECK(masked("::ffff:10.64.3.7/112") == "10.64.0.0/16");
  CHECK(masked("2001:db8:1:2::3/48") == "2001:db8:1::/48");
  CHECK(masked("2001:db8:ff:2::3/42") == "2001:db8:c0::/42");
  CHECK(masked("2001:db8::1/128") == "2001:db8::1/128");
  CHECK(masked("2001:db8::1/0") == "::/0");
  CHECK(text_of(*parse_net("10.64.3.7/16")).view() == "10.64.3.7/16");
  for (const char* bad : {"", "/", "10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/08", "10.0.0.1/8 ",
                          "::1", "::/129", "::/-1", "::/", "::ffff:10.0.0.0/95", "/8", "1.2.3/8", "::1//8"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_net(bad));
  }
  const Net4 four = net("10.64.3.7/16");
  CHECK(Net(four).is_v4());
  CHECK(Net(four).v4() == four);
  CHECK(Net(four).masked() == Net(four.masked()));
}

TEST_CASE("prefixes of either family contain and overlap each other, never across the families") {
  const auto any = [](std::string_view text) { return *parse_net(text); };
  CHECK(any("10.0.0.0/8").contains(*parse_ip("10.255.0.1")));
  CHECK_FALSE(any("10.0.0.0/8").contains(*parse_ip("11.0.0.0")));
  CHECK(any("0.0.0.0/0").contains(*parse_ip("200.0.0.1")));
  CHECK(any("2001:db8::/32").contains(*parse_ip("2001:db8:ffff::1")));
  CHECK_FALSE(any("2001:db8::/33").contains(*parse_ip("2001:db8:8000::1")));
  CHECK(any("10.0.0.0/8").contains(any("10.1.0.0/16")));
  CHECK_FALSE(any("10.1.0.0/16").contains(any("10.0.0.0/8")));
  CHECK(any("10.1.0.0/16").overlaps(any("10.0.0.0/8")));
  CHECK_FALSE(any("10.1.0.0/16").overlaps(any("10.2.0.0/16")));
  CHECK(any("::/0").overlaps(any("2001:db8::/32")));
  CHECK_FALSE(any("::/0").contains(*parse_ip("10.0.0.1")));
  CHECK_FALSE(any("::/0").overlaps(any("0.0.0.0/0")));
  CHECK_FALSE(any("0.0.0.0/0").contains(*parse_ip("2001:db8::1")));
}

TEST_SUITE_END();
