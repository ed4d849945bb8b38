// SPDX-License-Identifier: Apache-2.0
// The forms of a status, a piece at a time.
#include "flannelette/status/rendering.hpp"

#include <algorithm>
#include <utility>

#include "status/fields.hpp"

namespace flannelette::status {
namespace {

constexpr std::size_t kMaxValue = 2 * Words::kCapacity;
constexpr std::string_view kSeconds = "_seconds";

Text<kMaxValue> value_of(const Field& field, const void* of) {
  return to_text<kMaxValue>([&](Writer& out) { put_value(out, field, of); });
}

/// "1d 2h 3m 4s".
void put_duration(Writer& out, std::uint64_t seconds) {
  static constexpr std::pair<std::uint32_t, char> kUnits[] = {
      {86'400, 'd'}, {3'600, 'h'}, {60, 'm'}, {1, 's'}};
  bool any = false;
  for (const auto& [length, unit] : kUnits) {
    const std::uint64_t count = seconds / length;
    seconds %= length;
    if (count == 0 && (any ? true : unit != 's')) continue;
    if (std::exchange(any, true)) out.put(' ');
    out.put_unsigned(count).put(unit);
  }
}

/// A name as people read it.
Writer& put_words(Writer& out, std::string_view name) {
  for (const char c : name) out.put(c == '_' ? ' ' : c);
  return out;
}

/// `"name":value`, after a comma where another one is before it.
void put_json(Writer& out, const Field& field, const void* of, bool& continued) {
  const auto value = value_of(field, of);
  if (value.empty()) return;
  if (std::exchange(continued, true)) out.put(',');
  const std::string_view quote = field.bare() ? "" : "\"";
  out.put('"').put(field.name).put("\":").put(quote).put(value).put(quote);
}

/// The name of a metric; a section with a label is one.
void put_name(Writer& out, std::string_view before, const Section& section, const Field& field) {
  const bool family = section.label != nullptr;
  out.put(before).put("flannelette_").put(section.name);
  if (!family) out.put('_').put(field.name);
  if (field.is(Field::kCounter)) out.put("_total");
}

void put_label(Writer& out, std::string_view name, std::string_view value) {
  out.put(name).put("=\"").put(value).put('"');
}

}  // namespace

void write_unready(Writer& out, const Status& status) {
  const Section& reasons = kSections.front();
  for (const Field& reason : reasons.fields) {
    const auto why = value_of(reason, &status);
    if (!why.empty()) out.put("not ready: ").put(reason.name).put(": ").put(why).put('\n');
  }
}

Rendering::Rendering(const Source& source, Format format)
    : source_(source), format_(format), section_(format == Format::kPeers ? kSections.size() : 0) {
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
  const std::size_t sections = kSections.size();
  while (out.size() == 0) {
    if (section_ == 0 && row_ == 0) begin(out);
    if (section_ < sections) {
      const Section& section = kSections[section_];
      field(out, section);
      if (++row_ < section.fields.size()) continue;
      if (format_ == Format::kJson) out.put('}');
      ++section_;
      row_ = 0;
      if (section_ == sections && format_ == Format::kJson) out.put(",\"peer_list\":[");
      continued_ = false;
    } else if (section_ == sections && format_ != Format::kMetrics) {
      peer(out);
    } else {
      return;
    }
  }
}

void Rendering::begin(Writer& out) {
  switch (format_) {
    case Format::kText:
      if (status_.ready()) out.put("ready\n");
      return write_unready(out, status_);
    case Format::kJson:
      out.put(R"({"version":1,"program":")" FLANNELETTE_VERSION R"(","ready":)");
      out.put(status_.ready() ? "true" : "false");
      return;
    case Format::kMetrics:
      return void(
          out.put("# HELP flannelette_build_info This program.\n"
                  "# TYPE flannelette_build_info gauge\n"
                  "flannelette_build_info{version=\"" FLANNELETTE_VERSION "\"} 1\n"));
    case Format::kPeers: return;
  }
}

void Rendering::field(Writer& out, const Section& section) {
  const Field& field = section.fields[row_];
  switch (format_) {
    case Format::kText:
      if (section_ > 0) text(out, section, field);
      return;
    case Format::kJson:
      if (row_ == 0) out.put(",\"").put(section.name).put("\":{");
      return put_json(out, field, &status_, continued_);
    case Format::kMetrics: return metric(out, section, field);
    case Format::kPeers: return;
  }
}

/// "  watch age: 12s". What never happened is left out.
void Rendering::text(Writer& out, const Section& section, const Field& field) {
  const auto value = value_of(field, &status_);
  const bool countable = section.label != nullptr || field.is(Field::kCounter);
  if (value.empty() || field.is(Field::kQuiet) || (countable && value.view() == "0")) return;
  if (!std::exchange(continued_, true)) put_words(out.put('\n'), section.name).put(":\n");
  std::string_view name = field.name;
  const bool time = name.ends_with(kSeconds);
  if (time) name.remove_suffix(kSeconds.size());
  put_words(out.put("  "), name).put(": ");
  std::uint64_t seconds = 0;
  if (time && parse_unsigned(value, seconds)) {
    put_duration(out, seconds);
  } else {
    out.put(value);
  }
  out.put('\n');
}

void Rendering::metric(Writer& out, const Section& section, const Field& field) {
  const bool family = section.label != nullptr;
  if (row_ == 0 && !family && section.help != nullptr) info(out, section);
  const auto value = value_of(field, &status_);
  if (!family && (field.help == nullptr || value.empty())) return;
  if (!family || row_ == 0) {
    put_name(out, "# HELP ", section, field);
    out.put(' ').put(family ? section.help : field.help).put('\n');
    put_name(out, "# TYPE ", section, field);
    out.put(field.is(Field::kCounter) ? " counter\n" : " gauge\n");
  }
  put_name(out, {}, section, field);
  if (family) {
    put_label(out.put('{'), section.label, field.name);
    out.put('}');
  }
  out.put(' ');
  if (field.kind == Field::Kind::kNumber) {
    out.put(value).put('\n');
  } else {
    out.put(value.empty() ? "0\n" : "1\n");
  }
}

/// What has no number, as labels of one metric.
void Rendering::info(Writer& out, const Section& section) const {
  for (const std::string_view before : {"# HELP ", "# TYPE ", ""}) {
    out.put(before).put("flannelette_").put(section.name).put("_info");
    if (before == "# HELP ") out.put(' ').put(section.help).put('\n');
    if (before == "# TYPE ") out.put(" gauge\n");
  }
  char separator = '{';
  for (const Field& field : section.fields) {
    const auto value = value_of(field, &status_);
    if (field.help != nullptr || value.empty()) continue;
    put_label(out.put(std::exchange(separator, ',')), field.name, value);
  }
  out.put("} 1\n");
}

/// Of one that is ours nothing is shown.
void Rendering::peer(Writer& out) {
  PeerStatus peer;
  if (!source_.peer(row_++, peer)) {
    ++section_;
    if (format_ == Format::kJson) out.put("]}\n");
    return;
  }
  if (peer.state == PeerStatus::State::kOurs) return;
  if (format_ != Format::kJson) {
    if (format_ == Format::kText && !std::exchange(continued_, true)) out.put('\n');
    out.put("peer:");
    for (const Field& field : kPeerFields) {
      const auto value = value_of(field, &peer);
      if (!value.empty() && !field.is(Field::kQuiet)) out.put("  ").put(value);
    }
    out.put('\n');
    return;
  }
  out.put(std::exchange(continued_, true) ? ",{" : "{");
  bool continued = false;
  for (const Field& field : kPeerFields) put_json(out, field, &peer, continued);
  out.put('}');
}

}  // namespace flannelette::status
