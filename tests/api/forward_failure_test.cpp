// tests/api/forward_failure_test.cpp - upstreams that fail, and clients that try to slip a request
// in.
//
// Layer: tests.
#include <string>
#include <string_view>

#include "api/harness.hpp"
#include "support/scripted_server.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using Peer = ScriptedServer::Peer;

std::string nobody() { return "http://127.0.0.1:" + std::to_string(free_port()); }

class ForwardFailures : public ServerTest {
 protected:
  void to(std::vector<std::string> upstreams, ForwardOptions options = {}) {
    options.upstreams = std::move(upstreams);
    ASSERT_TRUE(server.forward("/", options));
  }
};

TEST_P(ForwardFailures, NobodyThere) {
  to({nobody()});
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").status, 502);
  EXPECT_TRUE(told_error(Errc::upstream_unreachable));
  EXPECT_EQ(http.get("/").status, 502);  // the client's connection lives on
  EXPECT_EQ(http.request("POST", "/", {}, "abc").status, 502);
}

TEST_P(ForwardFailures, WhatNobodyHasSeenGoesToTheNext) {
  ScriptedServer upstream(ScriptedServer::requests(
      [](Peer& peer, const SeenRequest& request) { peer.answer(request.body); }));
  to({nobody(), upstream.url(), nobody()});
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 10; ++i) {
    const std::string body = pattern(100'000, unsigned(i));
    EXPECT_TRUE(http.request("POST", "/", {}, body).body == body);
  }
}

TEST_P(ForwardFailures, AllThatAreDownAreTriedAgain) {
  to({nobody(), nobody()}, {.upstreams = {}, .fail_time = 1h});
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(http.get("/").status, 502);
}

struct BadAnswer {
  const char* text;
  Errc code;
};
constexpr BadAnswer kBadAnswers[] = {
    {"", Errc::upstream_broken},
    {"HTTP/1.1 200 OK\r\n", Errc::upstream_broken},
    {"HTTP/1.1 200 OK\r\nContent-Le", Errc::upstream_broken},
    {"garbage\r\n\r\n", Errc::upstream_bad_answer},
    {"SSH-2.0-OpenSSH_9.2\r\n", Errc::upstream_bad_answer},
    {"HTTP/2.0 200 OK\r\n\r\n", Errc::upstream_bad_answer},
    {"HTTP/1.1 20 OK\r\n\r\n", Errc::upstream_bad_answer},
    {"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n", Errc::upstream_bad_answer},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Errc::upstream_bad_answer},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
     Errc::upstream_bad_answer},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     Errc::upstream_bad_answer},
    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Errc::upstream_bad_answer},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Errc::upstream_bad_answer},
    {"HTTP/1.1 200 OK\r\nX : 1\r\nContent-Length: 0\r\n\r\n", Errc::upstream_bad_answer},
    {"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n", Errc::upstream_bad_answer},
    {"HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\nContent-Length: 0\r\n\r\n", Errc::upstream_bad_answer},
};

TEST_P(ForwardFailures, AnswersThatAreNone) {
  std::atomic<std::size_t> at{0};
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    if (peer.read(request)) peer.send(kBadAnswers[at].text);
  });
  to({upstream.url()});
  Running running = start();
  HttpClient http = client();
  for (; at < std::size(kBadAnswers); ++at) {
    const std::size_t before = errors.count(kBadAnswers[at].code);
    const HttpReply reply = http.get("/");
    EXPECT_TRUE(reply.complete);
    EXPECT_EQ(reply.status, 502) << kBadAnswers[at].text;
    EXPECT_TRUE(errors.wait_until([&](const std::vector<Errc>& all) {
      return std::size_t(std::count(all.begin(), all.end(), kBadAnswers[at].code)) == before + 1;
    })) << kBadAnswers[at].text;
  }
}

TEST_P(ForwardFailures, WhatIsSaidBeforeWithoutEnd) {
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    if (!peer.read(request)) return;
    while (peer.send("HTTP/1.1 102 Processing\r\n\r\n")) {
    }
  });
  to({upstream.url()});
  Running running = start();
  const HttpReply reply = client().get("/");
  EXPECT_EQ(reply.status, 502);
  EXPECT_EQ(reply.interim.size(), 64u);
}

TEST_P(ForwardFailures, AHeadThatNeverEnds) {
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    if (!peer.read(request)) return;
    peer.send("HTTP/1.1 200 OK\r\n");
    while (peer.send("X-Field: " + std::string(1000, 'x') + "\r\n")) {
    }
  });
  to({upstream.url()});
  Running running = start();
  EXPECT_EQ(client().get("/").status, 502);
  EXPECT_TRUE(told_error(Errc::upstream_bad_answer));
}

