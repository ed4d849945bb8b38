// SPDX-License-Identifier: Apache-2.0
// Settings from flags, environment and INI file.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "flannelette/agent/settings.hpp"
#include "flannelette/base/files.hpp"
#include "flannelette/io/acceptor.hpp"
#include "flannelette/io/net_stream.hpp"
#include "flannelette/registry/etcd.hpp"
#include "flannelette/registry/kube.hpp"

namespace flannelette::cli {

/// What becomes of a system call that the agent is not known to make.
enum class Sandbox : std::uint8_t {
  kOn,      ///< it fails with ENOSYS
  kOff,     ///< it is carried out
  kStrict,  ///< it ends the program
};

/// Where the agent says how it is.
struct ServingSettings {
  Text<io::Acceptor::kMaxPath> socket;  ///< UNIX; empty: none
  Text<31> group;                       ///< of the socket, a name or a number; empty: it stays ours
  Ip listen_ip = Ip4{};                 ///< of metrics and status
  std::uint16_t listen_port = 0;        ///< 0: there is no such listener
  Ip healthz_ip = Ip4{};
  std::uint16_t healthz_port = 0;
};

/// Everything `run` needs to know, from all sources.
struct RunSettings {
  /// etcd's.
  std::span<const io::Endpoint> endpoints() const {
    return std::span(etcd.endpoints).first(etcd.endpoint_count);
  }
  bool any_https() const;

  agent::Settings agent;
  registry::EtcdSettings etcd;
  bool etcd_given = true;  ///< its endpoints are not the defaults
  io::TlsSettings tls;     ///< etcd's
  io::TcpSettings tcp;
  ServingSettings serving;
  Sandbox sandbox = Sandbox::kOn;
  bool nexthop_objects = true;                   ///< where the kernel has them
  std::unique_ptr<registry::KubeSettings> kube;  ///< null: the registry is etcd
};

/// Collects lines for the person at the terminal: problems (exit 2) and notices (accepted, but...).
class Reporter {
 public:
  virtual void problem(std::string_view text) = 0;
  /// The problem that a file cannot be read.
  virtual void unreadable(std::string_view text) { problem(text); }
  virtual void notice(std::string_view text) = 0;
  /// Each value that is given, with its origin; of a secret only that there is one.
  virtual void setting(std::string_view /*text*/) {}

 protected:
  ~Reporter() = default;
};

/// What the command line asks for.
enum class Asked : std::uint8_t { kRun, kHelp, kVersion, kWrong };

/// What the settings are for. kMachine: the registry is not asked, and so its password file, which may be
/// gone with the service, is not read.
enum class Purpose : std::uint8_t { kRegistry, kMachine };

/// Reads the INI file (-c, default /etc/flannelette.ini; the default one may be absent), above it FLANNELD_*
/// environment (and what tells a Pod where it is), above that the flags. `arguments` are those after the
/// verb. `settings` come with their defaults. kWrong: at least one problem was reported; all problems are,
/// not only the first.
Asked read_settings(std::span<const char* const> arguments, std::span<const char* const> environment,
                    Files& files, RunSettings& settings, Reporter& reporter,
                    Purpose purpose = Purpose::kRegistry);

}  // namespace flannelette::cli
