// SPDX-License-Identifier: Apache-2.0
// A kubeconfig: which API server, and with what credentials.
#include "registry/kube/kubeconfig.hpp"

#include <algorithm>
#include <array>

#include "flannelette/base/plain_array.hpp"
#include "flannelette/json/base64.hpp"
#include "registry/kube/yaml.hpp"

namespace flannelette::registry::kube {
namespace {

/// Whose keys they are: of the file, of an item of one of its lists, of what the item holds beside its name.
enum class Level : std::uint8_t { kFile, kClusters, kContexts, kUsers, kCluster, kContext, kUser };

enum class Shape : std::uint8_t {
  kText,
  kList,  ///< of mappings
  kMapping,
  kRefused,  ///< of any shape: it may not be there
  kFalse,    ///< may be there if it is "false"
};

enum class Key : std::uint8_t {
  kClusters,
  kContexts,
  kUsers,
  kCurrentContext,
  kClustersName,
  kClustersCluster,
  kContextsName,
  kContextsContext,
  kUsersName,
  kUsersUser,
  kContextCluster,
  kContextUser,
  kServer,
  kTlsServerName,
  kCa,  // the data of each of these three comes behind its file
  kCaData,
  kCertificate,
  kCertificateData,
  kPrivateKey,
  kPrivateKeyData,
  kToken,
  kTokenFile,
  // Here begins what is refused; nobody asks for one of these by its name.
};

struct Row {
  const char* name;
  Level level;
  Shape shape = Shape::kText;
  Level inside = Level::kFile;  ///< of a list or mapping
  const char* why = nullptr;    ///< it is refused
};

constexpr const char* kNoPrograms =
    "no credential plugin is run: use a token, a tokenFile or a client certificate";
constexpr const char* kNoPassword =
    "Kubernetes has no basic authentication since 1.19: use a token or a client certificate";
constexpr const char* kNoImpersonation = "impersonation is not supported: use credentials of that user";

constexpr Row kRows[] = {
    {"clusters", Level::kFile, Shape::kList, Level::kClusters},
    {"contexts", Level::kFile, Shape::kList, Level::kContexts},
    {"users", Level::kFile, Shape::kList, Level::kUsers},
    {"current-context", Level::kFile},
    {"name", Level::kClusters},
    {"cluster", Level::kClusters, Shape::kMapping, Level::kCluster},
    {"name", Level::kContexts},
    {"context", Level::kContexts, Shape::kMapping, Level::kContext},
    {"name", Level::kUsers},
    {"user", Level::kUsers, Shape::kMapping, Level::kUser},
    {"cluster", Level::kContext},
    {"user", Level::kContext},
    {"server", Level::kCluster},
    {"tls-server-name", Level::kCluster},
    {"certificate-authority", Level::kCluster},
    {"certificate-authority-data", Level::kCluster},
    {"client-certificate", Level::kUser},
    {"client-certificate-data", Level::kUser},
    {"client-key", Level::kUser},
    {"client-key-data", Level::kUser},
    {"token", Level::kUser},
    {"tokenFile", Level::kUser},
    {"insecure-skip-tls-verify",
     Level::kCluster,
     Shape::kFalse,
     {},
     "the server is always verified: give its CA, and tls-server-name if its certificate has another name"},
    {"proxy-url", Level::kCluster, Shape::kRefused, {}, "no proxy is used: give a server that is reachable"},
    {"exec", Level::kUser, Shape::kRefused, {}, kNoPrograms},
    {"auth-provider", Level::kUser, Shape::kRefused, {}, kNoPrograms},
    {"username", Level::kUser, Shape::kRefused, {}, kNoPassword},
    {"password", Level::kUser, Shape::kRefused, {}, kNoPassword},
    {"as", Level::kUser, Shape::kRefused, {}, kNoImpersonation},
    {"as-uid", Level::kUser, Shape::kRefused, {}, kNoImpersonation},
    {"as-groups", Level::kUser, Shape::kRefused, {}, kNoImpersonation},
    {"as-user-extra", Level::kUser, Shape::kRefused, {}, kNoImpersonation},
};

/// A key that means something, and its value.
struct Field {
  std::uint32_t at;  ///< of a text: where it is
  std::uint32_t size;
  std::uint32_t line;   ///< of the key
  std::uint16_t entry;  ///< the item of a list, counted over all lists; 0: a key of the file
  std::uint8_t row;
  bool given;  ///< neither null nor an empty text
};

const char* name_of(Key key) { return kRows[static_cast<std::size_t>(key)].name; }
Key data_of(Key file) { return static_cast<Key>(static_cast<std::uint8_t>(file) + 1); }

/// Collects the fields of the whole file, since a name may stand behind what it names; then takes those of
/// the context.
class KubeconfigReader final : YamlEvents {
 public:
  KubeconfigReader(std::span<char> text, std::string_view path, Kubeconfig& out, KubeconfigProblem& problem)
      : text_(text), path_(path), out_(out), problem_(problem) {}

