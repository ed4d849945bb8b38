// SPDX-License-Identifier: Apache-2.0
// The verb `install-cni`.
#include "cli/install_cni.hpp"

#include <unistd.h>

#include <array>

#include "flannelette/base/log.hpp"
#include "flannelette/json/document.hpp"

namespace flannelette::cli {

const char kCniList[] =
    R"({"name":"cbr0","cniVersion":"0.3.1","plugins":[{"type":"flannel","delegate":{"hairpinMode":true,)"
    R"("isDefaultGateway":true}},{"type":"portmap","capabilities":{"portMappings":true}}]})"
    "\n";

namespace {

constexpr std::size_t kMaxList = 16 * 1024;

int fail(Reporter& reporter, int code, std::string_view name, const Error& error) {
  reporter.problem(to_text<Files::kMaxPath + 256>([&](Writer& out) {
    append_printable(out.put("install-cni: "), name).put(": ");
    write(out, error);
  }));
  return code;
}

}  // namespace

bool is_cni_list(std::string_view text) {
  json::Document document(text);
  unsigned found = 0;
  return document.next() == json::Token::kBeginObject && document.members([&](std::string_view key) {
    found |= key == "name" ? 1 : key == "plugins" ? 2 : 0;
    return document.skip();
  }) && document.ends() &&
         found == 3;
}

int install_cni(std::span<const char* const> words, Files& files, Reporter& reporter) {
  constexpr Error kUsage{Code::kInvalid, 0, "[--from FILE] DIR is expected"};
  const char* directory = nullptr;
  std::string_view from;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    const bool flag = word.starts_with("--from");
    if (flag && word.size() > 7 && word[6] == '=') {
      from = word.substr(7);
    } else if (flag && word.size() == 6 && i + 1 < words.size()) {
      from = words[++i];
    } else if (directory != nullptr || word.starts_with('-')) {
      return fail(reporter, 2, word, kUsage);
    } else {
      directory = words[i];
    }
  }
  if (directory == nullptr) return fail(reporter, 2, "DIR", kUsage);

  std::array<char, kMaxList> buffer, before;
  std::string_view list = kCniList;
  if (!from.empty()) {
    const auto read = files.read_into(from, buffer, "larger than 16 KiB");
    if (!read) return fail(reporter, 2, from, read.error());
    list = *read;
    if (!is_cni_list(list))
      return fail(reporter, 2, from, {Code::kInvalid, 0, "a JSON object with name and plugins is expected"});
  }

  // The directory is not made here: one that is missing was not mounted, and nobody would read the list.
  const int entered = ::chdir(directory);
  if (entered == 0) {
    if (const auto there = files.read(kCniListName, before); there && *there && **there == list) return 0;
    files.remove_temporaries(kCniListName);
  }
  const Result<void> done = entered == 0 ? files.replace(kCniListName, list, 0644) : last_error("chdir");
  if (done) return 0;
  fail(reporter, 1, directory, done.error());
  reporter.notice("DIR is to be the host's folder of CNI lists, mounted to be written to");
  return 1;
}

}  // namespace flannelette::cli
