// SPDX-License-Identifier: Apache-2.0
// What an inspection asks of a machine beside what the agent does. Nothing here changes anything.
#pragma once

#include <cstdint>
#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/kernel/netlink_kernel.hpp"
#include "flannelette/overlay/rules.hpp"

namespace flannelette::kernel {

struct Program {
  int pid = 0;  ///< 0: there is none
  Text<15> name;
};
class ProgramVisitor {
 public:
  virtual void program(const Program& program) = 0;

 protected:
  ~ProgramVisitor() = default;
};

class HostPort {
 public:
  /// Whether the kernel makes VXLAN devices: it is asked for one without settings, which loads the module and
  /// is refused. kDenied: CAP_NET_ADMIN is missing.
  virtual Result<void> try_vxlan() = 0;
  /// Whether nf_tables takes these rules, by a transaction that is never committed.
  virtual Result<void> try_rules(const overlay::RuleSpec& spec) = 0;
  virtual Result<bool> has_nexthops() = 0;
  /// kInputDrop: chains that drop what comes in, in a table that does not accept UDP to `port`, nor what
  /// comes in by `link`.
  virtual Result<void> inspect_input(std::string_view link, std::uint16_t port, FindingVisitor& visitor) = 0;
  /// Those of this network namespace, as far as they can be seen.
  virtual void visit_programs(ProgramVisitor& visitor) = 0;
  /// Who has the socket with this inode, as far as it can be seen.
  virtual Program holder_of(std::uint64_t inode) = 0;
  /// Whether the file, or one in this folder, has the word.
  virtual bool mentions(const char* path, std::string_view word) = 0;
  enum class Writing : std::uint8_t {
    kReplace,  ///< it is made or replaced, with the folders above it where they are missing
    kInPlace,  ///< it is there
  };
  virtual Result<void> may_write(std::string_view file, Writing how) = 0;

 protected:
  ~HostPort() = default;
};

/// The machine that we run on.
class Host final : public HostPort {
 public:
  /// Both outlive this.
  Host(NetlinkKernel& kernel, Files& files) : kernel_(kernel), files_(files) {}

  Result<void> try_vxlan() override;
  Result<void> try_rules(const overlay::RuleSpec& spec) override;
  Result<bool> has_nexthops() override;
  Result<void> inspect_input(std::string_view link, std::uint16_t port, FindingVisitor& visitor) override;
  void visit_programs(ProgramVisitor& visitor) override;
  Program holder_of(std::uint64_t inode) override;
  bool mentions(const char* path, std::string_view word) override;
  Result<void> may_write(std::string_view file, Writing how) override;

 private:
  NetlinkKernel& kernel_;
  Files& files_;
};

}  // namespace flannelette::kernel
