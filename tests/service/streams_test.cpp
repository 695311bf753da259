// tests/service/streams_test.cpp - content_stream: bodies that are read from a std::istream.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <sstream>
#include <string>

#include "harness.hpp"

namespace sluice::test {
namespace {

// Reads from a string, cannot seek, gives at most `most` bytes at a time and may throw in the end.
class Trickle final : public std::streambuf {
 public:
  Trickle(std::string text, std::size_t most, bool throws)
      : text_(std::move(text)), most_(most), throws_(throws) {}

 protected:
  int_type underflow() override {
    if (at_ == text_.size()) {
      if (throws_) throw std::runtime_error("the source broke");
      return traits_type::eof();
    }
    const std::size_t count = std::min(most_, text_.size() - at_);
    setg(text_.data() + at_, text_.data() + at_, text_.data() + at_ + count);
    at_ += count;
    return traits_type::to_int_type(*gptr());
  }

 private:
  std::string text_;
  std::size_t most_, at_ = 0;
  bool throws_;
};

class TrickleStream final : public std::istream {
 public:
  TrickleStream(std::string text, std::size_t most, bool throws = false,
                std::atomic<int>* alive = nullptr)
      : std::istream(nullptr), buffer_(std::move(text), most, throws), alive_(alive) {
    rdbuf(&buffer_);
    if (alive_) ++*alive_;
  }
  ~TrickleStream() override {
    if (alive_) --*alive_;
  }

