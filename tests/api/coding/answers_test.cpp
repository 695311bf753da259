// tests/api/coding/answers_test.cpp - answers from memory that are coded on their way.
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/coding/coding_harness.hpp"

namespace sluice::test {
namespace {

class CodedAnswers : public CodingTest {};

INSTANTIATE_TEST_SUITE_P(Setups, CodedAnswers, engines_and_dispatches(), name_of);

void plain_text(const HttpRequest&, HttpResponse& response) {
  response.content_type("text/plain").content_text(lines(20'000)).etag("\"tag\"");
}

TEST_P(CodedAnswers, GoAsTheClientLikesThem) {
  answer = plain_text;
  Running running = start();
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"gzip", "gzip"},           {"br", "br"},
      {"zstd", "zstd"},           {"gzip, br, zstd", "zstd"},
      {"gzip, br;q=0.9", "gzip"}, {"GZIP;q=0.1", "gzip"},
      {"x-gzip", "gzip"},         {"*", "zstd"},
  };
  for (const auto& [accepted, name] : cases) {
    const HttpReply reply = get("/", accepted);
    EXPECT_EQ(reply.status, 200) << accepted;
    EXPECT_EQ(reply.field("Content-Encoding"), name) << accepted;
    EXPECT_EQ(reply.field("Content-Length"), std::to_string(reply.body.size())) << accepted;
    EXPECT_LT(reply.body.size(), 10'000u);
    EXPECT_EQ(undone(reply.body, name), lines(20'000)) << accepted;
    EXPECT_EQ(reply.field("ETag"), "W/\"tag\"");
    EXPECT_EQ(reply.field("Vary"), "Accept-Encoding");
    EXPECT_EQ(reply.field("Content-Type"), "text/plain");
  }
}

TEST_P(CodedAnswers, GoAsTheyAreToOthers) {
  answer = plain_text;
  Running running = start();
  for (const std::string_view accepted : {"", "identity", "gzip;q=0, br;q=0, zstd;q=0", "lzma"}) {
    const HttpReply reply = get("/", accepted);
    EXPECT_FALSE(reply.has("Content-Encoding")) << accepted;
    EXPECT_EQ(reply.body, lines(20'000));
    EXPECT_EQ(reply.field("ETag"), "\"tag\"");
    EXPECT_EQ(reply.field("Vary"), "Accept-Encoding");
  }
}

TEST_P(CodedAnswers, AreNoneWithoutTheSetting) {
  server.content_coding.enabled = false;
  answer = plain_text;
  Running running = start();
  const HttpReply reply = get("/", "gzip");
  EXPECT_FALSE(reply.has("Content-Encoding"));
  EXPECT_FALSE(reply.has("Vary"));
  EXPECT_EQ(reply.body, lines(20'000));
}

TEST_P(CodedAnswers, StayAsTheyAreWhereTheyMust) {
  using Call = std::function<void(HttpResponse&)>;
  struct Case {
    std::string_view what;
    Call set;
    bool has_body = true;
  };
  const Case cases[] = {
      {"another type", [](HttpResponse& r) { r.content_type("image/png"); }},
      {"no type", [](HttpResponse&) {}},
      {"no-transform",
       [](HttpResponse& r) {
         r.content_type("text/plain").cache_control("max-age=1, no-transform");
       }},
      {"coded by its handler",
       [](HttpResponse& r) { r.content_type("text/plain").header("Content-Encoding", "lzma"); }},
      {"a range of its own",
       [](HttpResponse& r) {
         r.content_type("text/plain").response_no(206).header("Content-Range", "bytes 0-1999/4000");
       }},
      {"a digest",
       [](HttpResponse& r) {
         r.content_type("text/plain").header("Repr-Digest", "sha-256=:AA==:");
       }},
      {"it says no", [](HttpResponse& r) { r.content_type("text/plain").content_coding(false); }},
      {"an event stream", [](HttpResponse& r) { r.content_type("text/event-stream"); }},
      {"204", [](HttpResponse& r) { r.content_type("text/plain").response_no(204); }, false},
      {"304", [](HttpResponse& r) { r.content_type("text/plain").response_no(304); }, false},
  };
  answer = [&](const HttpRequest& request, HttpResponse& response) {
    response.content_text(lines(2'000));
    cases[std::stoul(std::string(request.document().substr(1)))].set(response);
  };
  Running running = start();
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    const HttpReply reply = get("/" + std::to_string(i), "gzip, br, zstd");
    EXPECT_TRUE(reply.complete) << cases[i].what;
    EXPECT_TRUE(reply.field("Content-Encoding").empty() || i == 3) << cases[i].what;
    // The whole of a range might have been coded.
    if (reply.status != 206) {
      EXPECT_FALSE(reply.has("Vary")) << cases[i].what;
    }
    EXPECT_EQ(reply.body, cases[i].has_body ? lines(2'000) : "") << cases[i].what;
  }
}

TEST_P(CodedAnswers, HaveALeastSize) {
  server.content_coding.least_bytes = 1000;
  answer = [](const HttpRequest& request, HttpResponse& response) {
    response.content_type("text/plain")
        .content_text(lines(std::stoul(std::string(request.document().substr(1)))));
  };
  Running running = start();
  EXPECT_FALSE(get("/999", "gzip").has("Content-Encoding"));
  EXPECT_FALSE(get("/999", "gzip").has("Vary"));
  EXPECT_EQ(get("/1000", "gzip").field("Content-Encoding"), "gzip");
  EXPECT_FALSE(get("/0", "gzip").has("Content-Encoding"));
}

TEST_P(CodedAnswers, AreOfTheTypesAndCodingsOfTheSettings) {
  server.content_coding.types = {"application/*", "!application/pdf"};
  server.content_coding.codings = {"gzip"};
  answer = [](const HttpRequest& request, HttpResponse& response) {
    response.content_type(request.document().substr(1)).content_text(lines(4'000));
  };
  Running running = start();
  EXPECT_EQ(get("/application/x-own", "zstd, br, gzip").field("Content-Encoding"), "gzip");
  EXPECT_FALSE(get("/application/x-own", "zstd, br").has("Content-Encoding"));
  EXPECT_FALSE(get("/application/pdf", "gzip").has("Content-Encoding"));
  EXPECT_FALSE(get("/text/plain", "gzip").has("Content-Encoding"));
}

TEST_P(CodedAnswers, AddToTheVaryThatIsThere) {
  answer = [](const HttpRequest& request, HttpResponse& response) {
    plain_text(request, response);
    response.header("Vary", std::string(request.query()));
  };
  Running running = start();
  EXPECT_EQ(get("/?Cookie", "gzip").count("Vary"), 2u);
  EXPECT_EQ(get("/?accept-encoding,Cookie", "gzip").count("Vary"), 1u);
  EXPECT_EQ(get("/?*", "gzip").count("Vary"), 1u);
}

TEST_P(CodedAnswers, SayToHeadWhatGetGets) {
  answer = plain_text;
  Running running = start();
  const HttpReply got = get("/", "gzip"), head = ask("HEAD", "/", "gzip");
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.body.empty());
  for (const std::string_view name : {"Content-Encoding", "Content-Length", "ETag", "Vary"}) {
    EXPECT_EQ(head.field(name), got.field(name)) << name;
  }
}

TEST_P(CodedAnswers, OfManyBytesAreSentInPieces) {
  const std::string text = lines(6'000'000);
  answer = [&](const HttpRequest&, HttpResponse& response) {
    response.content_type("text/plain").content_text(text).accept_ranges("bytes");
  };
  Running running = start();
  for (const std::string_view name : {"gzip", "br", "zstd"}) {
    const HttpReply reply = get("/", name);
    ASSERT_TRUE(reply.complete);
    EXPECT_EQ(reply.field("Content-Encoding"), name);
    EXPECT_FALSE(reply.has("Content-Length"));
    EXPECT_FALSE(reply.has("Accept-Ranges"));
    EXPECT_TRUE(undone(reply.body, name) == text) << name;
  }
  // Without chunks it ends with the connection.
  HttpClient old = client();
  ASSERT_TRUE(old.send("GET / HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"));
  const HttpReply reply = old.read();
  EXPECT_TRUE(reply.until_close);
  EXPECT_TRUE(undone(reply.body, "gzip") == text);
  // And HEAD has no length, since nobody knows it yet.
  HttpClient http = client();
  const HttpReply head = http.request("HEAD", "/", "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(head.field("Content-Encoding"), "gzip");
  EXPECT_FALSE(head.has("Content-Length"));
  EXPECT_EQ(http.get("/", "Accept-Encoding: identity\r\n").body.size(), text.size());
}

TEST_P(CodedAnswers, WaitForASlowClient) {
  // What hardly shrinks, so that there is something to wait for.
  const std::string text = pattern(12'000'000);
  server.limits.send_queue_bytes = 100'000;
  server.shards = 1;
  Told<bool> asked;
  answer = [&](const HttpRequest& request, HttpResponse& response) {
    if (request.document() == "/other") {
      response.content_text("here");
      return;
    }
    asked.tell(true);
    response.content_type("text/plain").content_text(text);
  };
  Running running = start();
  HttpClient slow = client();
  slow.receive_buffer(16'384);
  ASSERT_TRUE(slow.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"));
  ASSERT_TRUE(asked.wait_for(1));
  EXPECT_EQ(get("/other", "").body, "here");
  EXPECT_LT(server.counters().bytes_queued, 1'000'000u);
  EXPECT_TRUE(undone(slow.read().body, "gzip") == text);
}

TEST_P(CodedAnswers, EndWithTheirClient) {
  const std::string text = pattern(4'000'000);
  server.limits.send_queue_bytes = 100'000;
  answer = [&](const HttpRequest&, HttpResponse& response) {
    response.content_type("text/plain").content_text(text);
  };
  Running running = start();
  for (int i = 0; i < 20; ++i) {
    HttpClient gone = client();
    ASSERT_TRUE(gone.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n"));
    gone.wait_for(1000);
    gone.reset();
  }
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
  EXPECT_EQ(get("/", "br").field("Content-Encoding"), "br");
}

// Each of those that are under way has an encoder of br: a second one would be over the bound.
TEST_P(CodedAnswers, GoAsTheyAreWhenTooManyAreUnderWay) {
  const std::string text = pattern(16'000'000);  // more than sockets take on their own
  server.limits.send_queue_bytes = 50'000;
  server.shards = 1;
  server.content_coding.encoder_bytes = 4 << 20;
  answer = [&](const HttpRequest&, HttpResponse& response) {
    response.content_type("text/plain").content_text(text);
  };
  Running running = start();
  HttpClient slow = client();
  slow.receive_buffer(8'192);
  ASSERT_TRUE(slow.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n"));
  EXPECT_NE(slow.wait_for(400).find("Content-Encoding: br"), std::string_view::npos);
  const HttpReply other = get("/", "br");
  EXPECT_FALSE(other.has("Content-Encoding"));
  EXPECT_EQ(other.field("Vary"), "Accept-Encoding");
  EXPECT_TRUE(other.body == text);
  slow.reset();
  EXPECT_TRUE(eventually([&] { return get("/", "br").field("Content-Encoding") == "br"; }));
}

TEST_P(CodedAnswers, MayChangeWhileTheServerRuns) {
  server.content_coding.enabled = false;
  answer = plain_text;
  Running running = start();
  EXPECT_FALSE(get("/", "gzip").has("Content-Encoding"));
  Settings next = server;
  next.content_coding.enabled = true;
  ASSERT_TRUE(server.apply(next));
  EXPECT_EQ(get("/", "gzip").field("Content-Encoding"), "gzip");
  next.content_coding.codings = {"deflate"};
  const auto refused = server.apply(next);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().detail,
            "content_coding.codings has \"deflate\": it takes zstd, br and gzip");
}

TEST_P(CodedAnswers, OfADeferredReplyAreCodedToo) {
  answer = [](const HttpRequest&, HttpResponse& response) {
    Reply reply = response.defer();
    reply.content_type("text/html").content_text(lines(5'000));
    EXPECT_EQ(reply.send(), Errc::none);
  };
  Running running = start();
  const HttpReply reply = get("/", "gzip");
  EXPECT_EQ(reply.field("Content-Encoding"), "gzip");
  EXPECT_EQ(undone(reply.body, "gzip"), lines(5'000));
}

}  // namespace
}  // namespace sluice::test
