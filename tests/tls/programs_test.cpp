// tests/tls/programs_test.cpp - clients that others wrote: curl, openssl s_client.
//
// They speak over loopback to a server of a few lines, which is one thread. Layer: tests.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <thread>

#include "tls/peer.hpp"

namespace sluice::test {
namespace {

constexpr std::size_t kBodyBytes = 100'000;

// Answers each request with kBodyBytes bytes, one connection after the other.
class TinyServer {
 public:
  explicit TinyServer(std::shared_ptr<const tls::Context> context) : context_(std::move(context)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    stop_ = ::eventfd(0, EFD_CLOEXEC);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    must(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) == 0);
    must(::listen(listener_, 8) == 0);
    must(::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~TinyServer() {
    must(::eventfd_write(stop_, 1) == 0);
    thread_.join();
    ::close(listener_);
    ::close(stop_);
  }
  TinyServer(const TinyServer&) = delete;
  TinyServer& operator=(const TinyServer&) = delete;

  std::string port() const { return std::to_string(port_); }

 private:
  // False: the test is over.
  bool wait(int fd) const {
    pollfd ready[] = {{fd, POLLIN, 0}, {stop_, POLLIN, 0}};
    ::poll(ready, 2, -1);
    return ready[1].revents == 0;
  }
  void run() {
    while (wait(listener_)) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) serve(fd);
    }
  }
  void serve(int fd) const {
    const auto session = std::move(tls::Session::accept(context_)).value();
    Feeder feeder(*session);
    std::array<char, 4096> buffer;
    std::size_t answered = 0;
    while (wait(fd)) {
      const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      feeder.feed({buffer.data(), std::size_t(got)});
      for (std::size_t end; (end = feeder.received.find("\r\n\r\n", answered)) != std::string::npos;
           answered = end + 4) {
        const std::string head =
            "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kBodyBytes) + "\r\n\r\n";
        const std::string body(kBodyBytes, 'b');
        const Bytes parts[] = {as_bytes(head), as_bytes(body)};
        if (session->is_open()) session->send(parts, later(0), feeder.out);
      }
      if (session->peer_has_closed()) session->close(feeder.out);
      if (session->failure().reason == tls::Reason::http_request) {
        feeder.out.bytes = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
      }
      const std::string out = feeder.out.take();
      for (std::size_t sent = 0; sent < out.size();) {
        const ssize_t n = ::send(fd, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += std::size_t(n);
      }
      if (session->has_failed() || session->peer_has_closed()) break;
    }
    ::close(fd);
  }

  const std::shared_ptr<const tls::Context> context_;
  int listener_ = -1, stop_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

struct Ran {
  int status;
  std::string output;
};
Ran run(const std::string& command) {
  FILE* from = ::popen(("timeout 60 " + command + " 2>&1").c_str(), "r");
  must(from != nullptr);
  std::string output;
  std::array<char, 4096> buffer;
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), from)) {
    output.append(buffer.data(), got);
  }
  const int status = ::pclose(from);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

struct TlsPrograms : ::testing::Test {
  const Authority authority;
  const TestFolder folder;
  const std::string ca = folder.write("ca.pem", authority.pem());
  tls::ServerSettings settings{
      .certificates = {{certificate_of(authority.issue())},
                       {certificate_of(authority.issue({.key = "RSA-2048"}))}},
      .protocols = {"http/1.1"},
      .ticket_keys = std::make_shared<tls::TicketKeys>(later(0))};
};

TEST_F(TlsPrograms, Curl) {
  const TinyServer server(server_context(settings));
  const std::string url = "https://localhost:" + server.port() + "/";
  for (const char* version : {"--tlsv1.3", "--tls-max 1.2"}) {
    const Ran ran =
        run("curl -sS --http1.1 -o /dev/null -w '%{http_code} %{size_download} "
            "%{ssl_verify_result} ' " +
            std::string(version) + " --cacert " + ca + " " + url + " " + url);
    EXPECT_EQ(ran.output.substr(0, 13), "200 100000 0 ") << ran.output;
    EXPECT_EQ(ran.status, 0);
  }
  const Ran old =
      run("curl -sS --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 --cacert " + ca + " " + url);
  EXPECT_EQ(old.status, 35) << old.output;
  const Ran distrust = run("curl -sS " + url);
  EXPECT_EQ(distrust.status, 60) << distrust.output;
  const Ran clear =
      run("curl -sS -o /dev/null -w '%{http_code}' http://localhost:" + server.port());
  EXPECT_EQ(clear.output, "400");
}

TEST_F(TlsPrograms, OpensslSClient) {
  const TinyServer server(server_context(settings));
  const auto client = [&](const std::string& options) {
    return run("openssl s_client -connect 127.0.0.1:" + server.port() +
               " -servername localhost -verify_hostname localhost -verify_return_error -CAfile " +
               ca + " " + options + " </dev/null");
  };
  const Ran modern = client("-alpn http/1.1");
  EXPECT_EQ(modern.status, 0) << modern.output;
  for (const char* line :
       {"New, TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256", "ALPN protocol: http/1.1",
        "Verification: OK", "Compression: NONE", "Server Temp Key: X25519"}) {
    EXPECT_NE(modern.output.find(line), std::string::npos) << line << "\n" << modern.output;
  }
  const Ran older = client("-tls1_2 -sigalgs rsa_pss_rsae_sha256");
  EXPECT_NE(older.output.find("New, TLSv1.2, Cipher is ECDHE-RSA-AES128-GCM-SHA256"),
            std::string::npos)
      << older.output;
  EXPECT_NE(older.output.find("Secure Renegotiation IS supported"), std::string::npos);
  const Ran again = client("-tls1_2 -reconnect");
  std::size_t reused = 0;
  for (std::size_t at = 0; (at = again.output.find("Reused, TLSv1.2", at)) != std::string::npos;
       ++at) {
    ++reused;
  }
  EXPECT_EQ(reused, 5u) << again.output;
  EXPECT_NE(client("-tls1_2 -cipher AES256-SHA").status, 0);
  EXPECT_NE(client("-curves X448").status, 0);
}

}  // namespace
}  // namespace sluice::test
