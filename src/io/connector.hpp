// SPDX-License-Identifier: Apache-2.0
// From an endpoint to a connected socket: names, addresses in turn, TCP, TLS.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "flannelette/base/log.hpp"
#include "flannelette/base/state_machine.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/io/net_stream.hpp"
#include "io/resolver.hpp"
#include "io/tls.hpp"

namespace flannelette::io {

enum class ConnectorState : std::uint8_t { kIdle, kResolving, kConnecting, kHandshaking, kFailed };
inline constexpr StateTable kConnectorStates{
    "connector",
    {StateRow(ConnectorState::kIdle, "idle", ConnectorState::kResolving, ConnectorState::kConnecting,
              ConnectorState::kFailed),
     StateRow(ConnectorState::kResolving, "resolving", ConnectorState::kConnecting, ConnectorState::kFailed,
              ConnectorState::kIdle),
     // To itself and back: the next address.
     StateRow(ConnectorState::kConnecting, "connecting", ConnectorState::kConnecting,
              ConnectorState::kHandshaking, ConnectorState::kFailed, ConnectorState::kIdle),
     StateRow(ConnectorState::kHandshaking, "handshaking", ConnectorState::kConnecting,
              ConnectorState::kFailed, ConnectorState::kIdle),
     // The last address failed; the user hears of it from the loop.
     StateRow(ConnectorState::kFailed, "failed", ConnectorState::kIdle)}};

/// One attempt at a time. What fails moves on to the next address; the last good address of an endpoint is
/// tried first the next time, and is used when the name cannot be resolved.
class Connector {
 public:
  /// Who asked for it: one of these calls for each start(), never from within start(). It is idle again by
  /// then.
  class Listener {
   public:
    /// Connected, with the open session if TLS is spoken. Both are to be taken over.
    virtual void on_connected(UniqueFd&& fd, std::unique_ptr<TlsSession>&& session) = 0;
    /// What the last address failed with; `detail` as of Stream::Listener::on_close.
    virtual void on_unreachable(const Error& error, std::string_view detail) = 0;

   protected:
    ~Listener() = default;
  };

  Connector(Loop& loop, const TcpSettings& tcp, TlsContext& tls, Log& log, Listener& listener);
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  /// `on_address` is called with each address before it is tried.
  void start(const Endpoint& endpoint, Delegate<void(Ip)> on_address);
  void cancel();

 private:
  void on_resolved();
  void resolved(const Result<void>& result);
  void on_timer();
  void on_ready(std::uint32_t events);
  void connect_next();
  Result<void> connect(const HostAddress& address);
  Result<void> finish_connect() const;
  void handshake();
  void next_address(const Error& why);
  void connected();
  void release();
  void fail_later(const Error& error);

  const TcpSettings tcp_;
  TlsContext& tls_;
  Log& log_;
  Listener& listener_;
  UniqueFd fd_;
  Source source_;
  Timer timer_;  ///< of the step under way, or due when the listener is to hear of error_
  Resolver resolver_;
  std::unique_ptr<TlsSession> session_;
  Delegate<void(Ip)> on_address_;
  StateMachine<kConnectorStates> state_;
  Endpoint endpoint_;
  Endpoint good_endpoint_;  ///< where good_address_ led
  std::optional<HostAddress> good_address_;
  std::array<HostAddress, Resolver::kMaxAddresses> addresses_;
  std::size_t address_count_ = 0;
  std::size_t address_next_ = 0;
  Error error_;
  Detail detail_;  ///< of error_
};

}  // namespace flannelette::io
