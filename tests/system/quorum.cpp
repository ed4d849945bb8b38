// SPDX-License-Identifier: Apache-2.0
#include "system/quorum.hpp"

#include <chrono>
#include <csignal>
#include <stdexcept>

#include "support/poll.hpp"

namespace flannelette::tests {

using namespace std::chrono_literals;

std::string Quorum::client_urls() {
  std::string urls;
  for (int i = 0; i < kMembers; ++i) urls += (i > 0 ? "," : "") + ("http://" + address(i) + ":2379");
  return urls;
}

Quorum::Quorum() : hub_({.client_url = client_urls(), .process = false}) {
  for (int i = 0; i < kMembers; ++i) {
    auto& member = members_[static_cast<std::size_t>(i)];
    member = std::make_unique<Member>(i);
    connect_to_bridge(hub_.node(), "br0", "q" + std::to_string(i), member->node, "eth0");
    member->node.ip("addr add " + address(i) + "/24 dev eth0");
    member->node.ip("route add default via 172.30.0.1");
    start(i);
  }
  wait_for_leader();
}

void Quorum::start(int number) {
  Member& member = *members_[static_cast<std::size_t>(number)];
  const std::string client = "http://" + address(number) + ":2379",
                    peer = "http://" + address(number) + ":2380";
  std::string all;
  for (int i = 0; i < kMembers; ++i)
    all += (i > 0 ? "," : "") + ("m" + std::to_string(i) + "=http://" + address(i) + ":2380");
  member.process = std::make_unique<Process>(
      Command{.args = {etcd_program("etcd"), "--name", "m" + std::to_string(number), "--data-dir",
                       member.data.file("etcd"), "--listen-client-urls", client, "--advertise-client-urls",
                       client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                       "--initial-cluster", all, "--log-level", "error"},
              .netns = member.node.name(),
              .output_file = member.data.file("etcd.log")});
}

void Quorum::kill(int number) {
  Member& member = *members_[static_cast<std::size_t>(number)];
  member.process->signal(SIGKILL);
  member.process->wait(5s);
}

std::string Quorum::ctl(int member, const std::vector<std::string>& arguments) const {
  Command command{.args = {etcd_program("etcdctl"), "--endpoints", "http://" + address(member) + ":2379",
                           "--dial-timeout", "1s", "--command-timeout", "3s"},
                  .env = {"ETCDCTL_API=3"},
                  .netns = hub_.node().name()};
  command.args.insert(command.args.end(), arguments.begin(), arguments.end());
  return must_run(command, 20s);
}

/// "URL, ID, version, size, true|false, ...": the fifth says whether it leads.
bool Quorum::is_leader(int member) const {
  if (!members_[static_cast<std::size_t>(member)]->process->running()) return false;
  try {
    return contains(ctl(member, {"endpoint", "status", "-w", "simple"}), "B, true,");
  } catch (const std::runtime_error&) {
    return false;
  }
}

int Quorum::leader() const {
  for (int i = 0; i < kMembers; ++i) {
    if (is_leader(i)) return i;
  }
  return -1;
}

int Quorum::wait_for_leader() const {
  int found = -1;
  if (!wait_until(30s, [&] { return (found = leader()) >= 0; })) {
    throw std::runtime_error("no leader: " + file_text(members_[0]->data.file("etcd.log")));
  }
  return found;
}

void Quorum::isolate(int member) const {
  shell(node(member),
        "nft 'table ip cut { chain i { type filter hook input priority 0; iif != lo ip saddr "
        "172.30.0.2-172.30.0.4 drop; };"
        "chain o { type filter hook output priority 0; ip daddr 172.30.0.2-172.30.0.4 ip daddr != " +
            address(member) + " drop; }; }'");
}

void Quorum::go_dead(int member) const {
  shell(node(member),
        "nft 'table ip cut { chain i { type filter hook input priority 0; tcp dport 2379 drop; };"
        "chain o { type filter hook output priority 0; tcp sport 2379 drop; }; }'");
}

void Quorum::mend(int member) const { shell(node(member), "nft delete table ip cut"); }

}  // namespace flannelette::tests
