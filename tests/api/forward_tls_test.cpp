// tests/api/forward_tls_test.cpp - servers behind https://: trusted or not, and all that goes
// through.
//
// Layer: tests.
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "api/harness.hpp"
#include "service/temp_dir.hpp"
#include "support/scripted_server.hpp"
#include "support/ws_client.hpp"
#include "tls/authority.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

const Authority& authority() {
  static const Authority kOne;
  return kOne;
}

// A server of ours behind https, and the one in front of it.
class ForwardTls : public ServerTest {
 protected:
  ForwardTls() {
    ca_file = write("ca.pem", authority().pem());
    behind.host = "127.0.0.1";
    behind.shards = 1;
  }
  ~ForwardTls() override { static_cast<void>(behind.stop()); }

  std::string write(const std::string& name, const std::string& text) {
    const std::string file = (dir.path() / name).string();
    std::ofstream(file) << text;
    return file;
  }
  // Its URL, by name.
  std::string start_behind(const std::string& names) {
    const Issued issued = authority().issue({.names = names});
    behind.ssl_options.certificate_file = write("a.pem", issued.chain + issued.key);
    behind.bindings.add("https://127.0.0.1:0/");
    const auto started = behind.start();
    EXPECT_TRUE(started) << started.error().message();
    return "https://127.0.0.1:" + std::to_string(behind.bound_port());
  }
  HttpReply get(std::string_view target) { return client().get(target); }

  TempDir dir;
  std::string ca_file;
  Server behind;
  std::atomic<int> asked{0};
};

TEST_P(ForwardTls, RequestsGoThroughAndConnectionsAreKept) {
  behind.on_http_request = [this](Connection, const HttpRequest& request, HttpResponse& response) {
    ++asked;
    response.header("X-Tls", request.tls() ? request.tls()->version : "none");
    response.content_text(request.body().text().empty() ? "hello" : request.body().text());
  };
  behind.limits.body_bytes = server.limits.body_bytes = 32 << 20;
  const std::string url = start_behind("IP:127.0.0.1");
  ASSERT_TRUE(server.forward("/", {.upstreams = {url}, .tls = {.ca_file = ca_file}}));
  server.shards = 1;
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 5; ++i) {
    const HttpReply reply = http.get("/");
    EXPECT_EQ(reply.body, "hello");
    EXPECT_EQ(reply.field("X-Tls"), "TLSv1.3");
  }
  const std::string large = pattern(5'000'000);
  EXPECT_TRUE(http.request("POST", "/", "", large).body == large);
  EXPECT_EQ(asked, 6);
  EXPECT_EQ(behind.counters().accepted, 1u);
}

TEST_P(ForwardTls, WhoIsNotTrustedIsNotAsked) {
  behind.on_http_request = [this](Connection, const HttpRequest&, HttpResponse&) { ++asked; };
  const std::string url = start_behind("DNS:inside.example");
  const sluice::ForwardTls trusting{.ca_file = ca_file};
  sluice::ForwardTls named = trusting, unknown, blind{.verify = false};
  named.server_name = "inside.example";
  unknown.server_name = "inside.example";  // the system does not know who issued it
  ASSERT_TRUE(server.forward("/other/", {.upstreams = {url}, .tls = trusting}));
  ASSERT_TRUE(server.forward("/unknown/", {.upstreams = {url}, .tls = unknown}));
  ASSERT_TRUE(server.forward("/named/", {.upstreams = {url}, .tls = named}));
  ASSERT_TRUE(server.forward("/blind/", {.upstreams = {url}, .tls = blind}));
  Running running = start();
  EXPECT_EQ(get("/other/").status, 502);
  EXPECT_EQ(get("/unknown/").status, 502);
  EXPECT_EQ(asked, 0);
  EXPECT_EQ(get("/named/").status, 200);
  EXPECT_EQ(get("/blind/").status, 200);
  EXPECT_EQ(asked, 2);
}

