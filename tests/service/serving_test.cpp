// tests/service/serving_test.cpp - files and streams through a real server and real sockets, on
// both engines.
//
// Layer: tests.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/http_client.hpp"
#include "support/skip.hpp"
#include "temp_dir.hpp"

namespace sluice::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

class Serving : public ::testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    if (GetParam() == EngineKind::uring) SKIP_WITHOUT(io_uring);
    server_.engine = GetParam();
    server_.host = "127.0.0.1";
    server_.port = 0;
    server_.shards = 1;
  }
  void TearDown() override {
    if (server_.active()) {
      EXPECT_TRUE(server_.stop(milliseconds(1000)));
    }
  }
  void start() {
    auto started = server_.start();
    ASSERT_TRUE(started) << started.error().message();
    port_ = server_.bound_port();
  }
  void start_files(const FilesOptions& options = {}) {
    ASSERT_TRUE(server_.files("/", dir_.path().string(), options));
    start();
  }

  TempDir dir_;
  Server server_;
  std::uint16_t port_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Engine, Serving, ::testing::Values(EngineKind::epoll, EngineKind::uring),
                         [](const auto& engine) {
                           return engine.param == EngineKind::uring ? "uring" : "epoll";
                         });

TEST_P(Serving, FilesOfEverySizeOverOneConnection) {
  std::map<std::string, std::string> files;
  for (const std::size_t size : {0u, 1u, 1000u, 16384u, 16385u, 65536u, 1u << 20, 5'000'001u}) {
    const std::string name = "f" + std::to_string(size);
    files[name] = pattern(size);
    dir_.write(name, files[name]);
  }
  start_files();
  HttpClient client(port_);
  for (int round = 0; round < 3; ++round) {
    for (const auto& [name, content] : files) {
      HttpReply got = client.get("/" + name);
      ASSERT_TRUE(got.complete) << name;
      EXPECT_EQ(got.status, 200);
      EXPECT_EQ(got.body.size(), content.size()) << name;
      EXPECT_TRUE(got.body == content) << name;
      HttpReply head = client.request("HEAD", "/" + name);
      ASSERT_TRUE(head.complete);
      EXPECT_EQ(head.field("Content-Length"), std::to_string(content.size()));
      EXPECT_EQ(head.field("ETag"), got.field("ETag"));
      EXPECT_EQ(client.get("/" + name, "If-None-Match: " + std::string(got.field("ETag")) + "\r\n")
                    .status,
                304);
      if (content.size() < 10) continue;
      HttpReply part =
          client.get("/" + name, "Range: bytes=5-" + std::to_string(content.size() - 3) + "\r\n");
      EXPECT_EQ(part.status, 206);
      EXPECT_TRUE(part.body == content.substr(5, content.size() - 7)) << name;
      HttpReply parts = client.get("/" + name, "Range: bytes=0-1,-2\r\n");
      EXPECT_EQ(parts.status, 206);
      ASSERT_TRUE(parts.complete);
      EXPECT_NE(parts.body.find("\r\n\r\n" + content.substr(content.size() - 2) + "\r\n--"),
                std::string::npos);
    }
  }
  EXPECT_EQ(client.get("/missing").status, 404);
}

