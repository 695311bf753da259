// tests/front/wire/memory/steady_test.cpp - in steady state a shard asks for no memory, and an idle
// WebSocket costs little of it.
//
// Real sockets on uring and epoll: the shard has a thread of its own, and only what that thread
// asks for is counted. The client is this thread. Layer: tests.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/session.hpp"
#include "front/wire/harness.hpp"
#include "front/wire/loop.hpp"
#include "io/file_pool.hpp"
#include "proto/ws/permessage_deflate.hpp"
#include "service/files/file_service.hpp"
#include "service/temp_dir.hpp"
#include "support/http_client.hpp"
#include "support/new_hook.hpp"
#include "support/skip.hpp"
#include "support/ws_client.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLUICE_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLUICE_TEST_SANITIZED 1
#endif
#endif

// What goes past operator new is counted too, where no sanitizer has taken malloc already.
thread_local std::size_t malloc_calls = 0;
#if !defined(SLUICE_TEST_SANITIZED) && defined(__GLIBC__)
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
[[gnu::visibility("default")]] void* malloc(std::size_t bytes) {
  ++malloc_calls;
  return __libc_malloc(bytes);
}
[[gnu::visibility("default")]] void* calloc(std::size_t count, std::size_t bytes) {
  ++malloc_calls;
  return __libc_calloc(count, bytes);
}
[[gnu::visibility("default")]] void* realloc(void* memory, std::size_t bytes) {
  ++malloc_calls;
  return __libc_realloc(memory, bytes);
}
}
#endif

namespace sluice::test {
namespace {

using Make = Result<std::unique_ptr<io::Engine>> (*)(const io::EngineOptions&);

// One shard on a real engine, listening on a free port.
class RealShard {
 public:
  explicit RealShard(Make make) {
    dir_.write("hot.txt", std::string(1024, 'h'));
    events_.on_http_request = [](sluice::Connection, const HttpRequest& request,
                                 HttpResponse& response) {
      response.content_type("text/plain");
      response.content_text(request.document());
    };
    events_.websocket.on_message = [](sluice::Connection connection, std::string_view text) {
      static_cast<void>(connection.write_data(text));
    };
    files_ = std::make_unique<service::FileService>(
        1, [this](base::Task task) { return pool_.submit(std::move(task)); }, nullptr,
        http::MediaTypes());
    auto handler = files_->directory("/f/", dir_.path().string(), {});
    EXPECT_TRUE(handler && router_.add_native("GET", "/f/{path...}", std::move(*handler), {}));
    // Idle connections only: no timer of ours may end one.
    settings_.timeouts.idle_connection = 10min;
    settings_.extensions.permessage_deflate.enabled = true;  // for those that offer it
    session_ = std::make_shared<core::ServerSession>(settings_, events_, router_, plain_cipher());
    session_->body_source = files_.get();
    auto engine = make({});
    EXPECT_TRUE(engine) << engine.error().message();
    loop_ = std::make_shared<wire::Loop>(session_, 0, std::move(*engine));
    loop_->tie();
    session_->shards.push_back(&loop_->shard());
    listen();
    thread_ = std::thread([this] { loop_->run(); });
  }
  ~RealShard() {
    loop_->post([this] {
      loop_->close_listeners(false);
      loop_->abort_all(Errc::server_stopping);
      loop_->finish();
    });
    thread_.join();
    session_->shards.clear();
  }

  std::uint16_t port() const { return port_; }
  core::ServerSession& session() { return *session_; }

  // Runs `call` on the shard and waits for it.
  template <class Call>
  auto on_shard(Call call) {
    std::packaged_task<decltype(call())()> task(std::move(call));
    auto result = task.get_future();
    EXPECT_TRUE(loop_->post([&task] { task(); }));
    return result.get();
  }
  std::size_t news() {
    return on_shard([] { return new_calls + malloc_calls; });
  }
  std::size_t bytes() {
    return on_shard([] { return live_bytes; });
  }
  std::size_t connections() { return loop_->connections(); }

 private:
  void listen() {
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd, 1024), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    loop_->add_listener({fd, {}, false});
  }
  TempDir dir_;
  core::Router router_;
  core::SessionSettings settings_;
  core::SessionEvents events_;
  io::FilePool pool_{1};
  std::unique_ptr<service::FileService> files_;
  std::shared_ptr<core::ServerSession> session_;
  std::shared_ptr<wire::Loop> loop_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

constexpr std::string_view kDeflate =
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

// The frame of a client for which each message stands alone.
std::string compressed(std::string_view message) {
  auto deflater = coding::Deflater::make({12, 6, 8});
  std::string out(message.size() + ws::kDeflateTail, '\0');
  const Bytes packed =
      ws::deflate_message(*deflater, as_bytes(message), std::as_writable_bytes(std::span(out)));
  return WsClient::frame(WsClient::kText, as_text(packed), true, true, 4);
}

struct EngineCase {
  const char* name;
  Make make;
};

class Steady : public testing::TestWithParam<EngineCase> {
 protected:
  void SetUp() override {
    if (std::string_view(GetParam().name) == "uring") SKIP_WITHOUT(io_uring);
    shard = std::make_unique<RealShard>(GetParam().make);
  }
  // `work` once to warm up, then again: the shard asks for no memory. Tried a few times, because
  // once a second a hot file is looked at anew, which does.
  template <class Work>
  void expect_none(Work&& work) {
    work();
    work();
    std::size_t before = shard->news();
    std::size_t asking = shard->news() - before;  // what it takes to ask
    std::size_t asked = 0;
    for (int tries = 0; tries < 3; ++tries) {
      before = shard->news();
      work();
      asked = shard->news() - before;
      if (asked == asking) return;
    }
    EXPECT_EQ(asked, asking);
  }
  std::unique_ptr<RealShard> shard;
};

TEST_P(Steady, KeepAliveRequests) {
  HttpClient client(shard->port());
  expect_none([&] {
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(client.get("/some/path").body, "/some/path");
  });
}

TEST_P(Steady, PipelinedRequests) {
  HttpClient client(shard->port());
  std::string twenty;
  for (int i = 0; i < 20; ++i) twenty += get("/some/path");
  expect_none([&] {
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(client.send(twenty));
      for (int j = 0; j < 20; ++j) ASSERT_EQ(client.read().body, "/some/path");
    }
  });
}

TEST_P(Steady, SmallBodies) {
  HttpClient client(shard->port());
  const std::string body(500, 'b');
  expect_none([&] {
    for (int i = 0; i < 1000; ++i) {
      ASSERT_EQ(client.request("POST", "/some/path", {}, body).status, 200);
    }
  });
}

TEST_P(Steady, SmallEchoes) {
  WsClient client(shard->port());
  const std::string message(64, 'm');
  expect_none([&] {
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(client.text(message));
      ASSERT_EQ(client.read(), message);
    }
  });
}

