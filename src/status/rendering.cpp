// SPDX-License-Identifier: Apache-2.0
// The forms of a status, a piece at a time.
#include "flannelette/status/rendering.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "status/fields.hpp"

namespace flannelette::status {
namespace {

using Kind = Field::Kind;

/// Appends the pattern, in which \1 stands for the first of these texts, \2 for the second, and \x11, \x12
/// for them as people read names, with blanks for underscores.
void expand(Writer& out, const char* pattern, std::initializer_list<const char*> texts) {
  for (; *pattern != '\0'; ++pattern) {
    const int code = static_cast<unsigned char>(*pattern);
    if (code >= ' ' || code == '\n') {
      out.put(*pattern);
      continue;
    }
    for (const char* from = texts.begin()[(code & 15) - 1]; *from != '\0'; ++from)
      out.put(code > 15 && *from == '_' ? ' ' : *from);
  }
}

/// "1d 2h 3m 4s".
void put_duration(Writer& out, std::uint64_t seconds) {
  static constexpr std::uint32_t kUnits[] = {86'400, 3'600, 60, 1};
  bool any = false;
  for (std::size_t i = 0; i < std::size(kUnits); ++i) {
    const std::uint64_t count = seconds / kUnits[i];
    seconds %= kUnits[i];
    if (count == 0 && (any || i < 3)) continue;
    if (any) out.put(' ');
    out.put_unsigned(count).put("dhms"[i]);
    any = true;
  }
}

const char* unit_of(const Field& field) { return field.is(Kind::kDuration) ? "_seconds" : ""; }

/// `name` is flannelette_<section>, or that of one field.
void put_head(Writer& out, const Text<80>& name, const char* help, const Field& field) {
  expand(out, "# HELP \1 \2\n# TYPE \1 \3\n",
         {name.c_str(), help, field.is(Field::kCounter) ? "counter" : "gauge"});
}

/// flannelette_<section>, and what follows.
Text<80> metric_name(const Field& section, std::initializer_list<const char*> rest, const Field& field) {
  return to_text<80>([&](Writer& out) {
    expand(out, "flannelette_\1", {section.name()});
    for (const char* part : rest) out.put(part);
    if (field.is(Field::kCounter)) out.put("_total");
  });
}

/// What stands before, between and around a name and its value; \1 is a comma where another pair is before
/// it.
constexpr const char* kJsonPair = "\1\"\2\3\":\4\5\4";
constexpr const char* kLabelPair = "\1\2=\"\5\"";
constexpr const char* kPeerPair = "  \5";

/// Nothing where there is no value.
void put_pair(Writer& out, const char* pattern, const Field& field, const void* of, bool& continued) {
  const Value value = value_of(field, of);
  if (value.empty()) return;
  expand(out, pattern,
         {std::exchange(continued, true) ? "," : "", field.name(), unit_of(field), field.bare() ? "" : "\"",
          value.c_str()});
}

constexpr std::size_t kEnd = SIZE_MAX;

}  // namespace

void write_unready(Writer& out, const Status& status) {
  const auto fields = status_fields();
  for (const Field* reason = &fields[1]; !reason->is(Kind::kSection); ++reason) {
    const Value why = value_of(*reason, &status);
    if (!why.empty()) expand(out, "not ready: \1: \2\n", {reason->name(), why.c_str()});
  }
}

Rendering::Rendering(const Source& source, Format format) : source_(source), format_(format) {
  source_.read(status_);
}

bool Rendering::next(Writer& out) {
  for (;;) {
    const std::string_view rest = pending_.view().substr(written_);
    const std::size_t fits = std::min(rest.size(), out.room());
    out.put(rest.substr(0, fits));
    written_ += fits;
    if (fits < rest.size()) return true;
    pending_ = to_text<kMaxPiece>([this](Writer& piece) { this->piece(piece); });
    written_ = 0;
    if (pending_.empty()) return false;
  }
}

void Rendering::piece(Writer& out) {
  const auto fields = status_fields();
  while (out.size() == 0 && row_ != kEnd) {
    if (row_ >= fields.size()) {
      peer(out, row_++ - fields.size());
      continue;
    }
    const Field& field = fields[row_++];
    if (field.is(Kind::kSection)) section_ = &field;
    if (format_ == Format::kText) text(out, field);
    if (format_ == Format::kJson) json(out, field);
    if (format_ == Format::kMetrics) metric(out, field);
    if (row_ < fields.size()) continue;
    continued_ = false;
    if (format_ == Format::kJson) out.put("},\"peer_list\":[");
    if (format_ == Format::kMetrics) row_ = kEnd;
  }
}

/// A section gets its heading with its first line.
void Rendering::text(Writer& out, const Field& field) {
  const bool unready = section_ == status_fields().data();
  if (field.is(Kind::kSection)) {
    continued_ = false;
    if (unready && status_.ready()) out.put("ready\n");
    if (unready) write_unready(out, status_);
    return;
  }
  const Value value = value_of(field, &status_);
  const bool countable = section_->is_family() || field.is(Field::kCounter);
  const bool never = countable && value.view() == "0";
  if (unready || value.empty() || never || field.is(Field::kQuiet)) return;
  if (!std::exchange(continued_, true)) expand(out, "\n\x11:\n", {section_->name()});
  expand(out, "  \x11: ", {field.name()});
  std::uint64_t seconds = 0;
  if (field.is(Kind::kDuration) && parse_unsigned(value, seconds)) {
    put_duration(out, seconds);
  } else {
    out.put(value);
  }
  out.put('\n');
}

void Rendering::json(Writer& out, const Field& field) {
  if (!field.is(Kind::kSection)) return put_pair(out, kJsonPair, field, &status_, continued_);
  continued_ = false;
  const bool first = row_ == 1;
  if (first) {
    expand(out, "{\"version\":1,\"program\":\"" FLANNELETTE_VERSION "\",\"ready\":\1",
           {status_.ready() ? "true" : "false"});
  }
  expand(out, first ? ",\"\1\":{" : "},\"\1\":{", {field.name()});
}

void Rendering::metric(Writer& out, const Field& field) {
  const bool family = section_->is_family();
  if (field.is(Kind::kSection)) {
    if (row_ == 1) {
      out.put(
          "# HELP flannelette_build_info This program.\n# TYPE flannelette_build_info gauge\n"
          "flannelette_build_info{version=\"" FLANNELETTE_VERSION "\"} 1\n");
    }
    const Field& one = section_[1];
    if (*field.help() != '\0')
      put_head(out, metric_name(field, {family ? "" : "_info"}, one), field.help(), one);
    if (*field.help() != '\0' && !family) info(out);
    return;
  }
  const Value value = value_of(field, &status_);
  if (family) {
    const char* const number = field.is(Kind::kWords) ? (value.empty() ? "0" : "1") : value.c_str();
    const auto name = metric_name(*section_, {}, field);
    expand(out, "\1{\2=\"\3\"} \4\n", {name.c_str(), section_->label(), field.name(), number});
  } else if (*field.help() != '\0' && !value.empty()) {
    const auto name = metric_name(*section_, {"_", field.name(), unit_of(field)}, field);
    put_head(out, name, field.help(), field);
    expand(out, "\1 \2\n", {name.c_str(), value.c_str()});
  }
}

/// What of the section is no metric, as labels of one.
void Rendering::info(Writer& out) const {
  expand(out, "flannelette_\1_info{", {section_->name()});
  bool continued = false;
  for (const Field* field = section_ + 1; !field->is(Kind::kSection); ++field) {
    if (*field->help() == '\0') put_pair(out, kLabelPair, *field, &status_, continued);
  }
  out.put("} 1\n");
}

/// Nothing of one that is ours.
void Rendering::peer(Writer& out, std::size_t index) {
  PeerStatus peer;
  const bool json = format_ == Format::kJson;
  if (!source_.peer(index, peer)) {
    row_ = kEnd;
    if (json) out.put("]}\n");
    return;
  }
  if (peer.state == PeerStatus::State::kOurs) return;
  const bool first = !std::exchange(continued_, true);
  bool continued = false;
  out.put(json ? (first ? "{" : ",{") : first ? "\npeer:" : "peer:");
  for (const Field& field : peer_fields()) {
    if (json || !field.is(Field::kQuiet))
      put_pair(out, json ? kJsonPair : kPeerPair, field, &peer, continued);
  }
  out.put(json ? '}' : '\n');
}

}  // namespace flannelette::status
