// SPDX-License-Identifier: Apache-2.0
// Our annotations are taken off our Node.
#pragma once

#include <memory>

#include "flannelette/registry/departure.hpp"
#include "flannelette/registry/kube.hpp"

namespace flannelette::registry {

/// Takes our annotations off our Node. It tries for as long as it lives.
class KubeDeparture {
 public:
  KubeDeparture(io::Loop& loop, const Clock& clock, Random& random, Log& log, Files& files,
                KubeAccess& access, io::Stream& requests, const KubeSettings& settings);
  ~KubeDeparture();
  void begin(const Published& ours, FailureListener& failures, OnDeparted on_departed);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::registry
