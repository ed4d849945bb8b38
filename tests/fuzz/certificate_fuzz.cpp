// SPDX-License-Identifier: Apache-2.0
// Certificates: the names and dates of one that mbedTLS takes, the files they come in, the calendar, the
// words.
#include <ctime>
#include <vector>

#include "flannelette/io/tls_files.hpp"
#include "io/tls.cpp"  // for the functions on names, which nobody else sees

namespace flannelette::io {
namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

/// DER behind eight bytes that say which address is asked for.
void names(std::span<const unsigned char> der) {
  mbedtls_x509_crt certificate;
  mbedtls_x509_crt_init(&certificate);
  if (mbedtls_x509_crt_parse_der(&certificate, der.data(), der.size()) == 0) {
    for (const Ip& address : {Ip(Ip4{}), Ip()}) names_address(certificate, address);
    const Detail names = names_of(certificate);
    must(names.view().starts_with("valid for: "));
    must(!date_of(seconds_of(certificate.valid_to)).empty());
  }
  mbedtls_x509_crt_free(&certificate);
}

/// CA, certificate and key, parted by NUL bytes.
struct ThreeFiles final : Files {
  std::string_view text[3];
  Result<std::optional<std::string_view>> read(std::string_view path, std::span<char> buffer) override {
    const std::string_view file = text[path[0] - '0'];
    if (file.size() > buffer.size()) return Error{Code::kLimit, 0, "file"};
    std::copy(file.begin(), file.end(), buffer.begin());
    return std::optional(std::string_view(buffer.data(), file.size()));
  }
  Result<bool> read_pieces(std::string_view path, std::uint64_t, Pieces& out) override {
    out.piece(text[path[0] - '0']);
    return true;
  }
  Result<void> replace_with(std::string_view, PieceSource&, unsigned) override { return Error{}; }
  Result<void> write_in_place(std::string_view, std::string_view) override { return Error{}; }
};

void files(std::string_view text) {
  ThreeFiles three;
  for (auto& part : three.text) {
    part = text.substr(0, text.find('\0'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
  }
  TlsSettings settings;
  settings.ca_file = "0";
  if (!three.text[1].empty()) {
    settings.cert_file = "1";
    settings.key_file = "2";
  }
  TlsFiles material(three, settings);
  TlsMaterial::Place place;
  TlsReading reading;
  const auto loaded = reading.load(material, place);
  if (!loaded) must(std::strlen(loaded.error().context) > 0);
}

void calendar(std::span<const unsigned char> bytes) {
  if (bytes.size() < 7) return;
  std::tm time{};
  const int year = (bytes[0] << 8 | bytes[1]) % 10'000;
  time.tm_year = year - 1900;
  time.tm_mon = bytes[2] % 12;
  time.tm_mday = bytes[3] % 28 + 1;
  time.tm_hour = bytes[4] % 24;
  time.tm_min = bytes[5] % 60;
  time.tm_sec = bytes[6] % 60;
  const std::int64_t seconds =
      unix_seconds(year, time.tm_mon + 1, time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec);
  if constexpr (sizeof(std::time_t) == 8) must(seconds == ::timegm(&time));
  if (seconds < 0) return;
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", &time);
  must(date_of(seconds).view() == text);
}

void words(std::string_view text) {
  CertificateNames names;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find(','));
    names.add(name);
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
  }
  must(names.text().starts_with("valid for: "));
  for (const auto own : {OwnCertificate::kNone, OwnCertificate::kValid, OwnCertificate::kExpired}) {
    if (!text.empty()) must(std::strlen(words_for_alert(static_cast<unsigned char>(text[0]), own)) > 0);
  }
}

}  // namespace
}  // namespace flannelette::io

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flannelette;
  if (size == 0) return 0;
  const std::vector<unsigned char> bytes(data + 1, data + size);  // of its own size
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  switch (data[0] % 4) {
    case 0: io::names(bytes); break;
    case 1: io::files(text); break;
    case 2: io::calendar(bytes); break;
    case 3: io::words(text); break;
  }
  return 0;
}
