// tests/api/produced_test.cpp - bodies at the client's pace: content_producer and content_stream.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <atomic>
#include <istream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/harness.hpp"

namespace sluice::test {
namespace {

using Room = std::span<std::byte>;

// Fills what it gets with pattern(), `most` bytes at a time, and then says that it is over.
struct Pattern {
  std::string text;
  std::size_t most;
  std::size_t at = 0;

  std::size_t operator()(Room room) {
    const std::size_t count = std::min({most, room.size(), text.size() - at});
    std::copy_n(as_bytes(std::string_view(text)).begin() + static_cast<std::ptrdiff_t>(at), count,
                room.begin());
    at += count;
    return count;
  }
};

// Says on which thread it goes.
class Witness {
 public:
  explicit Witness(Told<std::thread::id>& gone) : gone_(gone) {}
  ~Witness() { gone_.tell(std::this_thread::get_id()); }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

 private:
  Told<std::thread::id>& gone_;
};

// Endless, cannot seek, and counts what is read of it.
class Endless final : public std::streambuf {
 public:
  explicit Endless(std::atomic<std::size_t>& read) : read_(read) {}

 protected:
  int_type underflow() override {
    read_ += sizeof text_;
    setg(text_, text_, text_ + sizeof text_);
    return traits_type::to_int_type('x');
  }

 private:
  std::atomic<std::size_t>& read_;
  char text_[1000] = {'x'};
};

class EndlessStream final : public std::istream {
 public:
  EndlessStream(std::atomic<std::size_t>& read, Told<std::thread::id>& gone)
      : std::istream(nullptr), buffer_(read), witness_(gone) {
    rdbuf(&buffer_);
  }

