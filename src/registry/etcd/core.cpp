// SPDX-License-Identifier: Apache-2.0
// What the parts of the etcd registry share.
#include "registry/etcd/core.hpp"

#include <algorithm>

namespace flannelette::registry::etcd {

bool Core::same_store(const Message& message) {
  const bool other = message.cluster != 0 && store.cluster != 0 && message.cluster != store.cluster;
  if (other || (message.term != 0 && message.term < store.term)) return false;
  store.term = std::max(store.term, message.term);
  return true;
}

}  // namespace flannelette::registry::etcd
