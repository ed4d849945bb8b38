// SPDX-License-Identifier: Apache-2.0
// The only file of the program that sees mbedTLS, with tls_policy.hpp and tls_certificate.hpp, which are
// parts of it. It is written for 2.28 and for 3.6, static or shared, whatever their configuration.
#include "io/tls.hpp"

#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if defined(MBEDTLS_SSL_PROTO_TLS1_3) || defined(MBEDTLS_USE_PSA_CRYPTO)
#include <psa/crypto.h>
#define FLT_NEEDS_PSA 1
#endif
#ifndef MBEDTLS_PRIVATE  // 2.28 has no private members
#define MBEDTLS_PRIVATE(member) member
#endif

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "flannelette/base/ip.hpp"
#include "flannelette/io/calendar.hpp"
#include "io/pem_buffer.hpp"
#include "io/tls_certificate.hpp"
#include "io/tls_policy.hpp"
#include "io/tls_reading.hpp"
#include "io/tls_words.hpp"

namespace flannelette::io {
namespace {

Error tls_error(const char* context, int code = 0) { return {Code::kTls, code, context}; }

/// Keys are made of this, so it gives nothing while the kernel's pool is not ready (early boot), rather than
/// block or make do: the handshake fails and is tried again later.
int random_bytes(void*, unsigned char* out, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::getrandom(out, size, GRND_NONBLOCK);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    out += got;
    size -= static_cast<std::size_t>(got);
  }
  return 0;
}

// --- Certificates and keys ---

using Pem = Result<std::span<const unsigned char>>;

bool is_absent(const Pem& pem) { return pem && pem->empty(); }

/// Words for what is a certificate or key, but none that we can use; else nullptr.
const char* words_for_unsupported(int code) {
  switch (-(-code & 0xFF80)) {  // without the low-level code
    case MBEDTLS_ERR_X509_INVALID_EXTENSIONS: return "it has an extension that cannot be used";
    case MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG: return "it is signed in a way that is not supported";
    case MBEDTLS_ERR_PK_UNKNOWN_PK_ALG:
    case MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE:
    case MBEDTLS_ERR_PK_INVALID_PUBKEY: return "its key is of a kind, curve or size that is not supported";
    default: return nullptr;
  }
}

Result<void> parse_certificates(const Pem& pem, mbedtls_x509_crt* chain) {
  if (!pem) return pem.error();
  // A positive number counts the certificates of a bundle that this mbedTLS cannot use: the others still
  // count.
  const int result = mbedtls_x509_crt_parse(chain, pem->data(), pem->size());
  if (result < 0 || chain->raw.len == 0) {
    const char* unsupported = words_for_unsupported(result);
    return tls_error(unsupported != nullptr ? unsupported : "not a valid PEM certificate", result);
  }
  return {};
}

Result<void> parse_key(const Pem& pem, mbedtls_pk_context* key) {
  if (!pem) return pem.error();
  const std::string_view text(reinterpret_cast<const char*>(pem->data()), pem->size());
  if (text.find("BEGIN ENCRYPTED") != text.npos || text.find("4,ENCRYPTED") != text.npos) {
    return tls_error("the key is encrypted; store it without a password");
  }
#if MBEDTLS_VERSION_MAJOR >= 3
  const int result = mbedtls_pk_parse_key(key, pem->data(), pem->size(), nullptr, 0, random_bytes, nullptr);
#else
  const int result = mbedtls_pk_parse_key(key, pem->data(), pem->size(), nullptr, 0);
#endif
  if (result == 0) return {};
  const char* unsupported = words_for_unsupported(result);
  return tls_error(unsupported != nullptr ? unsupported : "not a valid PEM private key", result);
}

bool belong_together(const mbedtls_x509_crt& certificate, const mbedtls_pk_context& key) {
#if MBEDTLS_VERSION_MAJOR >= 3
  return mbedtls_pk_check_pair(&certificate.pk, &key, random_bytes, nullptr) == 0;
#else
  return mbedtls_pk_check_pair(&certificate.pk, &key) == 0;
#endif
}

// --- What is read ---

std::int64_t seconds_of(const mbedtls_x509_time& time) {
  return unix_seconds(time.year, time.mon, time.day, time.hour, time.min, time.sec);
}

}  // namespace

struct TlsReading::Parsed {
  mbedtls_ssl_config config;
  mbedtls_x509_crt ca;
  mbedtls_x509_crt certificate;
  mbedtls_pk_context key;

  Parsed() {
    mbedtls_ssl_config_init(&config);
    mbedtls_x509_crt_init(&ca);
    mbedtls_x509_crt_init(&certificate);
    mbedtls_pk_init(&key);
  }
  ~Parsed() {
    mbedtls_ssl_config_free(&config);
    mbedtls_pk_free(&key);  // wipes it
    mbedtls_x509_crt_free(&certificate);
    mbedtls_x509_crt_free(&ca);
  }
  Parsed(const Parsed&) = delete;
  Parsed& operator=(const Parsed&) = delete;

