// tests/proto/http1/request_decoder_test.cpp - every row of request_cases, and what an accepted
// head says.
#include "proto/http1/request_decoder.hpp"

#include <gtest/gtest.h>

#include "proto/http1/cuts.hpp"
#include "proto/http1/request_cases.hpp"

namespace sluice::http1 {
namespace {

using http::BodyKind;
using http::FieldId;
using http::Method;
using http::RequestHead;
using http::TargetForm;
using enum Errc;

void expect_verdict(const Case& row, std::string_view wire) {
  SCOPED_TRACE(row.name);
  const Outcome outcome = one_request_verdict(wire);
  EXPECT_EQ(outcome.error, row.verdict) << wire;
  EXPECT_EQ(outcome.done, row.verdict == none) << wire;
}

TEST(RequestDecoder, RequestLines) {
  for (const Case& row : request_line_cases()) expect_verdict(row, wire_of_request_line(row.text));
}

TEST(RequestDecoder, FieldLines) {
  for (const Case& row : field_line_cases()) expect_verdict(row, wire_of_field_line(row.text));
}

TEST(RequestDecoder, WholeHeads) {
  for (const Case& row : whole_head_cases()) expect_verdict(row, row.text);
}

TEST(RequestDecoder, TheTablesAreLarge) {
  EXPECT_GE(request_line_cases().size() + field_line_cases().size() + whole_head_cases().size(),
            300u);
}

// A head that was accepted, and the bytes its views point to.
class Decoded {
 public:
  explicit Decoded(std::string wire) : wire_(std::move(wire)) {
    RequestDecoder decoder;
    const base::Parsed<bool> parsed = decoder.decode(as_bytes(wire_), {}, head_);
    EXPECT_TRUE(parsed.is_done()) << wire_ << static_cast<int>(parsed.error());
    used_ = parsed.used();
  }
  const RequestHead* operator->() const { return &head_; }
  const RequestHead& operator*() const { return head_; }
  std::size_t used() const { return used_; }
  const std::string& wire() const { return wire_; }

