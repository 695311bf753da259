// tests/api/http_answers_test.cpp - what a handler sets, and what the client gets.
//
// RFC 9110 sections 6.4, 8, 9.3.2, 15. Layer: tests.
#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "api/harness.hpp"

namespace sluice::test {
namespace {

using namespace std::string_view_literals;

class HttpAnswers : public ServerTest {};

TEST_P(HttpAnswers, AreTextWithItsTypeAndLength) {
  server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    if (request.document() == "/test.html") {
      response.content_type("text/html; charset=UTF-8").content_text("OK");
    } else {
      response.response_no(404);
    }
  };
  Running running = start();
  HttpClient http = client();
  HttpReply reply = http.get("/test.html");
  ASSERT_TRUE(reply.complete);
  EXPECT_EQ(reply.version, "HTTP/1.1");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.reason, "OK");
  EXPECT_EQ(reply.field("Content-Type"), "text/html; charset=UTF-8");
  EXPECT_EQ(reply.field("Content-Length"), "2");
  EXPECT_EQ(reply.count("Date"), 1u);
  EXPECT_EQ(reply.body, "OK");
  reply = http.get("/other");
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.body, "");
}

TEST_P(HttpAnswers, LeftAloneAre200AndEmpty) {
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse&) {};
  Running running = start();
  HttpReply reply = client().get("/");
  ASSERT_TRUE(reply.complete);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("Content-Length"), "0");
}

TEST_P(HttpAnswers, WithoutAnyHandlerAre404AndTheConnectionStays) {
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 2; ++i) {
    HttpReply reply = http.get("/nothing");
    ASSERT_TRUE(reply.complete);
    EXPECT_EQ(reply.status, 404);
  }
}

TEST_P(HttpAnswers, HaveTheStatusThatWasSet) {
  server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    response.response_no(std::stoi(std::string(request.query())));
    EXPECT_EQ(std::to_string(response.response_no()), request.query());
  };
  Running running = start();
  HttpClient http = client();
  for (int status : {200, 201, 202, 204, 206, 299, 301, 304, 400, 404, 418, 499, 500, 599}) {
    HttpReply reply = http.get("/?" + std::to_string(status));
    ASSERT_TRUE(reply.complete) << status;
    EXPECT_EQ(reply.status, status);
    EXPECT_EQ(reply.body, "");
    const bool has_length = status != 204 && status != 304;
    EXPECT_EQ(reply.has("Content-Length"), has_length) << status;
  }
  for (int status : {-1, 0, 99, 100, 101, 199, 600, 1000}) {
    HttpReply reply = http.get("/?" + std::to_string(status));
    ASSERT_TRUE(reply.complete) << status;
    EXPECT_EQ(reply.status, 500) << status;
    EXPECT_TRUE(told_error(Errc::bad_setting));
  }
}

TEST_P(HttpAnswers, ToHeadAre204And304HaveNoBody) {
  server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    if (!request.query().empty()) response.response_no(std::stoi(std::string(request.query())));
    response.content_text("a body");
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(
      http.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
                "GET /?204 HTTP/1.1\r\nHost: a\r\n\r\n"
                "GET /?304 HTTP/1.1\r\nHost: a\r\n\r\n"
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
  HttpReply head = http.read(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.field("Content-Length"), "6");
  HttpReply no_content = http.read();
  EXPECT_EQ(no_content.status, 204);
  EXPECT_FALSE(no_content.has("Content-Length"));
  EXPECT_FALSE(no_content.has("Transfer-Encoding"));
  EXPECT_EQ(http.read().status, 304);
  HttpReply whole = http.read();
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.body, "a body");
  EXPECT_TRUE(http.at_end());
}

struct BadField {
  std::string_view name, value;
  Errc code;
};
constexpr BadField kBadFields[] = {
    {"X-A", "v\r\nSet-Cookie: x=1"sv, Errc::http_response_splitting},
    {"X-A", "v\nSet-Cookie: x=1"sv, Errc::http_response_splitting},
    {"X-A", "v\r"sv, Errc::http_response_splitting},
    {"X-A", "v\0w"sv, Errc::http_response_splitting},
    {"X-A\r\nX-B", "v"sv, Errc::http_bad_field_name},
    {"X A", "v"sv, Errc::http_bad_field_name},
    {"X-A:", "v"sv, Errc::http_bad_field_name},
    {"", "v"sv, Errc::http_bad_field_name},
    {"Content-Length", "3"sv, Errc::http_framing_field},
    {"content-length", "3"sv, Errc::http_framing_field},
    {"Transfer-Encoding", "chunked"sv, Errc::http_framing_field},
    {"Connection", "close"sv, Errc::http_framing_field},
};

