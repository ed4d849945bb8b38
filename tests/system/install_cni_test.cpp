// SPDX-License-Identifier: Apache-2.0
// The verb install-cni, as a person calls it and as an init container does: without capabilities, and without
// anything to write to but the one folder.
#include <doctest/doctest.h>

#include "support/means.hpp"
#include "system/cluster.hpp"

using namespace flannelette::tests;

TEST_SUITE("system/install_cni") {
  TEST_CASE("a container without capabilities and with a read-only root writes the list, and says nothing") {
    REQUIRE_MEANS(missing_program(binary()), means::namespaces(), means::program("setpriv"));
    const TempDir host;
    write_file(host.file("cni-conf.json"), R"({"name":"cbr0","plugins":[{"type":"flannel"}]})");
    const std::string net_d = host.file("net.d");
    const auto install = [&](const std::string& options) {
      return run(
          {.args = {"unshare", "--mount", "sh", "-c",
                    "mkdir -p " + net_d + " && mount --bind " + net_d + " " + net_d +
                        " && mount -o remount,bind," + options + " " + net_d +
                        " && exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs " + binary() +
                        " install-cni --from " + host.file("cni-conf.json") + " " + net_d}});
    };
    Outcome outcome = install("ro");
    CHECK(outcome.status == 1);
    CHECK_MESSAGE(
        contains(outcome.output, "flannelette: install-cni: " + net_d + ": open: Read-only file system\n"),
        outcome.output);
    CHECK_MESSAGE(contains(outcome.output, "mount the host's folder there"), outcome.output);
    outcome = install("rw");
    CHECK_MESSAGE(outcome.status == 0, outcome.output);
    CHECK(outcome.output.empty());
    CHECK(file_text(net_d + "/10-flannel.conflist") == file_text(host.file("cni-conf.json")));
    // As it should be already: nothing is to be written.
    outcome = install("ro");
    CHECK_MESSAGE(outcome.status == 0, outcome.output);
  }

  TEST_CASE("without a folder it ends with 2, and help says how it is called") {
    REQUIRE_MEANS(missing_program(binary()));
    const Outcome none = run({.args = {binary(), "install-cni"}});
    CHECK(none.status == 2);
    CHECK_MESSAGE(contains(none.output, "usage: [--from FILE] DIR"), none.output);
    const Outcome help = run({.args = {binary(), "install-cni", "--help"}});
    CHECK(help.status == 0);
    CHECK_MESSAGE(help.output.starts_with("usage: flannelette install-cni [--from FILE] DIR\n"), help.output);
  }
}
