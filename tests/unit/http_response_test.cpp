// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "flannelette/http/response.hpp"

using namespace flannelette;
using namespace flannelette::http;
using Event = ResponseParser::Event;

namespace {

/// All that a response gave, in one line: "200 keep [body] done" or "... bad: why".
std::string describe(ResponseParser& parser, const std::vector<std::string_view>& pieces, bool ends) {
  std::string head, body, end;
  const auto take = [&] {
    while (true) {
      const Event event = parser.next();
      if (event == Event::kHead) {
        head = std::to_string(parser.head().status) + (parser.head().keep_alive ? " keep" : " close");
      } else if (event == Event::kBody) {
        CHECK_FALSE(parser.body().empty());
        body += parser.body();
      } else {
        return event;
      }
    }
  };
  Event event = Event::kNeedMore;
  std::string rest;
  for (std::string_view piece : pieces) {
    if (event != Event::kNeedMore) {
      rest += piece;
      continue;
    }
    // A copy of exact size, so that a sanitizer sees a read past its end.
    const std::unique_ptr<char[]> exact(new char[piece.size() + 1]);
    std::memcpy(exact.get(), piece.data(), piece.size());
    parser.feed({exact.get(), piece.size()});
    event = take();
    rest += parser.rest();
  }
  if (event == Event::kNeedMore && ends) event = parser.finish();
  if (event == Event::kNeedMore) end = "more";
  if (event == Event::kDone) end = rest.empty() ? "done" : "done, rest " + rest;
  if (event == Event::kBad) end = std::string("bad: ") + parser.error();
  return head + " [" + body + "] " + end;
}

std::string whole(std::string_view text, bool ends = false) {
  ResponseParser parser;
  return describe(parser, {text}, ends);
}

/// The result of the whole text, after checking that every cut in two and the cut into bytes give the same.
std::string everyhow(std::string_view text, bool ends = false) {
  const std::string expected = whole(text, ends);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    ResponseParser parser;
    CAPTURE(cut);
    CHECK(describe(parser, {text.substr(0, cut), text.substr(cut)}, ends) == expected);
  }
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < text.size(); ++i) bytes.push_back(text.substr(i, 1));
  ResponseParser parser;
  CHECK(describe(parser, bytes, ends) == expected);
  return expected;
}

std::string with_head(std::string_view lines) { return "HTTP/1.1 200 OK\r\n" + std::string(lines) + "\r\n"; }

}  // namespace