TEST_P(HttpAnswers, WithAFieldThatMayNotBeSentBecome500) {
  server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    const BadField& bad = kBadFields[std::stoul(std::string(request.query()))];
    response.content_text("secret").header(bad.name, bad.value).header("X-Fine", "yes");
    EXPECT_EQ(response.error(), bad.code) << bad.name;
  };
  Running running = start();
  HttpClient http = client();
  for (std::size_t i = 0; i < std::size(kBadFields); ++i) {
    HttpReply reply = http.get("/?" + std::to_string(i));
    ASSERT_TRUE(reply.complete) << kBadFields[i].name;
    EXPECT_EQ(reply.status, 500) << kBadFields[i].name;
    EXPECT_FALSE(reply.has("Set-Cookie"));
    EXPECT_FALSE(reply.has("X-A"));
    EXPECT_EQ(reply.count("Content-Length"), 1u);
    EXPECT_EQ(reply.body.find("secret"), std::string::npos);
    ASSERT_TRUE(errors.wait_for(i + 1));
    EXPECT_EQ(errors.all()[i], kBadFields[i].code) << kBadFields[i].name;
  }
  EXPECT_EQ(server.counters().rejected, std::size(kBadFields));
}

TEST_P(HttpAnswers, TakeABlockOfCustomHeaders) {
  server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    if (request.document() == "/lf") response.custom_headers("X-A: 1\nX-B:2\n\nX-C:  3 \n");
    if (request.document() == "/crlf") response.custom_headers("X-A: 1\r\nX-B: a: b\r\nX-C:\r\n");
    if (request.document() == "/bad") response.custom_headers("X-A: 1\r\nno colon\r\n");
    if (request.document() == "/framing") response.custom_headers("Content-Length: 10");
    if (request.document() == "/cr") response.custom_headers("X-A: 1\rX-B: 2");
    if (request.document() == "/type") {
      response.custom_headers("Content-Type: text/x\nDate: Sun, 06 Nov 1994 08:49:37 GMT");
    }
  };
  Running running = start();
  HttpClient http = client();
  HttpReply reply = http.get("/lf");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("X-A"), "1");
  EXPECT_EQ(reply.field("X-B"), "2");
  EXPECT_EQ(reply.field("X-C"), "3");
  reply = http.get("/crlf");
  EXPECT_EQ(reply.field("X-A"), "1");
  EXPECT_EQ(reply.field("X-B"), "a: b");
  EXPECT_TRUE(reply.has("X-C"));
  for (std::string_view path : {"/bad", "/framing", "/cr"}) {
    reply = http.get(path);
    ASSERT_TRUE(reply.complete) << path;
    EXPECT_EQ(reply.status, 500) << path;
  }
  reply = http.get("/type");
  EXPECT_EQ(reply.count("Content-Type"), 1u);
  EXPECT_EQ(reply.field("Content-Type"), "text/x");
  EXPECT_EQ(reply.count("Date"), 1u);
  EXPECT_EQ(reply.field("Date"), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST_P(HttpAnswers, HaveSettersForCommonFields) {
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    const FileTime time{std::chrono::seconds(784111777)};
    response.response_no(201)
        .location("/new")
        .etag("\"v1\"")
        .last_modified(time)
        .expires(time)
        .cache_control("no-store")
        .accept_ranges("bytes")
        .content_type("text/plain")
        .content_type("text/css");
    EXPECT_EQ(response.content_type(), "text/css");
    EXPECT_EQ(response.content_text(), "");
  };
  Running running = start();
  HttpReply reply = client().get("/");
  EXPECT_EQ(reply.status, 201);
  EXPECT_EQ(reply.field("Location"), "/new");
  EXPECT_EQ(reply.field("ETag"), "\"v1\"");
  EXPECT_EQ(reply.field("Last-Modified"), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(reply.field("Expires"), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(reply.field("Cache-Control"), "no-store");
  EXPECT_EQ(reply.field("Accept-Ranges"), "bytes");
  EXPECT_EQ(reply.count("Content-Type"), 1u);
  EXPECT_EQ(reply.field("Content-Type"), "text/css");
}

TEST_P(HttpAnswers, OfAnySizeAreByteExact) {
  server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_text(pattern(std::stoul(std::string(request.query()))));
  };
  Running running = start();
  HttpClient http = client();
  for (std::size_t size : {std::size_t{1}, std::size_t{4095}, std::size_t{4096}, std::size_t{4097},
                           std::size_t{16384}, std::size_t{100'000}, std::size_t{8'000'000}}) {
    HttpReply reply = http.get("/?" + std::to_string(size));
    ASSERT_TRUE(reply.complete) << size;
    EXPECT_EQ(reply.body.size(), size);
    EXPECT_TRUE(reply.body == pattern(size)) << size;
  }
}

TEST_P(HttpAnswers, KeepEveryByteOfTheText) {
  std::string every;
  for (int c = 0; c < 256; ++c) every.push_back(static_cast<char>(c));
  every += "\xc3\xa4\xe2\x82\xac";
  server.on_http_request = [&](Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text(every);
  };
  Running running = start();
  EXPECT_EQ(client().get("/").body, every);
}

TEST_P(HttpAnswers, FromAStreamAreMeasuredOrChunked) {
  server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    auto source = std::make_unique<std::istringstream>(pattern(300'000));
    if (request.document() == "/measured") response.content_stream(std::move(source));
    if (request.document() == "/part") response.content_stream(std::move(source), 100'000);
    if (request.document() == "/short") response.content_stream(std::move(source), 300'001);
  };
  Running running = start();
  HttpClient http = client();
  HttpReply reply = http.get("/measured");
  ASSERT_TRUE(reply.complete);
  EXPECT_TRUE(reply.body == pattern(300'000));
  reply = http.get("/part");
  ASSERT_TRUE(reply.complete);
  EXPECT_EQ(reply.field("Content-Length"), "100000");
  EXPECT_TRUE(reply.body == pattern(300'000).substr(0, 100'000));
  // A seekable stream is measured before anything is promised.
  EXPECT_EQ(http.get("/short").status, 500);
  EXPECT_TRUE(told_error(Errc::http_length_mismatch));
}

TEST_P(HttpAnswers, WithAContentRangeAre206) {
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    response.content_range_start(2).content_range_end(5).content_range_instance_length(
        std::uint64_t{1} << 40);
    response.content_text("cdef");
  };
  Running running = start();
  HttpReply reply = client().get("/");
  EXPECT_EQ(reply.status, 206);
  EXPECT_EQ(reply.field("Content-Range"), "bytes 2-5/1099511627776");
  EXPECT_EQ(reply.body, "cdef");
}

TEST_P(HttpAnswers, SeeTheWholeRequest) {
  Told<bool> seen;
  server.on_http_request = [&](Connection connection, const HttpRequest& request, HttpResponse&) {
    EXPECT_EQ(request.method(), "POST");
    EXPECT_EQ(request.document(), "/a b/c%2Fd");
    EXPECT_EQ(request.raw_target(), "/x/../a%20b/c%2Fd?p=1&q=%41+b&bad=%zz&p=2");
    EXPECT_EQ(request.query(), "p=1&q=%41+b&bad=%zz&p=2");
    EXPECT_EQ(request.parameter("p"), "1");
    EXPECT_EQ(request.parameter("q"), "A b");
    EXPECT_EQ(request.parameter("none"), std::nullopt);
    EXPECT_EQ(request.parameter("bad"), std::nullopt);
    EXPECT_EQ(request.version(), "HTTP/1.1");
    EXPECT_EQ(request.host(), "example.org:81");
    EXPECT_EQ(request.header("x-thing"), "one");
    EXPECT_TRUE(request.has_header("X-EMPTY"));
    EXPECT_FALSE(request.has_header("X-None"));
    EXPECT_EQ(request.header("X-None"), "");
    EXPECT_EQ(request.cookie("b"), "2");
    EXPECT_EQ(request.cookie("c"), std::nullopt);
    EXPECT_EQ(request.content_type(), "text/plain");
    EXPECT_EQ(request.content_length(), 3u);
    EXPECT_EQ(request.range(), "bytes=1-2");
    EXPECT_EQ(request.ranges(10), (std::vector<ContentRange>{{1, 2}}));
    EXPECT_EQ(request.ranges(1), std::vector<ContentRange>());
    EXPECT_EQ(request.body().text(), "abc");
    EXPECT_EQ(request.remote_ip(), "127.0.0.1");
    EXPECT_EQ(request.remote_ip(), connection.ip());
    EXPECT_EQ(request.remote_port(), connection.port());
    EXPECT_EQ(request.local_ip(), "127.0.0.1");
    EXPECT_EQ(request.local_port(), connection.local_port());
    EXPECT_FALSE(connection.is_websocket());
    EXPECT_TRUE(connection.is_open());
    EXPECT_EQ(connection.url(), "");
    seen.tell(true);
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(
      http.send("POST /x/../a%20b/c%2Fd?p=1&q=%41+b&bad=%zz&p=2 HTTP/1.1\r\n"
                "Host: example.org:81\r\nX-Thing: one\r\nX-Thing: two\r\nX-Empty:\r\n"
                "Cookie: a=1; b=2\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
                "Range: bytes=1-2\r\n\r\nabc"));
  EXPECT_EQ(http.read().status, 200);
  EXPECT_EQ(seen.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Api, HttpAnswers, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
