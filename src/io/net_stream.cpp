// SPDX-License-Identifier: Apache-2.0
// A stream over the network: a connector, then a connection.
#include "flannelette/io/net_stream.hpp"

#include <utility>

#include "io/connection.hpp"
#include "io/connector.hpp"

namespace flannelette::io {

struct NetStream::Impl final : Connector::Listener, Connection::Listener {
  Impl(Loop& loop, const TcpSettings& tcp, TlsContext& tls, Log& log)
      : connector(loop, tcp, tls, log, *this), connection(loop, log, *this) {}

  void close() {
    connector.cancel();
    connection.close();
  }
  void on_connected(UniqueFd&& fd, std::unique_ptr<TlsSession>&& session) override {
    connection.start(std::move(fd), std::move(session));
    if (connection.open()) user->on_open();
  }
  void on_unreachable(const Error& error, std::string_view detail) override { user->on_close(error, detail); }
  void on_data(std::string_view bytes) override { user->on_data(bytes); }
  void on_lost(const Error& error) override { user->on_close(error, {}); }

  Connector connector;
  Connection connection;
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

}  // namespace flannelette::io
