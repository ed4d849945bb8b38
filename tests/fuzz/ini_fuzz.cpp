// SPDX-License-Identifier: Apache-2.0
// The INI file as an attacker of the parser would write it. Only the file varies; no flag and no
// environment is given.
#include <cstring>

#include "flannelette/cli/settings_reader.hpp"

namespace {

using namespace flannelette;

struct OneFile final : Files {
  std::string_view text;
  Result<std::optional<std::string_view>> read(std::string_view path, std::span<char> buffer) override {
    if (path != FLANNELETTE_CONFIG) return std::optional<std::string_view>();
    if (text.size() > buffer.size()) return Error{Code::kLimit, 0, "too large"};
    if (!text.empty()) std::memcpy(buffer.data(), text.data(), text.size());
    return std::optional(std::string_view(buffer.data(), text.size()));
  }
  Result<bool> read_pieces(std::string_view, std::uint64_t, Pieces&) override { return Error{}; }
  Result<void> replace_with(std::string_view, PieceSource&, unsigned) override { return Error{}; }
  Result<void> write_in_place(std::string_view, std::string_view) override { return Error{}; }
};

struct Counter final : cli::Reporter {
  int problems = 0;
  void problem(std::string_view text) override {
    ++problems;
    if (text.empty() || text.find('\n') != std::string_view::npos) __builtin_trap();
  }
  void notice(std::string_view) override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  OneFile files;
  files.text = {reinterpret_cast<const char*>(data), size};
  Counter counter;
  cli::RunSettings settings;
  const cli::Asked asked = cli::read_settings({}, {}, files, settings, counter);
  // Wrong if and only if it was told why; right means that the agent can start with it.
  if (asked != (counter.problems > 0 ? cli::Asked::kWrong : cli::Asked::kRun)) __builtin_trap();
  if (counter.problems > 0) return 0;
  if (!settings.kube && settings.etcd.endpoint_count == 0) __builtin_trap();
  if (settings.kube && settings.kube->node_name.empty()) __builtin_trap();
  return 0;
}
