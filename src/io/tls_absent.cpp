// SPDX-License-Identifier: Apache-2.0
// In the place of the other tls*.cpp when the build has no TLS: a context that never loads,
// so that no session begins.
#include "flannelette/io/tls_context.hpp"
#include "flannelette/io/tls_files.hpp"
#include "io/tls.hpp"

namespace flannelette::io {
namespace {
constexpr Error kAbsent{Code::kTls, 0, "this build has no TLS"};
}  // namespace

struct TlsContext::Impl {};
struct TlsSession::Impl {};

std::uint64_t TlsFiles::digest() { return 0; }
Result<std::string_view> TlsFiles::read(TlsPart, std::span<char>, Place&) { return kAbsent; }
std::string_view TlsFiles::name(TlsPart) const { return {}; }

TlsContext::TlsContext(Loop&, const Clock&, Listener&) {}
TlsContext::~TlsContext() = default;
Result<void> TlsContext::load(TlsMaterial&, TlsMaterial::Place&) { return kAbsent; }
void TlsContext::reload() {}
bool TlsContext::loaded() const { return false; }
bool TlsContext::available() { return false; }

TlsSession::TlsSession(TlsContext&) {}
TlsSession::~TlsSession() = default;
Result<void> TlsSession::start(int, std::string_view) { return kAbsent; }
Result<Wait> TlsSession::handshake() { return kAbsent; }
Result<Transfer> TlsSession::read(std::span<char>) { return kAbsent; }
Result<Transfer> TlsSession::write(std::string_view) { return kAbsent; }
std::string_view TlsSession::detail() const { return {}; }
bool TlsSession::pending() const { return false; }

}  // namespace flannelette::io
