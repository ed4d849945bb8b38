// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include "kernel/udp_socket.hpp"

using namespace flannelette;
using kernel::parse_udp_socket;

TEST_SUITE("kernel/udp socket") {
  const std::string kLine =
      " 8123: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 4711 2 "
      "00000000deadbeef 0";
  const std::string kLine6 =
      "12: 00000000000000000000000000000000:2118 00000000000000000000000000000000:0000 07 00000000:00000000 "
      "00:00000000 00000000     0        0 42 2 0 0";

  TEST_CASE("a line of the port gives user and inode") {
    CHECK(parse_udp_socket(kLine, 8472).uid == 1000);
    CHECK(parse_udp_socket(kLine, 8472).inode == 4711);
    CHECK(parse_udp_socket(kLine6, 8472).inode == 42);
  }

  TEST_CASE("a line of another port, the heading, or a line cut anywhere before the inode gives none") {
    CHECK(parse_udp_socket(kLine, 8473).inode == 0);
    CHECK(parse_udp_socket(kLine, 0).inode == 0);
    CHECK(
        parse_udp_socket("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid "
                         " timeout inode ref pointer drops",
                         8472)
            .inode == 0);
    for (std::size_t size = 0; size < kLine.find("4711"); ++size)
      CHECK(parse_udp_socket(kLine.substr(0, size), 8472).inode == 0);
  }
}
