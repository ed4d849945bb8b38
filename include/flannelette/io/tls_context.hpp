// SPDX-License-Identifier: Apache-2.0
// What all TLS sessions of a process share: certificates and a key, checked for changes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "flannelette/base/clock.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/io/loop.hpp"

namespace flannelette::io {

/// What TLS needs, in files. Paths name PEM files; an empty path means "none". A CA file alone is enough.
struct TlsSettings {
  Text<Files::kMaxPath> ca_file;    ///< needed for https: there is no built-in trust store
  Text<Files::kMaxPath> cert_file;  ///< client certificate, with key_file; both or none
  Text<Files::kMaxPath> key_file;
};

enum class TlsPart : std::uint8_t { kCa, kCertificate, kKey };

/// Where certificates and the key come from. All of it may change at any time.
class TlsMaterial {
 public:
  /// What an operator would look at: a path, and as far as it is known where in that file.
  using Place = Text<512>;

  /// Changes with any of the texts, with the server's name, and with whether they can be read.
  virtual std::uint64_t digest() = 0;
  /// The PEM text of a part, with a NUL behind it, somewhere in `memory`, which has one byte more than
  /// TlsContext::kMaxPem; no data(): there is no such part.
  /// `place` is filled in any case; a part that does not exist is nowhere. An error's context says why.
  virtual Result<std::string_view> read(TlsPart part, std::span<char> memory, Place& place) = 0;
  /// The path of the file that the part was last in; empty: there is no such part.
  virtual std::string_view name(TlsPart part) const = 0;
  /// The name in the server's certificate, which is asked for too, as of the last read(); empty: the host
  /// that is connected to.
  virtual std::string_view server_name() const = 0;

 protected:
  ~TlsMaterial() = default;
};

/// Verified TLS configuration shared by all streams of a process. Only its implementation sees mbedTLS.
///
/// The material may change at any time, by whatever means: its content is compared before each new connection
/// and every kCheckEvery. A new content that is usable serves all connections from then on; one that is not
/// (half-written, a key that does not fit) is reported once, and the old one stays until it is. Open
/// connections stay as they are: a server looks at a certificate only when a connection begins.
class TlsContext {
 public:
  static constexpr std::size_t kMaxPem = 1024 * 1024;  ///< larger certificates or keys are refused
  static constexpr const char* kOverlong = "larger than 1 MiB";
  static constexpr Millis kCheckEvery = 60 * 60'000;
  static constexpr std::int64_t kSoonDays = 14;  ///< an end nearer than this is reported, once a day

  /// When the client certificate ends, or the CA that the server's certificate rests on (in a file of many
  /// the others do not matter). The ends are those of the wall clock.
  struct Expiry {
    std::string_view path;       ///< of the file that it is in
    Text<10> date;               ///< "2027-01-31", UTC
    std::int64_t days_left = 0;  ///< whole days; negative: it has ended
  };

  /// Who hears of it; it must not use streams.
  class Listener {
   public:
    virtual void on_changed() = 0;  ///< the material has changed, and is in use for new connections
    /// The material has changed, and cannot be used: the old one stays. `place` may be empty.
    virtual void on_unusable(std::string_view place, const Error& error) = 0;
    virtual void on_expiry(const Expiry& expiry) = 0;

   protected:
    ~Listener() = default;
  };

  TlsContext(Loop& loop, const Clock& clock, Listener& listener);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  /// Reads and parses the material, which outlives this; call it before streams use the context, and not
  /// again once it succeeded. The error's context says why in static words; `failed`: where (empty: nowhere
  /// alone).
  Result<void> load(TlsMaterial& material, TlsMaterial::Place& failed);
  bool loaded() const;
  /// Compares the material now, if it was loaded; the listener hears of a content that cannot be used even if
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
