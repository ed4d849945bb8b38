// SPDX-License-Identifier: Apache-2.0
#include "registry/etcd/keys.hpp"

namespace flannelette::registry::etcd {
namespace {

void join(Writer& out, std::string_view prefix, std::string_view name) {
  char before = '\0';
  for (const char c : prefix) {
    if (c != '/' || before != '/') out.put(c);
    before = c;
  }
  if (!prefix.empty() && before != '/') out.put('/');
  out.put(name);
}

}  // namespace

Keys::Keys(std::string_view prefix)
    : config_(to_text<kMaxText>([&](Writer& out) { join(out, prefix, "config"); })),
      subnets_(to_text<kMaxText>([&](Writer& out) { join(out, prefix, "subnets/"); })),
      subnets_end_(to_text<kMaxText>([&](Writer& out) { join(out, prefix, "subnets0"); })) {}

Keys::Key Keys::lease(const overlay::LeaseKey& key) const {
  return to_text<kMaxText>([&](Writer& out) {
    out.put(subnets_);
    write(out, key);
  });
}

Keys::Key Keys::subnet(Ip4 base, char last) const {
  return to_text<kMaxText>([&](Writer& out) {
    out.put(subnets_);
    write(out, base);
    out.put(last);
  });
}

std::optional<overlay::LeaseKey> Keys::parse(std::string_view key) const {
  if (!key.starts_with(subnets_)) return std::nullopt;
  return overlay::parse_lease_key(key.substr(subnets_.size()));
}

}  // namespace flannelette::registry::etcd
