// tests/proto/http1/response_decoder_test.cpp - response heads, read as a client.
#include "proto/http1/response_decoder.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "proto/http1/cuts.hpp"

namespace sluice::http1 {
namespace {

using namespace std::string_view_literals;
using http::BodyKind;
using http::Method;
using http::ResponseHead;
using enum Errc;

struct Row {
  const char* name;
  std::string_view wire;
  Errc verdict = none;
};

constexpr Row kRows[] = {
    {"200", "HTTP/1.1 200 OK\r\n\r\n"},
    {"an empty reason", "HTTP/1.1 200 \r\n\r\n"},
    {"no space behind the number", "HTTP/1.1 200\r\n\r\n"},
    {"a reason of several words", "HTTP/1.1 404 Not Found at all\r\n\r\n"},
    {"obs-text and tabs in the reason", "HTTP/1.1 200 \xe4\t ok\r\n\r\n"},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n"},
    {"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n"},
    {"an unknown number", "HTTP/1.1 799 x\r\n\r\n"},
    {"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", http_version_not_supported},
    {"lower case", "http/1.1 200 OK\r\n\r\n", http_bad_version},
    {"another protocol", "ICY 200 OK\r\n\r\n", http_bad_version},
    {"a request", "GET / HTTP/1.1\r\n\r\n", http_bad_version},
    {"an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", http_bad_version},
    {"no number", "HTTP/1.1\r\n\r\n", http_bad_status_line},
    {"no number, but a space", "HTTP/1.1 \r\n\r\n", http_bad_status_line},
    {"two digits", "HTTP/1.1 20 OK\r\n\r\n", http_bad_status_line},
    {"four digits", "HTTP/1.1 2000 OK\r\n\r\n", http_bad_status_line},
    {"a number below 100", "HTTP/1.1 099 OK\r\n\r\n", http_bad_status_line},
    {"a sign", "HTTP/1.1 +20 OK\r\n\r\n", http_bad_status_line},
    {"letters", "HTTP/1.1 2xx OK\r\n\r\n", http_bad_status_line},
    {"two spaces", "HTTP/1.1  200 OK\r\n\r\n", http_bad_status_line},
    {"a tab", "HTTP/1.1\t200 OK\r\n\r\n", http_bad_status_line},
    {"a tab behind the number", "HTTP/1.1 200\tOK\r\n\r\n", http_bad_status_line},
    {"NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n"sv, http_bad_status_line},
    {"CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", http_bare_cr},
    {"LF behind the reason", "HTTP/1.1 200 OK\n\r\n", http_bare_lf},
    {"LF behind the number", "HTTP/1.1 200\n\r\n", http_bare_lf},
    {"LF for the empty line", "HTTP/1.1 200 OK\r\n\n", http_bare_lf},
    {"CR for the empty line", "HTTP/1.1 200 OK\r\n\rX", http_bare_cr},
    {"a field", "HTTP/1.1 200 OK\r\nX: y\r\n\r\n"},
    {"a folded field", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", http_obs_fold},
    {"a space before the colon", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n", http_space_before_colon},
    {"NUL in a value", "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n"sv, http_bad_field_value},
    {"a bad name", "HTTP/1.1 200 OK\r\nX y: z\r\n\r\n", http_bad_field_name},
    {"a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
    {"a bad length", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", http_bad_content_length},
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
     http_ambiguous_length},
    {"both", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
     http_ambiguous_length},
    {"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", http_bad_transfer_encoding},
    {"gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
     http_transfer_encoding_not_supported},
    {"chunked in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     http_bad_transfer_encoding},
    {"chunked in 204", "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n",
     http_bad_transfer_encoding},
    {"chunked in 101", "HTTP/1.1 101 x\r\nTransfer-Encoding: chunked\r\n\r\n",
     http_bad_transfer_encoding},
    {"a length in 204", "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", http_ambiguous_length},
    {"a length of 0 in 204", "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n"},
    {"a length in 304", "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n"},
    {"100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"},
};

TEST(ResponseDecoder, Rows) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    const Outcome outcome = one_response_verdict(row.wire);
    EXPECT_EQ(outcome.error, row.verdict);
    EXPECT_EQ(outcome.done, row.verdict == none);
  }
}

ResponseHead decoded(std::string_view wire, Method request = Method::get) {
  ResponseDecoder decoder;
  ResponseHead head;
  EXPECT_TRUE(decoder.decode(as_bytes(wire), request, {}, head).is_done()) << wire;
  return head;
}

TEST(ResponseDecoder, SaysWhatTheHeadSays) {
  const ResponseHead head = decoded("HTTP/1.1 404 Not Found\r\nX: y\r\ncontent-length: 12\r\n\r\n");
  EXPECT_EQ(head.status, 404);
  EXPECT_EQ(head.reason, "Not Found");
  EXPECT_EQ(head.minor, 1);
  EXPECT_EQ(head.body, BodyKind::length);
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_EQ(head.find("x"), "y");
  EXPECT_EQ(head.find(http::FieldId::content_length), "12");
  EXPECT_EQ(decoded("HTTP/1.1 200\r\n\r\n").reason, "");
}

TEST(ResponseDecoder, WhichResponsesHaveABody) {
  const char* chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(decoded(chunked).body, BodyKind::chunked);
  EXPECT_EQ(decoded(chunked, Method::head).body, BodyKind::none);
  const char* length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
  EXPECT_EQ(decoded(length).body, BodyKind::length);
  const ResponseHead head = decoded(length, Method::head);
  EXPECT_EQ(head.body, BodyKind::none);
  EXPECT_EQ(head.content_length, 5u);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_EQ(decoded("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n").body, BodyKind::none);
  EXPECT_EQ(decoded("HTTP/1.1 304 x\r\n\r\n").keep_alive, true);
  EXPECT_EQ(decoded("HTTP/1.1 204 x\r\n\r\n").body, BodyKind::none);
  EXPECT_EQ(decoded("HTTP/1.1 101 x\r\nUpgrade: a\r\n\r\n").body, BodyKind::none);
  EXPECT_EQ(decoded("HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n").body, BodyKind::none);
  EXPECT_EQ(decoded("HTTP/1.1 404 x\r\n\r\n", Method::connect).body, BodyKind::until_close);
}

TEST(ResponseDecoder, ABodyWithoutALengthEndsTheConnection) {
  const ResponseHead head = decoded("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(head.body, BodyKind::until_close);
  EXPECT_FALSE(head.keep_alive);
}

TEST(ResponseDecoder, KeepAlive) {
  EXPECT_FALSE(decoded("HTTP/1.1 204 x\r\nConnection: close\r\n\r\n").keep_alive);
  EXPECT_FALSE(decoded("HTTP/1.0 204 x\r\n\r\n").keep_alive);
  EXPECT_TRUE(decoded("HTTP/1.0 204 x\r\nConnection: keep-alive\r\n\r\n").keep_alive);
}

TEST(ResponseDecoder, AConnectThatSucceededIsRefused) {
  EXPECT_EQ(one_response_verdict("HTTP/1.1 200 OK\r\n\r\n", Method::connect).error,
            http_bad_status_line);
}

TEST(ResponseDecoder, Limits) {
  const std::string wire = "HTTP/1.1 200 OK\r\nAb: cd\r\nEf: gh\r\n\r\n";
  for (std::size_t limit = 0; limit <= wire.size(); ++limit) {
    const Outcome outcome = one_response_verdict(wire + "body", Method::get, {.head_bytes = limit});
    EXPECT_EQ(outcome.error, limit < wire.size() ? http_head_too_large : none) << limit;
  }
  EXPECT_TRUE(one_response_verdict(wire, Method::get, {.field_bytes = 6}).done);
  EXPECT_EQ(one_response_verdict(wire, Method::get, {.field_bytes = 5}).error,
            http_field_too_large);
  EXPECT_TRUE(one_response_verdict(wire, Method::get, {.fields = 2}).done);
  EXPECT_EQ(one_response_verdict(wire, Method::get, {.fields = 1}).error, http_too_many_fields);
}

TEST(ResponseDecoder, OneVerdictForMutatedHeads) {
  std::mt19937 random(20261122);
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  const std::string strange("\r\n\0 \t:,1HP/.\xff", 14);
  const Method methods[] = {Method::get, Method::head, Method::connect};
  for (int round = 0; round < 20000; ++round) {
    std::string wire(kRows[below(std::size(kRows))].wire);
    for (std::size_t change = below(4); change > 0; --change) {
      const std::size_t at = below(wire.size());
      if (below(2) == 0) {
        wire[at] = strange[below(strange.size())];
      } else {
        wire.insert(at, 1, strange[below(strange.size())]);
      }
    }
    const Method method = methods[below(3)];
    const http::HeadLimits limits{
        .head_bytes = below(120), .field_bytes = below(40), .fields = below(5)};
    const Outcome whole = feed_response(wire, {}, method, limits);
    Cuts bytes(wire.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = i;
    ASSERT_EQ(feed_response(wire, bytes, method, limits), whole) << wire;
    ASSERT_EQ(feed_response(wire, {below(wire.size())}, method, limits), whole) << wire;
  }
}

}  // namespace
}  // namespace sluice::http1