 private:
  Endless buffer_;
  Witness witness_;
};

class ProducedAnswers : public ServerTest {
 protected:
  void answer(std::function<void(HttpResponse&)> with) {
    server.on_http_request = [this, with = std::move(with)](Connection, const HttpRequest&,
                                                            HttpResponse& response) {
      handlers.tell(std::this_thread::get_id());
      with(response);
    };
  }
  Told<std::thread::id> handlers;
};

TEST_P(ProducedAnswers, AreChunkedWithTrailersUntilTheProducerSaysNothing) {
  const std::string text = pattern(200'000);
  std::atomic<std::size_t> most{1};
  answer([&](HttpResponse& response) {
    response.content_type("text/x-pattern")
        .content_producer(Pattern{text, most})
        .trailer("X-Sum", "1");
  });
  Running running = start();
  HttpClient http = client();
  for (const std::size_t each : {7'001u, 65'536u, 1'000'000u}) {
    most = each;
    HttpReply reply = http.get("/");
    ASSERT_TRUE(reply.complete);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.field("Content-Type"), "text/x-pattern");
    EXPECT_EQ(reply.field("Transfer-Encoding"), "chunked");
    EXPECT_FALSE(reply.has("Accept-Ranges"));
    EXPECT_TRUE(reply.body == text) << each;
    ASSERT_EQ(reply.trailers.size(), 1u);
    EXPECT_EQ(reply.trailers[0].first, "X-Sum");
  }
  ASSERT_TRUE(http.send("GET / HTTP/1.0\r\n\r\n"));
  HttpReply old = http.read();
  EXPECT_TRUE(old.until_close);
  EXPECT_TRUE(old.body == text);
}

TEST_P(ProducedAnswers, OfNothingAreEmpty) {
  answer([](HttpResponse& response) { response.content_producer([](Room) { return 0u; }); });
  Running running = start();
  HttpReply reply = client().get("/");
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(reply.body, "");
}

TEST_P(ProducedAnswers, OfAKnownLengthAreAskedForThatMuch) {
  const std::string text = pattern(100'000);
  answer([&](HttpResponse& response) { response.content_producer(Pattern{text, 30'000}, 70'000); });
  Running running = start();
  HttpReply reply = client().get("/", "Range: bytes=0-1\r\n");
  ASSERT_TRUE(reply.complete);
  EXPECT_EQ(reply.status, 200) << "what cannot be wound is not ranged";
  EXPECT_EQ(reply.field("Content-Length"), "70000");
  EXPECT_TRUE(reply.body == text.substr(0, 70'000));
}

TEST_P(ProducedAnswers, ThatEndTooEarlyBreakOff) {
  answer([](HttpResponse& response) { response.content_producer(Pattern{pattern(10), 10}, 11); });
  Running running = start();
  HttpClient http = client();
  HttpReply reply = http.get("/");
  EXPECT_FALSE(reply.complete);
  EXPECT_TRUE(http.at_end());
  EXPECT_TRUE(logged(Errc::http_length_mismatch));
}

TEST_P(ProducedAnswers, ThatFailAtOnceAreErrors) {
  Told<std::string> thrown;
  server.on_exception = [&](Connection, const std::exception_ptr& what) {
    try {
      std::rethrow_exception(what);
    } catch (const std::exception& error) {
      thrown.tell(error.what());
    }
  };
  Handover<BodyProducer> producers;
  answer([&](HttpResponse& response) { response.content_producer(*producers.take()); });
  Running running = start();
  HttpClient http = client();
  producers.put([](Room) -> Result<std::size_t> { return Error(Errc::not_found, "no such row"); });
  EXPECT_EQ(http.get("/").status, 404);
  producers.put([](Room) -> Result<std::size_t> { return Errc::timed_out; });
  EXPECT_EQ(http.get("/").status, 500);
  producers.put([](Room room) { return room.size() + 1; });
  EXPECT_EQ(http.get("/").status, 500);
  producers.put([](Room) -> std::size_t { throw std::runtime_error("the table has burnt"); });
  EXPECT_EQ(http.get("/").status, 500);
  ASSERT_TRUE(thrown.wait_for(1));
  EXPECT_EQ(thrown.all()[0], "the table has burnt");
}

TEST_P(ProducedAnswers, ThatFailInTheMiddleBreakOff) {
  answer([](HttpResponse& response) {
    response.content_producer([calls = 0](Room room) mutable -> std::size_t {
      if (++calls == 3) throw std::runtime_error("no");
      return room.size();
    });
  });
  Told<bool> thrown;
  server.on_exception = [&](Connection, const std::exception_ptr&) { thrown.tell(true); };
  Running running = start();
  HttpClient http = client();
  HttpReply reply = http.get("/");
  EXPECT_EQ(reply.status, 200);
  EXPECT_FALSE(reply.complete);
  EXPECT_TRUE(thrown.wait_for(1));
}

TEST_P(ProducedAnswers, AreMadeAtTheClientsPaceOffTheShards) {
  server.limits.send_queue_bytes = 100'000;
  constexpr std::size_t kWhole = 60'000'000;
  const std::string text = pattern(65'536);
  std::atomic<std::size_t> made{0};
  Told<std::thread::id> makers;
  answer([&](HttpResponse& response) {
    response.content_producer([&](Room room) {
      if (made == 0) makers.tell(std::this_thread::get_id());
      const std::size_t count = std::min(room.size(), kWhole - made);
      std::copy_n(as_bytes(std::string_view(text)).begin(), count, room.begin());
      made += count;
      return count;
    });
  });
  Running running = start();
  HttpClient http = client();
  http.receive_buffer(16'384);
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(makers.wait_for(1));
  EXPECT_EQ(handlers.count(makers.all()[0]), 0u);
  // What stands in the buffers of two sockets is all that can be made for a client that only looks.
  ASSERT_FALSE(http.wait_for(1).empty());
  const HttpReply reply = [&] {
    EXPECT_LT(made.load(), kWhole);
    return http.read();
  }();
  ASSERT_TRUE(reply.complete);
  ASSERT_EQ(reply.body.size(), kWhole);
  for (std::size_t at = 0; at < kWhole; at += text.size()) {
    ASSERT_TRUE(text.starts_with(std::string_view(reply.body).substr(at, text.size())));
  }
}

TEST_P(ProducedAnswers, AreLetGoOffTheShardWhenTheClientGoes) {
  Told<std::thread::id> gone, begun;
  answer([&](HttpResponse& response) {
    response.content_producer(
        [&, told = false, witness = std::make_shared<Witness>(gone)](Room room) mutable {
          if (!std::exchange(told, true)) begun.tell(std::this_thread::get_id());
          return room.size();
        });
  });
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(begun.wait_for(1));
  EXPECT_EQ(gone.size(), 0u);
  http.reset();
  ASSERT_TRUE(gone.wait_for(1));
  EXPECT_EQ(handlers.count(gone.all()[0]), 0u);
}

TEST_P(ProducedAnswers, ToHeadAndToWhatTheClientHasAreNotMade) {
  std::atomic<int> calls{0};
  answer([&](HttpResponse& response) {
    response.etag("\"v1\"").content_producer(
        [&](Room) {
          ++calls;
          return std::size_t{0};
        },
        5);
  });
  Running running = start();
  HttpClient http = client();
  HttpReply head = http.request("HEAD", "/");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.field("Content-Length"), "5");
  HttpReply same = http.get("/", "If-None-Match: \"v1\"\r\n");
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.field("ETag"), "\"v1\"");
  EXPECT_EQ(http.get("/", "If-Match: \"v2\"\r\n").status, 412);
  EXPECT_EQ(calls.load(), 0);
}

TEST_P(ProducedAnswers, ComeFromAReplyAndMayHaveDoneTheRange) {
  Handover<Reply> replies;
  answer([&](HttpResponse& response) { replies.put(response.defer()); });
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2\r\n\r\n"));
  std::optional<Reply> reply = replies.take();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->content_producer(Pattern{"0123456789", 3})
                .content_range_start(100)
                .content_range_end(104)
                .content_range_instance_length(1'000)
                .send(),
            Errc::none);
  HttpReply answer = http.read();
  EXPECT_EQ(answer.status, 206);
  EXPECT_EQ(answer.field("Content-Range"), "bytes 100-104/1000");
  EXPECT_EQ(answer.field("Content-Length"), "5");
  EXPECT_EQ(answer.body, "01234");
}

// --- content_stream over a real socket -----------------------------------------------------------

TEST_P(ProducedAnswers, OfASeekableStreamAreRanged) {
  const std::string text = pattern(300'000);
  answer([&](HttpResponse& response) {
    response.content_stream(std::make_unique<std::istringstream>(text)).etag("\"v1\"");
  });
  Running running = start();
  HttpClient http = client();
  HttpReply part = http.get("/", "Range: bytes=100000-299999\r\nIf-Range: \"v1\"\r\n");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.field("Content-Range"), "bytes 100000-299999/300000");
  EXPECT_TRUE(part.body == text.substr(100'000));
  EXPECT_EQ(http.get("/", "Range: bytes=0-1\r\nIf-Range: \"v2\"\r\n").status, 200);
  HttpReply none = http.get("/", "Range: bytes=300000-\r\n");
  EXPECT_EQ(none.status, 416);
  EXPECT_EQ(none.field("Content-Range"), "bytes */300000");
  EXPECT_EQ(http.get("/", "If-None-Match: \"v1\"\r\n").status, 304);
  HttpReply head = http.request("HEAD", "/");
  EXPECT_EQ(head.field("Content-Length"), "300000");
  EXPECT_EQ(head.field("Accept-Ranges"), "bytes");
}

TEST_P(ProducedAnswers, OfAStreamThatBreaksAtOnceAre500) {
  Told<bool> thrown;
  server.on_exception = [&](Connection, const std::exception_ptr&) { thrown.tell(true); };
  class Broken final : public std::streambuf {
    int_type underflow() override { throw std::runtime_error("no"); }
  };
  class BrokenStream final : public std::istream {
   public:
    BrokenStream() : std::istream(nullptr) {
      rdbuf(&buffer_);
      exceptions(std::ios::badbit);
    }

   private:
    Broken buffer_;
  };
  answer([](HttpResponse& response) { response.content_stream(std::make_unique<BrokenStream>()); });
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(http.get("/").status, 500);
  EXPECT_TRUE(thrown.wait_for(2));
}

TEST_P(ProducedAnswers, OfAStreamAreReadAtTheClientsPaceAndLetGoWithIt) {
  server.limits.send_queue_bytes = 100'000;
  std::atomic<std::size_t> read{0};
  Told<std::thread::id> gone;
  answer([&](HttpResponse& response) {
    response.content_stream(std::make_unique<EndlessStream>(read, gone));
  });
  Running running = start();
  HttpClient http = client();
  http.receive_buffer(16'384);
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_FALSE(http.wait_for(1'000'000).empty());
  EXPECT_LT(read.load(), 50'000'000u);
  EXPECT_EQ(gone.size(), 0u);
  http.reset();
  ASSERT_TRUE(gone.wait_for(1));
  EXPECT_EQ(handlers.count(gone.all()[0]), 0u);
}

INSTANTIATE_TEST_SUITE_P(Api, ProducedAnswers, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
