// SPDX-License-Identifier: Apache-2.0
#include "agent/underlay_watch.hpp"

#include <algorithm>
#include <span>

#include "agent/words.hpp"

namespace flannelette::agent {

UnderlayWatch::UnderlayWatch(io::Loop& loop, Log& log, kernel::Links& links, Files& files,
                             const InterfaceSettings& settings, const overlay::LeaseTable& peers,
                             Listener& listener)
    : loop_(loop),
      log_(log),
      links_(links),
      settings_(settings),
      peers_(peers),
      listener_(listener),
      public_ip_file_(loop, log, files, settings, Delegate<void()>::to<&UnderlayWatch::check>(this)),
      timer_(loop, Delegate<void()>::to<&UnderlayWatch::check>(this)) {}

void UnderlayWatch::start(std::optional<Ip> in_use) {
  in_use_ = in_use;
  public_ip_file_.start(in_use ? std::optional<Ip4>(in_use->v4()) : std::nullopt);
  check();
}

void UnderlayWatch::stop() {
  timer_.cancel();
  public_ip_file_.stop();
}

void UnderlayWatch::on_links_changed() { check_in(kLinksDelay); }

void UnderlayWatch::on_routes_changed() {
  check_in(std::max(checked_ + kRoutesEvery - loop_.now(), kLinksDelay));
}

void UnderlayWatch::add_server(const Ip& address) {
  if (std::ranges::find(servers_, address) != servers_.end()) return;
  registry_path_ = 0;
  servers_[servers_next_++ % UnderlayHints::kMaxServers] = address;
  if (found()) check_in(0);
}

Result<UnderlayChoice> UnderlayWatch::choose(int held) {
  UnderlayHints hints{.registry =
                          std::span(servers_).first(std::min(servers_next_, UnderlayHints::kMaxServers))};
  hints.in_use = in_use_;
  hints.in_use_link = held;
  hints.public_ip = public_ip_file_.read();
  hints.network = network_;
  hints.peers = &peers_;
  if (found()) hints.subnet = subnet_;
  return find_underlay(settings_, links_, hints);
}

void UnderlayWatch::enter(UnderlayState next) {
  if (state_.state() != next) state_.enter(next, log_);
}

void UnderlayWatch::check() {
  checked_ = loop_.now();
  const auto choice = choose();
  if (fails_back(choice ? choice->better : 0)) return on_result(choose(0));
  on_result(choice);
}

void UnderlayWatch::on_result(const Result<UnderlayChoice>& choice) {
  if (!choice || !choice->underlay) return on_missing(choice);
  on_choice(*choice);
}

bool UnderlayWatch::fails_back(int better) {
  if (better != better_) better_since_ = loop_.now();
  better_ = better;
  if (better == 0) return false;
  const Millis left = better_since_ + settings_.failback_delay - loop_.now();
  if (left > 0) check_in(left);
  return left <= 0;
}

/// Not all that counts is notified, so that it is asked again after a while too.
void UnderlayWatch::on_missing(const Result<UnderlayChoice>& choice) {
  if (found()) enter(UnderlayState::kMissing);
  if (!choice) {
    if (failure_reported_.is_news(choice.error()))
      log_.error("cannot list the interfaces; trying again", {Field(choice.error())});
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
  report_choice(choice);
  lower_mtu_ = choice.lower_mtu;
  bool moved = false;
  if (choice.registry_path != 0) {
    const std::uint64_t path = std::exchange(registry_path_, choice.registry_path);
    moved = path != 0 && path != registry_path_;
  }
  if (!moved && underlay_ == choice.underlay && protected_ == choice.protected_addresses) return;
  const Change before{underlay_, protected_, moved};
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

void UnderlayWatch::report_choice(const UnderlayChoice& choice) {
  const Underlay& underlay = *choice.underlay;
  if (!choice.carrier && !no_carrier_) {
    log_.warning(kNoCarrier, {{"interface", underlay.name.view()}});
  }
  no_carrier_ = !choice.carrier;
  if (!choice.forwarded || forwarded_reported_ == underlay.public_ip) return;
  forwarded_reported_ = underlay.public_ip;
  log_.warning(kForwarded, {{"public_ip", underlay.public_ip}, {"address", underlay.address}});
}

void UnderlayWatch::apply_network() {
  const auto choice = choose();
  if (!choice || !choice->underlay) return;        // the next check will see to it
  if (choice->underlay != underlay_) check_in(0);  // the public IP file has changed, say
  protected_ = choice->protected_addresses;
  if (!choice->overlap || overlap_reported_) return;
  overlap_reported_ = true;
  log_.warning(kOverlap, {{"network", network_}, {"connected", choice->overlap->net}});
}

bool UnderlayWatch::prefer(const Ip& address) {
  in_use_ = address;
  const auto choice = choose();
  if (!choice || !choice->underlay || choice->underlay->public_ip != address) {
    in_use_ = underlay_->address;
    check_in(0);  // what was read may have changed
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
