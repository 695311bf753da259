// tests/api/forward_test.cpp - requests that somebody else answers: what goes on, what comes back.
//
// Layer: tests.
#include <string>
#include <string_view>
#include <vector>

#include "api/harness.hpp"
#include "service/temp_dir.hpp"
#include "support/fake_dns.hpp"
#include "support/scripted_server.hpp"
#include "support/ws_client.hpp"

namespace sluice::test {
namespace {

using Peer = ScriptedServer::Peer;

class Forwards : public ServerTest {
 protected:
  // Tells what it sees, and answers "here".
  ScriptedServer::Serve recorder() {
    return ScriptedServer::requests([this](Peer& peer, const SeenRequest& request) {
      seen.put(request);
      peer.answer("here");
    });
  }
  SeenRequest take() { return seen.take().value_or(SeenRequest{}); }

  Handover<SeenRequest> seen;
};

TEST_P(Forwards, WhatCameAndWhatIsAnswered) {
  ScriptedServer upstream(ScriptedServer::requests([this](Peer& peer, const SeenRequest& request) {
    seen.put(request);
    peer.answer("the body",
                "X-Own: 1\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nDate: then\r\n"
                "Server: other\r\nContent-Type: text/x\r\nETag: \"1\"\r\n",
                418);
  }));
  ASSERT_TRUE(server.forward("/api/", {.upstreams = {upstream.url()}}));
  Running running = start();
  HttpClient http = client();
  const HttpReply reply = http.request("PATCH", "/api/a%2Fb/%7e/./c?x=1&y=%20",
                                       "X-Mine: yes\r\nCookie: q=1\r\n", "0123456789");
  EXPECT_EQ(reply.status, 418);
  EXPECT_EQ(reply.body, "the body");
  EXPECT_EQ(reply.field("X-Own"), "1");
  EXPECT_EQ(reply.count("Set-Cookie"), 2u);
  EXPECT_EQ(reply.field("Date"), "then");
  EXPECT_EQ(reply.count("Date"), 1u);
  EXPECT_EQ(reply.field("Server"), "other");
  EXPECT_EQ(reply.field("Content-Type"), "text/x");
  EXPECT_EQ(reply.field("ETag"), "\"1\"");
  EXPECT_EQ(reply.field("Content-Length"), "8");
  const SeenRequest request = take();
  EXPECT_EQ(request.line, "PATCH /api/a%2Fb/%7e/./c?x=1&y=%20 HTTP/1.1");
  EXPECT_EQ(request.field("Host"), "localhost");
  EXPECT_EQ(request.field("X-Mine"), "yes");
  EXPECT_EQ(request.field("Cookie"), "q=1");
  EXPECT_EQ(request.body, "0123456789");
  EXPECT_EQ(request.field("X-Forwarded-For"), "127.0.0.1");
  EXPECT_EQ(request.field("X-Forwarded-Proto"), "http");
  EXPECT_EQ(request.field("X-Forwarded-Host"), "localhost");
  EXPECT_EQ(request.field("Forwarded"), "for=127.0.0.1;proto=http;host=\"localhost\"");
  EXPECT_EQ(request.field("Via"), "1.1 sluice");
  EXPECT_EQ(request.count("Connection"), 0u);
}

TEST_P(Forwards, OnlyWhatBelongsToTheMessage) {
  ScriptedServer upstream(ScriptedServer::requests([this](Peer& peer, const SeenRequest& request) {
    seen.put(request);
    peer.answer("",
                "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
                "Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTrailer: X\r\nX-Kept: 1\r\n");
  }));
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  Running running = start();
  HttpClient http = client();
  const HttpReply reply = http.get(
      "/",
      "Connection: keep-alive, X-Named, upgrade\r\nX-Named: 1\r\nKeep-Alive: 3\r\n"
      "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\nUpgrade: h2c\r\n"
      "HTTP2-Settings: AAMAAABk\r\nTE: gzip\r\nX-Forwarded-For: 1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n"
      "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n"
      "Forwarded: for=1.2.3.4\r\nX_Forwarded_For: 1.2.3.4\r\nContent_Length: 7\r\n"
      "Transfer_Encoding: chunked\r\nX_Kept: 1\r\nVia: 1.0 before\r\nX-Kept: 1\r\n");
  EXPECT_EQ(reply.status, 200);
  for (const char* name : {"X-Hop", "Keep-Alive", "Proxy-Authenticate", "Upgrade", "Trailer"}) {
    EXPECT_EQ(reply.count(name), 0u) << name;
  }
  EXPECT_EQ(reply.field("X-Kept"), "1");
  const SeenRequest request = take();
  for (const char* name :
       {"Connection", "X-Named", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Upgrade",
        "HTTP2-Settings", "TE", "X-Real-IP", "X-Forwarded-Port", "X_Forwarded_For",
        "Content_Length", "Transfer_Encoding", "Content-Length", "Transfer-Encoding"}) {
    EXPECT_EQ(request.count(name), 0u) << name;
  }
  EXPECT_EQ(request.field("X_Kept"), "1");
  EXPECT_EQ(request.field("X-Kept"), "1");
  EXPECT_EQ(request.field("X-Forwarded-For"), "127.0.0.1");
  EXPECT_EQ(request.count("X-Forwarded-For"), 1u);
  EXPECT_EQ(request.field("X-Forwarded-Proto"), "http");
  EXPECT_EQ(request.field("X-Forwarded-Host"), "localhost");
  EXPECT_EQ(request.count("Forwarded"), 1u);
  EXPECT_EQ(request.count("Via"), 2u);
}

TEST_P(Forwards, WhatTrustedOnesSayAboutTheClient) {
  ScriptedServer upstream(recorder());
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}, .trusted = {"127.0.0.0/8"}}));
  Running running = start();
  HttpClient http = client();
  http.get("/",
           "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nX-Forwarded-Proto: https\r\n"
           "X-Forwarded-Host: shop.example\r\nForwarded: for=1.2.3.4\r\n");
  const SeenRequest request = take();
  EXPECT_EQ(request.field("X-Forwarded-For"), "1.2.3.4, 5.6.7.8, 127.0.0.1");
  EXPECT_EQ(request.count("X-Forwarded-For"), 1u);
  EXPECT_EQ(request.field("X-Forwarded-Proto"), "https");
  EXPECT_EQ(request.field("X-Forwarded-Host"), "shop.example");
  EXPECT_EQ(request.field("Forwarded"), "for=1.2.3.4, for=127.0.0.1;proto=http;host=\"localhost\"");
}

