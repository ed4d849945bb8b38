// SPDX-License-Identifier: Apache-2.0
// A stream over the network: a connector, then a connection.
#include "flannelette/io/net_stream.hpp"

#include <utility>

#include "io/connection.hpp"
#include "io/connector.hpp"

namespace flannelette::io {

struct NetStream::Impl final : Connector::Listener, Connection::Listener {
  Impl(Loop& any_loop, const TcpSettings& tcp, TlsContext& tls, Log& log)
      : loop(any_loop),
        metered(tcp.is_metered()),
        connector(loop, tcp, tls, log, *this),
        connection(loop, log, *this) {}

  void close() {
    connector.cancel();
    connection.close();
  }
  void on_connected(UniqueFd&& fd, std::unique_ptr<TlsSession>&& session) override {
    ++connections;
    connected = loop.now();
    probed = -1;
    connection.start(std::move(fd), std::move(session));
    if (connection.open()) user->on_open();
  }
  void on_unreachable(const Error& error, std::string_view detail) override { user->on_close(error, detail); }
  void on_data(std::string_view bytes) override { user->on_data(bytes); }
  void on_lost(const Error& error) override { user->on_close(error, {}); }

  Loop& loop;
  const bool metered;
  Connector connector;
  Connection connection;
  std::uint32_t connections = 0;
  Millis connected = 0;
  Millis probed = -1;  ///< when that began; -1: it did not
  Stream::Listener* user = nullptr;
};

NetStream::NetStream(Loop& loop, const TcpSettings& tcp, TlsContext& tls, Log& log)
    : impl_(new Impl(loop, tcp, tls, log)) {}
NetStream::~NetStream() = default;

void NetStream::open(const Endpoint& endpoint, Listener& listener) {
  impl_->close();
  impl_->user = &listener;
  impl_->connector.start(endpoint, on_address_);
}

Result<void> NetStream::write(std::string_view bytes) { return impl_->connection.write(bytes); }
void NetStream::close() { impl_->close(); }

StreamReport NetStream::report(bool probe) {
  Impl& s = *impl_;
  StreamReport report;
  report.connections = s.connections;
  report.received = s.connection.received();
  report.sent = s.connection.sent();
  if (!s.connection.open()) return report;
  const Millis now = s.loop.now();
  report.connected = now - s.connected;
  report.heard = s.connection.silence();
  if (probe && s.probed < 0 && !s.metered) {
    s.connection.probe_every(kProbeEvery);
    s.probed = now;
  }
  if (s.probed >= 0) report.probed = now - s.probed;
  return report;
}

}  // namespace flannelette::io
