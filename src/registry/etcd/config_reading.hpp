// SPDX-License-Identifier: Apache-2.0
// Reading the cluster's config.
#pragma once

#include "registry/etcd/operation.hpp"

namespace flannelette::registry::etcd {

/// Reads `<prefix>/config` until there is a good one.
class ConfigReading final : public Operation {
 public:
  using OnRead = Delegate<void()>;  ///< core.network is the config; the listener has heard of it
  explicit ConfigReading(Channel& channel) : Operation(channel, "config") {}

  void begin(OnRead on_read);
  /// Reads it only to see whether there is an answer: nobody hears of it.
  void probe();

 private:
  /// What the answer has said of it so far.
  enum class Value : std::uint8_t { kAbsent, kEmpty, kOverlong, kDelivered };

  Call write(json::Writer& body) override;
  void on_value(std::string_view value) override;
  void on_pair(const Pair& pair) override;
  Outcome on_message(const Message& message) override;
  Outcome on_error(const Status&) override { return Outcome::kRefused; }
  bool on_lost(const Status&) override { return value_ == Value::kDelivered; }
  void parse(std::string_view text);
  void again() { want(core_.loop.now() + backoff_.next()); }

  OnRead on_read_;
  Backoff backoff_{EtcdRegistry::kConfigFirst, EtcdRegistry::kConfigMax};
  bool quiet_ = false;
  Value value_ = Value::kAbsent;
};

}  // namespace flannelette::registry::etcd
