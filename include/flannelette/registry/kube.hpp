// SPDX-License-Identifier: Apache-2.0
// The registry in Kubernetes: Node objects, as flannel's kube-subnet-mgr uses them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/base/log.hpp"
#include "flannelette/base/random.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/io/loop.hpp"
#include "flannelette/io/stream.hpp"
#include "flannelette/io/tls_context.hpp"
#include "flannelette/registry/registry.hpp"

namespace flannelette::registry {

struct KubeSettings {
  static constexpr std::size_t kMaxServers = 4;
  static constexpr std::size_t kMaxName = 253;  ///< Kubernetes': a DNS subdomain
  static constexpr std::size_t kMaxPrefix = 317;
  static constexpr std::string_view kDefaultPrefix = "flannel.alpha.coreos.com/";  ///< flannel's

  /// Instead of what the kubeconfig or the Pod's environment says.
  std::array<io::Endpoint, kMaxServers> servers;
  std::size_t server_count = 0;
  Text<Files::kMaxPath> kubeconfig;  ///< empty: the service account of the Pod we are in
  /// Of our Node, lower case; empty: the one on which our Pod runs.
  Text<kMaxName> node_name;
  Text<kMaxName> pod_name, pod_namespace;
  Text<kMaxPrefix> annotation_prefix{kDefaultPrefix};  ///< completed
  Text<Files::kMaxPath> net_config_path{"/etc/kube-flannel/net-conf.json"};
  bool set_network_available = true;  ///< the condition NetworkUnavailable of our Node to False
  bool rehearsal = false;             ///< what join() would write is tried, and nothing is written
  /// Of the Pod we are in, from the environment; empty: we are in none.
  Text<io::Endpoint::kMaxHost> service_host;
  std::uint16_t service_port = 443;

  /// --kube-annotation-prefix as flanneld completes it: "example.org/overlay" is "example.org/overlay-". The
  /// error says what is wrong with it.
  static Result<Text<kMaxPrefix>> complete_prefix(std::string_view text);
};

/// Where the API server is, and what shows it who asks. That is a kubeconfig, else bare URLs (http, without
/// credentials), else the service account of our Pod; servers that are given replace the kubeconfig's.
///
/// Credentials may change while we run. They are read whenever they are needed, and of what holds secrets
/// nothing but the token stays in memory; what cannot be used leaves the old one in force. Servers stay as
/// they were.
class KubeAccess final : public io::TlsMaterial {
 public:
  explicit KubeAccess(Files& files);
  ~KubeAccess();

  /// Reads all but the certificates and the key, which TlsContext::load() does if a server is https. Before
  /// anything else is called here. `problem` says on an error the file, the key and what to do; it has no
  /// secrets.
  Result<void> load(const KubeSettings& settings, Text<512>& problem);
  /// At least one.
  std::span<const io::Endpoint> servers() const;
  /// They are the Service of the cluster itself, which needs kube-proxy on this node.
  bool in_cluster() const;
  /// The value of the Authorization header as of now: a token's file is read again. Empty: there is none.
  /// Valid until the next call. Secret.
  std::string_view authorization();
  /// Why authorization() could not be read again when it was last called, so that it is that of before: file,
  /// key and reason. Empty: it is as of then.
  std::string_view problem() const;
  /// The path of the file that the token was last in; empty: there is none.
  std::string_view token_file() const;
  /// The first server to which the token travels so that everybody on the path can read it; nullptr: none.
  const io::Endpoint* overheard() const;

  // -- io::TlsMaterial --
  std::uint64_t digest() override;
  Result<std::string_view> read(io::TlsPart part, std::span<char> memory, Place& place) override;
  std::string_view name(io::TlsPart part) const override;
  std::string_view server_name() const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Kubernetes' API over HTTP/1.1: one connection for requests, one for the watch. Peers are read as metadata
/// only (PartialObjectMetadata), a sixteenth of the bytes; our own Node in full.
class KubeRegistry final : public Registry {
 public:
  static constexpr int kListPage = 500;
  /// kAnswerLimit of a page of the list: 500 Nodes' metadata are 700 KB, 90 s at 64 kbit/s.
  static constexpr Millis kPageLimit = 180'000;
  static constexpr Millis kBackoffMax = 4'000;      ///< between attempts, jittered
  static constexpr Millis kMaxRetryAfter = 60'000;  ///< what a server asks for beyond it is not obeyed
  /// The server is asked to end each watch after kWatchMin to twice as long, as client-go does it; one that
  /// lives kWatchGrace longer is dead.
  static constexpr Millis kWatchMin = 300'000;
  static constexpr Millis kWatchGrace = 30'000;
  static constexpr Millis kCheckConfigEvery = 60'000;
  static constexpr std::uint16_t kDefaultPort = 443;

  /// All outlive this; the two streams are used by nothing else. `access` is loaded. Settings are copied.
  KubeRegistry(io::Loop& loop, const Clock& clock, Random& random, Log& log, Files& files, KubeAccess& access,
               io::Stream& requests, io::Stream& watch, const KubeSettings& settings);
  ~KubeRegistry() override;
  void start(MemberListener& members, MembershipListener& membership) override;
  std::string_view config_location() const override;
  void follow() override;
  void join(const Self& self, const Hints& hints) override;
  void update(const Self& self) override;
  void announce_ready() override;
  void reconnect() override;
  void stop() override;
  void report(Standing& to) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flannelette::registry
