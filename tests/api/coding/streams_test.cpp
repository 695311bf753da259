// tests/api/coding/streams_test.cpp - streamed answers that are coded as they pass.
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

#include "api/coding/coding_harness.hpp"

namespace sluice::test {
namespace {

class CodedStreams : public CodingTest {
 protected:
  // The next chunk of a body of which the client reads the head first.
  static std::optional<std::string> chunk(HttpClient& http) {
    std::string size, text;
    while (!size.ends_with("\r\n")) {
      if (!http.read_bytes(1, size)) return std::nullopt;
    }
    const std::size_t count = std::stoul(size, nullptr, 16);
    if (!http.read_bytes(count + 2, text)) return std::nullopt;
    text.resize(count);
    return text;
  }
  static std::string head(HttpClient& http) {
    std::string text;
    while (!text.ends_with("\r\n\r\n")) {
      if (!http.read_bytes(1, text)) break;
    }
    return text;
  }

  Handover<BodyWriter> writers;
};

INSTANTIATE_TEST_SUITE_P(Setups, CodedStreams, engines_and_dispatches(), name_of);

// What was written can be read before there is more.
TEST_P(CodedStreams, AreFlushedWhenTheirWriterPauses) {
  answer = [&](const HttpRequest&, HttpResponse& response) {
    response.content_type("text/plain");
    writers.put(response.stream());
  };
  Running running = start();
  const std::pair<std::string_view, http::ContentCoding> cases[] = {
      {"gzip", http::ContentCoding::gzip},
      {"br", http::ContentCoding::br},
      {"zstd", http::ContentCoding::zstd}};
  for (const auto& [name, coding] : cases) {
    HttpClient http = client();
    ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: " + std::string(name) +
                          "\r\n\r\n"));
    std::optional<BodyWriter> writer = writers.take();
    ASSERT_TRUE(writer);
    const std::string fields = head(http);
    EXPECT_NE(fields.find("Content-Encoding: " + std::string(name)), std::string::npos) << fields;
    EXPECT_NE(fields.find("Vary: Accept-Encoding"), std::string::npos);
    Undoing undoing(coding);
    std::string expected;
    for (int i = 0; i < 5; ++i) {
      const std::string text = "piece " + std::to_string(i) + "\n";
      EXPECT_TRUE(writer->write(text));
      expected += text;
      std::optional<std::string> read;
      do {
        const auto piece = chunk(http);
        ASSERT_TRUE(piece) << name << ": what was written cannot be read";
        read = undoing.add(*piece, false);
        ASSERT_TRUE(read);
      } while (*read != expected);
    }
    EXPECT_EQ(writer->end({{"X-Sum", "5"}}), Errc::none);
    std::optional<std::string> read;
    for (;;) {
      const auto piece = chunk(http);
      if (!piece || piece->empty()) break;
      read = undoing.add(*piece, false);
    }
    EXPECT_EQ(undoing.add({}, true), expected);
  }
}

