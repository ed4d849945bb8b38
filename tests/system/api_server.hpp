// SPDX-License-Identifier: Apache-2.0
// The scripted API server behind real sockets and TLS, for the shipped program.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "flannelette/base/clock.hpp"
#include "flannelette/io/loop.hpp"
#include "sim/scripted_kube.hpp"
#include "system/certificates.hpp"
#include "system/cluster.hpp"

namespace flannelette::tests {

/// Answers at https://172.30.0.1:6443 from a thread of its own as long as it lives; only with() may touch
/// what it knows. Before the first one enter_private_namespaces() was called (Etcd does it).
class ApiServer {
 public:
  explicit ApiServer(const Etcd& bridge);
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  template <class Do>
  auto with(Do action) {
    const std::lock_guard lock(mutex_);
    return action(kube_);
  }
  /// New connections are refused, and those that are there end.
  void set_away(bool away);
  std::string url() const { return "https://172.30.0.1:6443"; }
  std::string ca_file() const { return certificates_.file("ca.pem"); }
  /// A kubeconfig with the CA inline and this token.
  std::string kubeconfig(const std::string& token) const;

 private:
  class Connection;
  struct Tls;

  void serve();
  void on_connection(std::uint32_t events);
  void listen();

  const Etcd& bridge_;
  Certificates certificates_;
  SystemClock clock_;
  io::Loop loop_{clock_};
  ScriptedKube kube_{loop_, clock_};
  std::unique_ptr<Tls> tls_;
  io::Source listener_;
  int socket_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::mutex mutex_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace flannelette::tests
