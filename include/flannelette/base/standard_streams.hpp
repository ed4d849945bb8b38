// SPDX-License-Identifier: Apache-2.0
// Descriptors 0 to 2, and the log on one of them.
#pragma once

#include "flannelette/base/log.hpp"

namespace flannelette {

/// Puts /dev/null where descriptor 0, 1 or 2 is closed, so that nothing that is opened later gets the number
/// and with it the log's lines; a reader of ours that goes is an error of write(2), not SIGPIPE. To be called
/// before anything is opened.
void prepare_standard_streams();

/// Writes to a descriptor without ever waiting for its reader: a pipe or a terminal that has no room loses
/// lines, and the first that finds room says how many. The descriptor's flags, which other processes share,
/// stay as they are. Where the descriptor is the journal's, a line begins with its priority, "<4>", as
/// sd-daemon(3) has it.
class StreamSink final : public LogSink {
 public:
  /// Of a line; longer ones are cut. With the count of lost ones no more than 4,096 bytes, which a pipe that
  /// poll(2) calls writable takes at once.
  static constexpr std::size_t kMaxLine = 2048;

  explicit StreamSink(int fd);
  void line(Level level, std::string_view text) override;

 private:
  void put_priority(Writer& out, Level level) const;

  const int fd_;
  const bool journal_;
  unsigned dropped_ = 0;
};

/// To standard output, waiting for its reader: 0, or 1 if it fails, as an exit code.
int print(std::string_view text);

}  // namespace flannelette
