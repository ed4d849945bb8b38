// SPDX-License-Identifier: Apache-2.0
// Finds the underlay and follows it for as long as the agent runs.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "agent/public_ip_file.hpp"
#include "agent/retry.hpp"
#include "agent/underlay.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/base/say_once.hpp"
#include "flannelette/base/state_machine.hpp"
#include "flannelette/io/loop.hpp"

namespace flannelette::agent {

enum class UnderlayState : std::uint8_t {
  kSeeking,  ///< there was none yet
  kPresent,
  kMissing,  ///< there was one, which is remembered
};
inline constexpr StateTable kUnderlayStates{
    "underlay",
    {StateRow(UnderlayState::kSeeking, "seeking", UnderlayState::kPresent),
     StateRow(UnderlayState::kPresent, "present", UnderlayState::kMissing),
     StateRow(UnderlayState::kMissing, "missing", UnderlayState::kPresent)}};

/// Seeks the underlay until there is one, then checks it whenever links, addresses or default routes change.
/// One that is lost gives way to the next at once; a better one is taken when it was usable for a while. If
/// there is none, it is remembered as it was: the data plane outlives its NIC, and the address most often
/// comes back.
class UnderlayWatch {
 public:
  /// Addresses come and go in sets: check when they have settled.
  static constexpr Millis kLinksDelay = 100;
  /// From check to check while nothing but routes goes on changing.
  static constexpr Millis kRoutesEvery = 300;
  /// The longest pause between two attempts: before there is an underlay somebody is setting the node up.
  static constexpr Millis kSeekMax = 5'000;

  /// What it was before a change; no underlay: this is the first one.
  struct Change {
    std::optional<Underlay> underlay{};
    overlay::ProtectedAddresses protected_addresses{};
    bool registry_path = false;  ///< we speak to the registry from another address now
  };
  class Listener {
   public:
    /// The underlay was found, or it, the protected addresses or the path to the registry changed.
    virtual void on_underlay(const Change& before) = 0;

   protected:
    ~Listener() = default;
  };

  UnderlayWatch(io::Loop& loop, Log& log, kernel::Links& links, Files& files,
                const InterfaceSettings& settings, const overlay::LeaseTable& peers, Listener& listener);

  /// `in_use`: our public address before the restart, preferred as long as it is there.
  void start(std::optional<Ip> in_use);
  void stop();
  /// Links or addresses may have changed; or routes.
  void on_links_changed();
  void on_routes_changed();
  /// A new peer may make the MTU of a route count.
  bool depends_on_peers() const { return lower_mtu_; }
  void check_in(Millis delay) { timer_.arm_at_latest_in(delay); }
  void check();

  /// Network of the overlay, as far as it is known: addresses in it are to be protected. Takes effect with
  /// the next check.
  void set_network(Net4 network) { network_ = network; }
  /// Our subnet, now or before the restart: its addresses are our pods'.
  void set_subnet(std::optional<Net4> subnet) {
    subnet_ = subnet;
    public_ip_file_.set_subnet(subnet);
  }
  /// The registry has a server at this address. Known ones are ignored; the oldest gives way to a new one.
  void add_server(const Ip& address);
  /// Reads the protected addresses again, by a Network that was just learnt, without a call to the listener.
  /// A connected prefix that overlaps Network is reported once.
  void apply_network();
  /// Takes another of our addresses, if it is there; false if the underlay stays as it is. The listener is
  /// not called.
  bool prefer(const Ip& address);

  /// Since on_underlay() was first called.
  bool found() const { return underlay_.has_value(); }
  /// Why not, as it was reported; static, may be empty.
  const char* missing() const { return missing_reason_; }
  const Underlay& underlay() const { return *underlay_; }
  const overlay::ProtectedAddresses& protected_addresses() const { return protected_; }

 private:
  void enter(UnderlayState next);
  /// `held`: the link that stays as long as it is usable; 0: none.
  Result<UnderlayChoice> choose(int held);
  Result<UnderlayChoice> choose() { return choose(found() ? underlay_->link_index : 0); }
  /// Whether a better link than the one in use was usable for long enough; else it is asked again in time.
  bool fails_back(int better);
  void report_choice(const UnderlayChoice& choice);
  void on_result(const Result<UnderlayChoice>& choice);
  void on_missing(const Result<UnderlayChoice>& choice);
  void on_choice(const UnderlayChoice& choice);
  void log_underlay(const char* text) const;
  /// Reports why there is no underlay, once for as long as the reason stays the same.
  void report_missing(const char* reason);

  io::Loop& loop_;
  Log& log_;
  kernel::Links& links_;
  const InterfaceSettings& settings_;
  const overlay::LeaseTable& peers_;
  Listener& listener_;
  PublicIpFile public_ip_file_;
  io::Timer timer_;
  Backoff seek_backoff_{kRetryFirst, kSeekMax};
  Backoff missing_backoff_{kRetryFirst, kRetryMax};

  StateMachine<kUnderlayStates> state_;
  std::optional<Underlay> underlay_;
  overlay::ProtectedAddresses protected_;
  std::optional<Ip> in_use_;
  Net4 network_{};
  std::optional<Net4> subnet_;
  std::array<Ip, UnderlayHints::kMaxServers> servers_{};  ///< unspecified: none
  std::size_t servers_next_ = 0;                          ///< the place of the next one
  int better_ = 0;  ///< the link that is to be taken if it stays usable; 0: none
  Millis better_since_ = 0;
  Millis checked_ = -kRoutesEvery;
  std::uint64_t registry_path_ = 0;  ///< the last one that there was, to these servers
  Ip forwarded_reported_;            ///< the public address that was reported to be none of ours
  const char* missing_reason_ = "";  ///< as reported
  bool no_carrier_ = false;          ///< as reported
  bool lower_mtu_ = false;           ///< UnderlayChoice's
  bool overlap_reported_ = false;
  SayOnce<> failure_reported_;  ///< the interfaces could not be listed
};

}  // namespace flannelette::agent
