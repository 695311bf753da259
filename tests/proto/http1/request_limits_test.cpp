// tests/proto/http1/request_limits_test.cpp - each limit of a head at its number and one over it.
#include <gtest/gtest.h>

#include <string>

#include "proto/http1/cuts.hpp"

namespace sluice::http1 {
namespace {

using http::HeadLimits;
using enum Errc;

const std::string kHead =
    "GET /path HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\n";

TEST(RequestLimits, HeadBytes) {
  EXPECT_TRUE(one_request_verdict(kHead, {.head_bytes = kHead.size()}).done);
  EXPECT_EQ(one_request_verdict(kHead, {.head_bytes = kHead.size() - 1}).error,
            http_head_too_large);
  // What follows the head does not count, and empty lines before it neither.
  EXPECT_TRUE(one_request_verdict(kHead + "body", {.head_bytes = kHead.size()}).done);
  EXPECT_TRUE(one_request_verdict("\r\n\r\n" + kHead, {.head_bytes = kHead.size()}).done);
  EXPECT_EQ(one_request_verdict("\r\n" + kHead, {.head_bytes = kHead.size() - 1}).error,
            http_head_too_large);
}

TEST(RequestLimits, AHeadThatIsNotCompleteIsRefusedAtTheSameNumber) {
  const std::string endless = kHead.substr(0, kHead.size() - 4) + std::string(200, 'z');
  EXPECT_EQ(one_request_verdict(endless, {.head_bytes = 100}).error, http_head_too_large);
  EXPECT_EQ(one_request_verdict("GET /" + std::string(200, 'a'), {.head_bytes = 100}).error,
            http_target_too_long);
}

TEST(RequestLimits, ARequestLineThatFillsTheHeadIsATargetTooLong) {
  const std::string line = "GET /" + std::string(80, 'a') + " HTTP/1.1\r\n";
  const std::string wire = line + "Host: a\r\n\r\n";
  EXPECT_TRUE(one_request_verdict(wire, {.head_bytes = wire.size()}).done);
  EXPECT_EQ(one_request_verdict(wire, {.head_bytes = line.size()}).error, http_head_too_large);
  EXPECT_EQ(one_request_verdict(wire, {.head_bytes = line.size() - 1}).error, http_target_too_long);
  EXPECT_EQ(one_request_verdict(wire, {.head_bytes = 10}).error, http_target_too_long);
}

TEST(RequestLimits, EveryHeadLimitGivesOneVerdict) {
  for (std::size_t limit = 1; limit <= kHead.size() + 1; ++limit) {
    const Outcome outcome = one_request_verdict(kHead + "GET /", {.head_bytes = limit});
    EXPECT_EQ(outcome.done, limit >= kHead.size()) << limit;
  }
}

TEST(RequestLimits, DefaultHeadBytes) {
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
  const auto head_of = [&](std::size_t bytes) {
    // Two fields, so that none of them is over its own limit.
    std::string wire = start + "X: " + std::string(8000, 'x') + "\r\nY: ";
    return wire + std::string(bytes - wire.size() - 4, 'y') + "\r\n\r\n";
  };
  EXPECT_TRUE(feed_request(head_of(16384), {}).done);
  EXPECT_EQ(feed_request(head_of(16385), {}).error, http_head_too_large);
  EXPECT_EQ(feed_request(head_of(16385), {100, 9000, 16383, 16384}).error, http_head_too_large);
}

TEST(RequestLimits, FieldBytes) {
  const auto with_line = [](std::size_t bytes) {
    return "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(bytes - 3, 'y') + "\r\n\r\n";
  };
  const HeadLimits limits{.field_bytes = 40};
  EXPECT_TRUE(one_request_verdict(with_line(40), limits).done);
  EXPECT_EQ(one_request_verdict(with_line(41), limits).error, http_field_too_large);
  EXPECT_EQ(one_request_verdict(with_line(80), limits).error, http_field_too_large);
  // Spaces count, the name counts.
  EXPECT_EQ(
      one_request_verdict("GET / HTTP/1.1\r\nX:" + std::string(39, ' ') + "\r\n\r\n", limits).error,
      http_field_too_large);
  EXPECT_EQ(one_request_verdict("GET / HTTP/1.1\r\n" + std::string(41, 'X') + ": y\r\n\r\n", limits)
                .error,
            http_field_too_large);
  EXPECT_EQ(
      one_request_verdict("GET / HTTP/1.1\r\nX" + std::string(41, ' ') + ": y\r\n\r\n", limits)
          .error,
      http_field_too_large);
  // What is wrong before the limit is told first, whatever comes behind.
  EXPECT_EQ(
      one_request_verdict("GET / HTTP/1.1\r\nX: \x01" + std::string(80, 'y') + "\r\n\r\n", limits)
          .error,
      http_bad_field_value);
  EXPECT_EQ(
      one_request_verdict("GET / HTTP/1.1\r\nX: " + std::string(80, 'y') + "\x01\r\n\r\n", limits)
          .error,
      http_field_too_large);
}

TEST(RequestLimits, EveryFieldLimitGivesOneVerdict) {
  const std::string lines[] = {
      "Host: aaaaaaaaaaaaaaaaaaaa", "Host: aaaaaaaa\r",   "Host \t : aaaaaaa", "Host:        ",
      "Hosthosthosthost",           "Host: aaaaaaa\raaa", "Host: aaaa\naaa"};
  for (const std::string& line : lines) {
    for (std::size_t limit = 0; limit <= line.size() + 2; ++limit) {
      one_request_verdict("GET / HTTP/1.1\r\n" + line + "\r\n\r\n", {.field_bytes = limit});
      for (std::size_t head = 16; head < 19 + line.size(); ++head) {
        one_request_verdict("GET / HTTP/1.1\r\n" + line + "\r\n\r\n",
                            {.head_bytes = head, .field_bytes = limit});
      }
    }
  }
}

TEST(RequestLimits, Fields) {
  const auto with_fields = [](std::size_t count) {
    std::string wire = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (std::size_t i = 1; i < count; ++i) wire += "X: y\r\n";
    return wire + "\r\n";
  };
  EXPECT_TRUE(one_request_verdict(with_fields(5), {.fields = 5}).done);
  EXPECT_EQ(one_request_verdict(with_fields(6), {.fields = 5}).error, http_too_many_fields);
  EXPECT_TRUE(feed_request(with_fields(128), {}).done);
  EXPECT_EQ(feed_request(with_fields(129), {}).error, http_too_many_fields);
}

TEST(RequestLimits, LimitsMayBeAsLargeAsTheyGet) {
  const HeadLimits none{.head_bytes = SIZE_MAX, .field_bytes = SIZE_MAX, .fields = SIZE_MAX};
  EXPECT_TRUE(one_request_verdict(kHead, none).done);
}

TEST(RequestLimits, TinyLimitsRefuse) {
  EXPECT_EQ(one_request_verdict(kHead, {.head_bytes = 0}).error, http_target_too_long);
  EXPECT_EQ(one_request_verdict(kHead, {.field_bytes = 0}).error, http_field_too_large);
  EXPECT_EQ(one_request_verdict(kHead, {.fields = 0}).error, http_too_many_fields);
}

}  // namespace
}  // namespace sluice::http1
