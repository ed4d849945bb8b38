// SPDX-License-Identifier: Apache-2.0
// The verbs: how they are called and what help says of each.
#include "cli/verb_table.hpp"

#include "cli/leave.hpp"

namespace flannelette::cli {
namespace {

constexpr VerbEntry kVerbs[kVerbCount] = {
    {"run", "[flags]", "joins the overlay network; no verb means this",
     "It stays in the foreground. SIGTERM and SIGINT end it and leave the data plane\n"
     "up; SIGHUP has the TLS files read again. Exit status: 0 after a signal, 1 if it\n"
     "cannot start, 2 if a setting is wrong.\n",
     nullptr},
    {"leave", "[flags]", "gives the lease back, then cleans up",
     "For a node whose agent is stopped, with the flags that it ran with. Kubernetes'\n"
     "Node loses its annotations. If the registry does not do it within 20 seconds,\n"
     "nothing is removed and the exit status is 1.\n",
     can_leave},
    {"cleanup", "[--flanneld] [flags]", "removes device, routes, rules and files",
     "For a node whose agent is stopped, with the flags that it ran with. The registry\n"
     "is not asked. --flanneld, as the first flag, also removes the devices and\n"
     "nf_tables tables of a flanneld, and prints the commands that remove its iptables\n"
     "chains.\n",
     can_leave},
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
