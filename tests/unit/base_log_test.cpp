// SPDX-License-Identifier: Apache-2.0
#include "flannelette/base/log.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <vector>

using namespace flannelette;

namespace {

struct FakeClock final : Clock {
  Millis now() const override { return millis; }
  std::int64_t wall_seconds() const override { return 0; }
  Millis millis = 1'000'000;
};

struct Recorder final : LogSink {
  void line(Level, std::string_view text) override { lines.emplace_back(text); }
  std::vector<std::string> lines;
};

struct Fixture {
  FakeClock clock;
  Recorder sink;
  Log log{sink, clock};

  std::string last() const { return sink.lines.empty() ? "" : sink.lines.back(); }
};

std::string written(const Field& field) {
  const auto text = to_text<400>([&](Writer& out) { field.write(out); });
  return std::string(text.view());
}

}  // namespace

TEST_SUITE_BEGIN("base/log");

TEST_CASE_FIXTURE(Fixture, "a line is level, text and fields") {
  log.warning("peer ignored",
              {{"subnet", *parse_net4("10.42.3.0/24")}, {"reason", "its subnet overlaps ours"}});
  CHECK(last() == R"(warning: peer ignored subnet=10.42.3.0/24 reason="its subnet overlaps ours")");
  log.info("ready");
  CHECK(last() == "info: ready");
  log.error("all kinds", {{"a", -1},
                          {"b", 1u},
                          {"c", std::int64_t{-5'000'000'000}},
                          {"d", ~std::uint64_t{0}},
                          {"e", Ip4{0x0a000001}},
                          {"f", *parse_mac("02:00:00:00:00:01")},
                          {"g", Text<8>("text")}});
  CHECK(
      last() ==
      "error: all kinds a=-1 b=1 c=-5000000000 d=18446744073709551615 e=10.0.0.1 f=02:00:00:00:00:01 g=text");
}

TEST_CASE_FIXTURE(Fixture, "a field that is to have a value is left out where it has none") {
  log.info("line", {{"a", 1}, Field::unless_empty("b", ""), Field::unless_empty("c", "x"), {"d", ""}});
  CHECK(last() == R"(info: line a=1 c=x d="")");
}

TEST_CASE("a value is quoted only if it must be") {
  CHECK(written({"k", "plain/1.2:3=4,[x]'"}) == "k=plain/1.2:3=4,[x]'");
  CHECK(written({"k", ""}) == R"(k="")");
  CHECK(written({"k", "a b"}) == R"(k="a b")");
  CHECK(written({"k", R"(say "hi")"}) == R"(k="say \"hi\"")");
  CHECK(written({"k", R"(back\slash)"}) == R"(k="back\\slash")");
}

TEST_CASE("no value can bring a control byte or a terminal escape into the log") {
  CHECK(written({"k", "a\nwarning: forged"}) == R"(k="a\x0awarning: forged")");
  CHECK(written({"k", "\x1b[2J\x7f\x9b\xc3\xa9"}) == R"(k="\x1b[2J\x7f\x9b\xc3\xa9")");
  CHECK(written({"k", std::string_view("\0", 1)}) == R"(k="\x00")");
  for (int c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    for (const char out : written({"k", std::string_view(&byte, 1)})) CHECK((out >= 0x20 && out < 0x7f));
  }
}

TEST_CASE("an error is written with its context and what the system or the code says") {
  CHECK(written(Field(system_error("connect", ECONNREFUSED))) == R"(error="connect: Connection refused")");
  CHECK(written(Field(Error{Code::kTimeout, 0, "lease grant"})) == R"(error="lease grant: timeout")");
  CHECK(written(Field(Error{Code::kTls, -0x2700, "handshake"})) == R"(error="handshake: tls -0x2700")");
  CHECK(written(Field(Error{Code::kClosed, 0, ""})) == "error=closed");
  const std::string context(120, 'c');
  CHECK(written(Field(Error{Code::kClosed, 0, context.c_str()})) == "error=\"" + context + ": closed\"");
}

TEST_CASE_FIXTURE(Fixture, "lines below the threshold are not written") {
  log.debug("details");
  CHECK(sink.lines.empty());
  CHECK_FALSE(log.enabled(Level::kDebug));
  CHECK(log.enabled(Level::kInfo));
}

TEST_CASE_FIXTURE(Fixture, "a line longer than the limit is cut there") {
  const std::string value(2000, 'v');
  log.info("long", {{"a", value}, {"b", value}});
  CHECK(last() == ("info: long a=" + value).substr(0, Log::kMaxLine));
  const std::string text(2000, 't');
  log.info(text.c_str(), {{"a", 1}});
  CHECK(last() == ("info: " + text).substr(0, Log::kMaxLine));
}

TEST_CASE_FIXTURE(Fixture,
                  "one cause writes a burst, then one line a period that says how many were held back") {
  const char* cause = "peer ignored";
  for (int i = 0; i < Log::kBurst + 5; ++i) log.info(cause);
  CHECK(sink.lines.size() == Log::kBurst);
  clock.millis += Log::kRefill - 1;
  log.info(cause);
  CHECK(sink.lines.size() == Log::kBurst);
  clock.millis += 1;
  log.info(cause, {{"k", 1}});
  CHECK(last() == "info: peer ignored suppressed=6 k=1");
  log.info(cause);
  CHECK(sink.lines.size() == Log::kBurst + 1);
  clock.millis += 2 * Log::kRefill;
  log.info(cause);
  CHECK(last() == "info: peer ignored suppressed=1");
  log.info(cause);
  CHECK(last() == "info: peer ignored");
  log.info(cause);
  CHECK(sink.lines.size() == Log::kBurst + 3);
}

TEST_CASE_FIXTURE(Fixture, "a bucket holds a burst at most, however long it rests") {
  for (int i = 0; i < Log::kBurst; ++i) log.info("x");
  clock.millis += 1000 * Log::kRefill;
  for (int i = 0; i < 3 * Log::kBurst; ++i) log.info("x");
  CHECK(sink.lines.size() <= 2 * Log::kBurst);
}

TEST_CASE_FIXTURE(Fixture, "causes do not take each other's lines") {
  for (int i = 0; i < 2 * Log::kBurst; ++i) log.info("one");
  log.info("other");
  CHECK(last() == "info: other");
}

TEST_CASE_FIXTURE(Fixture, "more causes than the table holds are still written") {
  std::vector<std::string> causes;
  for (int i = 0; i < 200; ++i) causes.push_back("cause " + std::to_string(i));
  for (const std::string& cause : causes) {
    log.info(cause.c_str());
    clock.millis += 1;
  }
  CHECK(sink.lines.size() == causes.size());
}

TEST_SUITE_END();
