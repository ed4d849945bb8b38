// SPDX-License-Identifier: Apache-2.0
// YAML of the plain kind that kubeconfigs are written in, or JSON, as one sequence of events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace flannelette::registry::kube {

struct YamlEvent {
  enum class Kind : std::uint8_t {
    kBeginMapping,
    kBeginSequence,
    kEnd,  ///< of the mapping or sequence that began last
    kKey,
    kScalar,
    kNull,       ///< null, ~ or no value at all
    kContinued,  ///< the scalar before it goes on with a further line, which is not delivered
  };
  Kind kind;
  std::uint32_t line;     ///< counted from 1
  std::string_view text;  ///< of kKey and kScalar, decoded: a part of the text that is read
};

/// Takes the events. An answer that is not nullptr ends the reading, and says why: static.
class YamlEvents {
 public:
  virtual const char* on(const YamlEvent& event) = 0;

 protected:
  ~YamlEvents() = default;
};

struct YamlFault {
  const char* why = nullptr;  ///< static; nullptr: there is none
  std::uint32_t line = 0;
};

/// Reads one document: JSON if it begins with '{', else YAML of these means: mappings and sequences by
/// indentation, scalars without or with quotes on one line, comments, {} and []. All else that YAML has
/// (block scalars, anchors, aliases, tags, flow style with content, several documents) is a fault that names
/// it. Scalars without quotes may go on on further lines, as Python folds them. A mapping's keys may be there
/// twice: who takes the events looks. Escapes are decoded in place, so `text` is not to be read again.
YamlFault read_yaml(std::span<char> text, YamlEvents& events);

}  // namespace flannelette::registry::kube
