// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace flannelette::io {

/// What we have to show to a server that asks for a certificate.
enum class OwnCertificate : std::uint8_t { kNone, kValid, kExpired, kNotForClients };

/// What a fatal alert of the server (RFC 8446, 6.2) means to people.
const char* words_for_alert(unsigned alert, OwnCertificate own);

constexpr std::size_t kMaxWords = 240;
/// For an Error's context, which is static: the same words are always in the same place, until kept() was
/// called with kKeptWords others. At most kMaxWords bytes; the rest is cut off.
const char* kept(std::string_view words);
constexpr std::size_t kKeptWords = 8;

}  // namespace flannelette::io
