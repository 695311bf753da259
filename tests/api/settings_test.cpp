// tests/api/settings_test.cpp - settings that cannot be, prefixes, hosts, ports in use, admission.
//
// Layer: tests.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class Settings : public WsTest {
 protected:
  // Starting fails with that code and words that name `names`.
  void expect_refused(Errc code, std::string_view names) {
    Result<void> started = server.start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, code) << started.error().message();
    EXPECT_NE(started.error().message().find(names), std::string::npos)
        << started.error().message();
    EXPECT_FALSE(server.active());
  }
};

// A listening socket of another program on 127.0.0.1.
class OtherProgram {
 public:
  explicit OtherProgram(bool shares_its_port)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    if (shares_its_port) ::setsockopt(fd_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~OtherProgram() { ::close(fd_); }
  OtherProgram(const OtherProgram&) = delete;
  OtherProgram& operator=(const OtherProgram&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

TEST_P(Settings, ThatCannotBeAreRefusedByName) {
  struct Bad {
    std::string_view name;
    std::function<void(Server&)> set;
  };
  const Bad bad[] = {
      {"fine_tune.queue_length", [](Server& s) { s.fine_tune.queue_length = 0; }},
      {"fine_tune.queue_length", [](Server& s) { s.fine_tune.queue_length = 65536; }},
      {"fine_tune.high_perf_accepts_per_worker",
       [](Server& s) { s.fine_tune.high_perf_accepts_per_worker = 0; }},
      {"fine_tune.high_perf_accepts_per_worker",
       [](Server& s) { s.fine_tune.high_perf_accepts_per_worker = 65; }},
      {"read_buffer_size", [](Server& s) { s.read_buffer_size = 1023; }},
      {"read_buffer_size", [](Server& s) { s.read_buffer_size = (1 << 20) + 1; }},
      {"limits.head_bytes", [](Server& s) { s.limits.head_bytes = 10; }},
      {"limits.message_bytes", [](Server& s) { s.limits.message_bytes = 1ull << 40; }},
      {"limits.send_queue_bytes", [](Server& s) { s.limits.send_queue_bytes = 0; }},
      {"shards", [](Server& s) { s.shards = 2000; }},
      {"tcp_keep_alive.time", [](Server& s) { s.tcp_keep_alive.time = 0s; }},
      {"tcp_keep_alive.interval", [](Server& s) { s.tcp_keep_alive.interval = 32768s; }},
      {"tcp_keep_alive.probes", [](Server& s) { s.tcp_keep_alive.probes = 128; }},
      {"heartbeat.interval",
       [](Server& s) { s.heartbeat.interval = std::chrono::milliseconds(9); }},
      {"heartbeat.interval", [](Server& s) { s.heartbeat.interval = std::chrono::hours(721); }},
      {"heartbeat.timeout", [](Server& s) { s.heartbeat.timeout = std::chrono::milliseconds(-1); }},
      {"options.write_timeout",
       [](Server& s) { s.options.write_timeout = std::chrono::hours(721); }},
      {"protocols", [](Server& s) { s.protocols.add("no token"); }},
      {"thread_pool_size",
       [](Server& s) {
         s.dispatch = Dispatch::thread_pool;
         s.thread_pool_size = 0;
       }},
  };
  for (const Bad& one : bad) {
    Server other;
    prepare(other);
    one.set(other);
    Result<void> started = other.start();
    ASSERT_FALSE(started) << one.name;
    EXPECT_EQ(started.error().code, Errc::bad_setting) << one.name;
    EXPECT_NE(started.error().message().find(one.name), std::string::npos)
        << started.error().message();
  }
}

TEST_P(Settings, AtTheirEdgesAreTaken) {
  server.read_buffer_size = 1024;
  server.fine_tune.queue_length = 65535;
  server.fine_tune.high_perf_accepts_per_worker = 1;
  server.shards = 1;
  server.thread_pool_size = 1;
  Running running = start();
  WsClient socket = ws();
  const std::string message = pattern(200'000);
  socket.text(message);
  EXPECT_TRUE(socket.read() == message);
}

TEST_P(Settings, WithoutInlineCompletionsServeAllTheSame) {
  server.fine_tune.inline_completions = false;
  Running running = start();
  WsClient socket = ws();
  const std::string message = pattern(2'000'000);
  std::jthread sender([&] { socket.text(message); });
  EXPECT_TRUE(socket.read() == message);
  sender.join();
}

TEST_P(Settings, WithAPortInUseAreRefused) {
  for (bool shares : {false, true}) {
    OtherProgram other(shares);
    server.port = other.port();
    expect_refused(Errc::address_in_use, std::to_string(other.port()));
    server.host = "localhost";
    expect_refused(Errc::address_in_use, std::to_string(other.port()));
    server.host = "*";
    expect_refused(Errc::address_in_use, std::to_string(other.port()));
    server.host = "127.0.0.1";
  }
  // Another server of ours is no exception.
  server.port = 0;
  Running running = start();
  Server second;
  prepare(second);
  second.port = port;
  EXPECT_EQ(second.start().error().code, Errc::address_in_use);
  testing::internal::CaptureStderr();
  EXPECT_EQ(second.run(), 1);
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_NE(line.find(std::to_string(port)), std::string::npos) << line;
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_EQ(client().get("/").status, 404);
}

TEST_P(Settings, ThatFailedMayBeCorrected) {
  {
    OtherProgram other(false);
    server.bindings.add("http://127.0.0.1:0/");
    server.bindings.add("http://127.0.0.1:" + std::to_string(other.port()) + "/");
    expect_refused(Errc::address_in_use, std::to_string(other.port()));
  }
  Running running = start();
  EXPECT_EQ(server.bound_prefixes().size(), 2u);
}

TEST_P(Settings, OfAnAddressThatIsNotHereAreRefused) {
  server.host = "192.0.2.1";
  expect_refused(Errc::address_not_available, "192.0.2.1");
}

TEST_P(Settings, WithABadPrefixAreRefused) {
  for (std::string_view prefix :
       {"", "localhost:80", "http://", "http://localhost/", "http://localhost:/",
        "http://localhost:x/", "http://localhost:65536/", "http://localhost:80/path",
        "http://localhost:80", "http://localhost:80/a//b/", "http://localhost:80/a/?q",
        "HTTPS://localhost:0/", "http://:80/", "http://::1:80/", "http://[::1]/",
        "http://[nothing]:80/", "http://a b:80/", "http://user@host:80/"}) {
    server.bindings.clear();
    server.bindings.add(std::string(prefix));
    expect_refused(Errc::bad_prefix, prefix);
  }
}

TEST_P(Settings, WithAPrefixThatIsGivenTwiceAreRefused) {
  server.bindings.add("http://localhost:8901/");
  server.bindings.add("http://LOCALHOST:8901/");
  expect_refused(Errc::bad_prefix, "given twice");
}

TEST_P(Settings, MayNameSeveralPrefixes) {
  server.bindings.add("http://127.0.0.1:0/");
  server.bindings.add("http://localhost:0/");
  server.bindings.add("http://*:0/");
  Running running = start();
  const std::vector<std::string> prefixes = server.bound_prefixes();
  ASSERT_EQ(prefixes.size(), 3u);
  for (const std::string& prefix : prefixes) {
    const std::size_t colon = prefix.rfind(':');
    const auto number = static_cast<std::uint16_t>(std::stoi(prefix.substr(colon + 1)));
    EXPECT_NE(number, 0);
    for (int i = 0; i < 4; ++i) {
      HttpClient http(number, "127.0.0.1", kPatience);
      EXPECT_EQ(http.get("/").status, 404) << prefix;
    }
  }
  EXPECT_TRUE(prefixes[0].starts_with("http://127.0.0.1:"));
  EXPECT_TRUE(prefixes[1].starts_with("http://localhost:"));
  EXPECT_TRUE(prefixes[2].starts_with("http://*:"));
}

TEST_P(Settings, ListenOnBothLoopbacks) {
  server.host = "localhost";
  server.on_http_request = [](Connection connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(connection.ip() + " " + connection.local_ip());
  };
  Running running = start();
  EXPECT_EQ(client().get("/").body, "127.0.0.1 127.0.0.1");
  HttpClient six(port, "::1", kPatience);
  EXPECT_TRUE(!six.connected() || six.get("/").body == "::1 ::1");
}

TEST_P(Settings, ListenOnEverything) {
  server.on_http_request = [](Connection connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(connection.ip() + " " + connection.local_ip());
  };
  for (std::string_view host : {"*", "+", "0.0.0.0", "::", ""}) {
    server.host = host;
    Running running = start();
    EXPECT_EQ(client().get("/").body, "127.0.0.1 127.0.0.1") << host;
  }
}

TEST_P(Settings, OfANameServeThatHostOnly) {
  server.host = "Sluice.Example";
  server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_text(request.host());
  };
  Running running = start();
  auto status = [this](std::string_view host) {
    HttpClient http = client();
    EXPECT_TRUE(http.send("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"));
    return http.read().status;
  };
  EXPECT_EQ(status("sluice.example"), 200);
  EXPECT_EQ(status("SLUICE.example:1234"), 200);
  EXPECT_EQ(status("other.example"), 400);
  EXPECT_EQ(status("sluice.example.evil"), 400);
  EXPECT_EQ(status("127.0.0.1"), 400);
  EXPECT_TRUE(told_error(Errc::host_not_served));
}

TEST_P(Settings, AreKeptWhenARestartFails) {
  Running running = start();
  OtherProgram other(false);
  server.bindings.add("http://127.0.0.1:" + std::to_string(port) + "/");
  server.bindings.add("http://127.0.0.1:" + std::to_string(other.port()) + "/");
  EXPECT_EQ(server.restart().error().code, Errc::address_in_use);
  EXPECT_FALSE(server.active());
  // Nothing is left that listens.
  EXPECT_FALSE(client().connected());
  server.bindings.clear();
  EXPECT_TRUE(server.start());
}

TEST_P(Settings, MoveToOtherBindingsAtARestart) {
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse&) {};
  server.bindings.add("http://127.0.0.1:0/");
  Running running = start();
  const std::string kept = server.bound_prefixes()[0];
  server.bindings.clear();
  server.bindings.add("http://127.0.0.1:0/");
  EXPECT_TRUE(server.restart());
  EXPECT_EQ(server.bound_prefixes()[0], kept);
  server.bindings.add("http://localhost:0/");
  EXPECT_TRUE(server.restart());
  ASSERT_EQ(server.bound_prefixes().size(), 2u);
  EXPECT_EQ(server.bound_prefixes()[0], kept);
  EXPECT_EQ(client().get("/").status, 200);
  server.bindings.list().erase(server.bindings.list().begin());
  EXPECT_TRUE(server.restart());
  EXPECT_EQ(server.bound_prefixes().size(), 1u);
  // Who waited there has been served, then it is closed.
  EXPECT_TRUE(eventually([this] { return !client().connected(); }));
  EXPECT_EQ(HttpClient(server.bound_port(), "127.0.0.1", kPatience).get("/").status, 200);
}

// --- TCP keep-alive ------------------------------------------------------------------------------

// What is set on the server's end of a connection to the client's port `peer`.
int option_of_peer(std::uint16_t peer, int level, int name) {
  for (int fd = 3; fd < 1024; ++fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) continue;
    if (address.sin_family != AF_INET || ntohs(address.sin_port) != peer) continue;
    int value = -1;
    socklen_t length = sizeof value;
    ::getsockopt(fd, level, name, &value, &length);
    return value;
  }
  return -1;
}

TEST_P(Settings, OfTcpKeepAliveAreThoseOfEachConnection) {
  auto option = [this](int level, int name) {
    HttpClient http = client();
    EXPECT_EQ(http.get("/").status, 404);
    sockaddr_in own{};
    socklen_t size = sizeof own;
    ::getsockname(http.fd(), reinterpret_cast<sockaddr*>(&own), &size);
    return option_of_peer(ntohs(own.sin_port), level, name);
  };
  Running running = start();
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 0);
  server.tcp_keep_alive = {true, 7s, 3s, 4};
  ASSERT_TRUE(server.restart());
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 7);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPINTVL), 3);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPCNT), 4);
}

