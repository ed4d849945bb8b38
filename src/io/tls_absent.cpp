// SPDX-License-Identifier: Apache-2.0
// In the place of tls.cpp when the build has no TLS: a context that never loads, so that no session begins.
#include "io/tls.hpp"
#include "io/tls_reading.hpp"

namespace flannelette::io {
namespace {
constexpr Error kAbsent{Code::kTls, 0, "this build has no TLS"};
}  // namespace

struct TlsReading::Parsed {};
struct TlsSession::Impl {};

TlsReading::TlsReading() = default;
TlsReading::~TlsReading() = default;
Result<void> TlsReading::load(const TlsSettings&, Files&, std::string_view&) { return kAbsent; }

bool TlsContext::available() { return false; }

TlsSession::TlsSession(TlsContext&) {}
TlsSession::~TlsSession() = default;
Result<void> TlsSession::start(int, std::string_view) { return kAbsent; }
Result<Wait> TlsSession::handshake() { return kAbsent; }
Result<Transfer> TlsSession::read(std::span<char>) { return kAbsent; }
Result<Transfer> TlsSession::write(std::string_view) { return kAbsent; }
bool TlsSession::pending() const { return false; }

}  // namespace flannelette::io
