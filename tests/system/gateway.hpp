// SPDX-License-Identifier: Apache-2.0
// etcd's JSON gateway over one connection, and peers in it by the thousand: records that no node stands
// behind.
#pragma once

#include <cstdint>
#include <string>

#include "system/cluster.hpp"

namespace flannelette::tests {

/// Blocking; whatever is not status 200 throws.
class Gateway {
 public:
  /// `port` is one where etcd speaks plain HTTP.
  explicit Gateway(const Etcd& etcd, std::uint16_t port = 2379);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  /// The answer's body.
  std::string post(const std::string& path, const std::string& body) {
    send(path, body);
    return receive();
  }
  /// The two halves of post().
  void send(const std::string& path, const std::string& body);
  std::string receive();

 private:
  int socket_;
};

std::string base64(const std::string& bytes);

/// Peer `number`, 1 to 50,000 and more: subnet 10.x.y.0/24, PublicIP 172.31.x.y, MAC 02:00:00:00:xx:yy.
/// Needs a Network of 10.0.0.0/8 whose SubnetMin lies above the peers: kCrowdConfig.
std::string peer_key(int number);
std::string peer_record(int number);
inline const char* const kCrowdConfig =
    R"({"Network":"10.0.0.0/8","SubnetMin":"10.240.0.0","Backend":{"Type":"vxlan"}})";

/// A lease of 24 h.
std::string grant(Gateway& gateway);
/// {"key":...,"value":...,"lease":...} of one peer: the body of /v3/kv/put.
std::string put_body(int number, const std::string& lease);
/// Peers first..last, `per_transaction` to a transaction (etcd allows 128).
void put_peers(Gateway& gateway, int first, int last, int per_transaction = 100);
void remove_peers(Gateway& gateway, int first, int last, int per_transaction = 100);

}  // namespace flannelette::tests
