// SPDX-License-Identifier: Apache-2.0
#include "agent/underlay_watch.hpp"

#include <algorithm>
#include <span>

namespace flannelette::agent {

UnderlayWatch::UnderlayWatch(io::Loop& loop, Log& log, kernel::Links& links,
                             const InterfaceSettings& settings, Listener& listener)
    : log_(log),
      links_(links),
      settings_(settings),
      listener_(listener),
      timer_(loop, Delegate<void()>::to<&UnderlayWatch::check>(this)) {}

void UnderlayWatch::start(std::optional<Ip> in_use) {
  in_use_ = in_use;
  check();
}

void UnderlayWatch::add_server(const Ip& address) {
  if (std::ranges::find(servers_, address) != servers_.end()) return;
  servers_[servers_next_++ % UnderlayHints::kMaxServers] = address;
  if (found()) check_in(0);
}

Result<UnderlayChoice> UnderlayWatch::choose() {
  UnderlayHints hints{.registry =
                          std::span(servers_).first(std::min(servers_next_, UnderlayHints::kMaxServers))};
  hints.in_use = in_use_;
  hints.network = network_;
  if (found()) hints.subnet = subnet_;
  return find_underlay(settings_, links_, hints);
}

void UnderlayWatch::enter(UnderlayState next) {
  if (state_.state() != next) state_.enter(next, log_);
}

void UnderlayWatch::check() {
  if (found()) listener_.on_links_changed();
  const auto choice = choose();
  if (!choice || !choice->underlay) return on_missing(choice);
  on_choice(*choice);
}

/// The kernel reports links and addresses but not routes, so that it is asked again after a while too.
void UnderlayWatch::on_missing(const Result<UnderlayChoice>& choice) {
  if (found()) enter(UnderlayState::kMissing);
  if (!choice) {
    if (failure_reported_.is_news(choice.error()))
      log_.error("cannot list the interfaces", {Field(choice.error())});
  } else {
    report_missing(choice->missing);
  }
  check_in((found() ? missing_backoff_ : seek_backoff_).next());
}

void UnderlayWatch::on_choice(const UnderlayChoice& choice) {
  enter(UnderlayState::kPresent);
  missing_backoff_.reset();
  missing_reason_ = "";
  if (failure_reported_.clear() && found()) log_.info("the interfaces can be listed again");
  if (underlay_ == choice.underlay && protected_ == choice.protected_addresses) return;
  const Change before{underlay_, protected_};
  underlay_ = choice.underlay;
  in_use_ = underlay_->address;
  protected_ = choice.protected_addresses;
  if (!before.underlay) {
    log_underlay("interface chosen");
  } else if (before.underlay != underlay_) {
    log_underlay("the underlay changed");
  }
  listener_.on_underlay(before);
}

void UnderlayWatch::apply_network() {
  const auto choice = choose();
  if (!choice || !choice->underlay) return;  // the next check will see to it
  protected_ = choice->protected_addresses;
  if (!choice->overlap || overlap_reported_) return;
  overlap_reported_ = true;
  log_.warning(
      "Network overlaps a connected prefix of this machine; subnets that hold what it needs are refused",
      {{"network", network_}, {"connected", choice->overlap->net}});
}

bool UnderlayWatch::prefer(const Ip& address) {
  in_use_ = address;
  const auto choice = choose();
  if (!choice || !choice->underlay || choice->underlay->public_ip != address) {
    in_use_ = underlay_->address;
    return false;
  }
  underlay_ = choice->underlay;
  return true;
}

void UnderlayWatch::log_underlay(const char* text) const {
  log_.info(text, {{"interface", underlay_->name.view()},
                   {"address", underlay_->address},
                   {"public_ip", underlay_->public_ip},
                   {"mtu", underlay_->mtu}});
}

void UnderlayWatch::report_missing(const char* reason) {
  if (missing_reason_ == reason) return;
  missing_reason_ = reason;
  const auto ip = text_of(settings_.can_reach.value_or(settings_.public_ip.value_or(Ip4{})));
  std::string_view wanted = "(default)";
  if (settings_.can_reach || settings_.public_ip) wanted = ip;
  if (!settings_.regexes.empty()) wanted = settings_.regexes.items().front();
  if (!settings_.names.empty()) wanted = settings_.names.items().front();
  log_.warning(found() ? "the interface is gone; keeping what is there" : "waiting for the interface",
               {{"wanted", wanted}, {"reason", reason}});
}

}  // namespace flannelette::agent
