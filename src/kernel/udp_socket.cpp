// SPDX-License-Identifier: Apache-2.0
// The kernel's list of UDP sockets, line by line.
#include "udp_socket.hpp"

#include <array>

namespace flannelette::kernel {
namespace {

/// Some thousand sockets; a longer list is read so far.
constexpr std::uint64_t kMaxList = 1024 * 1024;

/// Puts pieces of a file together to lines, and keeps what the first one at the port says.
struct Lines final : Pieces {
  explicit Lines(std::uint16_t of) : port(of) {}
  void piece(std::string_view text) override {
    for (const char c : text) {
      if (c != '\n') {
        if (size < line.size()) line[size++] = c;
        continue;
      }
      if (found.inode == 0) found = parse_udp_socket({line.data(), size}, port);
      size = 0;
    }
  }
  const std::uint16_t port;
  UdpSocket found;
  std::array<char, 200> line;
  std::size_t size = 0;
};

}  // namespace

UdpSocket parse_udp_socket(std::string_view line, std::uint16_t port) {
  // "  12: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 12345 2 ..."
  constexpr int kLocal = 1, kUid = 7, kInode = 9;
  const auto text = to_text<5>([&](Writer& out) { out.put(':').put_hex(port, 4); });
  UdpSocket socket;
  std::uint64_t uid = 0;
  int field = 0;
  for (std::size_t at = 0; at < line.size(); ++field) {
    at = std::min(line.find_first_not_of(' ', at), line.size());
    const std::size_t end = std::min(line.find(' ', at), line.size());
    const std::string_view word = line.substr(at, end - at);
    at = end;
    if (field == kLocal &&
        !(word.size() > text.size() && equal_ignoring_case(word.substr(word.size() - text.size()), text)))
      return {};
    if (field == kUid && !parse_unsigned(word, uid)) return {};
    if (field != kInode) continue;
    if (!parse_unsigned(word, socket.inode)) return {};
    socket.uid = static_cast<std::uint32_t>(uid);
    return socket;
  }
  return {};
}

UdpSocket find_udp_socket(Files& files, std::uint16_t port) {
  Lines lines(port);
  for (const char* list : {"/proc/net/udp", "/proc/net/udp6"}) {
    if (lines.found.inode == 0) (void)files.read_pieces(list, kMaxList, lines);
  }
  return lines.found;
}

}  // namespace flannelette::kernel
