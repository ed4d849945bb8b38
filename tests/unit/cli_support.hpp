// SPDX-License-Identifier: Apache-2.0
// Reads settings from texts, for the tests of the cli room.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "flannelette/cli/settings_reader.hpp"

namespace flannelette::tests {

/// Files that exist in the test only.
struct TextFiles final : Files {
  std::map<std::string, std::string> texts;

  Result<std::optional<std::string_view>> read(std::string_view path, std::span<char> buffer) override {
    const auto found = texts.find(std::string(path));
    if (found == texts.end()) return std::optional<std::string_view>();
    if (found->second == "(denied)") return system_error("open", 13);
    if (found->second == "(fifo)") return Error{Code::kUnsupported, 0, "a FIFO, not a regular file"};
    if (found->second.size() > buffer.size()) return Error{Code::kLimit, 0, "too large"};
    std::copy(found->second.begin(), found->second.end(), buffer.begin());
    return std::optional(std::string_view(buffer.data(), found->second.size()));
  }
  Result<bool> read_pieces(std::string_view, std::uint64_t, Pieces&) override { return Error{}; }
  Result<void> replace_with(std::string_view, PieceSource&, unsigned) override { return Error{}; }
  Result<void> write_in_place(std::string_view, std::string_view) override { return Error{}; }
};

/// One call of read_settings and what came of it.
struct Reading final : cli::Reporter {
  using Words = std::vector<std::string>;
  TextFiles files;
  cli::RunSettings settings;
  cli::Asked asked = cli::Asked::kRun;
  Words problems;
  Words notices;

  Reading() = default;
  explicit Reading(const Words& arguments, const Words& environment = {}) { read(arguments, environment); }
  /// The text is that of the default file.
  static Reading of_ini(const std::string& text, const Words& arguments = {}, const Words& environment = {}) {
    Reading reading;
    reading.files.texts[FLANNELETTE_CONFIG] = text;
    reading.read(arguments, environment);
    return reading;
  }

  void read(const Words& arguments, const Words& environment = {},
            cli::Purpose purpose = cli::Purpose::kRegistry) {
    settings = {};
    asked = cli::read_settings(pointers(arguments), pointers(environment), files, settings, *this, purpose);
  }
  void problem(std::string_view text) override { problems.emplace_back(text); }
  void notice(std::string_view text) override { notices.emplace_back(text); }

  bool clean() const { return asked == cli::Asked::kRun && problems.empty() && notices.empty(); }
  /// All that a person would see.
  std::string shown() const {
    std::string all;
    for (const Words* words : {&problems, &notices}) {
      for (const std::string& line : *words) all += line + "\n";
    }
    return all;
  }
  std::string endpoints() const { return urls(settings.endpoints()); }
  std::string api_servers() const {
    return urls(std::span(settings.kube->servers).first(settings.kube->server_count));
  }
  template <class List>
  static std::string joined(const List& list) {
    std::string all;
    for (const auto& item : list.items()) all += (all.empty() ? "" : " ") + std::string(item.view());
    return all;
  }

 private:
  static std::string urls(std::span<const io::Endpoint> endpoints) {
    std::string all;
    for (const io::Endpoint& endpoint : endpoints) {
      all += (all.empty() ? "" : " ");
      all += to_text<300>([&](Writer& out) { write(out, endpoint); }).view();
    }
    return all;
  }
  static std::vector<const char*> pointers(const Words& words) {
    std::vector<const char*> all;
    for (const std::string& word : words) all.push_back(word.c_str());
    return all;
  }
};

}  // namespace flannelette::tests
