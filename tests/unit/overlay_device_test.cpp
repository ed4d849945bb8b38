// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>

#include "flannelette/overlay/device.hpp"

using namespace flannelette;
using namespace flannelette::overlay;

namespace {

DeviceSpec spec() {
  DeviceSpec want;
  want.name = device_name(1);
  want.vni = 1;
  want.port = 8472;
  want.local = {0xac1e000b};
  want.mtu = 1450;
  want.mac = {{2, 0, 0, 0, 0, 1}};
  return want;
}

Device device_of(const DeviceSpec& want) {
  Device have;
  have.index = 7;
  have.name = want.name;
  have.is_vxlan = true;
  have.up = true;
  have.vni = want.vni;
  have.port = want.port;
  have.local = want.local;
  have.mtu = want.mtu;
  have.mac = want.mac;
  have.learning = want.learning;
  have.gbp = want.gbp;
  return have;
}

}  // namespace

TEST_SUITE("overlay/device") {
  TEST_CASE("a device that is right is left alone") {
    const DevicePlan plan = plan_device(spec(), device_of(spec()));
    CHECK_FALSE(plan.create);
    CHECK(plan.changes().empty());
    CHECK_FALSE(plan.entries_lost());
  }

  TEST_CASE("a missing device is created, and set up") {
    const DevicePlan plan = plan_device(spec(), std::nullopt);
    CHECK(plan.create);
    CHECK_FALSE(plan.remove_first);
    CHECK(plan.set_up);
    CHECK(plan.entries_lost());
    CHECK_FALSE((plan.set_local || plan.set_learning || plan.set_mtu || plan.set_mac));
  }

  TEST_CASE("what can be changed in place is changed in place") {
    struct Row {
      void (*spoil)(Device&);
      bool DevicePlan::*expected;
      bool entries_lost;
    };
    const Row rows[] = {
        {[](Device& d) { d.local = {1}; }, &DevicePlan::set_local, false},
        {[](Device& d) { d.learning = true; }, &DevicePlan::set_learning, false},
        {[](Device& d) { d.mtu = 1400; }, &DevicePlan::set_mtu, false},
        {[](Device& d) { d.mac.bytes[5] = 9; }, &DevicePlan::set_mac, true},
        {[](Device& d) { d.up = false; }, &DevicePlan::set_up, true},
        {[](Device& d) { d.name = "renamed"; }, &DevicePlan::set_name, false},
        {[](Device& d) { d.master_index = 4; }, &DevicePlan::clear_master, false},
        {[](Device& d) { d.forwarding = false; }, &DevicePlan::set_forwarding, false},
        {[](Device& d) { d.strict_rp_filter = true; }, &DevicePlan::set_rp_filter, false},
    };
    for (const Row& row : rows) {
      Device have = device_of(spec());
      row.spoil(have);
      const DevicePlan plan = plan_device(spec(), have);
      CHECK_FALSE(plan.create);
      CHECK(!plan.changes().empty());
      CHECK(plan.*row.expected);
      CHECK(plan.set_name + plan.clear_master + plan.set_local + plan.set_learning + plan.set_mtu +
                plan.set_mac + plan.set_forwarding + plan.set_rp_filter + plan.set_up ==
            1);
      CHECK(plan.entries_lost() == row.entries_lost);
    }
  }

  TEST_CASE("a device that is bound to a link is right, with the MTU that the link allows") {
    Device have = device_of(spec());
    have.lower_index = 2;
    have.max_mtu = 1450;
    CHECK(plan_device(spec(), have).changes().empty());
    have.max_mtu = 1400;
    DevicePlan plan = plan_device(spec(), have);
    CHECK_FALSE(plan.create);
    CHECK(plan.changes().view() == "mtu");
    CHECK(mtu_on(spec(), have) == 1400);
    have.mtu = 1400;
    CHECK(plan_device(spec(), have).changes().empty());
    have.max_mtu = 8950;
    CHECK(mtu_on(spec(), have) == 1450);
  }

  TEST_CASE("all that changes in place is named") {
    Device have = device_of(spec());
    have.name = "renamed";
    have.master_index = 4;
    have.local = {1};
    have.learning = true;
    have.mtu = 1400;
    have.mac.bytes[5] = 9;
    have.up = false;
    CHECK(plan_device(spec(), have).changes().view() == "name,master,local,learning,mtu,mac,up");
  }

  TEST_CASE("what cannot is made anew, and the reason is named") {
    struct Row {
      void (*spoil)(Device&);
      const char* reason;
    };
    const Row rows[] = {
        {[](Device& d) { d.is_vxlan = false; }, "it is not a VXLAN device"},
        {[](Device& d) { d.external = true; }, "it is in external (collect-metadata) mode"},
        {[](Device& d) { d.vni = 2; }, "its VNI differs"},
        {[](Device& d) { d.port = 4789; }, "its UDP port differs"},
        {[](Device& d) { d.gbp = true; }, "its GBP setting differs"},
        {[](Device& d) { d.group = {0xe0000001}; }, "it has a default remote"},
    };
    for (const Row& row : rows) {
      Device have = device_of(spec());
      row.spoil(have);
      const DevicePlan plan = plan_device(spec(), have);
      CHECK(plan.create);
      CHECK(plan.remove_first);
      CHECK(std::string(plan.reason) == row.reason);
      CHECK(plan.entries_lost());
    }
  }

  TEST_CASE("name and MTU") {
    CHECK(std::string(device_name(1).view()) == "flannel.1");
    CHECK(std::string(device_name(0).view()) == "flannel.0");
    // The longest VNI would make 16 bytes, one more than an interface's name may have: flanneld cannot run
    // there.
    CHECK(std::string(device_name(9'999'999).view()) == "flannel.9999999");
    CHECK(std::string(device_name(10'000'000).view()) == "flannel10000000");
    CHECK(std::string(device_name(16'777'215).view()) == "flannel16777215");
    CHECK(device_mtu(1500, 0) == 1450);
    CHECK(device_mtu(1500, 1400) == 1350);
    CHECK(device_mtu(1500, 9000) == 1450);
    CHECK(device_mtu(118, 0) == 68);
    CHECK(device_mtu(117, 0) == 0);
    CHECK(device_mtu(0, 0) == 0);
    CHECK(device_mtu(1500, 100) == 0);
  }
}
