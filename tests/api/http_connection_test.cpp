// tests/api/http_connection_test.cpp - one connection after the other request: persistence,
// pipelining, refusals.
//
// RFC 9112 sections 9.3 (persistence), 9.3.2 (pipelining), 3 and 5 (heads). Layer: tests.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "api/harness.hpp"

namespace sluice::test {
namespace {

class HttpConnections : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    server.on_http_request = [this](Connection, const HttpRequest& request,
                                    HttpResponse& response) {
      asked.tell(std::string(request.document()));
      response.content_text(request.document());
    };
  }
  Told<std::string> asked;
};

TEST_P(HttpConnections, ServeOneRequestAfterTheOther) {
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 50; ++i) {
    const std::string path = "/" + std::to_string(i);
    HttpReply reply = http.get(path);
    ASSERT_TRUE(reply.complete);
    EXPECT_EQ(reply.body, path);
    EXPECT_FALSE(reply.has("Connection"));
  }
  EXPECT_EQ(server.counters().accepted, 1u);
  EXPECT_EQ(server.counters().requests, 50u);
}

TEST_P(HttpConnections, EndAfterHttp10UnlessAskedToStay) {
  Running running = start();
  HttpClient ends = client();
  ASSERT_TRUE(ends.send("GET /a HTTP/1.0\r\n\r\n"));
  HttpReply reply = ends.read();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "/a");
  EXPECT_TRUE(ends.at_end());
  HttpClient stays = client();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stays.send("GET /b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    reply = stays.read();
    ASSERT_TRUE(reply.complete);
    EXPECT_EQ(reply.field("Connection"), "keep-alive");
    EXPECT_EQ(reply.field("Content-Length"), "2");
  }
}

TEST_P(HttpConnections, EndWhenTheClientSaysClose) {
  Running running = start();
  for (std::string_view field : {"Connection: close\r\n", "Connection: x, Close , y\r\n",
                                 "Connection: x\r\nConnection: close\r\n"}) {
    HttpClient http = client();
    HttpReply reply = http.get("/", field);
    EXPECT_TRUE(reply.complete) << field;
    EXPECT_EQ(reply.field("Connection"), "close") << field;
    EXPECT_TRUE(http.at_end()) << field;
    EXPECT_FALSE(http.was_reset());
  }
}

