// SPDX-License-Identifier: Apache-2.0
// One registry, asked step by step as the agent does it, without being told anything.
#pragma once

#include "agent/inspection/context.hpp"
#include "flannelette/registry/registry.hpp"

namespace flannelette::agent {

class RegistryProbe final : registry::MemberListener, registry::MembershipListener {
 public:
  class Listener {
   public:
    /// The config was read, by each probe.
    virtual void on_network(const overlay::NetworkConfig& config) = 0;
    /// The registry has a server there; the same one may be given again.
    virtual void on_server(const Ip& address) = 0;
    /// A record of the list, after on_network().
    virtual void on_record(const overlay::LeaseRecord& record) = 0;
    /// join() is to be called.
    virtual void on_rehearsal(registry::Registry& registry) = 0;
    /// The probe has come to its end.
    virtual void on_probed() = 0;

   protected:
    ~Listener() = default;
  };

  /// Both outlive this.
  RegistryProbe(const InspectedRegistry& inspected, Listener& listener)
      : inspected_(inspected), listener_(listener) {}
  void start() {
    inspected_.registry->start(*this, *this);
    inspected_.registry->follow();
  }
  /// There is no more time.
  void end();
  bool ended() const { return step_ >= Step::kWorks; }
  bool works() const { return step_ == Step::kWorks; }
  /// `any`: some probe works.
  bool matters(bool any) const { return works() || !any || !inspected_.optional; }
  /// What came of it. `grade`: of a failure.
  void report(Report& report, Grade grade) const;

 private:
  enum class Step : std::uint8_t { kConfig, kList, kWatch, kJoin, kWorks, kFailed };

  void on_snapshot_begin() override;
  void on_snapshot_end() override;
  void on_snapshot_abort() override {}
  void on_record(const overlay::LeaseRecord& record) override;
  void on_removed(const overlay::LeaseKey&, std::int64_t) override {}
  void on_events_end() override {}
  void on_skipped(std::string_view, registry::Skipped) override {}

  void on_failure(const registry::Failure& failure) override;
  void on_working(std::string_view) override {}
  void on_config(const overlay::NetworkConfig& config) override;
  void on_config_problem(const overlay::ConfigProblem& problem, std::string_view at) override;
  void on_config_missing() override;
  void on_joined(const registry::Membership&) override { succeed(); }
  void on_left(const registry::Left& left) override;
  void on_server_address(const Ip& address) override { listener_.on_server(address); }
  void on_watching() override;

  void succeed();
  Writer* fail();

  const InspectedRegistry& inspected_;
  Listener& listener_;
  Step step_ = Step::kConfig;
  Net4 network_{};  ///< of the config
  std::size_t records_ = 0;
  std::array<char, FindingListener::kMaxText> memory_;
  Writer text_{memory_};     ///< why it failed
  std::string_view repair_;  ///< static
};

/// What a person does about a request that failed, by the words of the failure; empty: it is not known.
std::string_view repair_of(std::string_view failure);

}  // namespace flannelette::agent