// What has begun cannot be taken back: the client sees that it is not whole.
TEST_P(ForwardFailures, AnswersThatBreakOff) {
  for (const char* answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n"}) {
    ScriptedServer upstream([&](Peer& peer) {
      SeenRequest request;
      if (peer.read(request)) peer.send(answer);
    });
    Server own;
    prepare(own);
    ASSERT_TRUE(own.forward("/", {.upstreams = {upstream.url()}}));
    ASSERT_TRUE(own.start());
    HttpClient http(own.bound_port());
    const HttpReply reply = http.get("/");
    EXPECT_FALSE(reply.complete) << answer;
    EXPECT_TRUE(http.at_end());
    EXPECT_TRUE(own.stop(0ms));
  }
}

TEST_P(ForwardFailures, NoAnswerInTime) {
  ScriptedServer upstream([&](Peer& peer) { peer.read_to_end(); });
  to({upstream.url()}, {.upstreams = {}, .timeouts = {.response = 50ms}});
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").status, 504);
  EXPECT_TRUE(told_error(Errc::upstream_timeout));
  EXPECT_EQ(http.request("POST", "/", {}, "abc").status, 504);
}

TEST_P(ForwardFailures, AnAnswerThatStandsStill) {
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    if (!peer.read(request)) return;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
    peer.read_to_end();
  });
  to({upstream.url()}, {.upstreams = {}, .timeouts = {.idle = 50ms}});
  Running running = start();
  HttpClient http = client();
  EXPECT_FALSE(http.get("/").complete);
  EXPECT_TRUE(told_error(Errc::upstream_timeout));
}

// --- Connections that are kept -------------------------------------------------------------------

// Each connection serves one request and is closed without a word: what may be repeated is.
TEST_P(ForwardFailures, ConnectionsThatCloseWhileTheyWait) {
  std::atomic<int> served{0};
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    if (!peer.read(request)) return;
    ++served;
    peer.answer(request.body);
  });
  server.shards = 1;
  to({upstream.url()});
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(http.get("/").status, 200) << i;
    ASSERT_EQ(http.request("DELETE", "/").status, 200) << i;
  }
  EXPECT_EQ(served, 100);
}

// The same, but it goes when the next request has come: nobody can know whether it was served.
TEST_P(ForwardFailures, ConnectionsThatCloseWhenTheyAreUsed) {
  std::atomic<int> begun{0};
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    if (!peer.read(request)) return;
    peer.answer("first");
    if (!peer.read(request)) return;
    ++begun;
    peer.reset();
  });
  server.shards = 1;
  to({upstream.url()});
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").body, "first");
  EXPECT_EQ(http.get("/").body, "first");  // once more, over a new connection
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(http.request("POST", "/", {}, "x").status, 502);  // not once more
  EXPECT_EQ(begun, 2);
}

TEST_P(ForwardFailures, MoreThanWasAskedForIsNobodysAnswer) {
  std::atomic<int> connections{0};
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    ++connections;
    while (peer.read(request)) {
      peer.send(
          "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine"
          "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen");
    }
  });
  server.shards = 1;
  to({upstream.url()});
  Running running = start();
  HttpClient http = client();
  for (int i = 0; i < 5; ++i) ASSERT_EQ(http.get("/").body, "mine");
  EXPECT_EQ(connections, 5);
}

TEST_P(ForwardFailures, AClientThatGoesTakesItsRequestAlong) {
  Handover<bool> asked, ended;
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    if (!peer.read_head(request)) return;
    asked.put(true);
    if (request.target() == "/begun") peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1");
    peer.read_to_end();
    ended.put(true);
  });
  to({upstream.url()});
  Running running = start();
  for (const char* target : {"/", "/begun"}) {
    HttpClient http = client();
    http.send(std::string("GET ") + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(asked.take());
    if (std::string_view(target) == "/begun") http.wait_for(1);
    http.reset();
    EXPECT_TRUE(ended.take());
  }
  HttpClient http = client();
  http.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
  EXPECT_TRUE(asked.take());
  http.reset();
  EXPECT_TRUE(ended.take());
}

TEST_P(ForwardFailures, AClientThatEndsInTheMiddleOfItsBody) {
  Handover<bool> ended;
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    if (peer.read(request)) ADD_FAILURE() << "it is not whole";
    ended.put(true);
  });
  to({upstream.url()});
  Running running = start();
  HttpClient http = client();
  http.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n0123456789");
  http.end_sending();
  EXPECT_TRUE(http.at_end());
  EXPECT_TRUE(ended.take());
}