// Larger than a receive block with its header, so it is always put together.
TEST_P(Steady, LargeEchoes) {
  WsClient client(shard->port());
  const std::string message(16384, 'm');
  expect_none([&] {
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(client.text(message));
      ASSERT_EQ(client.read(), message);
    }
  });
}

TEST_P(Steady, Broadcasts) {
  std::vector<std::unique_ptr<WsClient>> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(std::make_unique<WsClient>(shard->port()));
  const std::string message(200, 'b');
  expect_none([&] {
    for (int i = 0; i < 100; ++i) {
      shard->on_shard([&] {
        core::ServerSession::broadcast_on(*core::Shard::current(), ws::Opcode::text,
                                          as_bytes(message), {});
      });
      for (auto& client : clients) ASSERT_EQ(client->read(), message);
    }
  });
}

TEST_P(Steady, HotFiles) {
  HttpClient client(shard->port());
  expect_none([&] {
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(client.get("/f/hot.txt").body.size(), 1024u);
  });
}

// What compresses and inflates is the shard's.
TEST_P(Steady, CompressedEchoes) {
  WsClient client(shard->port(), "/", kDeflate);
  const std::string message(600, 'm'), frame = compressed(message);
  std::string answer;
  expect_none([&] {
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(client.send(frame));
      answer = client.read();
      ASSERT_LT(answer.size(), 50u);
    }
  });
}

TEST_P(Steady, CompressedBroadcasts) {
  std::vector<std::unique_ptr<WsClient>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<WsClient>(shard->port(), "/", i % 3 == 0 ? "" : kDeflate));
  }
  const std::string message(600, 'b');
  expect_none([&] {
    for (int i = 0; i < 100; ++i) {
      shard->on_shard([&] {
        core::ServerSession::broadcast_on(*core::Shard::current(), ws::Opcode::text,
                                          as_bytes(message), {});
      });
      for (auto& client : clients) ASSERT_NE(client->read(), "(end)");
    }
  });
}

// Nor does one that has agreed upon compression, and has had a message.
TEST_P(Steady, AnIdleWebSocketWithDeflateTakesNoMore) {
  constexpr std::size_t kCount = 400;
  std::vector<std::unique_ptr<WsClient>> clients;
  const std::string message(600, 'm'), frame = compressed(message);
  const auto open = [&](bool deflate) {
    for (std::size_t i = 0; i < kCount; ++i) {
      clients.push_back(
          std::make_unique<WsClient>(shard->port(), "/", deflate ? kDeflate : std::string_view()));
      ASSERT_TRUE(deflate ? clients.back()->send(frame) : clients.back()->text(message));
      ASSERT_EQ(clients.back()->read().size() < 50, deflate);
    }
  };
  open(true);
  open(false);
  const std::size_t before = shard->bytes();
  open(false);
  const std::size_t plain = shard->bytes() - before;
  open(true);
  const std::size_t deflating = shard->bytes() - before - plain;
  RecordProperty("bytes", std::to_string(deflating / kCount));
  EXPECT_LE(deflating, plain + kCount * 8);  // tables grow when they do
  EXPECT_LE(deflating / kCount, 300u);
  EXPECT_EQ(shard->connections(), 4 * kCount);
}

// A connection that says nothing keeps no buffer.
TEST_P(Steady, AnIdleWebSocketTakesAKibibyte) {
  constexpr std::size_t kCount = 400;
  std::vector<std::unique_ptr<WsClient>> clients;
  auto open = [&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      clients.push_back(std::make_unique<WsClient>(shard->port()));
      ASSERT_TRUE(clients.back()->is_open());
      ASSERT_TRUE(clients.back()->text("hello"));
      ASSERT_EQ(clients.back()->read(), "hello");
    }
  };
  // Warm: what the shard keeps for all of them is there.
  open();
  std::size_t before = shard->bytes();
  open();
  std::size_t each = (shard->bytes() - before) / kCount;
  RecordProperty("bytes", std::to_string(each));
  EXPECT_LE(each, 1024u);
  EXPECT_GE(each, sizeof(wire::Connection));
  EXPECT_EQ(shard->connections(), 2 * kCount);
}

INSTANTIATE_TEST_SUITE_P(Engines, Steady,
                         testing::Values(EngineCase{"uring", io::make_uring_engine},
                                         EngineCase{"epoll", io::make_epoll_engine}),
                         [](const auto& engine) { return std::string(engine.param.name); });

}  // namespace
}  // namespace sluice::test
