// SPDX-License-Identifier: Apache-2.0
// The lease of our key is given back.
#pragma once

#include <memory>

#include "flannelette/registry/departure.hpp"
#include "flannelette/registry/etcd.hpp"

namespace flannelette::registry {

/// Revokes the lease of our key, which takes the key along. It tries for as long as it lives.
class EtcdDeparture {
 public:
  /// All outlive this.
  EtcdDeparture(io::Loop& loop, Random& random, Log& log, io::Stream& requests, const EtcdSettings& settings);
  ~EtcdDeparture();
  /// Once. `on_departed` is called from the loop, once.
  void begin(const Published& ours, FailureListener& failures, OnDeparted on_departed);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::registry
