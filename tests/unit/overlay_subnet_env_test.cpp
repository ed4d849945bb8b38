// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <array>
#include <string>

#include "flannelette/overlay/subnet_env.hpp"

using namespace flannelette;
using namespace flannelette::overlay;

TEST_SUITE("overlay/subnet.env") {
  TEST_CASE("the file is flanneld's, line for line") {
    std::array<char, 256> buffer;
    Writer out(buffer);
    write(out, SubnetEnv{{{0x0a2a0000}, 16}, {{0x0a2a0001}, 24}, 1450, true});
    CHECK(
        std::string(out.view()) ==
        "FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.0.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n");
    out.clear();
    write(out, SubnetEnv{{{0x0a2a0000}, 16}, {{0x0a2a0001}, 24}, 1280, false});
    CHECK(std::string(out.view()) ==
          "FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.0.1/"
          "24\nFLANNEL_MTU=1280\nFLANNEL_IPMASQ=false\n");
  }

  TEST_CASE("a file with our lines is right, whatever other programs add to it") {
    const SubnetEnv env{{{0x0a2a0000}, 16}, {{0x0a2a0001}, 24}, 1450, true};
    const std::string ours =
        "FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.0.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
    for (const std::string& right :
         {ours, ours + "DOCKER_OPT_BIP=\"--bip=10.42.0.1/24\"\nDOCKER_OPT_MTU=\"--mtu=1450\"\n",
          "# by hand\n\n" + ours + "export X=y", ours + "FLANNEL_IFACE=eth0\nFLANNEL_SUBNET",
          std::string("FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\nX=1\nFLANNEL_NETWORK=10.42.0.0/16\n"
                      "FLANNEL_SUBNET=10.42.0.1/24")}) {
      CAPTURE(right);
      CHECK(holds(right, env));
    }
    for (const std::string& wrong :
         {std::string(), ours.substr(0, ours.size() - 2), ours + "FLANNEL_MTU=1450\n",
          ours + "FLANNEL_MTU=9000\n", ours + "export FLANNEL_MTU=\"1450\"\n", "  " + ours,
          ours + "FLANNEL_IPV6_SUBNET=fd00::1/64\n", ours.substr(ours.find('\n') + 1),
          "FLANNEL_MTU=145\n" + ours}) {
      CAPTURE(wrong);
      CHECK_FALSE(holds(wrong, env));
    }
  }

  TEST_CASE("a rewrite keeps other programs' lines behind ours, and none of flanneld's keys twice") {
    const auto rewritten = [](std::string_view before) {
      return std::string(
          to_text<1024>([&](Writer& out) {
            write_with_foreign(out, SubnetEnv{{{0x0a2a0000}, 16}, {{0x0a2a0001}, 24}, 1450, true}, before);
          }).view());
    };
    const std::string ours = rewritten("");
    CHECK(rewritten("# by hand\nFLANNEL_MTU=1\n\nX=\"a b\"\n export FLANNEL_SUBNET = 10.9.9.1/24\nY") ==
          ours + "# by hand\n\nX=\"a b\"\nY\n");
    CHECK(rewritten(ours) == ours);
    CHECK(rewritten("FLANNEL_IPV6_NETWORK=fd00::/48\nFLANNEL_IPV6_SUBNET=fd00::1/64\n" + ours) == ours);
  }

  TEST_CASE("the previous subnet is found in dotenv syntax") {
    for (const char* text : {
             "FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.7.1/"
             "24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
             "FLANNEL_SUBNET=10.42.7.1/24",
             "FLANNEL_SUBNET=10.42.7.1/24\r\n",
             "  export FLANNEL_SUBNET = \"10.42.7.1/24\"  # ours\n",
             "FLANNEL_SUBNET='10.42.7.1/24'\n",
             "FLANNEL_SUBNET=10.42.7.1/24 # ours\n",
             "# FLANNEL_SUBNET=10.9.9.1/24\n\nFLANNEL_SUBNET=10.9.8.1/24\nFLANNEL_SUBNET=10.42.7.0/24\n",
             "junk\n=\n==\nFLANNEL_SUBNET=10.42.7.1/24\nFLANNEL_IPV6_SUBNET=fd00::1/64\n",
         }) {
      CAPTURE(text);
      CHECK(previous_subnet(text) == Net4{{0x0a2a0700}, 24});
    }
  }

  TEST_CASE("without one readable subnet there is none") {
    for (const char* text :
         {"", "\n", "FLANNEL_NETWORK=10.42.0.0/16\n", "FLANNEL_SUBNET=\n", "FLANNEL_SUBNET",
          "FLANNEL_SUBNET=10.42.7.1\n", "FLANNEL_SUBNET=10.42.7.1/24,10.42.8.1/24\n",
          "FLANNEL_SUBNET=fd00::1/64\n", "FLANNEL_SUBNET=\"10.42.7.1/24\n", "XFLANNEL_SUBNET=10.42.7.1/24\n",
          "FLANNEL_SUBNET=10.42.7.1/24x\n", "FLANNEL_SUBNET=10.42.7.1/24\nFLANNEL_SUBNET=x\n"}) {
      CAPTURE(text);
      CHECK_FALSE(previous_subnet(text));
    }
  }

  TEST_CASE("a file cut at any byte gives the right subnet or none") {
    const std::string whole = "FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.0.1/24\nFLANNEL_MTU=1450\n";
    for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
      const auto net = previous_subnet(whole.substr(0, cut));
      // "/2" of "/24" cannot be told from a prefix length; the file is replaced atomically, so nobody sees it
      // cut.
      if (net && net->length == 24) CHECK(*net == Net4{{0x0a2a0000}, 24});
    }
  }
}