// --- Admission -----------------------------------------------------------------------------------

TEST_P(Settings, LimitTheNumberOfConnections) {
  server.limits.connections = 2;
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse&) {};
  Running running = start();
  HttpClient one = client();
  EXPECT_EQ(one.get("/").status, 200);
  {
    HttpClient two = client();
    EXPECT_EQ(two.get("/").status, 200);
    HttpClient three = client();
    HttpReply reply = three.read();
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.field("Connection"), "close");
    EXPECT_TRUE(told_error(Errc::too_many_connections));
    EXPECT_TRUE(logged(Errc::too_many_connections));
  }
  // The two have gone, and there is room again.
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 1; }));
  EXPECT_EQ(client().get("/").status, 200);
  EXPECT_EQ(one.get("/").status, 200);
}

TEST_P(Settings, LetOnTcpConnectRefuse) {
  std::atomic<int> asked{0};
  server.on_tcp_connect = [&](Connection connection, bool& accept) {
    EXPECT_TRUE(accept);
    EXPECT_EQ(connection.ip(), "127.0.0.1");
    EXPECT_NE(connection.port(), 0);
    EXPECT_EQ(connection.bytes_received(), 0u);
    accept = ++asked % 2 == 1;
  };
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse&) {};
  Running running = start();
  EXPECT_EQ(client().get("/").status, 200);
  HttpClient refused = client();
  EXPECT_TRUE(refused.at_end());
  EXPECT_EQ(client().get("/").status, 200);
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_EQ(server.counters().accepted, 3u);
}

