// SPDX-License-Identifier: Apache-2.0
// The scripted API server behind real sockets and TLS.
#include "system/api_server.hpp"

#include <arpa/inet.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <stdexcept>

#include "system/gateway.hpp"

namespace flannelette::tests {
namespace {

int random_bytes(void*, unsigned char* out, std::size_t size) {
  return getrandom(out, size, 0) == static_cast<ssize_t>(size) ? 0 : -1;
}

int send_bytes(void* fd, const unsigned char* bytes, std::size_t size) {
  const ssize_t sent = send(*static_cast<int*>(fd), bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return static_cast<int>(sent);
  return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : -1;
}

int receive_bytes(void* fd, unsigned char* bytes, std::size_t size) {
  const ssize_t got = recv(*static_cast<int*>(fd), bytes, size, MSG_DONTWAIT);
  if (got >= 0) return static_cast<int>(got);
  return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : -1;
}

void must_be_zero(int result, const char* what) {
  if (result != 0) throw std::runtime_error(std::string(what) + " fails: " + std::to_string(result));
}

}  // namespace

struct ApiServer::Tls {
  Tls(const std::string& certificate_file, const std::string& key_file) {
    mbedtls_ssl_config_init(&config);
    mbedtls_x509_crt_init(&certificate);
    mbedtls_pk_init(&key);
    must_be_zero(mbedtls_x509_crt_parse_file(&certificate, certificate_file.c_str()), "certificate");
    must_be_zero(mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                             MBEDTLS_SSL_PRESET_DEFAULT),
                 "defaults");
    mbedtls_ssl_conf_rng(&config, random_bytes, nullptr);
#if MBEDTLS_VERSION_MAJOR >= 3
    must_be_zero(mbedtls_pk_parse_keyfile(&key, key_file.c_str(), nullptr, random_bytes, nullptr), "key");
    mbedtls_ssl_conf_max_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    must_be_zero(mbedtls_pk_parse_keyfile(&key, key_file.c_str(), nullptr), "key");
#endif
    must_be_zero(mbedtls_ssl_conf_own_cert(&config, &certificate, &key), "own certificate");
  }
  ~Tls() {
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&certificate);
    mbedtls_ssl_config_free(&config);
  }

  mbedtls_ssl_config config{};
  mbedtls_x509_crt certificate{};
  mbedtls_pk_context key{};
};

/// What comes out of TLS goes into a scripted stream, and the other way.
class ApiServer::Connection final : private io::Stream::Listener {
 public:
  Connection(ApiServer& server, int fd)
      : fd_(fd),
        stream_(server.kube_.make_stream()),
        source_(server.loop_, io::Source::Handler::to<&Connection::on_ready>(this)) {
    mbedtls_ssl_init(&ssl_);
    must_be_zero(mbedtls_ssl_setup(&ssl_, &server.tls_->config), "session");
    mbedtls_ssl_set_bio(&ssl_, &fd_, send_bytes, receive_bytes, nullptr);
    stream_->open({true, {"172.30.0.1"}, 6443}, *this);
    (void)source_.watch(fd_, EPOLLIN);
  }
  ~Connection() {
    stream_->close();
    source_.unwatch();
    mbedtls_ssl_free(&ssl_);
    close(fd_);
  }
  bool over() const { return over_; }

 private:
  void on_ready(std::uint32_t) {
    if (!over_) receive();
    if (!over_) flush();
  }

  void receive() {
    unsigned char bytes[16 * 1024];
    for (;;) {
      const int got = mbedtls_ssl_read(&ssl_, bytes, sizeof bytes);
      if (got == MBEDTLS_ERR_SSL_WANT_READ || got == MBEDTLS_ERR_SSL_WANT_WRITE) return;
      if (got <= 0) {
        over_ = true;
        return;
      }
      in_.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(got));
      pass_on();
    }
  }

  void pass_on() {
    if (!open_ || in_.empty()) return;
    (void)stream_->write(in_);
    in_.clear();
  }

  void flush() {
    while (!out_.empty()) {
      const int sent =
          mbedtls_ssl_write(&ssl_, reinterpret_cast<const unsigned char*>(out_.data()), out_.size());
      if (sent == MBEDTLS_ERR_SSL_WANT_READ || sent == MBEDTLS_ERR_SSL_WANT_WRITE) break;
      if (sent <= 0) {
        over_ = true;
        return;
      }
      out_.erase(0, static_cast<std::size_t>(sent));
    }
    if (out_.empty() && ended_) {
      (void)mbedtls_ssl_close_notify(&ssl_);
      over_ = true;
    }
    (void)source_.watch(fd_, out_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
  }

  void on_open() override {
    open_ = true;
    pass_on();
  }
  void on_data(std::string_view bytes) override {
    out_ += bytes;
    flush();
  }
  void on_close(const Error&, std::string_view) override {
    ended_ = true;
    flush();
  }

  int fd_;
  std::unique_ptr<io::Stream> stream_;
  io::Source source_;
  mbedtls_ssl_context ssl_{};
  std::string in_, out_;
  bool open_ = false, ended_ = false, over_ = false;
};

ApiServer::ApiServer(const Etcd& bridge)
    : bridge_(bridge), listener_(loop_, io::Source::Handler::to<&ApiServer::on_connection>(this)) {
  certificates_.sign("server", "/CN=kube-apiserver", "IP:172.30.0.1");
  tls_ = std::make_unique<Tls>(certificates_.file("server.pem"), certificates_.file("server.key"));
  listen();
  thread_ = std::thread([this] { serve(); });
}

ApiServer::~ApiServer() {
  stopping_ = true;
  thread_.join();
  listener_.unwatch();
  connections_.clear();
  if (socket_ >= 0) close(socket_);
}

void ApiServer::listen() {
  socket_ =
      bridge_.node().inside([] { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
  const int one = 1;
  setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(6443);
  inet_pton(AF_INET, "172.30.0.1", &address.sin_addr);
  if (bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket_, 64) != 0)
    throw std::runtime_error("the API server cannot listen");
  (void)listener_.watch(socket_, EPOLLIN);
}

void ApiServer::set_away(bool away) {
  const std::lock_guard lock(mutex_);
  if (away) {
    listener_.unwatch();
    close(socket_);
    socket_ = -1;
    connections_.clear();
  } else {
    listen();
  }
}

void ApiServer::serve() {
  using namespace std::chrono_literals;
  while (!stopping_) {
    {
      const std::lock_guard lock(mutex_);
      (void)loop_.step(1);
      std::erase_if(connections_, [](const auto& connection) { return connection->over(); });
    }
    std::this_thread::sleep_for(1ms);  // who wants the lock gets it
  }
}

void ApiServer::on_connection(std::uint32_t) {
  const int fd = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  connections_.push_back(std::make_unique<Connection>(*this, fd));
}

std::string ApiServer::kubeconfig(const std::string& token) const {
  return "apiVersion: v1\nkind: Config\ncurrent-context: edge\nclusters:\n- name: edge\n  cluster:\n    "
         "server: " +
         url() + "\n    certificate-authority-data: " + base64(file_text(ca_file())) +
         "\ncontexts:\n- name: edge\n  context:\n    cluster: edge\n    user: edge\nusers:\n- name: edge\n  "
         "user:\n"
         "    token: " +
         token + "\n";
}

}  // namespace flannelette::tests
