// tests/api/watchdog_test.cpp - what goes wrong under a running server, and is mended.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

// The descriptors of this process for which `test` is true.
std::vector<int> descriptors(const std::function<bool(int)>& test) {
  std::vector<int> found;
  // Without opening anything: that would take a number which has just been closed.
  for (int fd = 3; fd < 1024; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 && test(fd)) found.push_back(fd);
  }
  return found;
}

std::vector<int> listeners(std::uint16_t port) {
  return descriptors([port](int fd) {
    int listens = 0;
    socklen_t size = sizeof listens;
    sockaddr_in address{};
    socklen_t length = sizeof address;
    return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens == 1 &&
           ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
           ntohs(address.sin_port) == port;
  });
}

std::vector<int> engines() {
  return descriptors([](int fd) {
    char target[64] = {};
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(link.c_str(), target, sizeof target - 1) < 0) return false;
    const std::string_view name(target);
    return name == "anon_inode:[io_uring]" || name == "anon_inode:[eventpoll]";
  });
}

// Past ThreadSanitizer, which is right that nobody should do this.
int close_under_it(int fd) { return static_cast<int>(::syscall(SYS_close, fd)); }

class WatchDog : public WsTest {
 protected:
  void SetUp() override {
    WsTest::SetUp();
    server.watchdog.enabled = true;
    server.watchdog.interval = 10ms;
    server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
      response.content_text("here");
    };
  }
  bool serves() {
    return eventually([this] {
      HttpClient http = client();
      return http.connected() && http.get("/").body == "here";
    });
  }
};

TEST_P(WatchDog, BringsAListenerBackThatWasClosedUnderIt) {
  for (bool shut : {false, true}) {
    Running running = start();
    ASSERT_TRUE(serves());
    const std::vector<int> before = listeners(port);
    ASSERT_EQ(before.size(), GetParam().mode == OperatingMode::classic ? 1u : 2u);
    for (int fd : before) shut ? ::shutdown(fd, SHUT_RD) : close_under_it(fd);
    EXPECT_TRUE(logged(Errc::listener_lost));
    EXPECT_TRUE(eventually([&] { return listeners(port).size() == before.size(); }));
    EXPECT_TRUE(serves());
    EXPECT_TRUE(server.restart()) << "what was reopened is kept like any other";
    EXPECT_TRUE(serves());
  }
}

TEST_P(WatchDog, BringsAShardBackWhoseRingIsGone) {
  server.shards = 1;
  Running running = start();
  ASSERT_TRUE(serves());
  WsClient socket = ws("/chat");
  ASSERT_TRUE(told("connect"));
  HttpClient kept = client();
  ASSERT_EQ(kept.get("/").body, "here");
  for (int round = 1; round <= 2; ++round) {
    const std::vector<int> all = engines();
    ASSERT_EQ(all.size(), 1u);
    close_under_it(all[0]);
    EXPECT_TRUE(eventually([&] { return engines().size() == 1; }));
    EXPECT_TRUE(serves());
  }
  EXPECT_TRUE(logged(Errc::shard_lost));
  EXPECT_TRUE(told("disconnect 1006"));
  EXPECT_TRUE(kept.at_end());
  WsClient again = ws("/chat");
  ASSERT_TRUE(told("connect", 2));
  again.text("hello");
  EXPECT_EQ(again.read(), "hello");
  EXPECT_EQ(events.count("disconnect 1006"), 1u);
}

TEST_P(WatchDog, OneShardsEndIsNotTheOthers) {
  server.shards = 3;
  Running running = start();
  std::vector<std::unique_ptr<WsClient>> sockets;
  for (int i = 0; i < 12; ++i) {
    sockets.push_back(std::make_unique<WsClient>(port, "/chat", "", kPatience));
  }
  ASSERT_TRUE(told("connect", 12));
  const std::vector<int> all = engines();
  ASSERT_EQ(all.size(), 3u);
  close_under_it(all[1]);
  ASSERT_TRUE(logged(Errc::shard_lost));
  ASSERT_TRUE(eventually([&] { return engines().size() == 3; }));
  EXPECT_TRUE(serves());
  EXPECT_EQ(server.broadcast("to all"), 3u);
  const std::size_t gone = 12 - server.counters().websockets;
  std::size_t reached = 0;
  for (const auto& socket : sockets) reached += socket->read() == "to all" ? 1 : 0;
  EXPECT_EQ(reached, 12 - gone);
  EXPECT_EQ(events.count("disconnect 1006"), gone);
}

