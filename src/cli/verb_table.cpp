// SPDX-License-Identifier: Apache-2.0
// The verbs: how they are called and what help says of each.
#include "cli/verb_table.hpp"

#include "cli/check.hpp"
#include "cli/inquiry.hpp"
#include "cli/kube_known.hpp"
#include "cli/leave.hpp"

namespace flannelette::cli {
namespace {

/// What only a Pod wants.
bool knows_kube() { return kKnowsKube; }

constexpr VerbEntry kVerbs[kVerbCount] = {
    {"run", "[flags]", "joins the overlay network; no verb means this",
     "It ends at SIGTERM or SIGINT and leaves the data plane up. At SIGHUP it reads the\n"
     "TLS files again.\n",
     nullptr},
    {"status", "[--json] [--watch]", "says how the agent is, and whether it is ready",
     "The flags are those that it runs with. Exit status: 0 ready, 1 not ready, 3 no\n"
     "agent answers, and what the kernel has is shown.\n\n",
     can_inquire},
    {"peers", "[--wait N]", "lists programmed peers, or waits for them",
     "A line each: subnet, address, MAC. It waits until there are N, 60 seconds or\n"
     "--timeout SECONDS at most; exit status 1: there were not so many.\n",
     can_inquire},
    {"support", "[flags]", "prints a report to paste where help is asked for",
     "No password or key is in it.\n", can_inquire},
    {"check", "[--json] [flags]", "finds what stops the overlay here",
     "Before the first start or beside a running agent, with its flags. It looks at the\n"
     "machine, asks each server of the registry, and pings up to 16 peers; it changes\n"
     "nothing. A line for each finding, with what to do; --json, as the first flag,\n"
     "prints them for programs. Exit status: 0 nothing found, 1 warnings, 2 failures.\n",
     can_check},
    {"leave", "[flags]", "gives the lease back, then cleans up",
     "The agent is to be stopped, the flags are those that it ran with. If the registry\n"
     "does not take the lease back within 20 seconds, nothing is removed.\n",
     can_leave},
    {"cleanup", "[--flanneld] [--for-flanneld]", "removes device, routes, rules and files",
     "The agent is to be stopped, the flags are those that it ran with. --flanneld, as\n"
     "the first one, also removes what a flanneld left, and prints the commands for its\n"
     "iptables chains. --for-flanneld: what flanneld cannot use.\n",
     can_leave},
    {"install-cni", "[--from FILE] DIR", "writes the CNI list into DIR",
     "As 10-flannel.conflist: flannel's own, or that of FILE.\n", knows_kube},
    {"version", "", "prints the version", "", nullptr},
    {"help", "[VERB|GROUP|FLAG|all]", "prints this, or about a verb or flags", "", nullptr},
};

}  // namespace

std::span<const VerbEntry, kVerbCount> verbs() { return kVerbs; }

const VerbEntry* find_verb(std::string_view name) {
  for (const VerbEntry& entry : kVerbs) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace flannelette::cli
