// SPDX-License-Identifier: Apache-2.0
// The small texts, over any bytes: what is taken is written and read again as it was, what is written keeps
// to its alphabet.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "flannelette/base/log.hpp"
#include "flannelette/io/stream.hpp"
#include "flannelette/overlay/lease.hpp"
#include "flannelette/overlay/subnet_env.hpp"

using namespace flannelette;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

/// parse(write(x)) == x for every x that parse gives.
template <class Value>
void comes_back(std::optional<Value> (*parse)(std::string_view), std::string_view text) {
  const auto value = parse(text);
  if (!value) return;
  const auto written = text_of(*value);
  must(!written.empty());
  const auto again = parse(written);
  must(again && *again == *value);
  must(text_of(*again) == written);
}

void addresses(std::string_view text) {
  comes_back<Ip4>(parse_ip4, text);
  comes_back<Ip6>(parse_ip6, text);
  comes_back<Net4>(parse_net4, text);
  comes_back<Mac>(parse_mac, text);
  comes_back<Ip>(parse_ip, text);
  if (const auto net = parse_net(text)) must(net->contains(net->base) && net->masked().contains(*net));
  if (const auto net = parse_net4(text)) must(net->length <= 32 && net->contains(net->base));
  if (parse_ip4(text)) must(text_of(*parse_ip4(text)).view() == text);  // there is one form
}

void endpoint(std::string_view text) {
  const auto parsed = io::parse_endpoint(text, 2379);
  if (!parsed) return must(std::strlen(parsed.error().context) > 0);
  must(!parsed->host.empty() && parsed->port != 0);
  const auto written = to_text<io::Endpoint::kMaxHost + 20>([&](Writer& out) { io::write(out, *parsed); });
  must(std::ranges::all_of(written.view(), [](char c) { return c > ' ' && c < 0x7f; }));
  const auto again = io::parse_endpoint(written, 2379);
  must(again && *again == *parsed);
}

void lease_key(std::string_view text) {
  const auto key = overlay::parse_lease_key(text);
  if (!key) return;
  must(key->subnet.length <= 32 && (!key->subnet6 || key->subnet6->length <= 128));
  must(to_text<overlay::LeaseKey::kMaxText>([&](Writer& out) { write(out, *key); }).view() == text);
}

void subnet_env(std::string_view text) {
  if (const auto subnet = overlay::previous_subnet(text)) must(subnet->length <= 32 && subnet->aligned());
  if (text.size() < 10) return;
  overlay::SubnetEnv env;
  std::memcpy(&env.subnet.base.value, text.data(), 4);
  env.subnet.length = static_cast<std::uint8_t>(text[4] & 31);
  env.network = {env.subnet.base, static_cast<std::uint8_t>(env.subnet.length / 2)};
  std::memcpy(&env.mtu, text.data() + 5, 4);
  env.ip_masq = (text[9] & 1) != 0;
  const auto written = to_text<256>([&](Writer& out) { overlay::write(out, env); });
  must(overlay::previous_subnet(written) == env.subnet.masked());
}

struct PrintableSink final : LogSink {
  void line(Level, std::string_view text) override {
    ++lines;
    must(text.size() <= Log::kMaxLine);
    must(std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; }));
  }
  int lines = 0;
};

struct StoppedClock final : Clock {
  Millis now() const override { return 0; }
  std::int64_t wall_seconds() const override { return 0; }
};

void log_line(std::string_view text) {
  PrintableSink sink;
  StoppedClock clock;
  Log log(sink, clock);
  log.warning("any bytes", {{"value", text}, {"again", text}});
  must(sink.lines == 1);
  // A value that fits can be read back: what is escaped is one thing only.
  const auto written = to_text<Log::kMaxLine>([&](Writer& out) { Field("v", text).write(out); });
  if (text.size() > Log::kMaxLine / 4 - 8) return;
  std::string_view rest = written.view().substr(2);
  const bool quoted = rest.front() == '"';
  if (quoted) rest = rest.substr(1, rest.size() - 2);
  for (const char c : text) {
    char got = rest.front();
    rest.remove_prefix(1);
    if (got == '\\' && rest.front() == 'x') {
      got = static_cast<char>(hex_value(rest[1]) * 16 + hex_value(rest[2]));
      rest.remove_prefix(3);
    } else if (got == '\\') {
      got = rest.front();
      rest.remove_prefix(1);
    }
    must(got == c);
  }
  must(rest.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::vector<char> bytes(data + 1, data + size);  // of its own size, so that a read beyond it is seen
  const std::string_view text(bytes.data(), bytes.size());
  switch (data[0] % 5) {
    case 0: addresses(text); break;
    case 1: endpoint(text); break;
    case 2: lease_key(text); break;
    case 3: subnet_env(text); break;
    case 4: log_line(text); break;
  }
  return 0;
}