  bool has_certificate() const { return certificate.raw.len > 0; }
  Result<void> load(TlsMaterial& material, TlsMaterial::Place& place);
  Result<void> configure();
};

TlsReading::TlsReading() : parsed(new Parsed) {}
TlsReading::~TlsReading() = default;

Result<void> TlsReading::Parsed::load(TlsMaterial& material, TlsMaterial::Place& place) {
#ifdef FLT_NEEDS_PSA
  if (const psa_status_t status = psa_crypto_init(); status != PSA_SUCCESS) {
    return tls_error("tls: the crypto library does not start", static_cast<int>(status));
  }
#endif
  PemBuffer buffer;
  const Pem authorities = buffer.read(material, TlsPart::kCa, place);
  if (is_absent(authorities)) return Error{Code::kInvalid, 0, "https needs a CA file"};
  FLT_TRY(parse_certificates(authorities, &ca));
  const Pem own = buffer.read(material, TlsPart::kCertificate, place);
  const bool certified = !is_absent(own);
  if (certified) FLT_TRY(parse_certificates(own, &certificate));
  const Pem secret = buffer.read(material, TlsPart::kKey, place);  // where the certificate was
  if (is_absent(secret) == certified) {
    place.clear();
    return Error{Code::kInvalid, 0, "a client certificate and its key: both or none"};
  }
  if (certified) {
    FLT_TRY(parse_key(secret, &key));
    if (!belong_together(certificate, key)) return tls_error("the key does not belong to the certificate");
  }
  place.clear();
  return configure();
}

Result<void> TlsReading::Parsed::configure() {
  constexpr const char* kContext = "tls: configuration";
  if (const int result = mbedtls_ssl_config_defaults(
          &config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT)) {
    return tls_error(kContext, result);
  }
#if MBEDTLS_VERSION_NUMBER >= 0x03020000
  mbedtls_ssl_conf_min_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_2);
#else
#endif
  choose_algorithms(&config);
  mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
  mbedtls_ssl_conf_rng(&config, random_bytes, nullptr);
  mbedtls_ssl_conf_ca_chain(&config, &ca, nullptr);
#ifdef MBEDTLS_SSL_SESSION_TICKETS  // a connection lives for days: a ticket is memory for nothing
  mbedtls_ssl_conf_session_tickets(&config, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#endif
#ifdef MBEDTLS_SSL_ALPN  // etcd speaks HTTP/2 on its TLS port to those who ask for nothing
  static const char* protocols[] = {"http/1.1", nullptr};
  if (const int result = mbedtls_ssl_conf_alpn_protocols(&config, protocols))
    return tls_error(kContext, result);
#endif
  if (has_certificate()) {
    if (const int result = mbedtls_ssl_conf_own_cert(&config, &certificate, &key))
      return tls_error(kContext, result);
  }
  return {};
}

Result<void> TlsReading::load(TlsMaterial& material, TlsMaterial::Place& place) {
  FLT_TRY(parsed->load(material, place));
  server_name = material.server_name();
  for (const mbedtls_x509_crt* one = &parsed->certificate; parsed->has_certificate() && one != nullptr;
       one = one->next) {
    certificate_ends = std::min(certificate_ends, seconds_of(one->valid_to));
  }
  return {};
}

bool TlsContext::available() { return true; }

struct TlsSession::Impl {
  TlsContext::Impl& context;
  const TlsReading::Owner reading;
  mbedtls_ssl_context ssl;
  int fd = -1;
  std::optional<Ip> address;       ///< the server goes by an address, not by a name
  std::uint32_t flags = 0;         ///< what verification did not like
  std::uint32_t server_flags = 0;  ///< ... of the server's own certificate
  std::int64_t ca_ends = kNever;
  Detail names;                  ///< in the server's certificate, if none is the right one
  Detail detail;                 ///< of the error
  std::size_t retry_size = 0;    ///< a write that has to be repeated with the same size
  int socket_errno = 0;          ///< what the socket said; codes of mbedTLS and errno overlap
  const char* reason = nullptr;  ///< words that we know and mbedTLS does not
  std::size_t taken = 0;         ///< bytes from the socket in the handshake, then since the last data
  std::size_t turn_left = 0;     ///< what this call may still take
  bool open = false;             ///< the handshake is done