TEST_P(CodedStreams, EndWithTrailers) {
  answer = [&](const HttpRequest&, HttpResponse& response) {
    response.content_type("application/json");
    BodyWriter writer = response.stream();
    writer.write(lines(3'000));
    writer.write("end");
    EXPECT_EQ(writer.end({{"X-Sum", "5"}}), Errc::none);
  };
  Running running = start();
  const HttpReply reply = get("/", "br");
  ASSERT_TRUE(reply.complete);
  EXPECT_EQ(undone(reply.body, "br"), lines(3'000) + "end");
  ASSERT_EQ(reply.trailers.size(), 1u);
  EXPECT_EQ(reply.trailers[0].second, "5");
}

TEST_P(CodedStreams, WaitForASlowClient) {
  constexpr std::size_t kPiece = 100'000, kPieces = 200;
  server.limits.send_queue_bytes = 300'000;
  answer = [&](const HttpRequest&, HttpResponse& response) {
    response.content_type("text/plain");
    writers.put(response.stream());
  };
  Told<bool> writable;
  Running running = start();
  HttpClient http = client();
  http.receive_buffer(16'384);
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: zstd\r\n\r\n"));
  std::optional<BodyWriter> writer = writers.take();
  ASSERT_TRUE(writer);
  writer->on_writable([&] { writable.tell(true); });
  std::size_t written = 0;
  const std::string text = pattern(kPiece * kPieces);
  const auto write_until_full = [&] {
    while (written < kPieces) {
      ++written;
      if (!writer->write(std::string_view(text).substr((written - 1) * kPiece, kPiece))) return;
    }
  };
  write_until_full();
  ASSERT_LT(written, kPieces) << "a client that does not read must be felt";
  std::string body;
  std::jthread reader([&] { body = http.read().body; });
  for (std::size_t waited = 1; written < kPieces; ++waited) {
    ASSERT_TRUE(writable.wait_for(waited));
    write_until_full();
  }
  EXPECT_EQ(writer->end(), Errc::none);
  reader.join();
  EXPECT_TRUE(undone(body, "zstd") == text);
}

TEST_P(CodedStreams, OfAnIstreamAndOfAProducer) {
  const std::string text = lines(700'000);
  answer = [&](const HttpRequest& request, HttpResponse& response) {
    response.content_type("text/plain").etag("\"own\"");
    if (request.document() == "/stream") {
      response.content_stream(std::make_unique<std::istringstream>(text));
      return;
    }
    auto at = std::make_shared<std::size_t>(0);
    response.content_producer(
        [&text, at](std::span<std::byte> room) -> Result<std::size_t> {
          const Bytes all = as_bytes(std::string_view(text));
          const std::size_t count = std::min(room.size(), all.size() - *at);
          std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(*at), count, room.begin());
          *at += count;
          return count;
        },
        text.size());
  };
  Running running = start();
  for (const std::string_view target : {"/stream", "/producer"}) {
    const HttpReply reply = get(target, "gzip");
    ASSERT_TRUE(reply.complete) << target;
    EXPECT_EQ(reply.field("Content-Encoding"), "gzip");
    EXPECT_EQ(reply.field("ETag"), "W/\"own\"");
    EXPECT_FALSE(reply.has("Content-Length"));
    EXPECT_FALSE(reply.has("Accept-Ranges"));
    EXPECT_TRUE(undone(reply.body, "gzip") == text) << target;
    const HttpReply head = ask("HEAD", target, "gzip");
    EXPECT_EQ(head.field("Content-Encoding"), "gzip") << target;
    EXPECT_FALSE(head.has("Content-Length")) << target;
  }
  // The weak tag finds the application's own.
  const HttpReply same = get("/stream", "gzip", "If-None-Match: W/\"own\"\r\n");
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.field("ETag"), "W/\"own\"");
  EXPECT_EQ(same.field("Vary"), "Accept-Encoding");
  EXPECT_FALSE(same.has("Content-Encoding"));
  EXPECT_EQ(get("/stream", "", "If-None-Match: \"own\"\r\n").field("ETag"), "\"own\"");
  // A range is one of what was not coded.
  const HttpReply part = get("/stream", "gzip", "Range: bytes=10-19\r\n");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, text.substr(10, 10));
  EXPECT_FALSE(part.has("Content-Encoding"));
}

// A producer that has nothing for a while: what it made before can be read.
TEST_P(CodedStreams, OfAProducerAreFlushedWhileItWaits) {
  Gate gate;
  answer = [&](const HttpRequest&, HttpResponse& response) {
    auto step = std::make_shared<int>(0);
    response.content_type("text/plain")
        .content_producer([&gate, step](std::span<std::byte> room) -> Result<std::size_t> {
          if (++*step == 2) {
            EXPECT_TRUE(gate.wait());
          }
          if (*step == 3) return std::size_t{0};
          room[0] = std::byte{'x'};
          return std::size_t{1};
        });
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"));
  EXPECT_NE(head(http).find("Content-Encoding: gzip"), std::string::npos);
  Undoing undoing(http::ContentCoding::gzip);
  std::optional<std::string> read;
  do {
    const auto piece = chunk(http);
    ASSERT_TRUE(piece);
    read = undoing.add(*piece, false);
  } while (read == "");
  EXPECT_EQ(read, "x");
  gate.open();
  for (;;) {
    const auto piece = chunk(http);
    ASSERT_TRUE(piece);
    if (piece->empty()) break;
    read = undoing.add(*piece, false);
  }
  EXPECT_EQ(undoing.add({}, true), "xx");
}

// Only where its owner names the type.
TEST_P(CodedStreams, OfEvents) {
  server.content_coding.types = {"text/event-stream"};
  Handover<EventStream> streams;
  answer = [&](const HttpRequest&, HttpResponse& response) {
    streams.put(response.event_stream());
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n"));
  std::optional<EventStream> stream = streams.take();
  ASSERT_TRUE(stream);
  EXPECT_NE(head(http).find("Content-Encoding: br"), std::string::npos);
  Undoing undoing(http::ContentCoding::br);
  for (int i = 1; i <= 3; ++i) {
    const std::string text = "event " + std::to_string(i);
    EXPECT_EQ(stream->send({.data = text}), Errc::none);
    std::optional<std::string> read;
    do {
      const auto piece = chunk(http);
      ASSERT_TRUE(piece);
      read = undoing.add(*piece, false);
      ASSERT_TRUE(read);
    } while (!read->ends_with("data: " + text + "\n\n"));
  }
  stream->close();
}

TEST_P(CodedStreams, BrokenOffAreNotComplete) {
  answer = [&](const HttpRequest&, HttpResponse& response) {
    response.content_type("text/plain");
    response.stream().write(lines(100'000));  // and goes without end()
  };
  Running running = start();
  EXPECT_FALSE(get("/", "gzip").complete);
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
}

}  // namespace
}  // namespace sluice::test