TEST_SUITE("http/response") {
  TEST_CASE("a body of known length") {
    CHECK(
        everyhow("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}") ==
        "200 keep [{\"a\":1}] done");
    CHECK(everyhow(with_head("content-length:0\r\n")) == "200 keep [] done");
    CHECK(everyhow(with_head("Content-Length: 3 \r\ncontent-length: 3\r\n") + "abc") ==
          "200 keep [abc] done");
  }

  TEST_CASE("a chunked body, with extensions and trailers") {
    CHECK(everyhow(with_head("Transfer-Encoding: chunked\r\n") +
                   "3\r\nabc\r\n0A;name=\"x;y\"\r\n0123456789\r\n0\r\n\r\n") ==
          "200 keep [abc0123456789] done");
    CHECK(everyhow(with_head("Transfer-Encoding: Chunked\r\n") +
                   "1 ;x\r\na\r\n000\r\nTrailer: x\r\nGrpc-Status: 5\r\n\r\n") == "200 keep [a] done");
  }

  TEST_CASE("an error of etcd 3.4: chunked, with a trailer") {
    CHECK(
        everyhow(
            "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nTrailer: "
            "Grpc-Trailer-Content-Type\r\n"
            "Date: Mon, 23 Nov 2026 07:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n"
            "14\r\n{\"error\":\"no\",\"c\":5}\r\n0\r\nGrpc-Trailer-Content-Type: application/grpc\r\n\r\n") ==
        "404 keep [{\"error\":\"no\",\"c\":5}] done");
  }

  TEST_CASE("interim responses are skipped") {
    CHECK(everyhow("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: "
                   "9\r\nConnection: close\r\n\r\n"
                   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") == "200 keep [hi] done");
    std::string many;
    for (int i = 0; i < 65; ++i) many += "HTTP/1.1 100 Continue\r\n\r\n";
    CHECK(whole(many) == " [] bad: http: too many interim responses");
    CHECK(whole("HTTP/1.1 101 Switching Protocols\r\n\r\n") ==
          " [] bad: http: the server changed the protocol unasked");
  }

  TEST_CASE("a body that ends with the connection") {
    CHECK(everyhow(with_head("Server: x\r\n") + "all of it", true) == "200 close [all of it] done");
    CHECK(everyhow(with_head(""), true) == "200 close [] done");
    CHECK(whole(with_head("") + "a part") == "200 close [a part] more");
  }

  TEST_CASE("a status without a body") {
    CHECK(everyhow("HTTP/1.1 204 No Content\r\n\r\n") == "204 keep [] done");
    CHECK(everyhow("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n") == "304 keep [] done");
  }

  TEST_CASE("when to ask again, in seconds; the form of a date is passed over, and so is what is no number") {
    const auto retry_after = [](std::string_view lines) {
      ResponseParser parser;
      const std::string text = with_head("Content-Length: 0\r\n" + std::string(lines));
      parser.feed(text);
      CHECK(parser.next() == Event::kHead);
      return parser.head().retry_after;
    };
    CHECK(retry_after("") == 0);
    CHECK(retry_after("Retry-After: 0\r\n") == 0);
    CHECK(retry_after("Retry-After: 1\r\n") == 1);
    CHECK(retry_after("retry-after:\t120 \r\n") == 120);
    CHECK(retry_after("Retry-After: 3600\r\n") == ResponseHead::kMaxRetryAfter);
    CHECK(retry_after("Retry-After: 3601\r\n") == ResponseHead::kMaxRetryAfter);
    CHECK(retry_after("Retry-After: 18446744073709551615\r\n") == ResponseHead::kMaxRetryAfter);
    for (const char* other : {"Fri, 31 Dec 2027 23:59:59 GMT", "", "-1", "+1", "1.5", "1 2", "0x10", "1s",
                              "18446744073709551616"}) {
      CAPTURE(other);
      CHECK(retry_after("Retry-After: " + std::string(other) + "\r\n") == 0);
    }
  }

  TEST_CASE("that of an interim response is not that of the response") {
    ResponseParser parser;
    parser.feed(
        "HTTP/1.1 103 Early Hints\r\nRetry-After: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    CHECK(parser.next() == Event::kHead);
    CHECK(parser.head().retry_after == 0);
  }

  TEST_CASE("whether the connection is kept") {
    CHECK(everyhow(with_head("Content-Length: 0\r\nConnection: Close\r\n")) == "200 close [] done");
    CHECK(whole(with_head("Content-Length: 0\r\nConnection: foo , close\r\n")) == "200 close [] done");
    CHECK(whole("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n") == "200 close [] done");
    CHECK(whole("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n") ==
          "200 keep [] done");
  }

  TEST_CASE("bytes after the response are left over") {
    CHECK(everyhow(with_head("Content-Length: 1\r\n") + "aHTTP/1.1 200") ==
          "200 keep [a] done, rest HTTP/1.1 200");
  }

  TEST_CASE("reset keeps the left-over bytes for the next response") {
    const std::string text =
        with_head("Content-Length: 1\r\n") + "a" + with_head("Content-Length: 1\r\n") + "b";
    ResponseParser parser;
    parser.feed(text);
    CHECK(parser.next() == Event::kHead);
    CHECK(parser.next() == Event::kBody);
    CHECK(parser.next() == Event::kDone);
    CHECK(parser.next() == Event::kDone);
    parser.reset();
    CHECK(parser.next() == Event::kHead);
    CHECK(parser.next() == Event::kBody);
    CHECK(parser.body() == "b");
    CHECK(parser.next() == Event::kDone);
  }

  TEST_CASE("line ends may lack the CR, a reason may be missing") {
    CHECK(everyhow("HTTP/1.1 200\nContent-Length: 2\n\nhi") == "200 keep [hi] done");
    CHECK(everyhow("HTTP/1.1 200 \nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n") == "200 keep [hi] done");
  }

  TEST_CASE("what is no HTTP/1 response is refused") {
    for (const char* text :
         {"HTTP/2 200 OK\r\n", "HTTP/1.1 20 OK\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 099 OK\r\n",
          "HTTP/1.1 +20 OK\r\n", "HTTP/1.1200 OK\r\n", "http/1.1 200 OK\r\n", "\r\n", "SSH-2.0-x\r\n",
          "HTTP/1.x 200 OK\r\n", "HTTP/1.1  200 OK\r\n"}) {
      CAPTURE(text);
      CHECK(everyhow(text) == " [] bad: http: this is no HTTP/1 response");
    }
  }

  TEST_CASE("malformed heads are refused") {
    const auto head = [](std::string_view lines) { return everyhow(with_head(lines)); };
    CHECK(head("no colon\r\n") == " [] bad: http: malformed header line");
    CHECK(head(": empty name\r\n") == " [] bad: http: malformed header line");
    CHECK(head("Name : blank\r\n") == " [] bad: http: malformed header line");
    CHECK(head("A: b\r\n folded: c\r\n") == " [] bad: http: malformed header line");
    CHECK(head("A: b\rc\r\n") == " [] bad: http: a control byte in a line");
    CHECK(head(std::string_view("A: \0\r\n", 6)) == " [] bad: http: a control byte in a line");
    CHECK(head("Content-Length: -1\r\n") == " [] bad: http: malformed content-length");
    CHECK(head("Content-Length: 1, 1\r\n") == " [] bad: http: malformed content-length");
    CHECK(head("Content-Length: 99999999999999999999\r\n") == " [] bad: http: malformed content-length");
    CHECK(head("Content-Length: 1\r\nContent-Length: 2\r\n") ==
          " [] bad: http: two different content-lengths");
    CHECK(head("Transfer-Encoding: gzip, chunked\r\n") == " [] bad: http: unknown transfer-encoding");
    CHECK(head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") ==
          " [] bad: http: unknown transfer-encoding");
    CHECK(head("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n") ==
          " [] bad: http: content-length in a chunked response");
  }

  TEST_CASE("malformed chunks are refused") {
    const auto chunks = [](std::string_view text) {
      return everyhow(with_head("Transfer-Encoding: chunked\r\n") + std::string(text));
    };
    for (const char* text :
         {"\r\n", "x\r\n", "-1\r\n", "0x1\r\n", "1 1\r\n", ";a\r\n", "10000000000000000\r\n"}) {
      CAPTURE(text);
      CHECK(chunks(text) == "200 keep [] bad: http: malformed chunk size");
    }
    CHECK(chunks("1\r\nab\r\n") == "200 keep [a] bad: http: a chunk is longer than its size");
    CHECK(chunks("0\r\nno colon\r\n") == "200 keep [] bad: http: malformed trailer line");
    CHECK(chunks("ffffffffffffffff\r\nabc") == "200 keep [abc] more");
  }

  TEST_CASE("limits on lines and their number") {
    const std::string name = "A: ";
    const auto line = [&](std::size_t size) {
      return name + std::string(size - name.size() - 2, 'x') + "\r\n";
    };
    CHECK(whole(with_head(line(4096) + "Content-Length: 0\r\n")) == "200 keep [] done");
    CHECK(whole(with_head(line(4099))) == " [] bad: http: a line is longer than 4096 bytes");
    CHECK(whole("HTTP/1.1 200 " + std::string(5000, 'x')) ==
          " [] bad: http: a line is longer than 4096 bytes");
    std::string lines;
    for (int i = 0; i < 63; ++i) lines += "A: b\r\n";
    lines += "Content-Length: 0\r\n";
    CHECK(whole(with_head(lines)) == "200 keep [] done");
    CHECK(whole(with_head(lines + "A: b\r\n")) == " [] bad: http: more than 64 header lines");
    std::string trailers;
    for (int i = 0; i < 65; ++i) trailers += "A: b\r\n";
    CHECK(whole(with_head("Transfer-Encoding: chunked\r\n") + "0\r\n" + trailers) ==
          "200 keep [] bad: http: more than 64 trailer lines");
  }

  TEST_CASE("the end of the connection within a response cuts it") {
    const std::string cut = " bad: http: the response was cut off";
    CHECK(whole("", true) == " []" + cut);
    CHECK(whole("HTTP/1.1 200", true) == " []" + cut);
    CHECK(whole(with_head("Content-Length: 2\r\n") + "a", true) == "200 keep [a]" + cut);
    CHECK(whole(with_head("Transfer-Encoding: chunked\r\n") + "1\r\na\r\n", true) == "200 keep [a]" + cut);
    CHECK(whole(with_head("Transfer-Encoding: chunked\r\n") + "0\r\n", true) == "200 keep []" + cut);
  }

  TEST_CASE("bad stays bad until reset") {
    ResponseParser parser;
    parser.feed("nonsense\r\n");
    CHECK(parser.next() == Event::kBad);
    parser.feed(with_head("Content-Length: 0\r\n"));
    CHECK(parser.next() == Event::kBad);
    CHECK(parser.finish() == Event::kBad);
    CHECK(std::string(parser.error()) == "http: this is no HTTP/1 response");
    parser.reset();
    const std::string good = with_head("Content-Length: 0\r\n");
    parser.feed(good);
    CHECK(parser.next() == Event::kHead);
    CHECK(parser.next() == Event::kDone);
  }
}
