// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 client: one request at a time over a stream.
#include "flannelette/http/client.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "flannelette/base/text.hpp"

namespace flannelette::http {
namespace {

bool is_clean(std::string_view text, bool blanks) {
  return std::ranges::all_of(text, [blanks](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == ' ' || byte == '\t' ? blanks : byte > ' ' && byte != 0x7f;
  });
}

bool is_clean(const Header& header) {
  return !header.name.empty() && header.name.find(':') == std::string_view::npos &&
         is_clean(header.name, false) && is_header_value(header.value);
}

/// All but RFC 3986's unreserved characters is encoded.
void put_encoded(Writer& out, std::string_view text) {
  for (const char c : text) {
    const char lower = static_cast<char>(c | 0x20);
    const bool letter = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
    if (letter || c == '-' || c == '.' || c == '_' || c == '~') {
      out.put(c);
    } else {
      out.put('%').put_hex(static_cast<unsigned char>(c), 2);
    }
  }
}

/// "host:port", an IPv6 address in brackets: an endpoint's URL without the scheme.
Text<io::Endpoint::kMaxHost + 8> authority(const io::Endpoint& endpoint) {
  const auto url = to_text<io::Endpoint::kMaxHost + 16>([&](Writer& out) { write(out, endpoint); });
  const std::string_view view = url;
  return view.substr(view.find("//") + 2);
}

}  // namespace

bool is_header_value(std::string_view text) { return is_clean(text, true); }

Client::Client(io::Loop& loop, io::Stream& stream)
    : stream_(stream), silence_(loop, Delegate<void()>::to<&Client::on_silence>(this)) {}

Client::~Client() {
  cancel();
  if (destroyed_ != nullptr) *destroyed_ = true;
}

void Client::request(const io::Endpoint& endpoint, const Request& request, Handler& handler) {
  if (busy()) cancel();
  const bool same_place = state_ == State::kIdle && endpoint == endpoint_;
  endpoint_ = endpoint;
  handler_ = &handler;
  silence_limit_ = request.silence;
  repeatable_ = request.repeatable;
  if (const Result<void> composed = compose(request); !composed) return fail_later(composed.error());
  if (same_place) {
    send(State::kSentAgain);
  } else {
    connect();
  }
}

Result<void> Client::compose(const Request& request) {
  if (!request.path.starts_with('/') || !is_clean(request.path, false))
    return Error{Code::kInvalid, 0, "http: forbidden byte in the path"};
  Writer out(request_);
  out.put(request.method).put(' ').put(request.path);
  char before = '?';
  for (const Parameter& parameter : request.query) {
    out.put(std::exchange(before, '&')).put(parameter.name).put('=');
    put_encoded(out, parameter.value);
  }
  out.put(" HTTP/1.1\r\nHost: ").put(authority(endpoint_));
  out.put("\r\nUser-Agent: flannelette/" FLANNELETTE_VERSION);
  bool clean = true;
  const auto put_header = [&](const Header& header) {
    clean = clean && is_clean(header);
    out.put("\r\n").put(header.name).put(": ").put(header.value);
  };
  if (!request.content_type.empty()) {
    put_header({"Content-Type", request.content_type});
    out.put("\r\nContent-Length: ").put_unsigned(request.body.size());
  }
  if (!request.authorization.empty()) put_header({"Authorization", request.authorization});
  for (const Header& header : request.headers) put_header(header);
  if (!clean) return Error{Code::kInvalid, 0, "http: forbidden byte in a header"};
  out.put("\r\n\r\n").put(request.body);
  request_size_ = out.size();
  if (out.overflowed()) return Error{Code::kLimit, 0, "http: the request is larger than 12 KiB"};
  return {};
}

void Client::set_silence_limit(Millis timeout) {
  silence_limit_ = timeout;
  if (busy() && state_ != State::kFailed) restart_silence();
}

void Client::cancel() {
  end_request(State::kClosed);
  stream_.close();
}

void Client::connect() {
  state_ = State::kConnecting;
  restart_silence();
  stream_.open(endpoint_, *this);
}

void Client::send(State sent) {
  parser_.feed({});
  parser_.reset();
  state_ = sent;
  restart_silence();
  const Result<void> written = stream_.write({request_, request_size_});
  if (written) return;
  if (may_repeat()) return connect();
  fail_later(written.error());
}

void Client::restart_silence() {
  if (silence_limit_ > 0) {
    silence_.arm_in(silence_limit_);
  } else {
    silence_.cancel();
  }
}

void Client::fail_later(const Error& error) {
  state_ = State::kFailed;
  pending_error_ = error;
  silence_.arm_in(0);
}

void Client::on_open() { send(State::kSent); }

void Client::on_data(std::string_view bytes) {
  if (!busy()) return cancel();  // nobody asked for it: whatever follows could not be trusted either
  if (state_ == State::kFailed) return fail(pending_error_);
  state_ = State::kReceiving;
  restart_silence();
  parser_.feed(bytes);

  bool destroyed = false;
  destroyed_ = &destroyed;
  const unsigned number = request_number_;
  auto event = ResponseParser::Event::kNeedMore;
  do {
    event = parser_.next();
    if (event == ResponseParser::Event::kHead) {
      if (parser_.head().status / 100 == 3 && parser_.head().status != 304) {
        destroyed_ = nullptr;
        return fail({Code::kUnsupported, 0, "http: redirected, which is not followed"},
                    parser_.head().location);
      }
      handler_->on_head(parser_.head());
    } else if (event == ResponseParser::Event::kBody) {
      handler_->on_body(parser_.body());
    } else {
      break;
    }
    if (destroyed) return;
  } while (number == request_number_);
  destroyed_ = nullptr;
  if (number != request_number_) return;  // the handler cancelled it, or made another one

  if (event == ResponseParser::Event::kDone)
    finish(parser_.head().keep_alive && parser_.rest().empty() ? State::kIdle : State::kClosed);
  if (event == ResponseParser::Event::kBad) fail({Code::kInvalid, 0, parser_.error()});
}

void Client::on_close(const Error& error, std::string_view detail) {
  if (!busy()) {
    state_ = State::kClosed;
  } else if (state_ == State::kFailed) {
    fail(pending_error_);
  } else if (may_repeat()) {
    connect();
  } else if (state_ != State::kReceiving || error.code != Code::kClosed) {
    fail(error, detail);
  } else if (parser_.finish() == ResponseParser::Event::kDone) {
    finish(State::kClosed);
  } else {
    fail({Code::kClosed, 0, parser_.error()});
  }
}

void Client::on_silence() {
  fail(state_ == State::kFailed ? pending_error_ : Error{Code::kTimeout, 0, "http: the server is silent"});
}

void Client::end_request(State next) {
  state_ = next;
  silence_.cancel();
  ++request_number_;
}

void Client::finish(State next) {
  Handler& handler = *handler_;
  end_request(next);
  if (next == State::kClosed) stream_.close();
  handler.on_done();
}

void Client::fail(const Error& error, std::string_view detail) {
  const Error copy = error;  // it may live in what the handler's next request changes
  Handler& handler = *handler_;
  cancel();
  handler.on_error(copy, detail);
}

}  // namespace flannelette::http
