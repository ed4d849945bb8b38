// SPDX-License-Identifier: Apache-2.0
// What an inspection asks of a machine, and that asking changes nothing.
#include "flannelette/kernel/host.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/kernel_node.hpp"
#include "support/poll.hpp"
#include "support/temp_dir.hpp"

using namespace flannelette;
using namespace flannelette::tests;
using kernel::FirewallFinding;
using Writing = kernel::HostPort::Writing;

namespace {

struct HostNode : KernelNode {
  using KernelNode::KernelNode;
  kernel::Host host{kernel, files};
};

struct Chains final : kernel::FindingVisitor {
  void finding(const FirewallFinding& f) override {
    CHECK(f.kind == FirewallFinding::Kind::kInputDrop);
    text += f.table.view();
    text += "/";
    text += f.chain.view();
    if (f.legacy) text += " legacy";
    text += "\n";
  }
  std::string text;
};

std::string dropping(HostNode& n) {
  Chains chains;
  const auto inspected = n.host.inspect_input("br-lan", 8472, chains);
  CHECK_MESSAGE(inspected, inspected.error().context, " errno ", inspected.error().sys_errno);
  return chains.text;
}

struct Programs final : kernel::ProgramVisitor {
  void program(const kernel::Program& program) override {
    names += program.name.view();
    names += "\n";
  }
  std::string names;
};

void nft(const std::string& text) { must_run({.args = {"nft", text}}); }

}  // namespace

