// SPDX-License-Identifier: Apache-2.0
// What the log of a running agent and an inspection call by the same words.
#include "agent/words.hpp"

#include "flannelette/agent/cleanup.hpp"

namespace flannelette::agent {
namespace {

using kernel::FirewallFinding;
using Kind = FirewallFinding::Kind;

void put_accept(Writer& out, const FirewallFinding& finding, std::string_view match, const Net& network) {
  out.put("nft insert rule ")
      .put(finding.family)
      .put(" ")
      .put(finding.table)
      .put(" ")
      .put(finding.chain)
      .put(match);
  write(out, network);
  out.put(" accept");
}

}  // namespace

const char* words_of(const overlay::ConfigProblem& problem) {
  return problem.changed       ? "the network config has changed; a restart of this node uses it"
         : problem.unsupported ? "the network config asks for what flannelette cannot do"
                               : "the network config is wrong";
}

void put_reason(Writer& out, const overlay::ConfigProblem& problem) {
  out.put(problem.key);
  if (*problem.key != '\0') out.put(": ");
  out.put(problem.why);
}

const char* words_of(const FirewallFinding& finding) {
  switch (finding.kind) {
    case Kind::kForeignDrop:
      return "another firewall table drops forwarded packets; our accept cannot overrule it";
    case Kind::kFlanneldNftTable:
    case Kind::kFlanneldIptables:
    case Kind::kInputDrop: break;  // of an inspection alone
  }
  return "flanneld left traffic rules behind";
}

Text<400> repair_of(const FirewallFinding& finding, const Net& network) {
  return to_text<400>([&](Writer& out) {
    switch (finding.kind) {
      case Kind::kForeignDrop:
        put_accept(out, finding, " ip saddr ", network);
        put_accept(out.put("; "), finding, " ip daddr ", network);
        break;
      case Kind::kFlanneldNftTable:
        out.put("nft delete table ").put(finding.family).put(" ").put(finding.table);
        break;
      case Kind::kFlanneldIptables: out.put(chain_removal(finding.legacy)); break;
      case Kind::kInputDrop: break;
    }
  });
}

}  // namespace flannelette::agent
