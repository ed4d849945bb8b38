// SPDX-License-Identifier: Apache-2.0
// board/k3s/flannelette.yaml as a kubelet reads it: what the API server makes of the DaemonSet, and how its
// containers are run on a machine. Nothing of the manifest is repeated here.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "system/cluster.hpp"

namespace flannelette::tests {

class KubeApi;

/// The value of an object's member as it is written, without blanks as the API server writes; empty: it has
/// none. Further down: "spec/template".
std::string member(const std::string& object, const std::string& path);
/// Those of an array.
std::vector<std::string> elements(const std::string& array);
/// The text of a string.
std::string unquoted(const std::string& value);

class DaemonSet {
 public:
  /// Applies the manifest.
  explicit DaemonSet(const KubeApi& api);

  struct Container {
    std::string json;
    std::vector<std::string> args() const;
    /// "http://host:port/path" of "livenessProbe" or "readinessProbe".
    std::string probe(const std::string& kind) const;
    std::uint64_t capabilities() const;  ///< bits; throws where the manifest gives more than it drops
  };
  Container init() const { return {elements(member(spec_, "initContainers")).at(0)}; }
  Container agent() const { return {elements(member(spec_, "containers")).at(0)}; }
  /// What POST below /api/v1/namespaces/flannelette/pods takes.
  std::string pod(const std::string& name) const;

  /// How a kubelet starts it on this machine: of `env` that of the manifest, unless it is given. The account
  /// is the folder of the Pod's token; empty: none is mounted.
  Command command(const Machine& machine, const Container& container, const std::string& account,
                  const std::vector<std::string>& more = {}, std::vector<std::string> env = {}) const;

 private:
  /// Where the machine has what this volume is.
  std::string folder_of(const Machine& machine, const std::string& volume) const;

  std::string template_, spec_, data_;
};

}  // namespace flannelette::tests