TEST_P(Forwards, ToAPathOfTheUpstream) {
  ScriptedServer upstream(recorder());
  ASSERT_TRUE(server.forward("/a/", {.upstreams = {upstream.url() + "/v1"}, .keep_host = false}));
  Running running = start();
  HttpClient http = client();
  http.get("/a/b/../c%20d%2Fe/%C3%A4?q=%2f");
  SeenRequest request = take();
  EXPECT_EQ(request.target(), "/v1/c%20d%2Fe/%C3%A4?q=%2f");
  EXPECT_EQ(request.field("Host"), "127.0.0.1:" + std::to_string(upstream.port()));
  http.get("/a/");
  EXPECT_EQ(take().target(), "/v1/");
  http.request("GET", "http://localhost/a/x?y");  // the absolute form goes on as a path
  EXPECT_EQ(take().target(), "/v1/x?y");
}

TEST_P(Forwards, TheAbsoluteFormAsAPathAndTheAsteriskAsItIs) {
  ScriptedServer upstream(recorder());
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  server.on_before_forward_http = [&](Connection, const HttpRequest& request, Forward& forward) {
    if (request.document() == "*") forward.url = upstream.url();
  };
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.request("GET", "http://localhost/a//%62?y").status, 200);
  EXPECT_EQ(take().target(), "/a//%62?y");
  EXPECT_EQ(http.request("OPTIONS", "*").status, 200);
  EXPECT_EQ(take().target(), "*");
}