TEST_P(ForwardFailures, TheServerStopsMeanwhile) {
  Handover<bool> asked;
  Gate gate;
  ScriptedServer upstream([&](Peer& peer) {
    SeenRequest request;
    while (peer.read(request)) {
      if (request.target() == "/wait") {
        asked.put(true);
        gate.wait();
      }
      peer.answer("done");
    }
  });
  to({upstream.url()});
  ASSERT_TRUE(server.start());
  port = server.bound_port();
  HttpClient other = client();
  EXPECT_EQ(other.get("/").body, "done");
  HttpClient http = client();
  http.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(asked.take());
  std::jthread stopper([&] { EXPECT_TRUE(server.stop(kPatience)); });
  EXPECT_TRUE(other.at_end());  // who has nothing under way goes first
  gate.open();
  EXPECT_EQ(http.read().body, "done");
}

// --- One request is one request ------------------------------------------------------------------

struct Smuggled {
  const char* name;
  const char* bytes;
  int status;  // of the first answer; 200: it is forwarded
};
constexpr Smuggled kSmuggled[] = {
    {"CL.TE",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0\r\n\r\nGET /evil HTTP/1.1\r\nX: a\r\n\r\n",
     400},
    {"TE.CL",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
     "24\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\nxxxx\r\n0\r\n\r\n",
     400},
    {"two lengths",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 31\r\n\r\n"
     "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
     400},
    {"a list of lengths",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 31\r\n\r\n"
     "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
     400},
    {"a signed length",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n"
     "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
     400},
    {"TE with a tab", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
     200},
    {"TE, space before the colon",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\nContent-Length: "
     "5\r\n\r\n0\r\n\r\n",
     400},
    {"TE folded", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
     400},
    {"TE twice",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
     "identity\r\n\r\n"
     "0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
     400},
    {"TE xchunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
     400},
    {"TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400},
    {"a bare LF in the head", "GET / HTTP/1.1\nHost: a\n\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
     400},
    {"a bare LF in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\nY: 2\r\n\r\n", 400},
    {"a bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n", 400},
    {"a NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400},
    {"a chunk size with 0x",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0x0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
     400},
    {"a chunk with a bare LF",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0\n\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
     400},
    {"a chunk size that overflows",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "10000000000000000\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
     400},
    {"a chunk extension",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "3;x=\"a;b\"\r\nabc\r\n0\r\n\r\n",
     200},
    {"framing in trailers",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0\r\nContent-Length: 31\r\nTransfer-Encoding: chunked\r\n\r\n",
     200},
    {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"a body with GET",
     "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n"
     "GET /evil HTTP/1.1\r\nHost: a\r\n\r",
     200},
    {"Connection names the length",
     "POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 30\r\n\r\n"
     "GET /evil HTTP/1.1\r\nHost: a\r\n\r",
     200},
    {"Connection names the coding",
     "POST / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: "
     "chunked\r\n\r\n"
     "1e\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\r\n0\r\n\r\n",
     200},
    {"an upgrade to h2c",
     "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
     "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
     200},
    {"a target with spaces", "GET / evil HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"CONNECT", "CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n", 501},
};

// Whatever is sent, the upstream reads one request, whole, and its connection is clean afterwards.
TEST_P(ForwardFailures, NoRequestWithinARequest) {
  Handover<SeenRequest> seen;
  ScriptedServer upstream(ScriptedServer::requests([&](Peer& peer, const SeenRequest& request) {
    seen.put(request);
    peer.answer("one");
  }));
  server.shards = 1;
  to({upstream.url()});
  Running running = start();
  for (const Smuggled& attempt : kSmuggled) {
    {
      HttpClient http = client();
      http.send(attempt.bytes);
      EXPECT_EQ(http.read().status, attempt.status) << attempt.name;
    }
    HttpClient next = client();
    EXPECT_EQ(next.get("/next").status, 200) << attempt.name;
    if (attempt.status == 200) {
      const SeenRequest request = seen.take().value_or(SeenRequest{});
      EXPECT_EQ(request.target(), "/") << attempt.name;
      EXPECT_LE(request.count("Content-Length") + request.count("Transfer-Encoding"), 1u)
          << attempt.name;
      EXPECT_EQ(request.trailers, "") << attempt.name;
    }
    const SeenRequest request = seen.take().value_or(SeenRequest{});
    EXPECT_EQ(request.target(), "/next") << attempt.name;
  }
  // Those whose bodies turned out to be none took their connections along.
  EXPECT_EQ(upstream.connections(), 4);
}

INSTANTIATE_TEST_SUITE_P(Api, ForwardFailures, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
