// SPDX-License-Identifier: Apache-2.0
// What of a registry is failing, and when all of it works again.
#pragma once

#include <cstdint>

#include "flannelette/io/endpoint.hpp"
#include "flannelette/registry/registry.hpp"

namespace flannelette::registry {

/// Why a request came to nothing.
struct Status {
  Error error;
  std::int64_t code = 0;   ///< of the registry's protocol (gRPC, HTTP); 0: the transport failed
  Text<160> detail{};      ///< the server's words
  Millis retry_after = 0;  ///< how long the server asks not to be asked again; 0: it does not
};

/// Passes each failure on to the listener, and once that nothing fails any more.
class Health {
 public:
  /// One bit for each part that may be failing.
  using Part = std::uint16_t;
  static constexpr Part kConnection = 1;
  static constexpr Part kWatch = 2;
  static constexpr Part kFirstRequest = 4;  ///< the next ones have the bits above

  void set_listener(FailureListener& listener) { listener_ = &listener; }
  /// What is told of a server that is not reached, where nothing more is known of why; static.
  void set_hint(std::string_view hint) { hint_ = hint; }
  void failed(Part part, const char* operation, const io::Endpoint& server, const Status& status,
              Millis retry_in);
  void working(Part part, const io::Endpoint& server);
  bool failing(Part part) const { return (failing_ & part) != 0; }

 private:
  FailureListener* listener_ = nullptr;
  std::string_view hint_{};
  Part failing_ = kConnection;  // so that the first success is reported
};

}  // namespace flannelette::registry
