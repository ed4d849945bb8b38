// SPDX-License-Identifier: Apache-2.0
// Where the API server is, and the credentials for it, which are read whenever they are needed.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "flannelette/base/file_digest.hpp"
#include "flannelette/base/mapped_memory.hpp"
#include "flannelette/http/client.hpp"
#include "flannelette/registry/kube.hpp"
#include "registry/kube/kubeconfig.hpp"

namespace flannelette::registry {
namespace {

using io::TlsPart;
using kube::Kubeconfig;
using kube::Pem;
using Place = io::TlsMaterial::Place;

constexpr std::string_view kScheme = "Bearer ";
constexpr std::string_view kSpace = " \t\r\n\v\f";
constexpr std::string_view kPodToken = "/var/run/secrets/kubernetes.io/serviceaccount/token";
constexpr std::string_view kPodCa = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
constexpr const char* kNoAccount =
    "there is no such file: let the Pod have its service account (automountServiceAccountToken), or give "
    "kubeconfig-file";

/// The rest of a request has 4 KiB.
static_assert(Kubeconfig::kMaxToken + 4096 <= http::Client::kMaxRequest);

constexpr Error kNoMemory{Code::kSystem, ENOMEM, "mmap"};

const Pem& part_of(const Kubeconfig& config, TlsPart part) {
  switch (part) {
    case TlsPart::kCa: return config.ca;
    case TlsPart::kCertificate: return config.client_certificate;
    case TlsPart::kKey: break;
  }
  return config.client_key;
}

std::string_view key_of(TlsPart part) {
  switch (part) {
    case TlsPart::kCa: return "certificate-authority-data";
    case TlsPart::kCertificate: return "client-certificate-data";
    case TlsPart::kKey: break;
  }
  return "client-key-data";
}

/// "/path: why"
void write(Writer& out, const Place& place, const Error& error) {
  out.put(place);
  if (!place.empty()) out.put(": ");
  out.put(error.context);
  if (error.sys_errno > 0) out.put(": ").put(std::strerror(error.sys_errno));
}

}  // namespace

struct KubeAccess::Impl {
  enum class Source : std::uint8_t { kKubeconfig, kUrl, kPod };

  explicit Impl(Files& any_files) : files(any_files) {}

  Result<void> load(const KubeSettings& settings, Place& place);
  Result<void> load_kubeconfig(const KubeSettings& settings, Place& place);
  Result<void> load_pod(const KubeSettings& settings, Place& place);
  Result<void> read_kubeconfig(std::span<char> memory, Kubeconfig& config, Place& place);
  Result<void> read_token(Place& place);
  void note_files(const Kubeconfig& config);

