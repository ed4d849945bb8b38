// SPDX-License-Identifier: Apache-2.0
// The registry in etcd: the parts that speak with it, and our membership on top.
#include "flannelette/registry/etcd.hpp"

#include "registry/etcd/assembly.hpp"
#include "registry/etcd/membership.hpp"

namespace flannelette::registry {

struct EtcdRegistry::Impl {
  etcd::Assembly etcd;
  etcd::Member member{etcd.core, etcd.claimer};
};

EtcdRegistry::EtcdRegistry(io::Loop& loop, Random& random, Log& log, io::Stream& requests, io::Stream& watch,
                           const EtcdSettings& settings)
    : impl_(new Impl{{loop, random, log, requests, watch, settings}}) {}

EtcdRegistry::~EtcdRegistry() = default;

void EtcdRegistry::start(MemberListener& members, MembershipListener& membership) {
  impl_->etcd.start(members, membership, impl_->member);
}

std::string_view EtcdRegistry::config_location() const { return impl_->etcd.core.keys.config(); }
void EtcdRegistry::follow() { impl_->etcd.follow(); }
void EtcdRegistry::join(const Self& self, const Hints& hints) { impl_->member.join(self, hints); }
void EtcdRegistry::update(const Self& self) { impl_->member.update(self); }
void EtcdRegistry::reconnect() { impl_->etcd.reconnect(); }

void EtcdRegistry::report(Standing& to) {
  impl_->member.report(to);
  impl_->etcd.keeper.report(to);
  impl_->etcd.watch.report(to);
  impl_->etcd.channel.session.report(to);
}

void EtcdRegistry::stop() {
  impl_->member.stop();
  impl_->etcd.stop();
}

}  // namespace flannelette::registry
