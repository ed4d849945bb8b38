// SPDX-License-Identifier: Apache-2.0
// What a cluster behind TLS needs: certificates that openssl makes, and names for the etcd machine.
#pragma once

#include <string>

#include "support/temp_dir.hpp"
#include "system/cluster.hpp"

namespace flannelette::tests {

/// A CA and what it signs, in a directory of its own.
class Certificates {
 public:
  /// All are valid for so many days.
  explicit Certificates(int days = 2);
  std::string file(const std::string& name) const { return files_.file(name); }

  /// `name`.pem and `name`.key. With both usages: etcd's gateway shows the server's certificate to etcd as a
  /// client's.
  void sign(const std::string& name, const std::string& subject, const std::string& names = "") const;

  /// An etcd that shows the certificate `server`.
  Etcd::Options etcd(const std::string& server) const;
  /// The same, and it lets in only who has a certificate of this CA; etcdctl shows `client`.
  Etcd::Options etcd_for_known_clients(const std::string& server) const;

 private:
  void openssl(const std::string& what, const std::string& name) const;
  const std::string days_;
  TempDir files_;
};

/// While it lives, `names` stand for the etcd machine's address.
class HostNames {
 public:
  explicit HostNames(const std::string& names);
  ~HostNames();
  HostNames(const HostNames&) = delete;
  HostNames& operator=(const HostNames&) = delete;

 private:
  TempDir files_;
};

}  // namespace flannelette::tests
