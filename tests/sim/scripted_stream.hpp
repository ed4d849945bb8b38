// SPDX-License-Identifier: Apache-2.0
// The connection of one client to a scripted server.
#pragma once

#include <memory>
#include <string>

#include "flannelette/io/stream.hpp"
#include "sim/scripted_server.hpp"

namespace flannelette::tests {

class ScriptedStream final : public io::Stream {
 public:
  ScriptedStream(ScriptedServer& server, io::Loop& loop);
  ~ScriptedStream() override;
  void open(const io::Endpoint& endpoint, Listener& listener) override;
  Result<void> write(std::string_view bytes) override;
  void close() override;
  io::StreamReport report(bool probe) override;

  // The server's side.
  void send(const std::string& bytes);
  void drip();  ///< an answer that never ends
  void send_wrongly(const std::string& bytes) {
    answered_wrongly_ = true;
    send(bytes);
  }
  /// Since it was opened, or since the last request.
  bool answered_wrongly() const { return answered_wrongly_; }
  void hold();  ///< whatever is sent within a second comes then
  void cut();   ///< what was sent and has not arrived is lost
  void time_out();
  void hang_up();  ///< once what was sent has arrived
  const std::string& host() const { return host_; }

 private:
  void on_turn();
  void take_request();
  void deliver(const std::string& bytes);
  void end(const Error& error);

  ScriptedServer& server_;
  io::Timer timer_;
  Listener* listener_ = nullptr;
  std::string host_, in_, out_;
  std::string kind_;  // of the last request
  bool opened_ = false;
  bool cut_ = false;
  bool dripping_ = false;
  Millis held_until_ = 0;
  bool answered_wrongly_ = false;
  io::StreamReport counts_;
  Millis connected_ = 0;
  Millis probed_ = -1;
  unsigned connection_ = 0;  // changes with each open and close
  std::shared_ptr<bool> destroyed_ = std::make_shared<bool>(false);
};

}  // namespace flannelette::tests