  bool read(std::string_view context);

 private:
  const char* on(const YamlEvent& event) override;
  const char* value(const YamlEvent& event);
  const char* item(YamlEvent::Kind kind);
  bool note_key(const YamlEvent& event);

  bool choose(std::string_view context);
  bool take_cluster(const Field& name);
  bool take_user(const Field& name);
  bool check_refused(std::uint16_t entry);
  bool take_pem(std::uint16_t entry, Key file_key, Pem& pem);
  bool take_path(const Field& field, Text<Files::kMaxPath>& path);
  bool take_data(const Field& field, std::string_view& pem);

  bool refuse(std::uint32_t line, std::string_view key, const char* why, std::string_view name = {}) {
    problem_ = {line, key, name, why};
    return false;
  }
  bool refuse(const Field& field, const char* why) { return refuse(field.line, kRows[field.row].name, why); }
  const Field* find(Key key, std::uint16_t entry) const;
  const Field* named(Key key, std::string_view kind, std::string_view name, std::uint32_t line);
  Field& last_field() { return fields_[fields_.size() - 1]; }
  std::string_view text(const Field& field) const { return {text_.data() + field.at, field.size}; }

  std::span<char> text_;
  std::string_view path_;
  Kubeconfig& out_;
  KubeconfigProblem& problem_;
  PlainArray<Field> fields_;  // of the keys of an entry one behind the other
  const Row* row_ = nullptr;  // of the last key; nullptr: the key means nothing here
  std::size_t depth_ = 0;     // 1: in the file's mapping, 2: in a list, 3: in its item, 4: in what that holds
  std::array<Level, 5> levels_{};
  std::size_t ignored_ = 0;  // how deep in a value that means nothing
  std::uint16_t entry_ = 0;
};

// --- The events become fields. ---

const char* KubeconfigReader::on(const YamlEvent& event) {
  using Kind = YamlEvent::Kind;
  if (ignored_ > 0) {
    if (event.kind == Kind::kBeginMapping || event.kind == Kind::kBeginSequence) ++ignored_;
    if (event.kind == Kind::kEnd) --ignored_;
    return nullptr;
  }
  const char* why = nullptr;
  switch (event.kind) {
    case Kind::kKey:
      if (!note_key(event)) why = "the key is there twice: leave one";
      break;
    case Kind::kEnd:
      --depth_;
      row_ = nullptr;
      return nullptr;
    case Kind::kContinued:
      if (row_ != nullptr) why = "a value of several lines: write it on one";
      break;
    case Kind::kBeginMapping:
    case Kind::kBeginSequence:
    case Kind::kScalar:
    case Kind::kNull: why = value(event); break;
  }
  if (why != nullptr && row_ != nullptr) problem_.key = row_->name;
  return why;
}

/// False: the key was there before.
bool KubeconfigReader::note_key(const YamlEvent& event) {
  row_ = std::ranges::find_if(
      kRows, [&](const Row& row) { return row.level == levels_[depth_] && row.name == event.text; });
  if (row_ == std::end(kRows)) row_ = nullptr;
  if (row_ == nullptr) return true;
  Field field{};
  field.line = event.line;
  field.entry = depth_ == 1 ? 0 : entry_;
  field.row = static_cast<std::uint8_t>(row_ - kRows);
  for (std::size_t i = fields_.size(); i-- > 0;) {
    if (fields_[i].entry == field.entry && fields_[i].row == field.row) return false;
    if (field.entry != 0 && fields_[i].entry != field.entry) break;
  }
  fields_.append(field);
  return true;
}

const char* KubeconfigReader::value(const YamlEvent& event) {
  const bool mapping = event.kind == YamlEvent::Kind::kBeginMapping;
  const bool container = mapping || event.kind == YamlEvent::Kind::kBeginSequence;
  if (depth_ == 0) {
    if (!mapping) return "a list is no kubeconfig";
    depth_ = 1;
    return nullptr;
  }
  if (depth_ == 2) return item(event.kind);
  if (row_ == nullptr || row_->shape == Shape::kRefused) ignored_ = container ? 1 : 0;
  if (row_ == nullptr) return nullptr;
  if (event.kind == YamlEvent::Kind::kNull) return nullptr;
  Field& field = last_field();
  field.given = container || !event.text.empty();
  if (!container) {
    field.at = static_cast<std::uint32_t>(event.text.data() - text_.data());
    field.size = static_cast<std::uint32_t>(event.text.size());
  }
  switch (row_->shape) {
    case Shape::kText:
    case Shape::kFalse: return container ? "must be a text" : nullptr;
    case Shape::kList:
      if (!container || mapping) return "must be a list";
      break;
    case Shape::kMapping:
      if (!mapping) return "must be a mapping";
      break;
    case Shape::kRefused: return nullptr;
  }
  levels_[++depth_] = row_->inside;
  return nullptr;
}

const char* KubeconfigReader::item(YamlEvent::Kind kind) {
  if (kind == YamlEvent::Kind::kNull) return nullptr;
  if (kind != YamlEvent::Kind::kBeginMapping) return "an item must be a mapping";
  ++entry_;
  levels_[3] = levels_[2];
  depth_ = 3;
  return nullptr;
}

// --- The fields of the context. ---

bool KubeconfigReader::read(std::string_view context) {
  if (text_.size() > Kubeconfig::kMaxText) return refuse(0, "", "longer than 64 KiB");
  problem_ = {};
  const YamlFault fault = read_yaml(text_, *this);
  if (fault.why != nullptr) {
    const bool of_key = row_ != nullptr && last_field().line == fault.line;
    return refuse(fault.line, of_key ? row_->name : problem_.key, fault.why);
  }
  return choose(context);
}

/// nullptr: it is not given.
const Field* KubeconfigReader::find(Key key, std::uint16_t entry) const {
  for (const Field& field : fields_) {
    if (field.entry == entry && field.row == static_cast<std::uint8_t>(key) && field.given) return &field;
  }
  return nullptr;
}

/// The field with the name of an entry; `line` is where somebody refers to it. nullptr: refused.
const Field* KubeconfigReader::named(Key key, std::string_view kind, std::string_view name,
                                     std::uint32_t line) {
  const Field* found = nullptr;
  for (const Field& field : fields_) {
    if (field.row != static_cast<std::uint8_t>(key) || text(field) != name) continue;
    if (found != nullptr) {
      refuse(field.line, kind, "two have this name: leave one", name);
      return nullptr;
    }
    found = &field;
  }
  if (found == nullptr) refuse(line, kind, "there is none of this name: add it, or name another", name);
  return found;
}

bool KubeconfigReader::choose(std::string_view context) {
  std::uint32_t line = 0;
  if (context.empty()) {
    const Field* current = find(Key::kCurrentContext, 0);
    if (current == nullptr) {
      return refuse(0, name_of(Key::kCurrentContext),
                    "no context is named: kubectl config use-context does it");
    }
    context = text(*current);
    line = current->line;
  }
  const Field* entry = named(Key::kContextsName, "context", context, line);
  if (entry == nullptr) return false;
  const Field* cluster = find(Key::kContextCluster, entry->entry);
  if (cluster == nullptr) return refuse(entry->line, "context", "it names no cluster: add one", context);
  const Field* user = find(Key::kContextUser, entry->entry);
  if (user == nullptr) return refuse(entry->line, "context", "it names no user: add one", context);
  out_.context = text(*entry);
  out_.cluster = text(*cluster);
  out_.user = text(*user);

  cluster = named(Key::kClustersName, "cluster", out_.cluster, cluster->line);
  if (cluster == nullptr) return false;
  user = named(Key::kUsersName, "user", out_.user, user->line);
  return user != nullptr && check_refused(cluster->entry) && check_refused(user->entry) &&
         take_cluster(*cluster) && take_user(*user);
}

bool KubeconfigReader::check_refused(std::uint16_t entry) {
  for (const Field& field : fields_) {
    const Row& row = kRows[field.row];
    if (field.entry != entry || !field.given || row.why == nullptr) continue;
    if (row.shape != Shape::kFalse || !equal_ignoring_case(text(field), "false"))
      return refuse(field, row.why);
  }
  return true;
}

bool KubeconfigReader::take_cluster(const Field& name) {
  const Field* server = find(Key::kServer, name.entry);
  if (server == nullptr) return refuse(name.line, "cluster", "it has no server: add one", out_.cluster);
  const std::string_view url = text(*server);
  Result<io::Endpoint> endpoint =
      io::parse_endpoint(url, equal_ignoring_case(url.substr(0, 6), "https:") ? 443 : 80);
  if (!endpoint) return refuse(*server, endpoint.error().context);
  out_.server = *endpoint;

  const Field* tls_name = find(Key::kTlsServerName, name.entry);
  if (tls_name != nullptr && !out_.tls_server_name.assign(text(*tls_name))) {
    return refuse(*tls_name, "longer than 253 bytes");
  }
  if (!take_pem(name.entry, Key::kCa, out_.ca)) return false;
  if (out_.server.tls && out_.ca.empty()) {
    return refuse(*server,
                  "https needs certificate-authority or certificate-authority-data: none is built in");
  }
  return true;
}

bool KubeconfigReader::take_user(const Field& name) {
  if (!take_pem(name.entry, Key::kCertificate, out_.client_certificate) ||
      !take_pem(name.entry, Key::kPrivateKey, out_.client_key)) {
    return false;
  }
  if (out_.client_certificate.empty() != out_.client_key.empty()) {
    return refuse(name.line, "user", "client-certificate and client-key belong together: one is missing",
                  out_.user);
  }
  if (const Field* token = find(Key::kToken, name.entry)) {
    out_.token = text(*token);
    if (const char* fault = fault_of_token(out_.token)) return refuse(*token, fault);
  }
  const Field* token_file = find(Key::kTokenFile, name.entry);
  if (token_file != nullptr && !take_path(*token_file, out_.token_file)) return false;
  if (out_.server.tls && out_.client_certificate.empty() && out_.token.empty() && token_file == nullptr) {
    return refuse(name.line, "user", "https needs a token, a tokenFile or a client certificate", out_.user);
  }
  return true;
}

bool KubeconfigReader::take_pem(std::uint16_t entry, Key file_key, Pem& pem) {
  const Field* file = find(file_key, entry);
  const Field* data = find(data_of(file_key), entry);
  if (data == nullptr) return file == nullptr || take_path(*file, pem.file);
  if (file != nullptr) return refuse(*data, "it is there as a file, too: leave one");
  return take_data(*data, pem.data);
}

bool KubeconfigReader::take_path(const Field& field, Text<Files::kMaxPath>& path) {
  const std::string_view given = text(field);
  const std::string_view folder =
      given.starts_with('/') ? std::string_view() : path_.substr(0, path_.rfind('/') + 1);
  path = to_text<Files::kMaxPath>([&](Writer& out) { out.put(folder).put(given); });
  return path.size() == folder.size() + given.size() || refuse(field, "the path is longer than 255 bytes");
}

bool KubeconfigReader::take_data(const Field& field, std::string_view& pem) {
  const std::span<char> memory = text_.subspan(field.at, field.size);
  const auto decoded = json::decode_base64(text(field), memory);
  if (!decoded) return refuse(field, "not base64, or cut");
  const std::size_t last = decoded->rfind("-----BEGIN ");
  if (last == decoded->npos) return refuse(field, "no PEM is in it");
  if (decoded->find("-----END ", last) == decoded->npos)
    return refuse(field, "the end of the PEM is missing");
  memory[decoded->size()] = '\0';  // what is decoded is shorter
  pem = *decoded;
  return true;
}

}  // namespace

Result<void> parse_kubeconfig(std::span<char> text, std::string_view path, std::string_view context,
                              Kubeconfig& out, KubeconfigProblem& problem) {
  if (KubeconfigReader(text, path, out, problem).read(context)) return {};
  return Error{Code::kInvalid, 0, problem.why};
}

const char* fault_of_token(std::string_view token) {
  if (token.empty()) return "no token is in it";
  if (token.size() > Kubeconfig::kMaxToken) return "a token of more than 8 KiB";
  const bool clean = std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7f'; });
  return clean ? nullptr : "a blank or a byte beyond printable ASCII is in it";
}

void write_place(Writer& out, std::string_view path, const KubeconfigProblem& problem) {
  out.put(path);
  if (problem.line != 0) out.put(':').put_unsigned(problem.line);
  if (problem.key.empty()) return;
  out.put(": ").put(problem.key);
  // A name may be as long as the file, and the reason behind it has to fit.
  if (!problem.name.empty()) out.put(" \"").put(problem.name.substr(0, 128)).put('"');
}

void write(Writer& out, std::string_view path, const KubeconfigProblem& problem) {
  write_place(out, path, problem);
  out.put(": ").put(problem.why);
}

}  // namespace flannelette::registry::kube