 private:
  Trickle buffer_;
  std::atomic<int>* alive_;
};

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

using Answer = std::function<void(HttpResponse&)>;

Outcome ask(Answer answer, std::string_view fields = {}, std::string_view method = "GET") {
  Harness harness(
      {}, [&](Connection, const HttpRequest&, HttpResponse& response) { answer(response); });
  return harness.request(method, "/", fields);
}

TEST(Streams, SeekableOnesAreMeasuredFromWhereTheyStand) {
  const std::string text = pattern(200'001);
  for (const std::size_t from :
       {std::size_t{0}, std::size_t{1}, std::size_t{100'000}, text.size()}) {
    Outcome got = ask([&](HttpResponse& response) {
      auto source = std::make_unique<std::istringstream>(text);
      source->seekg(static_cast<std::streamoff>(from));
      response.content_stream(std::move(source)).content_type("text/x-pattern");
    });
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.length, text.size() - from);
    EXPECT_EQ(got.body, text.substr(from));
    EXPECT_EQ(got.type, "text/x-pattern");
    EXPECT_FALSE(got.broken);
  }
}

TEST(Streams, OthersAreSentChunkedWithTrailers) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{65'535},
                                 std::size_t{65'536}, std::size_t{65'537}, std::size_t{300'000}}) {
    for (const std::size_t most : {std::size_t{1'000}, std::size_t{1} << 20}) {
      const std::string text = pattern(size);
      Outcome got = ask([&](HttpResponse& response) {
        response.content_stream(std::make_unique<TrickleStream>(text, most)).trailer("X-Sum", "1");
      });
      EXPECT_TRUE(got.streamed);
      EXPECT_FALSE(got.length) << size;
      EXPECT_EQ(got.body, text) << size;
      EXPECT_EQ(got.trailers, "X-Sum: 1\r\n");
      EXPECT_FALSE(got.has("Accept-Ranges"));
    }
  }
}

TEST(Streams, AGivenLengthIsSentAndNoMore) {
  const std::string text = pattern(100'000);
  Outcome got = ask([&](HttpResponse& response) {
    response.content_stream(std::make_unique<TrickleStream>(text, 5'000), 70'000);
  });
  EXPECT_EQ(got.length, 70'000u);
  EXPECT_EQ(got.body, text.substr(0, 70'000));
  EXPECT_FALSE(got.broken);
}

TEST(Streams, ASourceThatEndsTooEarlyBreaksOff) {
  Outcome got = ask([&](HttpResponse& response) {
    response.content_stream(std::make_unique<TrickleStream>(pattern(100'000), 5'000), 100'001);
  });
  EXPECT_TRUE(got.broken);
  EXPECT_EQ(got.why, Errc::http_length_mismatch);
  EXPECT_EQ(got.body.size(), 100'000u);
  // Where it can be known beforehand nothing false is promised.
  got = ask([&](HttpResponse& response) {
    response.content_stream(std::make_unique<std::istringstream>("short"), 6);
  });
  EXPECT_EQ(got.status, 500);
}

TEST(Streams, ASourceThatThrowsBreaksOff) {
  Outcome got = ask([&](HttpResponse& response) {
    auto source = std::make_unique<TrickleStream>(pattern(100'000), 5'000, true);
    source->exceptions(std::ios::badbit);
    response.content_stream(std::move(source));
  });
  EXPECT_TRUE(got.broken);
  EXPECT_EQ(got.why, Errc::io_failed);
}

TEST(Streams, TheServerRangesASeekableStream) {
  const std::string text = pattern(150'000);
  const Answer answer = [&](HttpResponse& response) {
    response.content_stream(std::make_unique<std::istringstream>(text))
        .content_type("text/x-p")
        .etag("\"v1\"");
  };
  Outcome got = ask(answer, "Range: bytes=100-90000\r\n");
  EXPECT_EQ(got.status, 206);
  EXPECT_EQ(got.field("Content-Range"), "bytes 100-90000/150000");
  EXPECT_EQ(got.field("Accept-Ranges"), "bytes");
  EXPECT_EQ(got.length, 89'901u);
  EXPECT_EQ(got.body, text.substr(100, 89'901));
  got = ask(answer, "Range: bytes=-5\r\n");
  EXPECT_EQ(got.body, text.substr(149'995));
  got = ask(answer, "Range: bytes=150000-\r\n");
  EXPECT_EQ(got.status, 416);
  EXPECT_EQ(got.field("Content-Range"), "bytes */150000");
  got = ask(answer, "Range: bytes=0-1,100000-199999\r\n");
  EXPECT_EQ(got.status, 206);
  EXPECT_TRUE(got.type.starts_with("multipart/byteranges; boundary="));
  EXPECT_EQ(got.length, got.body.size());
  EXPECT_NE(got.body.find("Content-Range: bytes 0-1/150000\r\n\r\n" + text.substr(0, 2) + "\r\n--"),
            std::string::npos);
  EXPECT_NE(
      got.body.find("Content-Range: bytes 100000-149999/150000\r\n\r\n" + text.substr(100'000)),
      std::string::npos);
  EXPECT_EQ(ask(answer, "Range: bytes=0-1\r\nIf-Range: \"v1\"\r\n").status, 206);
  EXPECT_EQ(ask(answer, "Range: bytes=0-1\r\nIf-Range: \"v2\"\r\n").status, 200);
  EXPECT_EQ(ask(answer, "If-None-Match: \"v1\"\r\n").status, 304);
  EXPECT_EQ(ask(answer, "If-None-Match: \"v1\"\r\n").body, "");
  EXPECT_EQ(ask(answer, "If-Match: \"v2\"\r\n").status, 412);
  // Ranges count from where the stream stood.
  got = ask(
      [&](HttpResponse& response) {
        auto source = std::make_unique<std::istringstream>("....0123456789");
        source->seekg(4);
        response.content_stream(std::move(source));
      },
      "Range: bytes=2-3\r\n");
  EXPECT_EQ(got.body, "23");
  EXPECT_EQ(got.field("Content-Range"), "bytes 2-3/10");
}

TEST(Streams, AHandlerThatHasDoneTheRangeIsLeftAlone) {
  const auto answer = [](std::string text, std::uint64_t first, std::uint64_t last) {
    return [=](HttpResponse& response) {
      response.content_stream(std::make_unique<std::istringstream>(text))
          .content_range_start(first)
          .content_range_end(last)
          .content_range_instance_length(std::uint64_t{1} << 40);
    };
  };
  Outcome got = ask(answer("01234", 1'000'000'000'000, 1'000'000'000'004), "Range: bytes=0-1\r\n");
  EXPECT_EQ(got.status, 206);
  EXPECT_EQ(got.field("Content-Range"), "bytes 1000000000000-1000000000004/1099511627776");
  EXPECT_EQ(got.body, "01234");
  EXPECT_EQ(got.length, 5u);
  EXPECT_EQ(ask(answer("0123456", 0, 4)).body, "01234") << "the rest of the source is not sent";
  EXPECT_EQ(ask(answer("0123", 0, 4)).status, 500) << "shorter than it says";
  EXPECT_EQ(ask(answer("0123", 4, 0)).status, 500);
  // Status 206 alone means the same.
  got = ask(
      [](HttpResponse& response) {
        response.response_no(206)
            .header("Content-Range", "bytes 0-4/10")
            .content_stream(std::make_unique<std::istringstream>("01234"));
      },
      "Range: bytes=2-3\r\n");
  EXPECT_EQ(got.body, "01234");
}

TEST(Streams, HeadHasALengthAndNoBody) {
  Outcome got = ask(
      [](HttpResponse& response) {
        response.content_stream(std::make_unique<std::istringstream>("01234"));
      },
      {}, "HEAD");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.length, 5u);
  EXPECT_EQ(got.body, "");
  got = ask(
      [](HttpResponse& response) {
        response.content_stream(std::make_unique<TrickleStream>("01234", 1));
      },
      {}, "HEAD");
  EXPECT_FALSE(got.length) << "unknown";
  EXPECT_EQ(got.body, "");
}

TEST(Streams, NoMoreIsReadThanTheConnectionTakes) {
  std::atomic<int> alive{0};
  Harness harness({}, [&](Connection, const HttpRequest&, HttpResponse& response) {
    response.content_stream(
        std::make_unique<TrickleStream>(pattern(1'000'000), 1 << 20, false, &alive));
  });
  RecordingPort port;
  port.room = 100'000;
  const std::string text = Harness::text_of("GET", "/");
  core::Exchange* exchange = harness.begin(port, text);
  harness.settle();
  EXPECT_FALSE(port.done);
  EXPECT_GE(port.written, 100'000u);
  EXPECT_LE(port.written, 100'000u + service::StreamBody::kPiece);
  const std::size_t before = port.written;
  harness.settle();
  EXPECT_EQ(port.written, before) << "nothing without on_writable";
  port.room = before + 1;
  harness.session().on_writable(*exchange);
  harness.settle();
  EXPECT_EQ(port.written, before + service::StreamBody::kPiece);
  port.room = ~std::size_t{0};
  harness.session().on_writable(*exchange);
  harness.finish(port);
  EXPECT_EQ(port.outcome.body, pattern(1'000'000));
  harness.settle();
  EXPECT_EQ(alive.load(), 0);
}

TEST(Streams, AClientThatGoesEndsTheReading) {
  for (const bool while_reading : {false, true}) {
    std::atomic<int> alive{0};
    Harness harness({}, [&](Connection, const HttpRequest&, HttpResponse& response) {
      response.content_stream(
          std::make_unique<TrickleStream>(pattern(1'000'000), 1 << 20, false, &alive));
    });
    RecordingPort port;
    port.room = 1;
    const std::string text = Harness::text_of("GET", "/");
    core::Exchange* exchange = harness.begin(port, text);
    if (!while_reading) harness.settle();  // it waits for room
    EXPECT_EQ(alive.load(), 1);
    harness.session().on_abort(*exchange);
    exchange->release();
    harness.settle();
    EXPECT_EQ(alive.load(), 0);
    EXPECT_FALSE(port.done);
  }
}

TEST(Streams, TooMuchWaitingIs503) {
  Harness harness({}, [&](Connection, const HttpRequest&, HttpResponse& response) {
    response.content_stream(std::make_unique<std::istringstream>("x"));
  });
  harness.full = true;
  EXPECT_EQ(harness.get("/").status, 503);
}

}  // namespace
}  // namespace sluice::test
