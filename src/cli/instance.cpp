// SPDX-License-Identifier: Apache-2.0
// Whether another flannelette runs here.
#include "cli/instance.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "flannelette/base/files.hpp"
#include "flannelette/base/fnv.hpp"
#include "flannelette/base/text.hpp"

namespace flannelette::cli {
namespace {

/// Whether path, or the folder that it is in, belongs to this user, who can do harm there anyway.
bool owns(uid_t user, std::string_view path) {
  struct stat info;
  for (int level = 0; level < 2; ++level) {
    if (::stat(Text<Files::kMaxPath>(path).c_str(), &info) == 0 && info.st_uid == user) return true;
    path = path.substr(0, path.rfind('/'));
  }
  return false;
}

}  // namespace

Result<void> Instance::claim(std::string_view path) {
  constexpr int kType = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;
  socket_ = UniqueFd(::socket(AF_UNIX, kType, 0));
  if (!socket_) return {};
  const auto name = to_text<40>([&](Writer& out) { out.put("flannelette-").put_hex(Fnv1a::of(path)); });
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.c_str(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const auto* const where = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(socket_.get(), where, size) == 0) {
    (void)::listen(socket_.get(), SOMAXCONN);
    return {};
  }
  if (errno != EADDRINUSE) return {};
  // Anybody may take such a name: root, our own user, and who owns what it is about are believed.
  const UniqueFd holder(::socket(AF_UNIX, kType, 0));
  ucred who{};
  socklen_t who_size = sizeof who;
  const bool known = ::connect(holder.get(), where, size) == 0 &&
                     ::getsockopt(holder.get(), SOL_SOCKET, SO_PEERCRED, &who, &who_size) == 0;
  if (known && (who.uid == 0 || who.uid == ::geteuid() || owns(who.uid, path)))
    return Error{Code::kExists, EADDRINUSE, "bind"};
  return {};
}

void Instance::answer(io::Loop& loop) {
  if (!socket_) return;
  acceptor_.emplace(loop, io::Acceptor::Handler::to<&Instance::on_asked>(this));
  (void)acceptor_->listen(std::move(socket_));
}

}  // namespace flannelette::cli
