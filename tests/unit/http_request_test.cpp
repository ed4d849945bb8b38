// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "flannelette/http/request.hpp"

using namespace flannelette;
using namespace flannelette::http;
using Event = RequestParser::Event;
using Method = RequestHead::Method;

namespace {

/// "GET /path ?query chunks", "more" or "bad".
std::string describe(const std::vector<std::string_view>& pieces) {
  RequestParser parser;
  Event event = Event::kNeedMore;
  for (const std::string_view piece : pieces) {
    // A copy of exact size, so that a sanitizer sees a read past its end.
    const std::vector<char> exact(piece.begin(), piece.end());
    event = parser.feed({exact.data(), exact.size()});
  }
  if (event == Event::kNeedMore) return "more";
  if (event == Event::kBad) return "bad";
  const RequestHead& head = parser.head();
  const Method method = head.method;
  return std::string(method == Method::kGet    ? "GET"
                     : method == Method::kHead ? "HEAD"
                                               : "other") +
         " " + std::string(head.path()) + " ?" + std::string(head.query()) + (head.chunks ? " chunks" : "");
}

/// The result of the whole text, after checking that every cut in two and the cut into bytes give the same.
std::string everyhow(std::string_view text) {
  const std::string expected = describe({text});
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bytes.push_back(text.substr(i, 1));
    CAPTURE(i);
    CHECK(describe({text.substr(0, i), text.substr(i)}) == expected);
  }
  CHECK(describe(bytes) == expected);
  return expected;
}

const std::string kEnd = " HTTP/1.1\r\n\r\n";

}  // namespace

TEST_SUITE("http/request") {
  TEST_CASE("a request is its method, path and query; header lines are checked and dropped") {
    CHECK(everyhow("GET /healthz HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n") == "GET /healthz ? chunks");
    CHECK(everyhow("HEAD /status?format=json HTTP/1.0\r\n\r\n") == "HEAD /status ?format=json");
    CHECK(everyhow("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc") == "other / ? chunks");
    CHECK(everyhow("get / HTTP/1.1\n\n") == "other / ? chunks");
    CHECK(everyhow("\r\n\r\nGET /a?b?c HTTP/1.9\r\n\r\n") == "GET /a ?b?c chunks");
  }

  TEST_CASE("what comes behind a request does not change it") {
    CHECK(everyhow("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n") == "GET /a ? chunks");
    CHECK(everyhow("GET /a HTTP/1.1\r\n\r\n\x01\x02") == "GET /a ? chunks");
  }

  TEST_CASE("a request that is cut needs more") {
    for (const std::string_view text : {"", "G", "GET /a HTTP/1.1", "GET /a HTTP/1.1\r\n", "\r\n"})
      CHECK(everyhow(text) == "more");
  }

  TEST_CASE("what is no HTTP/1 request is bad") {
    for (const std::string_view text :
         {"GET\r\n\r\n", "GET /\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", " / HTTP/1.1\r\n\r\n",
          "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.x\r\n\r\n", "GET / HTTP/1.10\r\n\r\n",
          "GET /a b HTTP/1.1\r\n\r\n", "GET http://a/ HTTP/1.1\r\n\r\n", "GET * HTTP/1.1\r\n\r\n",
          "GET /\x7f HTTP/1.1\r\n\r\n", "G:T / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nno field\r\n\r\n",
          "GET / HTTP/1.1\r\n folded: x\r\n\r\n", "GET / HTTP/1.1\r\na\r: b\r\n\r\n"}) {
      CAPTURE(text);
      CHECK(everyhow(text) == "bad");
    }
    CHECK(everyhow(std::string_view("GET /\0 HTTP/1.1\r\n\r\n", 20)) == "bad");
  }

  TEST_CASE("lines, their number and the target have limits") {
    const std::string target = "/" + std::string(RequestHead::kMaxTarget - 1, 'x');
    CHECK(describe({"GET " + target + kEnd}) == "GET " + target + " ? chunks");
    CHECK(describe({"GET " + target + "x" + kEnd}) == "bad");
    const std::string name = "GET / HTTP/1.1\r\nname: ";
    const std::string value(RequestParser::kMaxLine - 7, 'x');
    CHECK(describe({name + value + "\r\n\r\n"}) == "GET / ? chunks");
    CHECK(describe({name + value + "xx\r\n\r\n"}) == "bad");
    CHECK(describe({std::string(RequestParser::kMaxLine + 1, 'G')}) == "bad");
    std::string many = "GET / HTTP/1.1\r\n";
    for (int i = 2; i < RequestParser::kMaxLines; ++i) many += "a: b\r\n";
    CHECK(describe({many + "\r\n"}) == "GET / ? chunks");
    CHECK(describe({many + "a: b\r\n\r\n"}) == "bad");
    std::string empty;
    for (int i = 0; i <= RequestParser::kMaxLines; ++i) empty += "\r\n";
    CHECK(describe({empty}) == "bad");
  }
}
