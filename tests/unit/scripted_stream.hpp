// SPDX-License-Identifier: Apache-2.0
// A stream whose peer is the test.
#pragma once

#include <string>

#include "flannelette/io/stream.hpp"

namespace flannelette::io {

/// The test is the peer: it reads `sent` and calls the listener.
class ScriptedStream final : public Stream {
 public:
  void open(const Endpoint& endpoint, Listener& who) override {
    ++opens;
    to = endpoint;
    listener = &who;
    connected = false;
  }
  Result<void> write(std::string_view bytes) override {
    if (full) return Error{Code::kLimit, 0, "full"};
    if (!connected) return Error{Code::kClosed, 0, "closed"};
    sent += bytes;
    return {};
  }
  void close() override {
    ++closes;
    listener = nullptr;
    connected = false;
  }

  void accept() {
    connected = true;
    listener->on_open();
  }
  void give(std::string_view bytes) { listener->on_data(bytes); }
  void end(Error error = {Code::kClosed, 0, "peer"}, std::string_view detail = {}) {
    Listener* who = listener;
    listener = nullptr;
    connected = false;
    who->on_close(error, detail);
  }

  int opens = 0, closes = 0;
  Endpoint to;
  Listener* listener = nullptr;
  bool connected = false, full = false;
  std::string sent;
};

}  // namespace flannelette::io
