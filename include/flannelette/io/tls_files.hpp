// SPDX-License-Identifier: Apache-2.0
// TLS material in files of its own.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "flannelette/base/files.hpp"
#include "flannelette/io/tls_context.hpp"

namespace flannelette::io {

/// A CA file, and the files of a client certificate and its key.
class TlsFiles final : public TlsMaterial {
 public:
  /// Both outlive this.
  TlsFiles(Files& files, const TlsSettings& settings) : files_(files), settings_(settings) {}

  std::uint64_t digest() override;
  Result<std::string_view> read(TlsPart part, std::span<char> memory, Place& place) override;
  std::string_view name(TlsPart part) const override;
  std::string_view server_name() const override { return {}; }

 private:
  Files& files_;
  const TlsSettings& settings_;
};

}  // namespace flannelette::io
