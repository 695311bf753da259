// tests/proto/http1/request_encoder_test.cpp - request heads as bytes, their bounds, and back
// again.
#include "proto/http1/request_encoder.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/http1/cuts.hpp"

namespace sluice::http1 {
namespace {

std::string written(const RequestHeadOut& head) {
  std::vector<char> room(request_head_bound(head));
  const char* end = write_request_head(room.data(), head);
  EXPECT_LE(end, room.data() + room.size());
  return {static_cast<const char*>(room.data()), end};
}

TEST(RequestEncoder, TheOrderOfTheFields) {
  EXPECT_EQ(written({.method = "POST",
                     .target = "/a?b",
                     .host = "c:81",
                     .framing = Framing::length,
                     .connection = ConnectionField::keep_alive,
                     .content_length = 5,
                     .fields = "D: e\r\n"}),
            "POST /a?b HTTP/1.1\r\nHost: c:81\r\nD: e\r\nConnection: keep-alive\r\n"
            "Content-Length: 5\r\n\r\n");
  EXPECT_EQ(written({}), "GET / HTTP/1.1\r\nHost: \r\n\r\n");
}

TEST(RequestEncoder, TheBoundHolds) {
  const std::string text(2000, 'x');
  const std::string field = "X: " + text + "\r\n";
  for (const Framing framing : {Framing::length, Framing::chunked, Framing::none}) {
    written({.method = text,
             .target = text,
             .host = text,
             .framing = framing,
             .connection = ConnectionField::keep_alive,
             .content_length = 18446744073709551615u,
             .fields = field});
  }
}

TEST(RequestEncoder, TheDecoderReadsIt) {
  for (const Framing framing : {Framing::length, Framing::chunked, Framing::none}) {
    const std::string wire = written({.method = "PATCH",
                                      .target = "/a/b?c=d",
                                      .host = "[::1]:8080",
                                      .framing = framing,
                                      .connection = ConnectionField::close,
                                      .content_length = 9,
                                      .fields = "Accept: */*\r\nX:y\r\n"});
    RequestDecoder decoder;
    http::RequestHead head;
    ASSERT_TRUE(decoder.decode(as_bytes(wire), {}, head).is_done()) << wire;
    EXPECT_EQ(head.method, http::Method::patch);
    EXPECT_EQ(head.target, "/a/b?c=d");
    EXPECT_EQ(head.host, "[::1]:8080");
    EXPECT_EQ(head.find("x"), "y");
    EXPECT_EQ(head.find(http::FieldId::accept), "*/*");
    EXPECT_FALSE(head.keep_alive);
    EXPECT_EQ(head.body, framing == Framing::length    ? http::BodyKind::length
                         : framing == Framing::chunked ? http::BodyKind::chunked
                                                       : http::BodyKind::none);
  }
}

TEST(RequestEncoder, WhatCanBeWritten) {
  EXPECT_TRUE(is_writable({.method = "GET", .target = "/", .host = "a"}));
  EXPECT_TRUE(is_writable({.method = "OPTIONS", .target = "*", .host = ""}));
  EXPECT_FALSE(is_writable({.method = "", .target = "/", .host = "a"}));
  EXPECT_FALSE(is_writable({.method = "G T", .target = "/", .host = "a"}));
  EXPECT_FALSE(is_writable({.method = "GET", .target = "", .host = "a"}));
  EXPECT_FALSE(is_writable({.method = "GET", .target = "/ HTTP/1.1\r\nX: y", .host = "a"}));
  EXPECT_FALSE(is_writable({.method = "GET", .target = "/#a", .host = "a"}));
  EXPECT_FALSE(is_writable({.method = "GET", .target = "/", .host = "a\r\nX: y"}));
  EXPECT_FALSE(is_writable({.method = "GET", .target = "/", .host = "a/b"}));
}

}  // namespace
}  // namespace sluice::http1
