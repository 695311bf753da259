// tests/proto/http1/response_encoder_test.cpp - heads as bytes, their bounds, and back again.
#include "proto/http1/response_encoder.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/http1/cuts.hpp"

namespace sluice::http1 {
namespace {

// Room of exactly the bound: writing over it is seen by AddressSanitizer.
std::string written(const ResponseHeadOut& head) {
  std::vector<char> room(response_head_bound(head));
  const char* end = write_response_head(room.data(), head);
  EXPECT_LE(end, room.data() + room.size());
  return {static_cast<const char*>(room.data()), end};
}

constexpr std::string_view kDate = "Sun, 06 Nov 1994 08:49:37 GMT";

TEST(ResponseEncoder, TheOrderOfTheFields) {
  EXPECT_EQ(written({.connection = ConnectionField::close,
                     .content_length = 5,
                     .date = kDate,
                     .server = "Sluice",
                     .fields = "A: b\r\nC: d\r\n"}),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: Sluice\r\n"
            "A: b\r\nC: d\r\nConnection: close\r\nContent-Length: 5\r\n\r\n");
}

TEST(ResponseEncoder, TheTypeStandsBehindTheFields) {
  EXPECT_EQ(written({.content_length = 42, .fields = "A: b\r\n", .type = "text/plain"}),
            "HTTP/1.1 200 OK\r\nA: b\r\nContent-Type: text/plain\r\nContent-Length: 42\r\n\r\n");
  EXPECT_EQ(written({.framing = Framing::none, .type = ""}),
            "HTTP/1.1 200 OK\r\nContent-Type: \r\n\r\n");
}

TEST(ResponseEncoder, LengthsOfEverySize) {
  std::vector<std::uint64_t> lengths = {99'999, 100'000, 4'294'967'296};
  for (std::uint64_t length = 0; length < 10'100; ++length) lengths.push_back(length);
  for (std::uint64_t length : lengths) {
    EXPECT_EQ(written({.content_length = length}),
              "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n");
  }
}

TEST(ResponseEncoder, ADateOfAnotherSizeIsWrittenAsItIs) {
  EXPECT_EQ(written({.framing = Framing::none, .date = "some day"}),
            "HTTP/1.1 200 OK\r\nDate: some day\r\n\r\n");
}

TEST(ResponseEncoder, WhatIsAbsent) {
  EXPECT_EQ(written({.status = 204, .framing = Framing::none}), "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(written({}), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

TEST(ResponseEncoder, Framings) {
  EXPECT_EQ(written({.framing = Framing::chunked}),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(written({.content_length = 18446744073709551615u}),
            "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n");
}

TEST(ResponseEncoder, Connections) {
  EXPECT_EQ(written({.framing = Framing::none, .connection = ConnectionField::keep_alive}),
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(
      written({.status = 101,
               .framing = Framing::none,
               .connection = ConnectionField::upgrade,
               .fields = "Upgrade: websocket\r\n"}),
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

TEST(ResponseEncoder, EveryStatusLine) {
  for (int status = 100; status <= 999; ++status) {
    EXPECT_EQ(written({.status = status, .framing = Framing::none}),
              "HTTP/1.1 " + std::to_string(status) + ' ' +
                  std::string(http::reason_phrase(status)) + "\r\n\r\n");
  }
  EXPECT_EQ(written({.status = 404, .reason = "Gone fishing", .framing = Framing::none}),
            "HTTP/1.1 404 Gone fishing\r\n\r\n");
}

TEST(ResponseEncoder, ANumberThatIsNoStatusIsAFault) {
  for (const int status : {-1, 0, 7, 99, 1000, 2147483647}) {
    EXPECT_EQ(written({.status = status, .framing = Framing::none}),
              "HTTP/1.1 500 Internal Server Error\r\n\r\n");
  }
}

TEST(ResponseEncoder, TheBoundHoldsForTheLongestOfEverything) {
  const std::string reason(300, 'r');
  const std::string server(300, 's');
  const std::string fields = "X: " + std::string(3000, 'y') + "\r\n";
  for (int status = 100; status < 600; ++status) {
    for (const Framing framing : {Framing::length, Framing::chunked, Framing::none}) {
      for (const bool own_reason : {false, true}) {
        written({.status = status,
                 .reason = own_reason ? std::string_view(reason) : std::string_view(),
                 .framing = framing,
                 .connection = ConnectionField::keep_alive,
                 .content_length = 18446744073709551615u,
                 .date = kDate,
                 .server = server,
                 .fields = fields});
      }
    }
  }
}

TEST(ResponseEncoder, TheDecoderReadsIt) {
  for (const Framing framing : {Framing::length, Framing::chunked, Framing::none}) {
    const std::string wire = written({.status = 404,
                                      .framing = framing,
                                      .connection = ConnectionField::close,
                                      .content_length = 77,
                                      .date = kDate,
                                      .server = "Sluice",
                                      .fields = "Content-Type: text/plain\r\nX:y\r\n"});
    ResponseDecoder decoder;
    http::ResponseHead head;
    ASSERT_TRUE(decoder.decode(as_bytes(wire), http::Method::get, {}, head).is_done());
    EXPECT_EQ(head.status, 404);
    EXPECT_EQ(head.reason, "Not Found");
    EXPECT_EQ(head.find("date"), kDate);
    EXPECT_EQ(head.find("server"), "Sluice");
    EXPECT_EQ(head.find("x"), "y");
    EXPECT_FALSE(head.keep_alive);
    EXPECT_EQ(head.body, framing == Framing::length    ? http::BodyKind::length
                         : framing == Framing::chunked ? http::BodyKind::chunked
                                                       : http::BodyKind::until_close);
    EXPECT_EQ(head.content_length, framing == Framing::length ? 77u : 0u);
  }
}

TEST(ResponseEncoder, Continue) {
  const std::string_view wire = continue_response();
  const Outcome outcome = one_response_verdict(wire);
  EXPECT_TRUE(outcome.done);
  EXPECT_EQ(outcome.used, wire.size());
}

TEST(ResponseEncoder, ChunkHeads) {
  const auto chunk_head = [](std::uint64_t size) {
    char out[kChunkHeadBound];
    return std::string(out, write_chunk_head(out, size));
  };
  EXPECT_EQ(chunk_head(1), "1\r\n");
  EXPECT_EQ(chunk_head(10), "a\r\n");
  EXPECT_EQ(chunk_head(16384), "4000\r\n");
  EXPECT_EQ(chunk_head(18446744073709551615u), "ffffffffffffffff\r\n");
}

TEST(ResponseEncoder, FieldsOfAnApplication) {
  EXPECT_TRUE(is_field_name("X-Name"));
  EXPECT_TRUE(is_field_name("a!#$%&'*+-.^_`|~0Z"));
  EXPECT_FALSE(is_field_name(""));
  EXPECT_FALSE(is_field_name("a b"));
  EXPECT_FALSE(is_field_name("a:"));
  EXPECT_FALSE(is_field_name("a\r\nb"));
  EXPECT_FALSE(is_field_name("\xe4"));
  EXPECT_TRUE(is_field_value(""));
  EXPECT_TRUE(is_field_value({}));
  EXPECT_TRUE(is_field_value(" a\tb \xe4"));
  for (int byte = 0; byte < 256; ++byte) {
    const bool good = (byte >= 0x20 && byte != 0x7f) || byte == '\t';
    for (std::size_t at = 0; at < 40; ++at) {
      std::string value(40, 'x');
      value[at] = static_cast<char>(byte);
      EXPECT_EQ(is_field_value(value), good) << byte << " at " << at;
    }
  }
}

}  // namespace
}  // namespace sluice::http1