  Files& files;
  Source source = Source::kKubeconfig;
  Text<Files::kMaxPath> kubeconfig;
  std::array<io::Endpoint, KubeSettings::kMaxServers> servers;
  std::size_t server_count = 0;
  std::array<Text<Files::kMaxPath>, 3> names;  // of the files of the parts
  Text<Files::kMaxPath> token_file;
  Text<io::Endpoint::kMaxHost> server_name;
  Text<512> problem;
  std::array<char, kScheme.size() + Kubeconfig::kMaxToken> authorization;
  std::size_t authorization_size = 0;
};

Result<void> KubeAccess::Impl::load(const KubeSettings& settings, Place& place) {
  server_count = settings.server_count;
  std::ranges::copy(settings.servers, servers.begin());
  if (!settings.kubeconfig.empty()) return load_kubeconfig(settings, place);
  if (server_count == 0) return load_pod(settings, place);
  source = Source::kUrl;
  for (const io::Endpoint& server : std::span(servers).first(server_count)) {
    if (!server.tls) continue;
    place = to_text<Place::kCapacity>([&](Writer& out) { write(out, server); });
    return Error{Code::kInvalid, 0, "https needs kubeconfig-file, for the CA of the server"};
  }
  return {};
}

Result<void> KubeAccess::Impl::load_kubeconfig(const KubeSettings& settings, Place& place) {
  kubeconfig = settings.kubeconfig;
  {
    const MappedMemory memory(Kubeconfig::kMaxText + 1);
    Kubeconfig config;
    FLT_TRY(read_kubeconfig(memory.bytes(), config, place));
    note_files(config);
    if (server_count == 0) servers[server_count++] = config.server;
    for (const io::Endpoint& server : std::span(servers).first(server_count)) {
      if (!server.tls || !config.ca.empty()) continue;
      place = kubeconfig.view();
      return Error{Code::kInvalid, 0, "https needs certificate-authority or certificate-authority-data"};
    }
  }
  return read_token(place);
}

Result<void> KubeAccess::Impl::load_pod(const KubeSettings& settings, Place& place) {
  source = Source::kPod;
  names[static_cast<std::size_t>(TlsPart::kCa)] = kPodCa;
  const std::string_view host = settings.service_host;
  if (host.empty()) {
    return Error{Code::kInvalid, 0,
                 "no API server is known: give kubeconfig-file or api-url, or run in a Pod"};
  }
  io::Endpoint server;
  server.tls = true;
  server.host = host;
  server.port = settings.service_port;
  // What is written and read again is a valid one.
  place = to_text<Place::kCapacity>([&](Writer& out) { write(out, server); });
  const auto checked = io::parse_endpoint(place, KubeRegistry::kDefaultPort);
  if (!checked) return checked.error();
  servers[server_count++] = *checked;
  const Result<void> token = read_token(place);
  if (!token && token.error().code == Code::kNotFound) return Error{Code::kNotFound, 0, kNoAccount};
  return token;
}

/// `config` points into `memory`, whose size is that of the largest one and a NUL.
Result<void> KubeAccess::Impl::read_kubeconfig(std::span<char> memory, Kubeconfig& config, Place& place) {
  place = kubeconfig.view();
  if (memory.empty()) return kNoMemory;
  const auto text = files.read_into(kubeconfig, memory.first(Kubeconfig::kMaxText + 1), "longer than 64 KiB");
  if (!text) return text.error();
  kube::KubeconfigProblem wrong;
  const Result<void> parsed = parse_kubeconfig(memory.first(text->size()), kubeconfig, {}, config, wrong);
  if (!parsed) place = to_text<Place::kCapacity>([&](Writer& out) { write_place(out, kubeconfig, wrong); });
  return parsed;
}

void KubeAccess::Impl::note_files(const Kubeconfig& config) {
  server_name = config.tls_server_name;
  for (const TlsPart part : {TlsPart::kCa, TlsPart::kCertificate, TlsPart::kKey}) {
    const Pem& pem = part_of(config, part);
    names[static_cast<std::size_t>(part)] = pem.data.empty() ? pem.file : kubeconfig;
  }
}

Result<void> KubeAccess::Impl::read_token(Place& place) {
  if (source == Source::kUrl) return {};
  const MappedMemory memory(Kubeconfig::kMaxText + 1);
  if (memory.bytes().empty()) return kNoMemory;
  std::string_view token;
  if (source == Source::kPod) {
    place = kPodToken;
  } else {
    Kubeconfig config;
    FLT_TRY(read_kubeconfig(memory.bytes(), config, place));
    token = config.token;
    place = config.token_file.view();
  }
  if (!place.empty()) {  // the file wins
    const auto text = files.read_into(place, memory.bytes(), "longer than 64 KiB");
    if (!text) return text.error();
    token = *text;
    token.remove_prefix(std::min(token.find_first_not_of(kSpace), token.size()));
    token = token.substr(0, token.find_last_not_of(kSpace) + 1);
    if (const char* fault = kube::fault_of_token(token)) return Error{Code::kInvalid, 0, fault};
  }
  Writer out(authorization);
  if (!token.empty()) out.put(kScheme).put(token);
  authorization_size = out.size();
  token_file = !place.empty() ? place.view() : token.empty() ? std::string_view() : kubeconfig.view();
  return {};
}

KubeAccess::KubeAccess(Files& files) : impl_(new Impl(files)) {}
KubeAccess::~KubeAccess() = default;

Result<void> KubeAccess::load(const KubeSettings& settings, Text<512>& problem) {
  Place place;
  const Result<void> loaded = impl_->load(settings, place);
  if (!loaded) problem = to_text<512>([&](Writer& out) { write(out, place, loaded.error()); });
  return loaded;
}

std::span<const io::Endpoint> KubeAccess::servers() const {
  return std::span(impl_->servers).first(impl_->server_count);
}

bool KubeAccess::in_cluster() const { return impl_->source == Impl::Source::kPod; }

std::string_view KubeAccess::authorization() {
  Place place;
  const Result<void> read = impl_->read_token(place);
  impl_->problem.clear();
  if (!read) impl_->problem = to_text<512>([&](Writer& out) { write(out, place, read.error()); });
  return {impl_->authorization.data(), impl_->authorization_size};
}

std::string_view KubeAccess::problem() const { return impl_->problem; }

std::string_view KubeAccess::token_file() const { return impl_->token_file; }

const io::Endpoint* KubeAccess::overheard() const {
  const std::span<const io::Endpoint> all = servers();
  const auto found = std::ranges::find_if(all, io::travels_openly);
  return impl_->authorization_size > 0 && found != all.end() ? &*found : nullptr;
}

std::uint64_t KubeAccess::digest() {
  Fnv1a hash;
  if (impl_->source == Impl::Source::kPod) mix_file(hash, impl_->files, kPodCa, io::TlsContext::kMaxPem);
  if (impl_->source != Impl::Source::kKubeconfig) return hash.value();
  const MappedMemory memory(Kubeconfig::kMaxText + 1);
  Kubeconfig config;
  Place place;
  if (const Result<void> read = impl_->read_kubeconfig(memory.bytes(), config, place); !read) {
    // Another fault is another content.
    hash.mix(to_text<512>([&](Writer& out) { write(out, place, read.error()); }).view());
    return hash.value();
  }
  hash.mix(config.tls_server_name.view());
  for (const TlsPart part : {TlsPart::kCa, TlsPart::kCertificate, TlsPart::kKey}) {
    const Pem& pem = part_of(config, part);
    hash.mix(259u);  // not as of mix_file()
    hash.mix(pem.data);
    if (!pem.file.empty()) mix_file(hash, impl_->files, pem.file, io::TlsContext::kMaxPem);
  }
  return hash.value();
}

Result<std::string_view> KubeAccess::read(TlsPart part, std::span<char> memory, Place& place) {
  place = name(part);
  if (impl_->source == Impl::Source::kKubeconfig) {
    Kubeconfig config;
    FLT_TRY(impl_->read_kubeconfig(memory, config, place));
    impl_->note_files(config);
    place = name(part);
    const std::string_view data = part_of(config, part).data;
    if (!data.empty()) {
      place =
          to_text<Place::kCapacity>([&](Writer& out) { out.put(name(part)).put(": ").put(key_of(part)); });
      return data;
    }
  }
  if (place.empty()) return std::string_view();
  return impl_->files.read_into(place, memory, io::TlsContext::kOverlong);
}

std::string_view KubeAccess::name(TlsPart part) const { return impl_->names[static_cast<std::size_t>(part)]; }
std::string_view KubeAccess::server_name() const { return impl_->server_name; }

}  // namespace flannelette::registry
