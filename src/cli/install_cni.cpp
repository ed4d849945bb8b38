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

constexpr std::size_t kMaxList = 64 * 1024;

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
  const char* from = nullptr;
  if (words.size() == 3 && words[0] == std::string_view("--from")) {
    from = words[1];
    words = words.subspan(2);
  }
  if (words.size() != 1 || *words[0] == '-')
    return fail(reporter, 2, "usage", {Code::kInvalid, 0, "[--from FILE] DIR"});
  const char* const directory = words[0];

  std::array<char, kMaxList> buffer, before;
  std::string_view list = kCniList;
  if (from != nullptr) {
    const auto read = files.read_into(from, buffer, "larger than 64 KiB");
    if (!read) return fail(reporter, 2, from, read.error());
    list = *read;
    if (!is_cni_list(list))
      return fail(reporter, 2, from, {Code::kInvalid, 0, "no JSON object with name and plugins"});
  }

  // The directory is not made here: one that is missing was not mounted, and nobody would read the list.
  const int entered = ::chdir(directory);
  if (entered == 0) {
    files.remove_temporaries(kCniListName);
    if (files.holds(kCniListName, list, before)) return 0;
  }
  const Result<void> done = entered == 0 ? files.replace(kCniListName, list, 0644) : last_error("chdir");
  if (done) return 0;
  fail(reporter, 1, directory, done.error());
  reporter.notice("mount the host's folder there");
  return 1;
}

}  // namespace flannelette::cli