 private:
  std::string wire_;
  RequestHead head_;
  std::size_t used_ = 0;
};

TEST(RequestDecoder, SaysWhatTheRequestLineSays) {
  const Decoded head("PUT /a/b?c=d&e HTTP/1.1\r\nHost: example.com:8080\r\n\r\n");
  EXPECT_EQ(head->method, Method::put);
  EXPECT_EQ(head->method_text, "PUT");
  EXPECT_EQ(head->form, TargetForm::origin);
  EXPECT_EQ(head->target, "/a/b?c=d&e");
  EXPECT_EQ(head->path, "/a/b");
  EXPECT_EQ(head->query, "c=d&e");
  EXPECT_EQ(head->host, "example.com:8080");
  EXPECT_EQ(head->minor, 1);
  EXPECT_EQ(head->body, BodyKind::none);
  EXPECT_TRUE(head->keep_alive);
  EXPECT_FALSE(head->expect_continue);
  EXPECT_FALSE(head->upgrade);
}

TEST(RequestDecoder, AQueryMayBeEmptyOrAbsent) {
  EXPECT_EQ(Decoded("GET /a HTTP/1.0\r\n\r\n")->query.data(), nullptr);
  const Decoded head("GET /a? HTTP/1.0\r\n\r\n");
  EXPECT_NE(head->query.data(), nullptr);
  EXPECT_EQ(head->query, "");
  EXPECT_EQ(head->path, "/a");
  EXPECT_EQ(Decoded("GET /?a?b HTTP/1.0\r\n\r\n")->query, "a?b");
}

TEST(RequestDecoder, ATokenThatIsNoKnownMethodKeepsItsText) {
  const Decoded head("BREW /pot HTTP/1.0\r\n\r\n");
  EXPECT_EQ(head->method, Method::other);
  EXPECT_EQ(head->method_text, "BREW");
}

TEST(RequestDecoder, TheAuthorityOfTheTargetWinsOverHost) {
  const Decoded head("GET hTTp://b:81/c?d HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(head->form, TargetForm::absolute);
  EXPECT_EQ(head->host, "b:81");
  EXPECT_EQ(head->path, "/c");
  EXPECT_EQ(head->query, "d");
  EXPECT_EQ(head->target, "hTTp://b:81/c?d");
  EXPECT_EQ(head->find(FieldId::host), "a");
}

TEST(RequestDecoder, AnAbsoluteTargetWithoutAPathIsTheRoot) {
  EXPECT_EQ(Decoded("GET http://b HTTP/1.1\r\nHost: a\r\n\r\n")->path, "/");
  const Decoded query("GET http://b?c HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(query->path, "/");
  EXPECT_EQ(query->query, "c");
  EXPECT_EQ(query->host, "b");
}

TEST(RequestDecoder, AuthorityAndAsteriskForms) {
  const Decoded connect("CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(connect->form, TargetForm::authority);
  EXPECT_EQ(connect->host, "b:443");
  const Decoded options("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(options->form, TargetForm::asterisk);
  EXPECT_EQ(options->path, "*");
  EXPECT_EQ(options->host, "a");
}

TEST(RequestDecoder, KeepAliveByVersionAndConnection) {
  const auto keep = [](const char* version, const char* fields) {
    return Decoded("GET / HTTP/" + std::string(version) + "\r\nHost: a\r\n" + fields + "\r\n")
        ->keep_alive;
  };
  EXPECT_TRUE(keep("1.1", ""));
  EXPECT_TRUE(keep("1.2", ""));
  EXPECT_FALSE(keep("1.0", ""));
  EXPECT_TRUE(keep("1.0", "Connection: Keep-Alive\r\n"));
  EXPECT_TRUE(keep("1.0", "Connection: x, keep-alive\r\n"));
  EXPECT_FALSE(keep("1.1", "Connection: close\r\n"));
  EXPECT_FALSE(keep("1.1", "Connection: x , CLOSE\t, y\r\n"));
  EXPECT_FALSE(keep("1.1", "Connection: x\r\nConnection: close\r\n"));
  EXPECT_FALSE(keep("1.1", "Connection: keep-alive, close\r\n"));
  EXPECT_FALSE(keep("1.0", "Connection: keep-alive\r\nConnection: close\r\n"));
  EXPECT_TRUE(keep("1.1", "Connection: closed\r\n"));
  EXPECT_TRUE(keep("1.1", "X-Connection: close\r\n"));
}

TEST(RequestDecoder, UpgradeNeedsBothFieldsAndVersion11) {
  const auto upgrade = [](const char* version, const char* fields) {
    return Decoded("GET / HTTP/" + std::string(version) + "\r\nHost: a\r\n" + fields + "\r\n")
        ->upgrade;
  };
  EXPECT_TRUE(upgrade("1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_TRUE(
      upgrade("1.1", "Upgrade: websocket\r\nConnection: keep-alive\r\nConnection: x, upgrade\r\n"));
  EXPECT_FALSE(upgrade("1.1", "Connection: Upgrade\r\n"));
  EXPECT_FALSE(upgrade("1.1", "Upgrade: websocket\r\n"));
  EXPECT_FALSE(upgrade("1.0", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
}

TEST(RequestDecoder, ExpectIsIgnoredFrom10) {
  EXPECT_TRUE(
      Decoded("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n")
          ->expect_continue);
  EXPECT_FALSE(Decoded("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
                   ->expect_continue);
}

TEST(RequestDecoder, Bodies) {
  const Decoded length("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n1234567");
  EXPECT_EQ(length->body, BodyKind::length);
  EXPECT_EQ(length->content_length, 7u);
  EXPECT_EQ(length.used(), length.wire().size() - 7);
  EXPECT_EQ(Decoded("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")->body,
            BodyKind::none);
  EXPECT_EQ(Decoded("POST / HTTP/1.1\r\nHost: a\r\n\r\n")->body, BodyKind::none);
  EXPECT_EQ(Decoded("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n")->body,
            BodyKind::chunked);
  const Decoded large("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n");
  EXPECT_EQ(large->content_length, 0x7fff'ffff'ffff'ffffu);
}

TEST(RequestDecoder, FieldsKeepTheirOrderCaseAndInnerSpaces) {
  const Decoded head("GET / HTTP/1.0\r\nX-One: a  b\r\nrange:bytes=0-1 \r\nx-one:\t\r\n\r\n");
  ASSERT_EQ(head->fields.size(), 3u);
  EXPECT_EQ(head->fields[0].name, "X-One");
  EXPECT_EQ(head->fields[0].value, "a  b");
  EXPECT_EQ(head->fields[0].id, FieldId::other);
  EXPECT_EQ(head->fields[1].name, "range");
  EXPECT_EQ(head->fields[1].value, "bytes=0-1");
  EXPECT_EQ(head->fields[1].id, FieldId::range);
  EXPECT_EQ(head->fields[2].value, "");
  EXPECT_NE(head->fields[2].value.data(), nullptr);
  EXPECT_EQ(head->find("X-ONE"), "a  b");
  EXPECT_EQ(head->find("absent").data(), nullptr);
  EXPECT_EQ(head->find(FieldId::cookie).data(), nullptr);
}

TEST(RequestDecoder, UsesOnlyItsOwnBytes) {
  const std::string one = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string two = "\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\n";
  const std::string wire = one + two + "GET /c";
  RequestDecoder decoder;
  RequestHead head;
  const auto first = decoder.decode(as_bytes(wire), {}, head);
  ASSERT_TRUE(first.is_done());
  EXPECT_EQ(first.used(), one.size());
  decoder.reset();
  const auto second = decoder.decode(as_bytes(std::string_view(wire).substr(one.size())), {}, head);
  ASSERT_TRUE(second.is_done());
  EXPECT_EQ(second.used(), two.size());
  EXPECT_EQ(head.path, "/b");
  EXPECT_EQ(head.fields.size(), 1u);
  decoder.reset();
  const auto third = decoder.decode(as_bytes("GET /c"), {}, head);
  EXPECT_TRUE(third.needs_more());
}

TEST(RequestDecoder, AHeadThatIsUsedAgainForgetsTheLastOne) {
  RequestDecoder decoder;
  RequestHead head;
  const std::string first =
      "POST http://b/?q HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: x\r\n"
      "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  ASSERT_TRUE(decoder.decode(as_bytes(first), {}, head).is_done());
  const std::size_t capacity = head.fields.capacity();
  const http::Field* storage = head.fields.data();
  decoder.reset();
  const std::string second = "GET /x HTTP/1.1\r\nHost: c\r\n\r\n";
  ASSERT_TRUE(decoder.decode(as_bytes(second), {}, head).is_done());
  EXPECT_EQ(describe(head), feed_request(second, {}).said);
  EXPECT_EQ(head.fields.capacity(), capacity);
  EXPECT_EQ(head.fields.data(), storage);
}

TEST(RequestDecoder, NothingNeedsMore) {
  RequestDecoder decoder;
  RequestHead head;
  EXPECT_TRUE(decoder.decode({}, {}, head).needs_more());
  EXPECT_TRUE(decoder.decode(as_bytes("\r\n"), {}, head).needs_more());
}

}  // namespace
}  // namespace sluice::http1
