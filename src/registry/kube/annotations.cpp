// SPDX-License-Identifier: Apache-2.0
// The names of flannel's annotations on a Node.
#include "registry/kube/annotations.hpp"

#include <array>

#include "flannelette/registry/kube.hpp"

namespace flannelette::registry {
namespace kube {
namespace {

using namespace std::string_view_literals;

/// In the order of Annotation.
constexpr std::array kNames{"backend-data"sv,        "backend-type"sv, "backend-v6-data"sv,
                            "kube-subnet-manager"sv, "public-ip"sv,    "public-ip-overwrite"sv,
                            "public-ipv6"sv};
static_assert(kNames.size() == kAnnotationCount);
/// The longest name that flannel writes, here or later: "public-ipv6-overwrite".
constexpr std::size_t kLongestName = 21;

bool is_word(std::string_view text) {
  for (const char c : text) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!good) return false;
  }
  return true;
}

/// At least two words with dots between them.
bool is_domain(std::string_view text) {
  std::size_t words = 1;
  for (std::size_t dot = text.find('.'); dot != text.npos; dot = text.find('.')) {
    if (dot == 0 || !is_word(text.substr(0, dot))) return false;
    text.remove_prefix(dot + 1);
    ++words;
  }
  return words > 1 && !text.empty() && is_word(text);
}

}  // namespace

std::string_view name(Annotation annotation) { return kNames[static_cast<std::size_t>(annotation)]; }

Result<AnnotationPrefix> AnnotationPrefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view domain = text.substr(0, slash);
  const std::string_view rest = slash == text.npos ? std::string_view() : text.substr(slash + 1);
  if (rest.find('/') != rest.npos)
    return Error{Code::kInvalid, 0, "kube-annotation-prefix has more than one slash"};
  if (!is_domain(domain) || !is_word(rest)) {
    return Error{
        Code::kInvalid, 0,
        "kube-annotation-prefix must be a domain, and after a slash lower-case letters, digits, - or _"};
  }
  const bool open = !rest.empty() && !rest.ends_with('-');
  if (domain.size() > kMaxDomain || rest.size() + (open ? 1 : 0) + kLongestName > kMaxName)
    return Error{Code::kLimit, 0, "kube-annotation-prefix is too long for the name of an annotation"};

  AnnotationPrefix prefix;
  prefix.text_ = to_text<Key::kCapacity>([&](Writer& out) {
    out.put(domain).put('/').put(rest);
    if (open) out.put('-');
  });
  return prefix;
}

std::optional<Annotation> AnnotationPrefix::find(std::string_view key) const {
  if (!key.starts_with(text_.view())) return std::nullopt;
  key.remove_prefix(text_.size());
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (key == kNames[i]) return static_cast<Annotation>(i);
  }
  return std::nullopt;
}

AnnotationPrefix::Key AnnotationPrefix::key(Annotation annotation) const {
  return to_text<Key::kCapacity>([&](Writer& out) { out.put(text_).put(name(annotation)); });
}

}  // namespace kube

Result<Text<KubeSettings::kMaxPrefix>> KubeSettings::complete_prefix(std::string_view text) {
  static_assert(kMaxPrefix == kube::AnnotationPrefix::Key::kCapacity);
  const auto prefix = kube::AnnotationPrefix::parse(text);
  if (!prefix) return prefix.error();
  return Text<kMaxPrefix>(prefix->view());
}

}  // namespace flannelette::registry
