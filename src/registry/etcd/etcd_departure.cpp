// SPDX-License-Identifier: Apache-2.0
// The lease of our key is given back.
#include "flannelette/registry/etcd_departure.hpp"

#include <array>
#include <utility>

#include "registry/etcd/operation.hpp"
#include "registry/etcd/protocol.hpp"

namespace flannelette::registry {
namespace etcd {
namespace {

/// Looks our key up, then revokes its lease.
class Departure final : public Operation {
 public:
  explicit Departure(Channel& channel) : Operation(channel, "leave") {}

  void begin(const Published& ours, OnDeparted on_departed) {
    ours_ = ours;
    on_departed_ = on_departed;
    want(core_.loop.now());
    session().schedule();
  }

 private:
  Call write(json::Writer& body) override {
    if (lease_ != 0) {
      write_lease(body, lease_);
      return {post(kRevokePath)};
    }
    found_ = Departed::kAbsent;
    write_range(body, core_.keys.subnet_first(ours_.subnet.base), core_.keys.subnet_end(ours_.subnet.base),
                kMaxRivals, 0);
    return {post(kRangePath)};
  }

  void on_value(std::string_view value) override { value_ = overlay::parse_lease_value(value); }

  void on_pair(const Pair& pair) override {
    const auto value = std::exchange(value_, std::nullopt);
    const auto key = pair.key_overlong ? std::nullopt : core_.keys.parse(pair.key);
    if (!key || key->subnet != ours_.subnet || found_ == Departed::kGone) return;
    const bool ours = value && ours_.is(*value);
    found_ = !ours ? Departed::kForeign : pair.lease == 0 ? Departed::kReserved : Departed::kGone;
    if (found_ == Departed::kGone) lease_ = pair.lease;
  }

  Outcome on_message(const Message& message) override {
    if (std::exchange(asked_, lease_ != 0)) return end(Departed::kGone);
    if (message.revision == 0) return kNotOfEtcd;
    if (lease_ == 0) return end(found_);
    want(core_.loop.now());
    return Outcome::kAgain;
  }

  Outcome on_error(const Status& status) override {
    return asked_ && status.code == grpc::kNotFound ? end(Departed::kGone) : Outcome::kRefused;
  }

  Outcome end(Departed how) {
    done();
    on_departed_(how);
    return Outcome::kDone;
  }

  Published ours_{};
  OnDeparted on_departed_;
  std::optional<overlay::LeaseValue> value_;  // of the pair that is being read
  Departed found_ = Departed::kAbsent;
  std::int64_t lease_ = 0;  // of our key; 0: not looked up yet, or none
  bool asked_ = false;      // for its revocation
};

}  // namespace
}  // namespace etcd

struct EtcdDeparture::Impl {
  Impl(etcd::Core parts, io::Stream& requests) : core(parts), channel(core, requests, scratch) {}

  etcd::Core core;
  std::array<char, etcd::Decoder::kScratch> scratch;
  etcd::Channel channel;
  etcd::Departure departure{channel};
};

EtcdDeparture::EtcdDeparture(io::Loop& loop, Random& random, Log& log, io::Stream& requests,
                             const EtcdSettings& settings)
    : impl_(new Impl({.loop = loop,
                      .random = random,
                      .log = log,
                      .settings = settings,
                      .keys = etcd::Keys(settings.prefix)},
                     requests)) {}

EtcdDeparture::~EtcdDeparture() = default;

void EtcdDeparture::begin(const Published& ours, FailureListener& failures, OnDeparted on_departed) {
  impl_->core.health.set_listener(failures);
  const std::array<Request*, 2> requests{&impl_->channel.authenticator, &impl_->departure};
  impl_->channel.session.serve(requests);
  impl_->departure.begin(ours, on_departed);
}

}  // namespace flannelette::registry