TEST_P(Forwards, WhatNoLongerPatternTakes) {
  ScriptedServer upstream(recorder());
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  ASSERT_TRUE(
      server.route("GET", "/own", [](Connection, const HttpRequest&, HttpResponse& response) {
        response.content_text("own");
      }));
  ASSERT_TRUE(server.websocket(
      "/ws", {.on_message = [](Connection c, std::string_view text) { c.write_data(text); }}));
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/own").body, "own");
  EXPECT_EQ(client().request("POST", "/own", {}, "x").status, 405);
  EXPECT_EQ(http.get("/other").body, "here");
  WsClient socket(port, "/ws");
  socket.text("mine");
  EXPECT_EQ(socket.read(), "mine");
}

TEST_P(Forwards, OverOneConnectionAfterTheOther) {
  ScriptedServer upstream(recorder());
  server.shards = 1;
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  Running running = start();
  for (int i = 0; i < 3; ++i) {
    HttpClient http = client();
    for (int j = 0; j < 10; ++j) ASSERT_EQ(http.get("/").body, "here");
  }
  EXPECT_EQ(upstream.connections(), 1);
}

TEST_P(Forwards, PipelinedRequestsInTheirOrder) {
  ScriptedServer upstream(ScriptedServer::requests([](Peer& peer, const SeenRequest& request) {
    peer.answer(request.target() + request.body);
  }));
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  Running running = start();
  HttpClient http = client();
  std::string all;
  for (int i = 0; i < 20; ++i) {
    all += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  }
  http.send(all);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(http.read().body, "/" + std::to_string(i) + "abc");
}

TEST_P(Forwards, AnswersWithoutABody) {
  ScriptedServer upstream(ScriptedServer::requests([](Peer& peer, const SeenRequest& request) {
    if (request.line.starts_with("HEAD")) {
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    } else if (request.target() == "/304") {
      peer.send("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n");
    } else {
      peer.send("HTTP/1.1 204 No Content\r\n\r\n");
    }
  }));
  server.shards = 1;
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  Running running = start();
  HttpClient http = client();
  HttpReply reply = http.request("HEAD", "/");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("Content-Length"), "1234");
  reply = http.get("/304");
  EXPECT_EQ(reply.status, 304);
  EXPECT_EQ(reply.field("ETag"), "\"x\"");
  reply = http.request("DELETE", "/");
  EXPECT_EQ(reply.status, 204);
  EXPECT_FALSE(reply.has("Content-Length"));
  EXPECT_EQ(upstream.connections(), 1);
}

TEST_P(Forwards, ToALocalSocket) {
  TempDir dir;
  const std::string path = (dir.path() / "s").string();
  ScriptedServer upstream(recorder(), path);
  ASSERT_TRUE(server.forward("/", {.upstreams = {"unix:" + path}, .keep_host = false}));
  Running running = start();
  EXPECT_EQ(client().get("/").body, "here");
  EXPECT_EQ(take().field("Host"), "localhost");
}

TEST_P(Forwards, ToANameAndItsAddresses) {
  ScriptedServer upstream(recorder());
  FakeDns dns({{"app.test", {.records = {{"127.0.0.1"}}}}});
  server.name_servers = {dns.address()};
  ASSERT_TRUE(
      server.forward("/", {.upstreams = {"http://app.test:" + std::to_string(upstream.port())}}));
  ASSERT_TRUE(server.forward("/none/", {.upstreams = {"http://none.test"}}));
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").body, "here");
  EXPECT_EQ(http.request("POST", "/", {}, "abc").body, "here");
  const HttpReply reply = http.get("/none/");
  EXPECT_EQ(reply.status, 502);
  EXPECT_TRUE(told_error(Errc::upstream_unreachable));
}

// One name is never told: whoever is known is asked, and nobody is asked twice.
TEST_P(Forwards, ToTheNameThatIsKnownFirst) {
  ScriptedServer upstream(recorder());
  FakeDns dns({{"slow.test", {.records = {{"127.0.0.1"}}, .way = DnsEntry::Way::hold}},
               {"fast.test", {.records = {{"127.0.0.1"}}}}});
  server.name_servers = {dns.address()};
  const std::string behind = ":" + std::to_string(upstream.port());
  ASSERT_TRUE(server.forward(
      "/", {.upstreams = {"http://slow.test" + behind, "http://fast.test" + behind}}));
  Running running = start();
  HttpClient one = client(), two = client();
  EXPECT_EQ(one.get("/").body, "here");
  EXPECT_EQ(two.get("/").body, "here");
  dns.release();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(one.get("/").body, "here");
    EXPECT_EQ(two.get("/").body, "here");
  }
}