TEST_P(Serving, PipelinedRequestsAreAnsweredInOrder) {
  dir_.write("small", "s");
  dir_.write("large", std::string(300'000, 'l'));
  start_files();
  std::string text;
  for (int i = 0; i < 50; ++i) {
    const char* name = i % 3 == 0 ? "large" : i % 3 == 1 ? "small" : "missing";
    text.append("GET /").append(name).append(" HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  HttpClient client(port_);
  ASSERT_TRUE(client.send(text));
  for (int i = 0; i < 50; ++i) {
    HttpReply got = client.read();
    ASSERT_TRUE(got.complete) << i;
    EXPECT_EQ(got.status, i % 3 == 2 ? 404 : 200) << i;
    if (i % 3 != 2) {
      EXPECT_EQ(got.body.size(), i % 3 == 0 ? 300'000u : 1u) << i;
    }
  }
}

TEST_P(Serving, AFifoHangsNobody) {
  ASSERT_EQ(::mkfifo((dir_ / "fifo").c_str(), 0600), 0);
  dir_.write("a", "a");
  start_files();
  HttpClient client(port_);
  for (int i = 0; i < 20; ++i) {
    HttpReply got = client.get("/fifo");
    EXPECT_TRUE(got.complete);
    EXPECT_EQ(got.status, 403);
  }
  EXPECT_EQ(client.get("/a").body, "a");
}

TEST_P(Serving, NoTargetLeadsOut) {
  dir_.write("root/a", "a");
  dir_.write("secret", "top-secret");
  ASSERT_TRUE(server_.files("/", dir_ / "root"));
  start();
  for (const char* target :
       {"/../secret", "/%2e%2e/secret", "/%2e%2e%2fsecret", "/..%2fsecret", "/..%5csecret",
        "/..\\secret", "/a/../../secret", "/a%00/../../secret", "/%252e%252e/secret", "//../secret",
        "/%c0%ae%c0%ae/secret", "http://x/../secret", "/./../secret", "/.../secret",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd"}) {
    HttpClient client(port_);
    HttpReply got = client.get(target);
    EXPECT_TRUE(got.status == 404 || got.status == 400) << target << " " << got.status;
    EXPECT_EQ(got.body.find("top-secret"), std::string::npos) << target;
    EXPECT_EQ(got.body.find("root:"), std::string::npos) << target;
  }
}

// Whoever asks a second after the change gets the new file.
TEST_P(Serving, AChangeIsNoticedWithinASecond) {
  dir_.write("a", "old");
  start_files();
  HttpClient client(port_);
  EXPECT_EQ(client.get("/a").body, "old");
  dir_.replace("a", "new");
  const auto changed = Clock::now();
  for (;;) {
    const auto asked = Clock::now();
    HttpReply got = client.get("/a");
    ASSERT_TRUE(got.complete);
    if (got.body == "new") break;
    ASSERT_LE(asked - changed, std::chrono::seconds(1));
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(client.get("/a").body, "new");
}

TEST_P(Serving, AFileReplacedWhileItIsSentIsSentAsItWas) {
  const std::string old = pattern(8 << 20);
  dir_.write("a", old);
  start_files();
  HttpClient client(port_);
  client.receive_buffer(64 * 1024);
  ASSERT_TRUE(client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"));
  client.wait_for(1000);
  dir_.replace("a", "new");
  HttpReply got = client.read();
  EXPECT_TRUE(got.complete);
  EXPECT_TRUE(got.body == old);
}

TEST_P(Serving, AFileThatShrinksWhileItIsSentEndsTheConnection) {
  dir_.write("a", std::string(32 << 20, 'x'));
  dir_.write("b", "b");
  start_files();
  HttpClient client(port_);
  client.receive_buffer(64 * 1024);
  ASSERT_TRUE(client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n"));
  client.wait_for(1000);
  std::filesystem::resize_file(dir_ / "a", 100);
  HttpReply got = client.read();
  EXPECT_EQ(got.status, 200);
  EXPECT_FALSE(got.complete) << "nothing is made up";
  EXPECT_TRUE(client.at_end());
  HttpClient other(port_);
  EXPECT_EQ(other.get("/b").body, "b");
}

// The idle time is the one between requests, not the one that a slow client needs.
TEST_P(Serving, ADownloadMayTakeLongerThanTheIdleTime) {
  dir_.write("a", std::string(16 << 20, 'x'));
  dir_.write("b", "b");
  server_.timeouts.idle_connection = milliseconds(100);
  start_files();
  HttpClient client(port_);
  client.receive_buffer(64 * 1024);
  ASSERT_TRUE(client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"));
  client.wait_for(1000);
  const auto until = Clock::now() + milliseconds(500);
  HttpClient other(port_);
  while (Clock::now() < until) ASSERT_EQ(other.get("/b").body, "b");
  HttpReply got = client.read();
  EXPECT_TRUE(got.complete);
  EXPECT_EQ(got.body.size(), std::size_t{16} << 20);
}

TEST_P(Serving, AFileThatGrowsWhileItIsSentKeepsItsLength) {
  dir_.write("a", std::string(8 << 20, 'x'));
  start_files();
  HttpClient client(port_);
  client.receive_buffer(64 * 1024);
  ASSERT_TRUE(client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"));
  client.wait_for(1000);
  std::filesystem::resize_file(dir_ / "a", 16 << 20);
  HttpReply got = client.read();
  EXPECT_TRUE(got.complete);
  EXPECT_EQ(got.body.size(), std::size_t{8} << 20);
  EXPECT_EQ(client.get("/missing").status, 404) << "the connection goes on";
}

TEST_P(Serving, ASparseFileOf100MiB) {
  const std::string path = dir_.write("big", "");
  constexpr std::uint64_t kSize = std::uint64_t{100} << 20;
  std::filesystem::resize_file(path, kSize);
  int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::pwrite(fd, "needle", 6, kSize - 6), 6);
  ::close(fd);
  start_files();
  HttpClient client(port_);
  EXPECT_EQ(client.get("/big", "Range: bytes=-6\r\n").body, "needle");
  HttpReply half = client.get("/big", "Range: bytes=52428800-\r\n");
  EXPECT_EQ(half.body.size(), kSize / 2);
  EXPECT_TRUE(half.body.ends_with("needle"));
  // A download that was interrupted goes on where it stopped.
  std::string first;
  {
    HttpClient broken(port_);
    ASSERT_TRUE(broken.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n"));
    broken.wait_for(1 << 20);
    broken.reset();
  }
  HttpReply whole = client.get("/big");
  EXPECT_TRUE(whole.complete);
  EXPECT_EQ(whole.body.size(), kSize);
}

TEST_P(Serving, ClientsThatGoInTheMiddleLeaveNothingBehind) {
  dir_.write("a", std::string(16 << 20, 'x'));
  start_files();
  for (int i = 0; i < 50; ++i) {
    HttpClient client(port_);
    client.receive_buffer(64 * 1024);
    ASSERT_TRUE(client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"));
    if (i % 2 == 0) client.wait_for(100);
    client.reset();
  }
  HttpClient client(port_);
  EXPECT_EQ(client.get("/a", "Range: bytes=0-9\r\n").body.size(), 10u);
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  while (server_.counters().connections > 1) ASSERT_LT(Clock::now(), deadline);
}

// Walks the listing as `wget -r` does, and finds every file byte for byte.
TEST_P(Serving, AListingCanBeWalked) {
  std::map<std::string, std::string> files;
  for (const char* name : {"a.txt", "sub/b.txt", "sub/deeper/c%d e.txt", "sub/deeper/q?r#s.txt",
                           "\xC3\xA9/\xE2\x82\xAC.txt", "x&amp;y/<b>.txt", "back\\slash.txt",
                           "a:b/c:d", "+plus", "semi;colon", "'quote'\"s"}) {
    files[name] = std::string("content of ") + name;
    dir_.write(name, files[name]);
  }
  start_files({.listing = true});
  HttpClient client(port_);
  std::set<std::string> seen;
  std::vector<std::string> open{"/"};
  std::multiset<std::string> found, wanted;
  while (!open.empty()) {
    const std::string base = open.back();
    open.pop_back();
    if (!seen.insert(base).second) continue;
    HttpReply page = client.get(base);
    ASSERT_EQ(page.status, 200) << base;
    for (std::size_t at = page.body.find("href=\""); at != std::string::npos;
         at = page.body.find("href=\"", at)) {
      at += 6;
      const std::string link = page.body.substr(at, page.body.find('"', at) - at);
      if (link == "../") continue;
      if (link.ends_with('/')) {
        open.push_back(base + link);
      } else {
        HttpReply got = client.get(base + link);
        EXPECT_EQ(got.status, 200) << base + link;
        found.insert(got.body);
      }
    }
  }
  for (const auto& [name, content] : files) wanted.insert(content);
  EXPECT_EQ(found, wanted);
}

TEST_P(Serving, SeveralClientsShareHotFiles) {
  const std::string content = pattern(200'000);
  dir_.write("a", content);
  dir_.write("b", "small");
  server_.shards = 2;
  start_files();
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      HttpClient client(port_);
      for (int n = 0; n < 50; ++n) {
        if (client.get("/a").body == content && client.get("/b").body == "small") ++good;
      }
    });
  }
  for (int i = 0; i < 20; ++i) dir_.replace("b", "small");
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good.load(), 400);
}

TEST_P(Serving, StopWhileFilesAreLookedUp) {
  for (int i = 0; i < 200; ++i) dir_.write("f" + std::to_string(i), "x");
  start_files();
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(std::make_unique<HttpClient>(port_));
    clients.back()->send("GET /f" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  EXPECT_TRUE(server_.stop(milliseconds(0)));
}

// --- file_name and content_stream ----------------------------------------------------------------

TEST_P(Serving, AStreamAtTheClientsPace) {
  const std::string content = pattern(3'000'000);
  server_.limits.send_queue_bytes = 256 * 1024;
  server_.on_http_request = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_type("text/x-pattern").etag("\"v1\"");
    if (request.document() == "/short") {
      response.content_stream(std::make_unique<std::istringstream>(content.substr(0, 100)), 99);
    } else {
      response.content_stream(std::make_unique<std::istringstream>(content));
    }
  };
  start();
  HttpClient slow(port_);
  slow.receive_buffer(64 * 1024);
  ASSERT_TRUE(slow.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  HttpClient client(port_);
  HttpReply got = client.get("/");
  EXPECT_TRUE(got.complete);
  EXPECT_TRUE(got.body == content);
  EXPECT_EQ(got.field("Content-Length"), "3000000");
  got = client.get("/", "Range: bytes=1000000-1999999\r\nIf-Range: \"v1\"\r\n");
  EXPECT_EQ(got.status, 206);
  EXPECT_EQ(got.field("Content-Range"), "bytes 1000000-1999999/3000000");
  EXPECT_TRUE(got.body == content.substr(1'000'000, 1'000'000));
  EXPECT_EQ(client.get("/", "Range: bytes=3000000-\r\n").status, 416);
  HttpReply head = client.request("HEAD", "/");
  EXPECT_EQ(head.field("Content-Length"), "3000000");
  EXPECT_EQ(client.get("/short").body, content.substr(0, 99));
  got = slow.read();
  EXPECT_TRUE(got.complete);
  EXPECT_TRUE(got.body == content);
  EXPECT_TRUE(server_.stop());  // the handler knows `content`
}

// Cannot be measured.
class Endless final : public std::streambuf {
 public:
  explicit Endless(std::size_t size) : left_(size) {}

 protected:
  int_type underflow() override {
    if (left_ == 0) return traits_type::eof();
    const std::size_t count = std::min(left_, sizeof piece_);
    left_ -= count;
    std::fill(piece_, piece_ + count, 'e');
    setg(piece_, piece_, piece_ + count);
    return traits_type::to_int_type(*gptr());
  }

 private:
  char piece_[3000];
  std::size_t left_;
};
class EndlessStream final : public std::istream {
 public:
  explicit EndlessStream(std::size_t size) : std::istream(nullptr), buffer_(size) {
    rdbuf(&buffer_);
  }

 private:
  Endless buffer_;
};

TEST_P(Serving, AStreamOfUnknownLength) {
  server_.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    if (request.document() == "/lie") {
      response.content_stream(std::make_unique<EndlessStream>(100'000), 100'001);
    } else {
      response.content_stream(std::make_unique<EndlessStream>(500'000)).trailer("X-End", "yes");
    }
  };
  start();
  HttpClient client(port_);
  HttpReply got = client.get("/");
  EXPECT_EQ(got.field("Transfer-Encoding"), "chunked");
  EXPECT_TRUE(got.complete);
  EXPECT_EQ(got.body, std::string(500'000, 'e'));
  HttpReply head = client.request("HEAD", "/");
  EXPECT_TRUE(head.complete);
  EXPECT_FALSE(head.has("Content-Length"));
  EXPECT_EQ(client.get("/").body.size(), 500'000u) << "the connection goes on";
  HttpClient old(port_);
  ASSERT_TRUE(old.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n"));
  got = old.read();
  EXPECT_TRUE(got.until_close);
  EXPECT_FALSE(got.has("Transfer-Encoding"));
  EXPECT_EQ(got.body.size(), 500'000u);
  HttpClient cheated(port_);
  got = cheated.get("/lie");
  EXPECT_FALSE(got.complete);
  EXPECT_EQ(got.body.size(), 100'000u);
  EXPECT_TRUE(cheated.at_end());
}

TEST_P(Serving, FileNameFromAHandlerAndFromAThread) {
  dir_.write("a.txt", pattern(100'000));
  std::vector<std::thread> threads;
  server_.on_http_request = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    if (request.document() == "/late") {
      threads.emplace_back([&, reply = response.defer()]() mutable {
        reply.file_name(dir_ / "a.txt");
        reply.send();
      });
    } else {
      response.file_name(dir_ / "a.txt");
    }
  };
  start();
  HttpClient client(port_);
  for (const char* target : {"/now", "/late", "/now"}) {
    HttpReply got = client.get(target, "Range: bytes=10-19\r\n");
    EXPECT_EQ(got.status, 206) << target;
    EXPECT_EQ(got.body, pattern(100'000).substr(10, 10));
  }
  EXPECT_TRUE(server_.stop());
  for (std::thread& thread : threads) thread.join();
}

TEST_P(Serving, FilesBesideRoutesAndOnTheThreadPool) {
  dir_.write("index.html", "home");
  dir_.write("a.txt", "a");
  server_.dispatch = Dispatch::thread_pool;
  server_.thread_pool_size = 2;
  ASSERT_TRUE(
      server_.route("GET", "/api/time", [](Connection, const HttpRequest&, HttpResponse& response) {
        response.content_text("now");
      }));
  ASSERT_TRUE(server_.files("/", dir_.path().string()));
  start();
  HttpClient client(port_);
  EXPECT_EQ(client.get("/").body, "home");
  EXPECT_EQ(client.get("/a.txt").body, "a");
  EXPECT_EQ(client.get("/api/time").body, "now");
  HttpReply refused = client.request("POST", "/a.txt", {}, "body");
  EXPECT_EQ(refused.status, 405);
  EXPECT_NE(refused.field("Allow").find("GET"), std::string_view::npos);
}

TEST_P(Serving, AMissingDirectoryIsToldAtStart) {
  ASSERT_TRUE(server_.files("/", dir_ / "missing"));
  auto started = server_.start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message().find(dir_ / "missing"), std::string::npos)
      << started.error().message();
  EXPECT_NE(started.error().message().find("does not exist"), std::string::npos);
}

}  // namespace
}  // namespace sluice::test
