// SPDX-License-Identifier: Apache-2.0
// A kubeconfig of any bytes: what is accepted keeps the rules, what is refused names a reason. YAML that is
// accepted means the same with other line ends.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "registry/kube/kubeconfig.hpp"

using namespace flannelette;
using namespace flannelette::registry::kube;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

bool inside(const std::vector<char>& text, std::string_view part) {
  return part.empty() ||
         (part.data() >= text.data() && part.data() + part.size() <= text.data() + text.size());
}

void must_be_pem(const std::vector<char>& text, const Pem& pem) {
  must(pem.file.empty() || pem.data.empty());
  if (pem.data.empty()) return;
  must(inside(text, {pem.data.data(), pem.data.size() + 1}) && pem.data.data()[pem.data.size()] == '\0');
  must(pem.data.find("-----BEGIN ") != pem.data.npos && pem.data.find("-----END ") != pem.data.npos);
}

/// What it says; empty: it is refused.
std::string meaning(std::string_view any) {
  std::vector<char> text(any.begin(), any.end());  // memory of its own size, so that a read beyond it is seen
  Kubeconfig config;
  KubeconfigProblem problem;
  const Result<void> parsed = parse_kubeconfig(text, "/etc/kube/config", "", config, problem);
  if (!parsed) {
    must(std::strlen(problem.why) > 0 && inside(text, problem.name));
    must(problem.line <= 1 + static_cast<std::size_t>(std::ranges::count(any, '\n')));
    return {};
  }
  must(any.size() <= Kubeconfig::kMaxText && config.server.port != 0 && !config.server.host.empty());
  must(!config.server.tls || !config.ca.empty());
  must(config.client_certificate.empty() == config.client_key.empty());
  for (const Pem* pem : {&config.ca, &config.client_certificate, &config.client_key}) must_be_pem(text, *pem);
  for (const std::string_view name : {config.context, config.cluster, config.user}) {
    must(!name.empty() && inside(text, name));
  }
  must(inside(text, config.token) &&
       std::ranges::all_of(config.token, [](char c) { return c > ' ' && c < '\x7f'; }));
  std::string all(to_text<300>([&](Writer& out) { io::write(out, config.server); }).view());
  for (const std::string_view part :
       {config.tls_server_name.view(), config.ca.file.view(), config.ca.data, config.client_key.file.view(),
        config.client_key.data, config.token, config.token_file.view(), config.context, config.user}) {
    all.append("\n").append(part);
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string first = meaning(text);
  if (first.empty() || text.find('\r') != text.npos) return 0;
  std::string crlf;
  for (const char c : text) crlf.append(c == '\n' ? "\r\n" : std::string_view(&c, 1));
  if (crlf.size() <= Kubeconfig::kMaxText) must(meaning(crlf) == first);
  return 0;
}