TEST_P(Forwards, AnswersThatAreKept) {
  std::atomic<int> asked{0};
  ScriptedServer upstream(ScriptedServer::requests([&](Peer& peer, const SeenRequest& request) {
    ++asked;
    peer.answer(request.target());
  }));
  server.cache_rules = {{.path = "/kept"}};
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  Running running = start();
  HttpClient http = client();
  // Another spelling of the same path is another target to the server behind.
  EXPECT_EQ(http.get("/x/../kept/a").body, "/x/../kept/a");
  EXPECT_EQ(http.get("/kept/./a").body, "/kept/./a");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(http.get("/kept/a").body, "/kept/a");
  EXPECT_EQ(asked, 3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(http.get("/other").body, "/other");
  EXPECT_EQ(asked, 6);
}

TEST_P(Forwards, InTurnOrToWhomHasLeastToDo) {
  Gate gate;
  Handover<std::string> waits;
  const auto named = [&](const std::string& name) {
    return ScriptedServer::requests([&, name](Peer& peer, const SeenRequest& request) {
      if (request.target() == "/least/wait") {
        waits.put(name);
        gate.wait();
      }
      peer.answer(name);
    });
  };
  ScriptedServer one(named("1")), two(named("2"));
  const std::vector<std::string> both{one.url(), two.url()};
  ASSERT_TRUE(server.forward("/", {.upstreams = both}));
  ASSERT_TRUE(
      server.forward("/least/", {.upstreams = both, .balance = Balance::least_connections}));
  Running running = start();
  HttpClient http = client();
  std::string answers;
  for (int i = 0; i < 10; ++i) answers += http.get("/").body;
  EXPECT_EQ(std::count(answers.begin(), answers.end(), '1'), 5) << answers;
  HttpClient busy = client();
  busy.send("GET /least/wait HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string waiting = waits.take().value_or("");
  for (int i = 0; i < 6; ++i) EXPECT_NE(http.get("/least/").body, waiting);
  gate.open();
  EXPECT_EQ(busy.read().body, waiting);
}

TEST_P(Forwards, WhereTheApplicationSays) {
  ScriptedServer upstream(recorder());
  server.on_before_forward_http = [&](Connection, const HttpRequest& request, Forward& forward) {
    EXPECT_FALSE(forward.enabled);
    if (request.document() == "/not") return;
    forward.url = upstream.url();
    forward.document = "/other path";
    forward.query = "a=b";
    forward.host = "elsewhere:1";
    forward.headers.add("X-Added", "1");
    forward.headers.add("X-Forwarded-Proto", "https");
    forward.headers.add("Host", "not this");
    forward.headers.add("Cookie", "theirs=1");
  };
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text("own");
  };
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/not").body, "own");
  EXPECT_EQ(http.request("POST", "/not", {}, "abc").body, "own");
  EXPECT_EQ(http.get("/yes", "Cookie: mine=1\r\n").body, "here");
  const SeenRequest request = take();
  EXPECT_EQ(request.target(), "/other%20path?a=b");
  EXPECT_EQ(request.field("Host"), "elsewhere:1");
  EXPECT_EQ(request.field("X-Added"), "1");
  EXPECT_EQ(request.field("X-Forwarded-Proto"), "https");
  EXPECT_EQ(request.count("X-Forwarded-Proto"), 1u);
  EXPECT_EQ(request.count("Host"), 1u);
  EXPECT_EQ(request.field("Cookie"), "theirs=1");
  EXPECT_EQ(request.count("Cookie"), 1u);
  EXPECT_EQ(http.request("POST", "/yes", {}, "abcdef").body, "here");
  EXPECT_EQ(take().body, "abcdef");
}

// More addresses than the pool remembers: those without a connection are forgotten, nobody else.
TEST_P(Forwards, ToManyAddresses) {
  ScriptedServer upstream(recorder());
  const std::string dead = ":" + std::to_string(free_port());
  server.shards = 1;
  server.on_before_forward_http = [&](Connection, const HttpRequest& request, Forward& forward) {
    const int number = std::stoi(std::string(request.document().substr(1)));
    forward.url = "http://127.0." + std::to_string(1 + number / 200) + "." +
                  std::to_string(1 + number % 200) + dead;
    if (number == 0) forward.url = upstream.url();
  };
  Running running = start();
  HttpClient http = client();
  ASSERT_EQ(http.get("/0").body, "here");
  for (int i = 1; i < 600; ++i) ASSERT_EQ(http.get("/" + std::to_string(i)).status, 502);
  ASSERT_EQ(http.get("/0").body, "here");
  EXPECT_EQ(upstream.connections(), 1);
}

TEST_P(Forwards, UnlessTheApplicationSaysNo) {
  ScriptedServer upstream(recorder());
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  server.on_before_forward_http = [&](Connection, const HttpRequest& request, Forward& forward) {
    EXPECT_TRUE(forward.enabled);
    if (request.document() == "/own") forward.enabled = false;
    if (request.document() == "/throws") throw std::runtime_error("no");
  };
  server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text("own");
  };
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").body, "here");
  EXPECT_EQ(http.get("/throws").status, 500);
  EXPECT_EQ(http.get("/").body, "here");
}

