// SPDX-License-Identifier: Apache-2.0
// Where the agent says how it is: its listeners, and what they answer.
#include "cli/serving.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "cli/group.hpp"
#include "cli/options.hpp"
#include "cli/serving_known.hpp"
#include "flannelette/base/backoff.hpp"
#include "flannelette/http/server.hpp"
#include "flannelette/status/rendering.hpp"

namespace flannelette::cli {
namespace {

using http::Answer;
using status::Format;

constexpr const char* kOk = "200 OK";
constexpr const char* kUnavailable = "503 Service Unavailable";

/// The places where it listens, as bits.
enum Place : std::uint8_t { kSocket = 1, kHealth = 2, kListen = 4 };

enum class Page : std::uint8_t { kStatus, kPeers, kMetrics, kLog, kHealthz, kReadyz };
struct Route {
  Literal path;
  Page page;
  std::uint8_t places;
};
constexpr Route kRoutes[] = {
    {"/status", Page::kStatus, kSocket | kListen},   {"/peers", Page::kPeers, kSocket},
    {"/metrics", Page::kMetrics, kSocket | kListen}, {"/log", Page::kLog, kSocket},
    {"/healthz", Page::kHealthz, kSocket | kHealth}, {"/readyz", Page::kReadyz, kSocket | kHealth},
};

struct StatusBody final : http::Body {
  StatusBody(const status::Source& source, Format format) : rendering(source, format) {}
  bool next(Writer& out) override { return rendering.next(out); }
  status::Rendering rendering;
};

/// "10.42.1.0/24 192.0.2.1 02:00:00:00:00:01", a line for each peer that is in the kernel.
struct PeersBody final : http::Body {
  explicit PeersBody(const status::Source& any_source) : source(any_source) {}
  bool next(Writer& out) override {
    constexpr std::size_t kMaxLine = 128;
    for (status::PeerStatus peer; out.room() >= kMaxLine; ++index) {
      if (!source.peer(index, peer)) return false;
      if (peer.state != status::PeerStatus::State::kProgrammed) continue;
      write(out, peer.subnet);
      write(out.put(' '), peer.public_ip);
      write(out.put(' '), peer.mac);
      out.put('\n');
    }
    return true;
  }
  const status::Source& source;
  std::size_t index = 0;
};

}  // namespace

struct Serving::Impl {
  explicit Impl(const Needs& any_needs) : needs(any_needs), server(needs.loop) {}
  Answer page(Page page, std::string_view query);
  Answer readiness();

  /// One place, and who asks there.
  struct Listener final : http::Handler {
    Listener(Impl& any_owner, Place any_place)
        : owner(any_owner),
          place(any_place),
          acceptor(owner.needs.loop, io::Acceptor::Handler::to<&Listener::on_connection>(this)),
          retry(owner.needs.loop, Delegate<void()>::to<&Listener::open>(this)) {}
    void open();
    Result<void> listen(Writer& at);
    void on_connection(UniqueFd&& connection) {
      // Strangers leave places free: two for this machine, and two for health checks, which may be all that
      // keeps the agent running.
      const std::size_t left_free = place == kSocket ? 0 : place == kHealth ? 2 : 4;
      owner.server.accept(std::move(connection), *this, http::Server::kMaxClients - left_free);
    }
    Answer answer(std::string_view path, std::string_view query) override {
      for (const Route& route : kRoutes) {
        if (route.path == path && (route.places & place) != 0) return owner.page(route.page, query);
      }
      return {};
    }

    Impl& owner;
    const Place place;
    io::Acceptor acceptor;
    io::Timer retry;
    Backoff backoff{1'000, 60'000};
  };

  const Needs needs;
  const status::Source* source = nullptr;
  Text<http::Answer::kMaxText> reasons;
  http::Server server;
  Listener socket{*this, kSocket};
  Listener health{*this, kHealth};
  Listener listen{*this, kListen};
};

Result<void> Serving::Impl::Listener::listen(Writer& at) {
  const ServingSettings& settings = owner.needs.settings;
  if (place == kSocket) {
    at.put(settings.socket);
    return acceptor.listen(settings.socket);
  }
  const Ip& ip = place == kHealth ? settings.healthz_ip : settings.listen_ip;
  const std::uint16_t port = place == kHealth ? settings.healthz_port : settings.listen_port;
  write(at, ip);
  at.put(" port ").put_unsigned(port);
  return acceptor.listen(ip, port);
}

void Serving::Impl::Listener::open() {
  Log& log = owner.needs.log;
  Result<void> listens;
  const auto at = to_text<io::Acceptor::kMaxPath>([&](Writer& out) { listens = listen(out); });
  const bool failed = backoff.failing();
  if (!listens) {
    const Millis wait = backoff.next();
    if (!failed)
      log.warning("cannot listen; it is tried again until it works",
                  {{"at", at.view()}, Field(listens.error())});
    return retry.arm_in(wait);
  }
  backoff.reset();
  if (failed || place != kSocket) log.info("listening", {{"at", at.view()}});
  const std::string_view group = owner.needs.settings.group;
  if (place != kSocket || group.empty()) return;
  const auto id = group_id(owner.needs.files, group);
  const Result<void> given = id ? acceptor.give_to(*id) : Error{Code::kNotFound, 0, "/etc/group"};
  if (!given) log.warning("the group cannot ask for the status", {{"group", group}, Field(given.error())});
}

Answer Serving::Impl::page(Page page, std::string_view query) {
  const auto stream = [this](Format format, const char* type) {
    return Answer{kOk, type, {}, std::make_unique<StatusBody>(*source, format)};
  };
  switch (page) {
    case Page::kStatus:
      if (query == "format=json") return stream(Format::kJson, "application/json");
      return stream(Format::kText, Answer::kPlain);
    case Page::kMetrics: return stream(Format::kMetrics, "text/plain; version=0.0.4; charset=utf-8");
    case Page::kPeers: return {kOk, Answer::kPlain, {}, std::make_unique<PeersBody>(*source)};
    case Page::kLog: return {kOk, Answer::kPlain, needs.lines.view(), nullptr};
    case Page::kHealthz: return {kOk, Answer::kPlain, "flanneld is running", nullptr};
    case Page::kReadyz: return readiness();
  }
  return {};
}

Answer Serving::Impl::readiness() {
  status::Status now;
  source->read(now);
  if (now.ready()) return {kOk, Answer::kPlain, "flanneld is ready", nullptr};
  reasons = to_text<Answer::kMaxText>([&](Writer& out) { write_unready(out, now); });
  return {kUnavailable, Answer::kPlain, reasons, nullptr};
}

Serving::Serving() = default;
Serving::~Serving() = default;

void Serving::open(const Needs& needs) {
  impl_ = std::make_unique<Impl>(needs);
  if (!needs.settings.socket.empty()) impl_->socket.open();
  if (kServesTcp && needs.settings.healthz_port != 0) impl_->health.open();
  if (kServesTcp && needs.settings.listen_port != 0) impl_->listen.open();
}

void Serving::set_source(const status::Source& source) {
  if (impl_) impl_->source = &source;
}

}  // namespace flannelette::cli
