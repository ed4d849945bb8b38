// SPDX-License-Identifier: Apache-2.0
// What all TLS sessions of a process share: the files, checked for changes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/io/loop.hpp"

namespace flannelette::io {

/// What TLS needs. Paths name PEM files; an empty path means "none". A CA file alone is enough.
struct TlsSettings {
  Text<Files::kMaxPath> ca_file;    ///< needed for https: there is no built-in trust store
  Text<Files::kMaxPath> cert_file;  ///< client certificate, with key_file; both or none
  Text<Files::kMaxPath> key_file;
};

enum class TlsPart : std::uint8_t { kCa, kCertificate, kKey };

/// Where certificates and the key come from.
class TlsMaterial {
 public:
  /// Changes with any of the texts, and with whether they can be read.
  virtual std::uint64_t digest() = 0;
  /// The PEM text of a part, of at most `memory` less one byte, with a NUL behind it; empty: there is none.
  virtual Result<std::string_view> read(TlsPart part, std::span<char> memory) = 0;
  /// What an operator would look at: the path of the file that holds the part.
  virtual std::string_view name(TlsPart part) const = 0;
  /// The name in the server's certificate; empty: the host that is connected to.
  virtual std::string_view server_name() const = 0;

 protected:
  ~TlsMaterial() = default;
};

/// Verified TLS configuration shared by all streams of a process. Only its implementation sees mbedTLS.
///
/// The files may change at any time, by whatever means: their content is compared before each new connection
/// and every kCheckEvery. A new content that is usable serves all connections from then on; one that is not
/// (half-written, a key that does not fit) is reported once, and the old one stays until it is. Open
/// connections stay as they are: a server looks at a certificate only when a connection begins.
class TlsContext {
 public:
  static constexpr std::size_t kMaxPem = 1024 * 1024;  ///< larger certificate or key files are refused
  static constexpr Millis kCheckEvery = 60 * 60'000;
  static constexpr std::int64_t kSoonDays = 14;  ///< an end nearer than this is reported, once a day

  /// When the client certificate ends, or the CA that the server's certificate rests on (in a file of many
  /// the others do not matter). The ends are those of the wall clock.
  struct Expiry {
    std::string_view path;       ///< of the file that holds it
    Text<10> date;               ///< "2027-01-31", UTC
    std::int64_t days_left = 0;  ///< whole days; negative: it has ended
  };

  /// Who hears of it; it must not use streams.
  class Listener {
   public:
    virtual void on_changed() = 0;  ///< the files have changed, and are in use for new connections
    /// The files have changed, and cannot be used: the old ones stay.
    virtual void on_unusable(std::string_view path, const Error& error) = 0;
    virtual void on_expiry(const Expiry& expiry) = 0;

   protected:
    ~Listener() = default;
  };

  TlsContext(Loop& loop, const Clock& clock, Files& files, Listener& listener);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  /// Reads and parses the files; call it before streams use the context, and not again once it succeeded. The
  /// error's context says why in static words; the file is in `failed_path` if given (empty: no single one).
  Result<void> load(const TlsSettings& settings, Text<Files::kMaxPath>* failed_path = nullptr);
  bool loaded() const;
  /// Compares the files now, if they were loaded; the listener hears of a content that cannot be used even if
  /// it was reported before.
  void reload();
  /// False: this build has no TLS (FLANNELETTE_TLS=OFF), and load() always fails.
  static bool available();

 private:
  friend class TlsSession;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::io
