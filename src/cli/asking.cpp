// SPDX-License-Identifier: Apache-2.0
// Asks a running agent of this machine how it is.
#include "cli/asking.hpp"

#include <dirent.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "cli/serving_known.hpp"
#include "flannelette/agent/known_node.hpp"
#include "flannelette/base/unique_fd.hpp"
#include "flannelette/http/response.hpp"

namespace flannelette::cli {
namespace {

static_assert(kPatienceSeconds == 5);  // which a message says

using Event = http::ResponseParser::Event;

Result<UniqueFd> connect_to(const SocketPath& socket) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (void)copy_cut(socket, address.sun_path);
  const timeval patience{kPatienceSeconds, 0};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    ::setsockopt(fd.get(), SOL_SOCKET, option, &patience, sizeof patience);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return last_error("connect");
  return fd;
}

}  // namespace

SocketPath find_socket(const RunSettings& run) {
  const ServingSettings& settings = run.serving;
  if (settings.socket.view() != kDefaultSocket || ::access(kDefaultSocket, F_OK) == 0) return settings.socket;
  // An agent without flags has been here: another one does not answer for it.
  Text<Files::kMaxPath> node;
  if (agent::state_file(run.agent, "node", node) && ::access(node.c_str(), F_OK) == 0) return settings.socket;
  SocketPath only = settings.socket;
  int count = 0;
  if (DIR* const folder = ::opendir(SocketPath(kSocketFolder).c_str())) {
    while (const dirent* const entry = ::readdir(folder)) {
      const std::string_view name(entry->d_name);
      if (!name.ends_with(".sock")) continue;
      ++count;
      only = to_text<SocketPath::kCapacity>([&](Writer& out) { out.put(kSocketFolder).put(name); });
    }
    ::closedir(folder);
  }
  return count == 1 ? only : settings.socket;
}

Result<int> ask(const SocketPath& socket, std::string_view target, Pieces& out, Pieces* other) {
  const auto fd = connect_to(socket);
  if (!fd) return fd.error();
  const auto request = to_text<128>(
      [&](Writer& text) { text.put("GET ").put(target).put(" HTTP/1.1\r\nHost: flannelette\r\n\r\n"); });
  // A server that is too busy answers, and closes, before it reads.
  if (::send(fd->get(), request.c_str(), request.size(), MSG_NOSIGNAL) < 0 && errno != EPIPE)
    return last_error("send");
  http::ResponseParser parser;
  std::array<char, 4096> buffer;
  for (Event event = Event::kNeedMore;;) {
    const ssize_t got = ::recv(fd->get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return Error{Code::kTimeout, 0, "no answer in 5 seconds"};
    if (got < 0) return last_error("receive");
    parser.feed({buffer.data(), static_cast<std::size_t>(got)});
    while ((event = parser.next()) == Event::kHead || event == Event::kBody) {
      Pieces* const body = parser.head().status == 200 ? &out : other;
      if (event == Event::kBody && body != nullptr) body->piece(parser.body());
    }
    if (got == 0 && event == Event::kNeedMore) event = parser.finish();
    if (event == Event::kDone) return parser.head().status;
    if (event == Event::kBad) return Error{Code::kInvalid, 0, parser.error()};
  }
}

}  // namespace flannelette::cli