  explicit Impl(TlsContext::Impl& shared) : context(shared), reading(shared.newest->share()) {
    mbedtls_ssl_init(&ssl);
  }
  ~Impl() {
    if (open) mbedtls_ssl_close_notify(&ssl);
    mbedtls_ssl_free(&ssl);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  static int send(void* self, const unsigned char* bytes, std::size_t size);
  static int receive(void* self, unsigned char* bytes, std::size_t size);
  static int verify(void* self, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags);
  Error fail(const char* place, int code);
  const char* words(int code);
  const char* words_for_flags(std::uint32_t all);
  OwnCertificate own_certificate() const;
};

int TlsSession::Impl::send(void* self, const unsigned char* bytes, std::size_t size) {
  const ssize_t sent = ::send(static_cast<Impl*>(self)->fd, bytes, size, MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<int>(sent);
  if (errno == EAGAIN || errno == EINTR) return MBEDTLS_ERR_SSL_WANT_WRITE;
  // The server has hung up, and why may wait to be read: its alert. So this is taken for sent; the next read
  // brings the alert or the end.
  if (errno == EPIPE || errno == ECONNRESET) return static_cast<int>(size);
  static_cast<Impl*>(self)->socket_errno = errno;
  return MBEDTLS_ERR_SSL_CONN_EOF;
}

int TlsSession::Impl::receive(void* self, unsigned char* bytes, std::size_t size) {
  Impl& session = *static_cast<Impl*>(self);
  // mbedTLS asks for one record at a time. What it does not get stays in the socket, and wakes the loop
  // again.
  size = std::min(size, session.turn_left);
  if (size == 0) return MBEDTLS_ERR_SSL_WANT_READ;
  const ssize_t got = ::recv(session.fd, bytes, size, 0);
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return MBEDTLS_ERR_SSL_WANT_READ;
    session.socket_errno = errno;
    return MBEDTLS_ERR_SSL_CONN_EOF;
  }
  if (got > 0 && !session.open && session.taken == 0 && (bytes[0] < 20 || bytes[0] > 24)) {
    session.reason = "the server does not speak TLS on this port";  // RFC 8446, 5.1: content types
  }
  session.turn_left -= static_cast<std::size_t>(got);
  session.taken += static_cast<std::size_t>(got);
  if (session.taken > (session.open ? NetStream::kMaxWithoutData : NetStream::kMaxHandshake)) {
    session.reason = session.open ? "the server sent more than 32 KiB of TLS records without data"
                                  : "the server sent more than 64 KiB before the handshake was done";
    return MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
  }
  return static_cast<int>(got);
}

int TlsSession::Impl::verify(void* self, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags) {
  Impl& session = *static_cast<Impl*>(self);
  // What the others rest on comes first, the server's own last.
  if (session.ca_ends == kNever) session.ca_ends = seconds_of(certificate->valid_to);
  if (depth == 0) {
    if (session.address ? !names_address(*certificate, *session.address) : !has_names(*certificate)) {
      *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    session.server_flags = *flags;
    if ((*flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) && has_names(*certificate))
      session.names = names_of(*certificate);
  }
  session.flags |= *flags;
  return 0;
}

Error TlsSession::Impl::fail(const char* place, int code) {
  open = false;
  if (socket_errno != 0) return system_error(place, socket_errno);
  return tls_error(words(code), code);  // the reader of the log wants the reason, not the place
}

const char* TlsSession::Impl::words(int code) {
  if (reason != nullptr) return reason;
  switch (code) {
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
      return words_for_alert(ssl.MBEDTLS_PRIVATE(in_msg)[1], own_certificate());
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case 0: return "the server cut the connection (does it speak TLS on this port?)";
#if MBEDTLS_VERSION_MAJOR >= 3
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
#else
    case MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION:
#endif
      return "no TLS version in common with the server";
    default: break;
  }
  // The usage of the server's certificate is found after the callback.
  const std::uint32_t result = mbedtls_ssl_get_verify_result(&ssl);
  if (const std::uint32_t all = result == 0xFFFFFFFF ? flags : flags | result) return words_for_flags(all);
  if (const char* unsupported = words_for_unsupported(code)) {
    detail = unsupported;
    return "the server's certificate cannot be used";
  }
  return "the TLS handshake failed";
}

const char* TlsSession::Impl::words_for_flags(std::uint32_t all) {
  const FlagWords* words = kFlagWords;
  while ((all & words->flag) == 0) ++words;  // the last one has all flags
  if (words->flag == MBEDTLS_X509_BADCERT_CN_MISMATCH && names.empty()) return kNoNames;
  if (words->flag == MBEDTLS_X509_BADCERT_CN_MISMATCH) detail = names;
  if (words->of_ca == nullptr) return words->text;
  const std::int64_t now = context.clock.wall_seconds();
  detail = to_text<Detail::kCapacity>([&](Writer& out) {
    out.put("the clock of this machine says ").put(date_of(now));
    if (now < kBuilt) out.put(", before this program was built");
  });
  return server_flags & words->flag ? words->text : words->of_ca;
}

OwnCertificate TlsSession::Impl::own_certificate() const {
  if (!reading->parsed->has_certificate()) return OwnCertificate::kNone;
  if (reading->certificate_ends < context.clock.wall_seconds()) return OwnCertificate::kExpired;
#if MBEDTLS_VERSION_MAJOR >= 3 || defined(MBEDTLS_X509_CHECK_EXTENDED_KEY_USAGE)
  if (mbedtls_x509_crt_check_extended_key_usage(&reading->parsed->certificate, MBEDTLS_OID_CLIENT_AUTH,
                                                MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) != 0) {
    return OwnCertificate::kNotForClients;
  }
#endif
  return OwnCertificate::kValid;
}

TlsSession::TlsSession(TlsContext& context) {
  context.impl_->refresh();
  impl_.reset(new Impl(*context.impl_));
}
TlsSession::~TlsSession() = default;

Result<void> TlsSession::start(int fd, std::string_view host) {
  impl_->fd = fd;
  if (!impl_->reading->server_name.empty()) host = impl_->reading->server_name;
  impl_->address = parse_ip(host);
  mbedtls_ssl_context* ssl = &impl_->ssl;
  if (const int result = mbedtls_ssl_setup(ssl, &impl_->reading->parsed->config))
    return impl_->fail("tls: setup", result);
  // SNI carries no address (RFC 6066, 3), and no final dot.
  if (host.ends_with('.')) host.remove_suffix(1);
  const Text<Endpoint::kMaxHost> name(host);
  if (const int result = mbedtls_ssl_set_hostname(ssl, impl_->address ? nullptr : name.c_str())) {
    return impl_->fail("tls: server name", result);
  }
  mbedtls_ssl_set_verify(ssl, &Impl::verify, impl_.get());
  mbedtls_ssl_set_bio(ssl, impl_.get(), &Impl::send, &Impl::receive, nullptr);
  return {};
}

Result<Wait> TlsSession::handshake() {
  impl_->turn_left = kMaxTurn;
  const int result = mbedtls_ssl_handshake(&impl_->ssl);
  if (result == MBEDTLS_ERR_SSL_WANT_READ) return Wait::kReadable;
  if (result == MBEDTLS_ERR_SSL_WANT_WRITE) return Wait::kWritable;
  if (result != 0) return impl_->fail("tls: handshake", result);
  impl_->open = true;
  impl_->taken = 0;
  impl_->reading->ca_ends = impl_->ca_ends;
  impl_->context.remind();
  return Wait::kNothing;
}

Result<Transfer> TlsSession::read(std::span<char> buffer) {
  impl_->turn_left = kMaxTurn;
  while (true) {
    const int result =
        mbedtls_ssl_read(&impl_->ssl, reinterpret_cast<unsigned char*>(buffer.data()), buffer.size());
    if (result > 0) {
      impl_->taken = 0;
      return Transfer{static_cast<std::size_t>(result), Wait::kNothing};
    }
    if (result == MBEDTLS_ERR_SSL_WANT_READ) return Transfer{0, Wait::kReadable};
    if (result == MBEDTLS_ERR_SSL_WANT_WRITE) return Transfer{0, Wait::kWritable};
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
    if (result == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) continue;
#endif
    if (result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
      return Error{Code::kClosed, 0, "tls: the server ended the connection"};
    if (result == 0 || result == MBEDTLS_ERR_SSL_CONN_EOF) {
      impl_->open = false;
      return system_error("tls: the connection was cut",
                          impl_->socket_errno != 0 ? impl_->socket_errno : ECONNRESET);
    }
    return impl_->fail("tls: read", result);
  }
}

Result<Transfer> TlsSession::write(std::string_view bytes) {
  // mbedTLS may have sealed the bytes already when it asks to wait: it takes the same ones as written then,
  // no others.
  const std::size_t size = impl_->retry_size > 0 ? impl_->retry_size : bytes.size();
  const int result =
      mbedtls_ssl_write(&impl_->ssl, reinterpret_cast<const unsigned char*>(bytes.data()), size);
  impl_->retry_size = 0;
  if (result >= 0) return Transfer{static_cast<std::size_t>(result), Wait::kNothing};
  const bool want_read = result == MBEDTLS_ERR_SSL_WANT_READ;
  if (!want_read && result != MBEDTLS_ERR_SSL_WANT_WRITE) return impl_->fail("tls: write", result);
  impl_->retry_size = size;
  return Transfer{0, want_read ? Wait::kReadable : Wait::kWritable};
}

std::string_view TlsSession::detail() const { return impl_->detail; }
bool TlsSession::pending() const { return mbedtls_ssl_get_bytes_avail(&impl_->ssl) > 0; }

}  // namespace flannelette::io