TEST_P(ForwardTls, WebSocketsGoThrough) {
  behind.on_message = [](Connection connection, std::string_view text) {
    connection.write_data(text);
  };
  const std::string url = start_behind("IP:127.0.0.1");
  ASSERT_TRUE(server.forward("/", {.upstreams = {url}, .tls = {.ca_file = ca_file}}));
  Running running = start();
  WsClient socket(port);
  for (const std::size_t size : {std::size_t(5), std::size_t(100'000)}) {
    const std::string text = pattern(size);
    ASSERT_TRUE(socket.text(text));
    EXPECT_TRUE(socket.read() == text);
  }
  ASSERT_TRUE(socket.close(4001));
  EXPECT_EQ(socket.read_close(), 4001);
}

TEST_P(ForwardTls, TheApplicationNamesOne) {
  behind.on_http_request = [this](Connection, const HttpRequest&, HttpResponse&) { ++asked; };
  const std::string url = start_behind("IP:127.0.0.1");
  ASSERT_TRUE(server.forward("/rule/", {.upstreams = {url}, .tls = {.ca_file = ca_file}}));
  server.on_before_forward_http = [this, url](Connection, const HttpRequest& request,
                                              Forward& forward) {
    if (request.document() == "/rule/") return;
    forward.url = url;
    if (request.document() == "/blind") forward.tls.verify = false;
    if (request.document() == "/known") forward.tls.ca_file = ca_file;
    if (request.document() == "/new") forward.tls.ca_file = "/nowhere/ca.pem";
  };
  Running running = start();
  EXPECT_EQ(get("/rule/").status, 200);
  EXPECT_EQ(get("/blind").status, 200);
  EXPECT_EQ(get("/known").status, 200);
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(get("/new").status, 502);  // no file is read on a shard
  EXPECT_EQ(get("/plain").status, 502);
  EXPECT_EQ(asked, 3);
}

TEST_P(ForwardTls, WhatCannotBeUsedIsSaidAtTheStart) {
  ASSERT_TRUE(server.forward(
      "/", {.upstreams = {"https://127.0.0.1:1"}, .tls = {.ca_file = "/nowhere/ca.pem"}}));
  const auto started = server.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::bad_setting);
  EXPECT_NE(started.error().detail.find("/nowhere/ca.pem"), std::string::npos)
      << started.error().detail;
}

TEST_P(ForwardTls, WhoDoesNotSpeakItIsNotAsked) {
  ScriptedServer clear([](ScriptedServer::Peer& peer) {
    peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  });
  std::string url = clear.url();
  url.insert(4, "s");
  ASSERT_TRUE(server.forward("/", {.upstreams = {url}, .tls = {.verify = false}}));
  Running running = start();
  EXPECT_EQ(get("/").status, 502);
}

// It accepts, and never shakes hands.
TEST_P(ForwardTls, AHandshakeHasUntilTheConnectTimeout) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 8), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string url = "https://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  ASSERT_TRUE(
      server.forward("/", {.upstreams = {url}, .timeouts = {.connect = 50ms}, .tls = {false}}));
  Running running = start();
  EXPECT_EQ(get("/").status, 504);
  ::close(listener);
}

// --- An answer that says its end by closing ------------------------------------------------------

// Serves one connection with OpenSSL alone: an answer without a length.
class OneAnswer {
 public:
  explicit OneAnswer(bool says_good_bye) : context_(SSL_CTX_new(TLS_server_method())) {
    const Issued issued = authority().issue({.names = "IP:127.0.0.1"});
    TempDir dir;
    const std::string file = (dir.path() / "a.pem").string();
    std::ofstream(file) << issued.chain << issued.key;
    must(SSL_CTX_use_certificate_chain_file(context_, file.c_str()) == 1);
    must(SSL_CTX_use_PrivateKey_file(context_, file.c_str(), SSL_FILETYPE_PEM) == 1);
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    must(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    must(::listen(listener_, 1) == 0);
    must(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    url_ = "https://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::jthread([this, says_good_bye] { serve(says_good_bye); });
  }
  ~OneAnswer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    SSL_CTX_free(context_);
  }
  OneAnswer(const OneAnswer&) = delete;
  OneAnswer& operator=(const OneAnswer&) = delete;
  const std::string& url() const { return url_; }

 private:
  void serve(bool says_good_bye) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    SSL* ssl = SSL_new(context_);
    SSL_set_fd(ssl, fd);
    std::array<char, 4096> head;
    if (SSL_accept(ssl) == 1 && SSL_read(ssl, head.data(), int(head.size())) > 0) {
      const std::string answer = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe beginning";
      SSL_write(ssl, answer.data(), int(answer.size()));
      if (says_good_bye) SSL_shutdown(ssl);
    }
    ::shutdown(fd, SHUT_WR);
    while (::recv(fd, head.data(), head.size(), 0) > 0) {
    }
    SSL_free(ssl);
    ::close(fd);
  }

  SSL_CTX* context_;
  int listener_ = -1;
  std::string url_;
  std::jthread thread_;
};

TEST_P(ForwardTls, AnAnswerThatSomebodyCutOffIsNotWhole) {
  OneAnswer whole(true), cut(false);
  ASSERT_TRUE(server.forward("/whole/", {.upstreams = {whole.url()}, .tls = {.ca_file = ca_file}}));
  ASSERT_TRUE(server.forward("/cut/", {.upstreams = {cut.url()}, .tls = {.ca_file = ca_file}}));
  Running running = start();
  const HttpReply fine = get("/whole/"), broken = get("/cut/");
  EXPECT_TRUE(fine.complete);
  EXPECT_EQ(fine.body, "the beginning");
  EXPECT_FALSE(broken.complete);
}

INSTANTIATE_TEST_SUITE_P(Api, ForwardTls, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