TEST_P(HttpConnections, DoNotAnswerBehindAClose) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(
      http.send("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                "GET /b HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(http.read().body, "/a");
  EXPECT_TRUE(http.at_end());
  EXPECT_FALSE(http.was_reset());
  EXPECT_EQ(asked.size(), 1u);
}

TEST_P(HttpConnections, AnswerSixteenPipelinedRequestsInOrder) {
  Running running = start();
  HttpClient http = client();
  std::string all;
  for (int i = 10; i < 26; ++i) {
    all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  }
  ASSERT_TRUE(http.send(all));
  // On the shard, all that one wake-up answers leaves in one go.
  const std::size_t first = http.wait_for(1).size();
  std::size_t total = 0;
  for (int i = 10; i < 26; ++i) {
    HttpReply reply = http.read();
    ASSERT_TRUE(reply.complete) << i;
    EXPECT_EQ(reply.body, "/" + std::to_string(i));
    total += reply.head.size() + reply.body.size();
  }
  EXPECT_TRUE(on_pool() || first == total) << first << " of " << total;
}

TEST_P(HttpConnections, AnswerManyPipelinedRequestsThatOverfillTheQueue) {
  server.limits.send_queue_bytes = 4096;
  server.on_http_request = [](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_text(pattern(10'000, static_cast<unsigned>(request.document().size())));
  };
  Running running = start();
  HttpClient http = client();
  std::jthread sender([&] {
    for (std::size_t i = 1; i <= 200; ++i) {
      http.send("GET /" + std::string(i, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n");
    }
  });
  for (unsigned i = 1; i <= 200; ++i) {
    HttpReply reply = http.read();
    EXPECT_TRUE(reply.complete && reply.body == pattern(10'000, i + 1)) << i;
    if (!reply.complete) break;
  }
  sender.join();
}

TEST_P(HttpConnections, KeepTheOrderWhenOneAnswerIsDeferred) {
  Handover<Reply> deferred;
  server.on_http_request = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    asked.tell(std::string(request.document()));
    response.content_text(request.document());
    if (request.document() == "/3") deferred.put(response.defer());
  };
  Running running = start();
  HttpClient http = client();
  std::string all;
  for (int i = 1; i <= 5; ++i) {
    all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  }
  ASSERT_TRUE(http.send(all));
  std::optional<Reply> reply = deferred.take();
  ASSERT_TRUE(reply);
  EXPECT_EQ(http.read().body, "/1");
  EXPECT_EQ(http.read().body, "/2");
  EXPECT_EQ(asked.size(), 3u);  // the next is dispatched after the answer before it
  EXPECT_EQ(reply->content_text("late").send(), Errc::none);
  EXPECT_EQ(http.read().body, "late");
  EXPECT_EQ(http.read().body, "/4");
  EXPECT_EQ(http.read().body, "/5");
}

TEST_P(HttpConnections, AnswerClientsThatEndedTheirSide) {
  Handover<Reply> deferred;
  server.on_http_request = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    response.content_text(request.document());
    if (request.document() == "/late") deferred.put(response.defer());
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"));
  http.end_sending();
  EXPECT_EQ(http.read().body, "/a");
  EXPECT_EQ(http.read().body, "/b");
  EXPECT_TRUE(http.at_end());
  EXPECT_FALSE(http.was_reset());

  HttpClient late = client();
  ASSERT_TRUE(late.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n"));
  late.end_sending();
  std::optional<Reply> reply = deferred.take();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->send(), Errc::none);
  EXPECT_EQ(late.read().body, "/late");
  EXPECT_EQ(late.read().body, "/c");
  EXPECT_TRUE(late.at_end());
  EXPECT_FALSE(late.was_reset());
}

TEST_P(HttpConnections, EndQuietlyWithAClientThatSaidNothing) {
  Running running = start();
  HttpClient http = client();
  http.end_sending();
  EXPECT_TRUE(http.at_end());
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
}

// What is wrong, and the status that says so. The handler must not see any of it, and nothing
// behind it is answered.
struct Refused {
  const char* what;
  std::string_view request;
  int status;
  Errc code;
};
constexpr Refused kRefused[] = {
    {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400, Errc::http_bare_lf},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400, Errc::http_missing_host},
    {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, Errc::http_duplicate_host},
    {"folded field", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400, Errc::http_obs_fold},
    {"space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400,
     Errc::http_space_before_colon},
    {"both lengths",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     400, Errc::http_ambiguous_length},
    {"two lengths",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400,
     Errc::http_ambiguous_length},
    {"signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400,
     Errc::http_bad_content_length},
    {"chunked not last",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400,
     Errc::http_bad_transfer_encoding},
    {"bad chunk size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
     400, Errc::http_bad_chunk_size},
    {"encoded NUL", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, Errc::http_bad_target},
    {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, Errc::http_version_not_supported},
};

TEST_P(HttpConnections, RefuseWhatIsWrongAndAnswerNothingBehindIt) {
  Running running = start();
  for (const Refused& refused : kRefused) {
    const std::size_t before = errors.size();
    HttpClient http = client();
    ASSERT_TRUE(
        http.send(std::string(refused.request) + "GET /behind HTTP/1.1\r\nHost: a\r\n\r\n"));
    HttpReply reply = http.read();
    EXPECT_TRUE(reply.complete) << refused.what;
    EXPECT_EQ(reply.status, refused.status) << refused.what;
    EXPECT_EQ(reply.field("Connection"), "close") << refused.what;
    EXPECT_EQ(http.read_to_end(), "") << refused.what;
    EXPECT_FALSE(http.was_reset()) << refused.what;
    ASSERT_TRUE(errors.wait_for(before + 1)) << refused.what;
    if (refused.code != Errc::http_bad_target) {
      EXPECT_EQ(errors.all()[before], refused.code) << refused.what;
      EXPECT_TRUE(logged(refused.code)) << refused.what;
    }
  }
  EXPECT_EQ(asked.size(), 0u);
  EXPECT_EQ(server.counters().rejected, std::size(kRefused));
}

TEST_P(HttpConnections, RefuseTraceAndConnect) {
  Running running = start();
  for (std::string_view method : {"TRACE / HTTP/1.1", "CONNECT a:80 HTTP/1.1"}) {
    HttpClient http = client();
    ASSERT_TRUE(http.send(std::string(method) + "\r\nHost: a:80\r\n\r\n"));
    EXPECT_EQ(http.read().status, 501) << method;
  }
  EXPECT_TRUE(told_error(Errc::http_method_not_implemented));
}

TEST_P(HttpConnections, TakeTheAsteriskAbsoluteTargetsAndAnEmptyLineInFront) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(http.read().body, "*");
  ASSERT_TRUE(http.send("\r\nGET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(http.read().body, "/b");
}

TEST_P(HttpConnections, HoldHeadsToTheirLimits) {
  server.limits.head_bytes = 2000;
  server.limits.fields = 10;
  Running running = start();
  auto ask = [this](std::string_view request) {
    HttpClient http = client();
    EXPECT_TRUE(http.send(request));
    HttpReply reply = http.read();
    EXPECT_TRUE(reply.complete);
    return reply.status;
  };
  // The whole head with its empty line: 2,000 bytes, and one more.
  const std::string begin = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  const std::string fits(2000 - begin.size() - 4, 'x');
  EXPECT_EQ(ask(begin + fits + "\r\n\r\n"), 200);
  EXPECT_EQ(ask(begin + fits + "x\r\n\r\n"), 431);
  EXPECT_TRUE(told_error(Errc::http_head_too_large));
  EXPECT_EQ(ask("GET /" + std::string(3000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 414);
  EXPECT_TRUE(told_error(Errc::http_target_too_long));
  std::string fields;
  for (int i = 0; i < 9; ++i) fields += "A: b\r\n";
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"), 200);
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n" + fields + "\r\n"), 431);
  EXPECT_TRUE(told_error(Errc::http_too_many_fields));
}

TEST_P(HttpConnections, HoldTargetsToTheirSegments) {
  server.limits.target_segments = 3;
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/a/b/c").status, 200);
  EXPECT_EQ(http.get("/a/b/c/d").status, 400);
}

TEST_P(HttpConnections, ReadHeadsThatAreLargerThanTheBuffer) {
  server.read_buffer_size = 1024;
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 3; ++i) {
    HttpReply reply = http.get("/big", "X-Big: " + std::string(12'000, 'x') + "\r\n");
    ASSERT_TRUE(reply.complete);
    EXPECT_EQ(reply.body, "/big");
  }
}

TEST_P(HttpConnections, ReadRequestsThatComeByteByByte) {
  Running running = start();
  HttpClient http = client();
  const std::string_view two =
      "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
      "POST /two HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "1;x=\"y\"\r\na\r\n0\r\nT: t\r\n\r\n";
  for (char c : two) ASSERT_TRUE(http.send({&c, 1}));
  EXPECT_EQ(http.read().body, "/one");
  EXPECT_EQ(http.read().body, "/two");
}

TEST_P(HttpConnections, SurviveResetsInEveryState) {
  Handover<Reply> deferred;
  Handover<BodyWriter> streamed;
  server.on_http_request = [&](Connection, const HttpRequest& request, HttpResponse& response) {
    if (request.document() == "/defer") deferred.put(response.defer());
    if (request.document() == "/stream") streamed.put(response.stream());
    if (request.document() == "/large") response.content_text(std::string(20'000'000, 'x'));
  };
  Running running = start();
  for (std::string_view sent :
       {"", "GE", "GET / HTTP/1.1\r\nHost:", "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "GET /defer HTTP/1.1\r\nHost: a\r\n\r\n", "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", "bad\r\n\r\n"}) {
    HttpClient http = client();
    ASSERT_TRUE(http.send(sent));
    if (sent.find("/defer") != sent.npos) {
      std::optional<Reply> reply = deferred.take();
      ASSERT_TRUE(reply);
      http.reset();
      EXPECT_TRUE(eventually([&] { return reply->aborted(); }));
      EXPECT_EQ(reply->send(), Errc::gone);
    } else if (sent.find("/stream") != sent.npos) {
      std::optional<BodyWriter> writer = streamed.take();
      ASSERT_TRUE(writer);
      http.reset();
      EXPECT_TRUE(eventually([&] { return writer->aborted(); }));
      EXPECT_FALSE(writer->write("x"));
      EXPECT_EQ(writer->end(), Errc::gone);
    } else {
      if (sent.find("/large") != sent.npos) {
        EXPECT_GT(http.wait_for(1).size(), 0u);
      }
      http.reset();
    }
  }
  EXPECT_EQ(client().get("/").status, 200);
  EXPECT_TRUE(eventually([&] { return server.counters().connections == 0; }));
}

INSTANTIATE_TEST_SUITE_P(Api, HttpConnections, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
