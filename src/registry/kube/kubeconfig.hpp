// SPDX-License-Identifier: Apache-2.0
// A kubeconfig: which API server, and with what credentials.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/base/result.hpp"
#include "flannelette/base/text.hpp"
#include "flannelette/io/endpoint.hpp"

namespace flannelette::registry::kube {

/// A certificate or a key: a file, or what would be in one; both empty: there is none.
struct Pem {
  Text<Files::kMaxPath> file;
  std::string_view data;  ///< PEM; a NUL follows it, as mbedTLS wants it
  bool empty() const { return file.empty() && data.empty(); }
};

/// What the chosen context says. Views are into the text that was read, which has to stay; it holds secrets
/// (token, key), so that who owns it wipes it.
struct Kubeconfig {
  static constexpr std::size_t kMaxText = 64 * 1024;
  static constexpr std::size_t kMaxToken = 8 * 1024;

  io::Endpoint server;                           ///< a missing port is 443 or, of http://, 80
  Text<io::Endpoint::kMaxHost> tls_server_name;  ///< of the server's certificate; empty: the server's host
  Pem ca;                                        ///< always there for https
  Pem client_certificate;  ///< both or none; of https these, a token or a tokenFile are there
  Pem client_key;
  std::string_view token;            ///< secret; printable ASCII without blanks; empty: none
  Text<Files::kMaxPath> token_file;  ///< wins over `token`; to be read again when it changes; empty: none
  std::string_view context, cluster, user;  ///< the names of what was chosen
};

/// Why a kubeconfig is refused. No value of the file is in it but the name of a context, cluster or user.
struct KubeconfigProblem {
  std::uint32_t line = 0;  ///< 0: not of a single line
  std::string_view key;    ///< "certificate-authority-data"; empty: not of a single key
  std::string_view name;   ///< of the entry that is wrong or missing; empty: none
  const char* why = "";    ///< static: what is wrong and what to do
};

/// Reads a kubeconfig in YAML (read_yaml says which) or JSON. `path` is where it comes from: paths in it are
/// relative to that folder. `context` is the name of the context to take, empty for current-context. Unknown
/// keys are ignored; what would change how the server is reached or who asks (exec, auth-provider, proxy-url,
/// insecure-skip-tls-verify, user and password, impersonation) is refused if the chosen context has it.
///
/// The text is decoded in place. `out` is a fresh one; on an error it is not to be used, and `problem` is
/// filled in, with views into the text.
Result<void> parse_kubeconfig(std::span<char> text, std::string_view path, std::string_view context,
                              Kubeconfig& out, KubeconfigProblem& problem);

/// Why this is no token that a header can hold; nullptr: it is one.
const char* fault_of_token(std::string_view token);

/// "PATH:7: tokenFile", "PATH:9: cluster "local""; a name is cut to 128 bytes.
void write_place(Writer& out, std::string_view path, const KubeconfigProblem& problem);
/// The same and why: "PATH:7: tokenFile: why".
void write(Writer& out, std::string_view path, const KubeconfigProblem& problem);

}  // namespace flannelette::registry::kube
