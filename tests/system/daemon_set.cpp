// SPDX-License-Identifier: Apache-2.0
#include "system/daemon_set.hpp"

#include <linux/capability.h>

#include <filesystem>
#include <stdexcept>

#include "support/project.hpp"
#include "system/kube_cluster.hpp"

namespace flannelette::tests {
namespace {

/// Behind the value that begins at `at`.
std::size_t value_end(const std::string& json, std::size_t at) {
  int depth = 0;
  do {
    if (json.at(at) == '"') {
      for (++at; json.at(at) != '"'; ++at) at += json[at] == '\\' ? 1 : 0;
    } else if (json[at] == '{' || json[at] == '[') {
      ++depth;
    } else if (json[at] == '}' || json[at] == ']') {
      --depth;
    }
    ++at;
  } while (depth > 0 || (json.at(at) != ',' && json[at] != '}' && json[at] != ']' && json[at] != ':'));
  return at;
}

bool is(const std::string& object, const std::string& path) { return member(object, path) == "true"; }

/// The program of a build for tests has shared libraries.
bool is_static() { return !contains(file_text(binary()).substr(0, 4096), "/ld-"); }

}  // namespace

std::string member(const std::string& object, const std::string& path) {
  const std::string key = path.substr(0, path.find('/'));
  for (std::size_t at = 1; at + 1 < object.size() && object[at - 1] != '}';) {
    const std::size_t colon = value_end(object, at), end = value_end(object, colon + 1);
    if (unquoted(object.substr(at, colon - at)) == key) {
      const std::string value = object.substr(colon + 1, end - colon - 1);
      return key == path ? value : member(value, path.substr(key.size() + 1));
    }
    at = end + 1;
  }
  return "";
}

std::vector<std::string> elements(const std::string& array) {
  std::vector<std::string> all;
  for (std::size_t at = 1; at < array.size() && array[at] != ']';) {
    const std::size_t end = value_end(array, at);
    all.push_back(array.substr(at, end - at));
    at = end + (array.at(end) == ',' ? 1 : 0);
  }
  return all;
}

std::string unquoted(const std::string& value) {
  std::string text;
  for (std::size_t at = 1; at + 1 < value.size(); ++at) {
    if (value[at] == '\\') ++at;
    text += value[at - 1] == '\\' && value[at] == 'n' ? '\n' : value[at];
  }
  return text;
}

std::vector<std::string> DaemonSet::Container::args() const {
  std::vector<std::string> all;
  for (const std::string& each : elements(member(json, "args"))) all.push_back(unquoted(each));
  return all;
}

std::string DaemonSet::Container::probe(const std::string& kind) const {
  const std::string get = member(json, kind + "/httpGet");
  return "http://" + unquoted(member(get, "host")) + ":" + member(get, "port") +
         unquoted(member(get, "path"));
}

std::uint64_t DaemonSet::Container::capabilities() const {
  const std::string context = member(json, "securityContext");
  if (member(context, "capabilities/drop") != R"(["ALL"])" || is(context, "privileged") ||
      !is(context, "readOnlyRootFilesystem") || member(context, "allowPrivilegeEscalation") != "false" ||
      member(context, "runAsUser") != "0") {
    throw std::runtime_error("the tests know no such container: " + context);
  }
  const std::string added = member(context, "capabilities/add");
  if (added.empty()) return 0;
  if (added == R"(["NET_ADMIN"])") return std::uint64_t{1} << CAP_NET_ADMIN;
  throw std::runtime_error("the tests know no such capability: " + added);
}

DaemonSet::DaemonSet(const KubeApi& api) {
  api.apply(project_file("board/k3s/flannelette.yaml"));
  template_ = member(api.request("GET", "/apis/apps/v1/namespaces/flannelette/daemonsets/flannelette"),
                     "spec/template");
  spec_ = member(template_, "spec");
  data_ = member(api.request("GET", "/api/v1/namespaces/flannelette/configmaps/flannelette"), "data");
}

std::string DaemonSet::pod(const std::string& name) const {
  return R"({"metadata":{"name":")" + name + R"("},"spec":)" + spec_ + "}";
}

std::string DaemonSet::folder_of(const Machine& machine, const std::string& volume) const {
  for (const std::string& each : elements(member(spec_, "volumes"))) {
    if (unquoted(member(each, "name")) != volume) continue;
    if (const std::string path = member(each, "hostPath/path"); !path.empty()) {
      if (member(each, "hostPath/type") != R"("DirectoryOrCreate")")
        throw std::runtime_error("who makes " + path + "?");
      std::filesystem::create_directories(machine.file(unquoted(path)));
      return machine.file(unquoted(path));
    }
    const std::string folder = machine.file("/etc/kube-flannel");
    for (const char* key : {"cni-conf.json", "net-conf.json"}) {
      // A test may have its own.
      if (const std::string file = folder + "/" + key; file_text(file).empty())
        write_file(file, unquoted(member(data_, key)));
    }
    return folder;
  }
  throw std::runtime_error("there is no volume " + volume);
}

Command DaemonSet::command(const Machine& machine, const Container& container, const std::string& account,
                           const std::vector<std::string>& more, std::vector<std::string> env) const {
  Command command{.args = {"/flannelette"}, .netns = machine.node().name()};
  for (const std::vector<std::string>& words : {container.args(), more})
    command.args.insert(command.args.end(), words.begin(), words.end());

  if (env.empty()) {
    for (const std::string& each : elements(member(container.json, "env"))) {
      if (member(each, "valueFrom/fieldRef/fieldPath") != R"("spec.nodeName")")
        throw std::runtime_error("the tests know no such variable: " + each);
      env.push_back(unquoted(member(each, "name")) + "=" + machine.node().name());
    }
  }
  env.insert(env.end(), {"KUBERNETES_SERVICE_HOST=172.30.0.1",
                         "KUBERNETES_SERVICE_PORT=" + std::to_string(KubeApi::kPort),
                         // As in all tests: a system call that is not expected ends it.
                         "FLANNELD_SANDBOX=strict"});
  command.env = std::move(env);

  const std::string root = machine.file("/root");
  std::filesystem::create_directories(root);
  write_file(root + "/flannelette", "");  // to be mounted to, as all others are
  const auto mount = [&](const std::string& from, const std::string& to, bool read_only) {
    std::filesystem::create_directories(root + to);
    if (read_only) command.confinement.read_only.push_back(root + to);
    command.binds.emplace_back(from, root + to);
  };
  command.binds.emplace_back(root, root);
  command.binds.emplace_back(std::filesystem::canonical(binary()), root + "/flannelette");
  if (!is_static()) {
    for (const char* libraries : {"/lib", "/lib64", "/usr/lib"}) mount(libraries, libraries, false);
  }
  mount("/proc", "/proc", false);
  mount("/proc/sys", "/proc/sys", true);
  mount("/dev", "/dev", false);
  for (const std::string& each : elements(member(container.json, "volumeMounts")))
    mount(folder_of(machine, unquoted(member(each, "name"))), unquoted(member(each, "mountPath")),
          is(each, "readOnly"));
  if (!account.empty()) mount(account, "/var/run/secrets/kubernetes.io/serviceaccount", true);
  command.confinement.read_only.push_back(root);
  command.confinement.root = root;
  command.confinement.capabilities = container.capabilities();
  return command;
}

}  // namespace flannelette::tests