TEST_P(Forwards, AnswersThatTheApplicationRewrites) {
  ScriptedServer upstream(ScriptedServer::requests([](Peer& peer, const SeenRequest&) {
    peer.answer(pattern(100'000), "Content-Type: text/x\r\n");
  }));
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  server.on_after_forward_http = [](Connection, const HttpRequest& request, HttpResponse& response,
                                    const Error* error) {
    EXPECT_EQ(error, nullptr);
    EXPECT_EQ(response.content_type(), "text/x");
    if (request.document() == "/body") {
      response.response_no(203).content_type("text/y").content_text("mine");
    } else if (request.document() == "/throws") {
      throw std::runtime_error("no");
    } else {
      response.response_no(201).header("X-Added", "1").content_type("text/z");
    }
  };
  Running running = start();
  HttpClient http = client();
  HttpReply reply = http.get("/");
  EXPECT_EQ(reply.status, 201);
  EXPECT_EQ(reply.field("X-Added"), "1");
  EXPECT_EQ(reply.field("Content-Type"), "text/z");
  EXPECT_EQ(reply.count("Content-Type"), 1u);
  EXPECT_TRUE(reply.body == pattern(100'000));
  reply = http.get("/body");
  EXPECT_EQ(reply.status, 203);
  EXPECT_EQ(reply.body, "mine");
  EXPECT_EQ(reply.field("Content-Type"), "text/y");
  EXPECT_EQ(http.get("/throws").status, 500);
  EXPECT_EQ(http.get("/").status, 201);
}

TEST_P(Forwards, ErrorsThatTheApplicationRewrites) {
  ASSERT_TRUE(
      server.forward("/", {.upstreams = {"http://127.0.0.1:" + std::to_string(free_port())}}));
  server.on_after_forward_http = [](Connection, const HttpRequest&, HttpResponse& response,
                                    const Error* error) {
    ASSERT_NE(error, nullptr);
    EXPECT_EQ(error->code, Errc::upstream_unreachable);
    EXPECT_EQ(response.response_no(), 502);
    response.response_no(503).content_text("come back later");
  };
  Running running = start();
  const HttpReply reply = client().get("/");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body, "come back later");
}

TEST_P(Forwards, RefusesWhatCannotBe) {
  const auto refuses = [&](const ForwardOptions& options) {
    const auto result = server.forward("/", options);
    return !result && result.error().code == Errc::bad_setting && !result.error().detail.empty();
  };
  EXPECT_TRUE(refuses({}));
  for (const char* url : {"", "127.0.0.1", "ftp://a", "https://", "http://", "http://a:0",
                          "http://a:99999", "http://a b", "http://u@a", "http://a/?q",
                          "http://[::g]", "unix:", "unix:relative", "unix:@"}) {
    EXPECT_TRUE(refuses({.upstreams = {url}})) << url;
  }
  EXPECT_TRUE(refuses({.upstreams = {"http://a"}, .trusted = {"1.2.3"}}));
  EXPECT_TRUE(
      refuses({.upstreams = {"http://a"}, .timeouts = {.connect = std::chrono::seconds(-1)}}));
  EXPECT_FALSE(server.forward("/a", {.upstreams = {"http://a"}}));
  EXPECT_TRUE(server.forward("/a/", {.upstreams = {"http://a"}}));
  EXPECT_FALSE(server.forward("/a/", {.upstreams = {"http://a"}}));
}

// --- WebSockets ----------------------------------------------------------------------------------

TEST_P(Forwards, WebSocketsBothWaysWithTheirCloseCodes) {
  Server behind;
  prepare(behind);
  behind.shards = 1;
  Told<std::string> told;
  behind.protocols.add("chat");
  behind.on_message = [](Connection c, std::string_view text) {
    if (text == "close") {
      c.close(4001, "enough");
    } else {
      c.write_data(text);
    }
  };
  behind.on_disconnect = [&](Connection, std::uint16_t code) { told.tell(std::to_string(code)); };
  ASSERT_TRUE(behind.start());
  ASSERT_TRUE(server.forward(
      "/", {.upstreams = {"http://127.0.0.1:" + std::to_string(behind.bound_port())}}));
  {
    Running running = start();
    WsClient one(port, "/path", "Sec-WebSocket-Protocol: chat\r\n");
    EXPECT_EQ(one.reply().status, 101);
    EXPECT_EQ(one.reply().field("Sec-WebSocket-Accept"), WsClient::kAccept);
    EXPECT_EQ(one.reply().field("Sec-WebSocket-Protocol"), "chat");
    EXPECT_EQ(one.reply().count("Date"), 1u);
    const std::string large = pattern(3'000'000);
    one.text("small");
    EXPECT_EQ(one.read(), "small");
    one.text(large);
    EXPECT_TRUE(one.read() == large);
    one.text("close");
    EXPECT_EQ(one.read_close(), 4001);
    one.close(4001);
    EXPECT_TRUE(told.wait_for(1));
    WsClient two(port, "/");
    two.close(4002);
    EXPECT_EQ(two.read_close(), 4002);
    EXPECT_TRUE(told.wait_for(2));
    EXPECT_EQ(told.all().at(1), "4002");
    WsClient three(port, "/");
    three.text("x");
    EXPECT_EQ(three.read(), "x");
    three.http().disconnect();  // without a Close frame: the other side hears of the end
    EXPECT_TRUE(told.wait_for(3));
    EXPECT_EQ(told.all().at(2), "1006");
  }
  EXPECT_TRUE(behind.stop(std::chrono::milliseconds(0)));
}

TEST_P(Forwards, AnUpgradeThatIsRefused) {
  ScriptedServer upstream(recorder());
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  Running running = start();
  WsClient socket(port, "/");
  EXPECT_EQ(socket.reply().status, 200);
  EXPECT_EQ(socket.reply().body, "here");
  const SeenRequest request = take();
  EXPECT_EQ(request.field("Connection"), "Upgrade");
  EXPECT_EQ(request.field("Upgrade"), "websocket");
  EXPECT_EQ(request.field("Sec-WebSocket-Key"), WsClient::kKey);
}

TEST_P(Forwards, WhatFollowsTheUpgradeAtOnce) {
  ScriptedServer upstream([](Peer& peer) {
    SeenRequest request;
    if (!peer.read_head(request)) return;
    peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" +
        WsClient::frame(WsClient::kText, "first", true, false));
    std::string frame;
    if (peer.read_bytes(6 + 4, frame))
      peer.send(WsClient::frame(WsClient::kText, "second", true, false));
    peer.read_to_end();
  });
  ASSERT_TRUE(server.forward("/", {.upstreams = {upstream.url()}}));
  Running running = start();
  HttpClient http = client();
  http.send(WsClient::handshake("/") + WsClient::frame(WsClient::kText, "here"));
  EXPECT_EQ(http.read().status, 101);
  std::string frames;
  EXPECT_TRUE(http.read_bytes(7 + 8, frames));
  EXPECT_NE(frames.find("first"), std::string::npos);
  EXPECT_NE(frames.find("second"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Api, Forwards, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
