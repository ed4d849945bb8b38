// SPDX-License-Identifier: Apache-2.0
#include "system/gateway.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <stdexcept>

#include "flannelette/http/response.hpp"
#include "flannelette/json/base64.hpp"

namespace flannelette::tests {
namespace {

std::string in_quotes(const std::string& text) { return "\"" + text + "\""; }

/// Transactions of what `operation(number)` says for first..last.
void in_transactions(Gateway& gateway, int first, int last, int per_transaction,
                     const std::function<std::string(int)>& operation) {
  for (int number = first; number <= last;) {
    std::string body = R"({"success":[)";
    for (int n = 0; n < per_transaction && number <= last; ++n, ++number) {
      if (n > 0) body += ",";
      body += operation(number);
    }
    gateway.post("/v3/kv/txn", body + "]}");
  }
}

}  // namespace

Gateway::Gateway(const Etcd& etcd, std::uint16_t port)
    : socket_(etcd.node().inside([] { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); })) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, "172.30.0.1", &address.sin_addr);
  const int one = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(socket_);
    throw std::runtime_error("no connection to etcd's gateway");
  }
}

Gateway::~Gateway() { close(socket_); }

void Gateway::send(const std::string& path, const std::string& body) {
  const std::string request = "POST " + path +
                              " HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n" +
                              "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  for (std::size_t sent = 0; sent < request.size();) {
    const ssize_t n = write(socket_, request.data() + sent, request.size() - sent);
    if (n <= 0) throw std::runtime_error("etcd's gateway takes nothing more");
    sent += static_cast<std::size_t>(n);
  }
}

std::string Gateway::receive() {
  using Event = http::ResponseParser::Event;
  http::ResponseParser parser;
  std::string body;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t n = read(socket_, buffer, sizeof buffer);
    if (n <= 0) throw std::runtime_error("etcd's gateway has hung up");
    parser.feed({buffer, static_cast<std::size_t>(n)});
    Event event = parser.next();
    for (; event == Event::kHead || event == Event::kBody; event = parser.next()) {
      if (event == Event::kBody) body += parser.body();
    }
    if (event == Event::kNeedMore) continue;
    if (event == Event::kBad || parser.head().status != 200)
      throw std::runtime_error("etcd's gateway answers " + std::to_string(parser.head().status) + " " + body);
    return body;
  }
}

std::string base64(const std::string& bytes) {
  std::string text(json::base64_size(bytes.size()), '\0');
  Writer out(text);
  json::encode_base64(bytes, out);
  return text;
}

std::string peer_key(int number) {
  return kSubnetKeys + "10." + std::to_string(number / 256) + "." + std::to_string(number % 256) + ".0-24";
}

std::string peer_record(int number) {
  char mac[18];
  std::snprintf(mac, sizeof mac, "02:00:00:00:%02x:%02x", number / 256, number % 256);
  return peer_value("172.31." + std::to_string(number / 256) + "." + std::to_string(number % 256), mac);
}

std::string grant(Gateway& gateway) {
  const std::string answer = gateway.post("/v3/lease/grant", R"({"TTL":"86400"})");
  const std::string key = R"("ID":")";
  const auto at = answer.find(key);
  if (at == std::string::npos) throw std::runtime_error("no lease from etcd: " + answer);
  const auto begin = at + key.size();
  return answer.substr(begin, answer.find('"', begin) - begin);
}

std::string put_body(int number, const std::string& lease) {
  return R"({"key":)" + in_quotes(base64(peer_key(number))) + R"(,"value":)" +
         in_quotes(base64(peer_record(number))) + R"(,"lease":)" + in_quotes(lease) + "}";
}

void put_peers(Gateway& gateway, int first, int last, int per_transaction) {
  const std::string lease = grant(gateway);
  in_transactions(gateway, first, last, per_transaction,
                  [&](int number) { return R"({"requestPut":)" + put_body(number, lease) + "}"; });
}

void remove_peers(Gateway& gateway, int first, int last, int per_transaction) {
  in_transactions(gateway, first, last, per_transaction, [](int number) {
    return R"({"requestDeleteRange":{"key":)" + in_quotes(base64(peer_key(number))) + "}}";
  });
}

}  // namespace flannelette::tests