TEST_P(Settings, LetOnTcpConnectDoWhatItMay) {
  server.on_tcp_connect = [](Connection connection, bool&) {
    EXPECT_TRUE(connection.is_open());
    EXPECT_EQ(connection.write_data("x"), SendStatus::gone);
    EXPECT_EQ(connection.disconnect(), SendStatus::queued);
  };
  Running running = start();
  for (int i = 0; i < 3; ++i) {
    HttpClient http = client();
    EXPECT_TRUE(http.at_end());
  }
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
}

TEST_P(Settings, LetOnTcpConnectThrow) {
  Told<bool> thrown;
  server.on_exception = [&](Connection, std::exception_ptr) { thrown.tell(true); };
  server.on_tcp_connect = [](Connection, bool&) { throw std::runtime_error("no"); };
  Running running = start();
  EXPECT_EQ(client().get("/").status, 404);
  EXPECT_TRUE(thrown.wait_for(1));
}

INSTANTIATE_TEST_SUITE_P(Api, Settings,
                         testing::Values(Setup{EngineKind::uring}, Setup{EngineKind::epoll},
                                         Setup{EngineKind::uring, OperatingMode::classic},
                                         Setup{EngineKind::epoll, OperatingMode::classic},
                                         Setup{EngineKind::epoll, OperatingMode::high_perf,
                                               Dispatch::thread_pool}),
                         name_of);

}  // namespace
}  // namespace sluice::test
