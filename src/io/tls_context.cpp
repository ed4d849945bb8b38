// SPDX-License-Identifier: Apache-2.0
// What all TLS sessions of a process share: certificates and a key, checked for changes.
#include "flannelette/io/tls_context.hpp"

#include <utility>

#include "flannelette/io/calendar.hpp"
#include "io/tls_reading.hpp"

namespace flannelette::io {

Result<void> TlsContext::Impl::read(std::uint64_t digest, TlsMaterial::Place& place) {
  TlsReading::Owner next(new TlsReading);
  next->digest = digest;
  FLT_TRY(next->load(*material, place));
  newest = std::move(next);
  return {};
}

void TlsContext::Impl::refresh() {
  const std::uint64_t digest = material->digest();
  if (digest == newest->digest) {
    refused = 0;
    return;
  }
  TlsMaterial::Place place;
  if (const Result<void> done = read(digest, place); done) {
    listener.on_changed();
  } else if (std::exchange(refused, digest) != digest) {
    listener.on_unusable(place, done.error());
  }
}

void TlsContext::Impl::on_check() {
  timer.arm_in(kCheckEvery);
  refresh();
  remind();
}

void TlsContext::Impl::remind() {
  remind(certificate_reported, material->name(TlsPart::kCertificate), newest->certificate_ends);
  remind(ca_reported, material->name(TlsPart::kCa), newest->ca_ends);
}

void TlsContext::Impl::remind(Millis& reported, std::string_view path, std::int64_t ends) {
  const std::int64_t left = ends - clock.wall_seconds();
  if (left >= kSoonDays * kDay || clock.now() - reported < kDay * 1000) return;
  reported = clock.now();
  const std::int64_t days = (left < 0 ? left - kDay + 1 : left) / kDay;
  listener.on_expiry({path, date_of(ends), days});
}

TlsContext::TlsContext(Loop& loop, const Clock& clock, Listener& listener)
    : impl_(new Impl(loop, clock, listener)) {}
TlsContext::~TlsContext() = default;

Result<void> TlsContext::load(TlsMaterial& material, TlsMaterial::Place& failed) {
  impl_->material = &material;
  const Result<void> result = impl_->read(material.digest(), failed);
  if (result) {
    impl_->timer.arm_in(kCheckEvery);
    impl_->remind();
  }
  return result;
}

void TlsContext::reload() {
  if (!loaded()) return;
  impl_->refused = 0;
  impl_->refresh();
}

bool TlsContext::loaded() const { return impl_->newest != nullptr; }

}  // namespace flannelette::io