TEST_P(WatchDog, DoesNothingAfterStop) {
  {
    Running running = start();
    ASSERT_TRUE(serves());
  }
  const std::size_t lines = log.size();
  EXPECT_FALSE(client().connected());
  ::poll(nullptr, 0, 100);  // ten intervals: nothing can be awaited that must not come
  EXPECT_EQ(log.size(), lines);
  EXPECT_FALSE(client().connected());
  EXPECT_TRUE(listeners(port).empty());
}

TEST_P(WatchDog, GivesUpAfterItsAttempts) {
  server.shards = 1;
  server.watchdog.attempts = 1;
  Running running = start();
  ASSERT_TRUE(serves());
  for (int fd : listeners(port)) ::shutdown(fd, SHUT_RD);
  ASSERT_TRUE(serves());
  for (int fd : listeners(port)) ::shutdown(fd, SHUT_RD);
  EXPECT_TRUE(log.wait_until([](const std::vector<LogLine>& lines) {
    return std::any_of(lines.begin(), lines.end(), [](const LogLine& line) {
      return line.message.find("watchdog.attempts") != std::string::npos;
    });
  }));
  EXPECT_FALSE(client().connected());
}

TEST_P(WatchDog, WithoutItAStopStillEndsALostShard) {
  server.watchdog.enabled = false;
  server.shards = 1;
  Running running = start();
  WsClient socket = ws("/chat");
  ASSERT_TRUE(told("connect"));
  const std::vector<int> all = engines();
  ASSERT_EQ(all.size(), 1u);
  close_under_it(all[0]);
  socket.text("wakes it");
  EXPECT_TRUE(logged(Errc::shard_lost));
  EXPECT_TRUE(told("disconnect 1006"));
  EXPECT_TRUE(server.stop(kPatience));
  EXPECT_TRUE(server.start());
  HttpClient http(server.bound_port(), "127.0.0.1", kPatience);
  EXPECT_EQ(http.get("/").status, 200);
}

TEST_P(WatchDog, AFreshShardServesWhileAHandlerHoldsTheOther) {
  if (GetParam().mode == OperatingMode::classic) return;  // one acceptor: only told
  server.shards = 1;
  server.watchdog.monitor = {true, 50ms};
  Gate gate;
  Told<bool> held;
  ASSERT_TRUE(
      server.route("GET", "/hold", [&](Connection, const HttpRequest&, HttpResponse& response) {
        held.tell(true);
        gate.wait();
        response.content_text("late");
      }));
  Running running = start();
  HttpClient holds = client();
  ASSERT_TRUE(holds.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(held.wait_for(1));
  EXPECT_TRUE(serves());
  EXPECT_TRUE(log.wait_until([](const std::vector<LogLine>& lines) {
    return std::any_of(lines.begin(), lines.end(), [](const LogLine& line) {
      return line.code == Errc::shard_lost && line.message.find("/hold") != std::string::npos;
    });
  }));
  gate.open();
  EXPECT_EQ(holds.read().body, "late");
  EXPECT_EQ(holds.get("/").body, "here");
  EXPECT_TRUE(serves());
}

TEST_P(WatchDog, AFreshShardHasWhatHasChanged) {
  if (GetParam().mode == OperatingMode::classic) return;  // one acceptor: only told
  server.shards = 1;
  server.watchdog.monitor = {true, 50ms};
  Gate gate;
  Told<bool> held;
  ASSERT_TRUE(
      server.route("GET", "/hold", [&](Connection, const HttpRequest&, HttpResponse& response) {
        held.tell(true);
        gate.wait();
        response.content_text("late");
      }));
  Running running = start();
  Settings next = server;
  next.rate_limits.resize(1);
  next.rate_limits[0].name = "site";
  ASSERT_TRUE(server.apply(next));
  HttpClient holds = client();
  ASSERT_TRUE(holds.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(held.wait_for(1));
  EXPECT_TRUE(serves());
  HttpClient fresh = client();
  EXPECT_EQ(fresh.get("/").count("RateLimit"), 1u);
  next.rate_limits.clear();
  ASSERT_TRUE(server.apply(next));  // the held one has it when its handler ends
  EXPECT_EQ(fresh.get("/").count("RateLimit"), 0u);
  gate.open();
  const HttpReply late = holds.read();
  EXPECT_EQ(late.count("RateLimit"), 1u);  // as it began
  EXPECT_EQ(holds.get("/").count("RateLimit"), 0u);
}

INSTANTIATE_TEST_SUITE_P(Setups, WatchDog,
                         testing::Values(Setup{EngineKind::uring}, Setup{EngineKind::epoll},
                                         Setup{EngineKind::uring, OperatingMode::classic},
                                         Setup{EngineKind::epoll, OperatingMode::classic}),
                         name_of);

}  // namespace
}  // namespace sluice::test