TEST_SUITE("kernel/host") {
  TEST_CASE("vxlan is asked for without a device being made") {
    REQUIRE_MEANS(namespaces(), link_kind("type vxlan id 77 dstport 9999"));
    HostNode n("khost1");
    const std::string before = n.node.ip("link");
    CHECK(n.host.try_vxlan());
    CHECK(n.node.ip("link") == before);
  }

  TEST_CASE("rules are tried without any being installed, beside those that are") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    HostNode n("khost2");
    overlay::RuleSpec spec;
    spec.masquerade = spec.forward = spec.clamp_mss = true;
    spec.network = net4("10.42.0.0/16");
    spec.subnet = net4("10.42.3.0/24");
    const auto tried = n.host.try_rules(spec);
    CHECK_MESSAGE(tried, tried.error().context, " errno ", tried.error().sys_errno);
    CHECK(output_of("nft list ruleset").empty());
    REQUIRE(n.kernel.apply_rules(spec));
    const std::string before = output_of("nft list ruleset");
    CHECK(n.host.try_rules(spec));
    CHECK(output_of("nft list ruleset") == before);
  }

  TEST_CASE("an input chain that drops is named, unless a rule of its table accepts the port or the link") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    HostNode n("khost3");
    nft("table inet fw { chain other { type filter hook forward priority 0; policy drop; }; }");
    CHECK(dropping(n).empty());
    nft("add chain inet fw incoming { type filter hook input priority 0; policy drop; }");
    nft("add rule inet fw incoming ct state established accept");
    nft("add rule inet fw incoming iifname lo accept");
    nft("add rule inet fw incoming udp dport 8472 drop");
    nft("add rule inet fw incoming tcp dport { 22, 443 } accept");
    CHECK(dropping(n) == "fw/incoming\n");
    // Not of what comes in by our link, or not of our port.
    nft("add chain inet fw outgoing");
    nft("add rule inet fw outgoing oifname br-lan accept");
    nft("add rule inet fw outgoing oifname { eth7, br-lan } accept");
    nft("add rule inet fw incoming iifname != br-lan accept");
    nft("add rule inet fw incoming iifname != { eth7, br-lan } accept");
    nft("add rule inet fw incoming udp dport != 8472 accept");
    CHECK(dropping(n) == "fw/incoming\n");
    const char* accept = "";
    SUBCASE("the port") { accept = "udp dport 8472 accept"; }
    SUBCASE("the port among others") { accept = "udp dport { 53, 8472 } counter accept"; }
    SUBCASE("the link") { accept = "iifname br-lan accept"; }
    SUBCASE("the link among others") { accept = "iifname { eth7, br-lan } accept"; }
    SUBCASE("the link and the port") { accept = "iifname . udp dport { br-lan . 8472 } accept"; }
    SUBCASE("links that begin so") { accept = "iifname \"br-*\" accept"; }
    nft("add rule inet fw incoming " + std::string(accept));
    CHECK(dropping(n).empty());
  }

  TEST_CASE("an input chain that ends with a drop or a reject is named, as one with that policy is") {
    REQUIRE_MEANS(namespaces(), program("nft"));
    HostNode n("khost4");
    nft("table ip fw { chain incoming { type filter hook input priority 0; }; chain allowed { }; }");
    nft("add rule ip fw incoming jump allowed");
    CHECK(dropping(n).empty());
    nft("add rule ip fw incoming reject");
    CHECK(dropping(n) == "fw/incoming\n");
    nft("add rule ip fw allowed udp dport 8472 accept");  // reached by a jump
    CHECK(dropping(n).empty());
  }

  TEST_CASE("iptables' INPUT chain is inspected alike, in both of its kinds") {
    for (const std::string kind : {"iptables-nft", "iptables-legacy"}) {
      CAPTURE(kind);
      REQUIRE_MEANS(namespaces(), program(kind));
      HostNode n(kind == "iptables-nft" ? "khost5" : "khost6");
      if (run({.args = {kind, "-P", "INPUT", "DROP"}}).status != 0) SKIP("no " + kind + " here");
      output_of(kind + " -A INPUT -p tcp --dport 8472 -j DROP");
      output_of(kind + " -A INPUT -i eth9 -j ACCEPT");
      CHECK(dropping(n) == (kind == "iptables-nft" ? "filter/INPUT\n" : "filter/INPUT legacy\n"));
      output_of(kind + " -A INPUT -i br-lan -j ACCEPT");
      CHECK(dropping(n).empty());
      output_of(kind + " -D INPUT -i br-lan -j ACCEPT");
      output_of(kind + " -A INPUT -p udp --dport 8472 -j ACCEPT");
      CHECK(dropping(n).empty());
    }
  }

  TEST_CASE("programs are those of this network namespace, and who holds a socket is known") {
    REQUIRE_MEANS(namespaces());
    HostNode n("khost7");
    const Node elsewhere("khost8");
    Process here({.args = {"sleep", "61"}, .netns = "khost7"});
    Process there({.args = {"tail", "-f", "/dev/null"}, .netns = "khost8"});
    CHECK(wait_until(std::chrono::seconds(5), [&] {
      Programs programs;
      n.host.visit_programs(programs);
      return has(programs.names, "sleep\n") && !has(programs.names, "tail\n");
    }));

    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct stat status {};
    REQUIRE(fstat(fd, &status) == 0);
    CHECK(n.host.holder_of(status.st_ino).pid == getpid());
    close(fd);
    CHECK(n.host.holder_of(1).pid == 0);
  }

  TEST_CASE("a file can be made where its folder can be, and replaced if it is a regular one or a link") {
    REQUIRE_MEANS(namespaces());
    HostNode n("khost9");
    const TempDir folder;
    const auto may = [&](const std::string& file) { return n.host.may_write(file, Writing::kReplace); };
    CHECK(may(folder.file("new")));
    CHECK(may(folder.file("a/b/c")));
    output_of("cp /etc/passwd " + folder.file("file"));
    CHECK(may(folder.file("file")));
    CHECK(may(folder.file("file/new")).error().sys_errno == ENOTDIR);
    CHECK(may(folder.path()).error().sys_errno == EISDIR);
    CHECK(may("/proc/sys/none").error().sys_errno == EACCES);

    REQUIRE(mkfifo(folder.file("fifo").c_str(), 0777) == 0);
    CHECK(may(folder.file("fifo")).error().code == Code::kUnsupported);
    CHECK(may(folder.file("fifo/new")).error().sys_errno == ENOTDIR);

    REQUIRE(symlink("/none/at/all", folder.file("link").c_str()) == 0);
    CHECK(may(folder.file("link")));
    CHECK(may(folder.file("link/new")).error().code == Code::kNotFound);
    CHECK(may(folder.file("link/a/new")).error().code == Code::kNotFound);
  }

  TEST_CASE("a file that is there may be written or not, in place") {
    REQUIRE_MEANS(namespaces());
    HostNode n("khostb");
    CHECK(n.host.may_write("/proc/sys/net/ipv4/ip_forward", Writing::kInPlace));
    CHECK_FALSE(n.host.may_write("/proc/self/none", Writing::kInPlace));
  }

  TEST_CASE("a word is found in a file and in the files of a folder") {
    REQUIRE_MEANS(namespaces());
    HostNode n("khosta");
    const TempDir folder;
    output_of("cp /etc/passwd " + folder.file("one"));
    CHECK(n.host.mentions(folder.path().c_str(), "root:"));
    CHECK(n.host.mentions(folder.file("one").c_str(), "root:"));
    CHECK_FALSE(n.host.mentions(folder.path().c_str(), "no such word"));
    CHECK_FALSE(n.host.mentions(folder.file("two").c_str(), "root:"));
  }
}
