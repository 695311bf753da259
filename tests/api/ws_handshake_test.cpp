// tests/api/ws_handshake_test.cpp - how a request becomes a WebSocket, and what is refused.
//
// RFC 6455 sections 4.2, 1.9. Layer: tests.
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

class WsHandshake : public WsTest {
 protected:
  // The answer to a handshake made of these complete lines.
  HttpReply shake(std::string_view request_line, std::string_view fields) {
    HttpClient http = client();
    EXPECT_TRUE(http.send(std::string(request_line).append("\r\n").append(fields).append("\r\n")));
    return http.read();
  }
  static constexpr std::string_view kGet = "GET /chat HTTP/1.1";
  static constexpr std::string_view kGood =
      "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
};

TEST_P(WsHandshake, AnswersTheKey) {
  Running running = start();
  WsClient socket = ws("/chat?x=1");
  ASSERT_TRUE(socket.is_open());
  EXPECT_EQ(socket.reply().field("Sec-WebSocket-Accept"), WsClient::kAccept);
  EXPECT_EQ(socket.reply().field("Upgrade"), "websocket");
  EXPECT_EQ(socket.reply().field("Connection"), "Upgrade");
  EXPECT_FALSE(socket.reply().has("Sec-WebSocket-Protocol"));
  EXPECT_FALSE(socket.reply().has("Content-Length"));
  Connection connection = next_connection();
  EXPECT_EQ(connection.url(), "/chat");
  EXPECT_EQ(connection.protocol(), "");
  EXPECT_TRUE(connection.is_websocket());
  EXPECT_EQ(server.counters().websockets, 1u);
}

TEST_P(WsHandshake, TakesFramesThatCameWithIt) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send(WsClient::handshake("/") + WsClient::frame(WsClient::kText, "early")));
  EXPECT_EQ(http.read().status, 101);
  std::string echo;
  ASSERT_TRUE(http.read_bytes(7, echo));
  EXPECT_EQ(echo,
            "\x81\x05"
            "early");
}

TEST_P(WsHandshake, MayFollowPlainRequests) {
  Running running = start();
  HttpClient http = client();
  ASSERT_TRUE(http.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n" + WsClient::handshake("/") +
                        WsClient::frame(WsClient::kText, "x")));
  EXPECT_EQ(http.read().status, 404);
  EXPECT_EQ(http.read().status, 101);
  EXPECT_TRUE(told("text x"));
}

TEST_P(WsHandshake, TakesFieldsOfTheApplication) {
  Told<Errc> verdicts;
  server.on_handshake = [&](Connection connection, Headers& fields) {
    EXPECT_EQ(connection.url(), "/");
    EXPECT_FALSE(connection.is_websocket());
    verdicts.tell(fields.add("X-One", "1"));
    verdicts.tell(fields.add("X-Two", "2\r\nX-Three: 3"));
    verdicts.tell(fields.add("Connection", "close"));
    EXPECT_EQ(fields.get("x-one"), "1");
    EXPECT_TRUE(fields.has("X-ONE"));
    EXPECT_FALSE(fields.has("X-Two"));
    EXPECT_EQ(fields.list().size(), 1u);
  };
  Running running = start();
  WsClient socket = ws();
  ASSERT_TRUE(socket.is_open());
  EXPECT_EQ(socket.reply().field("X-One"), "1");
  EXPECT_FALSE(socket.reply().has("X-Three"));
  EXPECT_EQ(socket.reply().count("Connection"), 1u);
  EXPECT_EQ(verdicts.all(), (std::vector<Errc>{Errc::none, Errc::http_response_splitting,
                                               Errc::http_framing_field}));
}

TEST_P(WsHandshake, ThatThrowsIs500) {
  Told<bool> thrown;
  server.on_exception = [&](Connection, std::exception_ptr) { thrown.tell(true); };
  server.on_handshake = [](Connection, Headers&) { throw std::runtime_error("no"); };
  Running running = start();
  WsClient refused = ws();
  EXPECT_EQ(refused.reply().status, 500);
  EXPECT_EQ(refused.reply().field("Connection"), "close");
  EXPECT_TRUE(thrown.wait_for(1));
  EXPECT_EQ(events.size(), 0u);
}

TEST_P(WsHandshake, ChoosesTheFirstProtocolThatIsKnown) {
  server.protocols = {"chat.v1", "chat.v2"};
  Running running = start();
  WsClient both = ws("/", "Sec-WebSocket-Protocol: other, chat.v2, chat.v1\r\n");
  ASSERT_TRUE(both.is_open());
  EXPECT_EQ(both.reply().field("Sec-WebSocket-Protocol"), "chat.v2");
  EXPECT_EQ(next_connection().protocol(), "chat.v2");
  WsClient none = ws("/", "Sec-WebSocket-Protocol: other\r\n");
  ASSERT_TRUE(none.is_open());
  EXPECT_FALSE(none.reply().has("Sec-WebSocket-Protocol"));
}

TEST_P(WsHandshake, ProtocolsMayHaveHandlersOfTheirOwn) {
  WebSocketHandlers chat;
  chat.on_message = [](Connection connection, std::string_view text) {
    connection.write_data("chat: " + std::string(text));
  };
  server.protocols.add("chat", chat);
  server.protocols.add("plain");
  WebSocketHandlers room;
  room.on_message = [](Connection connection, std::string_view text) {
    connection.write_data("room: " + std::string(text));
  };
  room.on_binary = [](Connection connection, Bytes) { connection.write_data("room: binary"); };
  ASSERT_TRUE(server.websocket("/room", room));
  Running running = start();
  constexpr std::string_view kChat = "Sec-WebSocket-Protocol: chat\r\n";
  constexpr std::string_view kPlain = "Sec-WebSocket-Protocol: plain\r\n";
  struct Row {
    std::string_view path, fields, text, binary;
  };
  const Row table[] = {{"/", kChat, "chat: x", "y"},
                       {"/", kPlain, "x", "y"},
                       {"/", "", "x", "y"},
                       {"/room", kChat, "chat: x", "room: binary"},
                       {"/room", kPlain, "room: x", "room: binary"}};
  for (const Row& row : table) {
    WsClient socket = ws(row.path, row.fields);
    socket.text("x");
    EXPECT_EQ(socket.read(), row.text) << row.path << row.fields;
    socket.binary("y");
    EXPECT_EQ(socket.read(), row.binary) << row.path << row.fields;
    EXPECT_TRUE(socket.close_and_wait());
  }
  // The server's other events are told of all.
  EXPECT_TRUE(told("connect", 5));
  EXPECT_TRUE(told("disconnect 1000", 5));
}

TEST_P(WsHandshake, OfAProtocolWithHandlersNeedsNoOthers) {
  Server other;
  prepare(other);
  other.protocols.add("chat", {.on_message = [](Connection connection, std::string_view text) {
                        connection.write_data(text);
                      }});
  ASSERT_TRUE(other.start());
  WsClient chat(other.bound_port(), "/", "Sec-WebSocket-Protocol: chat\r\n", kPatience);
  ASSERT_TRUE(chat.is_open());
  chat.text("x");
  EXPECT_EQ(chat.read(), "x");
  WsClient none(other.bound_port(), "/", "", kPatience);
  EXPECT_EQ(none.reply().status, 404);
  EXPECT_TRUE(other.stop(std::chrono::milliseconds(0)));
}

TEST_P(WsHandshake, ProtocolsThatAreNoTokensAreRefused) {
  for (const char* name : {"", "a b", "a,b", "\"a\"", "caf\u00e9", "a/b", "twice"}) {
    Server other;
    prepare(other);
    other.protocols = {"fine", "twice"};
    other.protocols.add(name);
    Result<void> started = other.start();
    ASSERT_FALSE(started) << name;
    EXPECT_EQ(started.error().code, Errc::bad_setting);
    EXPECT_NE(started.error().message().find("protocols"), std::string::npos);
  }
}

TEST_P(WsHandshake, FieldsAreReadableWhileItLasts) {
  for (bool keep : {false, true}) {
    Server other;
    prepare(other);
    other.options.keep_headers = keep;
    Handover<std::string> seen;
    other.on_handshake = [&](Connection connection, Headers&) {
      seen.put(std::string(connection.headers().get("x-who")));
    };
    other.on_connect = [&](Connection connection) {
      EXPECT_EQ(connection.headers().get("Sec-WebSocket-Version"), "13");
      EXPECT_EQ(connection.headers().get("Connection"), "Upgrade");
      seen.put(std::string(connection.headers().get("X-Who")));
      connections.put(connection);
    };
    other.on_message = [&](Connection connection, std::string_view) {
      EXPECT_EQ(connection.headers().list().size(), keep ? 6u : 0u);
      seen.put(std::string(connection.headers().get("X-Who")));
    };
    ASSERT_TRUE(other.start());
    WsClient socket(other.bound_port(), "/a%20b?q=1&r", "X-Who: me\r\n", kPatience);
    ASSERT_TRUE(socket.is_open());
    EXPECT_EQ(seen.take(), "me");
    EXPECT_EQ(seen.take(), "me");
    Connection connection = next_connection();
    EXPECT_EQ(connection.url(), keep ? "/a b?q=1&r" : "/a b");
    socket.text("x");
    EXPECT_EQ(seen.take(), keep ? "me" : "");
    EXPECT_EQ(connection.headers().get("X-Who"), keep ? "me" : "");
    EXPECT_TRUE(other.stop(std::chrono::milliseconds(0)));
    EXPECT_EQ(connection.headers().get("X-Who"), keep ? "me" : "");
    EXPECT_EQ(connection.url(), keep ? "/a b?q=1&r" : "/a b");
  }
  EXPECT_TRUE(Connection().headers().list().empty());
}

TEST_P(WsHandshake, IsRefusedWithItsReason) {
  Running running = start();
  const std::string good(kGood);
  auto without = [&](std::string_view name) {
    std::string fields = good;
    const std::size_t from = fields.find(name);
    fields.erase(from, fields.find("\r\n", from) + 2 - from);
    return fields;
  };
  EXPECT_EQ(shake(kGet, good).status, 101);
  HttpReply reply = shake(kGet, without("Sec-WebSocket-Version"));
  EXPECT_EQ(reply.status, 426);
  EXPECT_EQ(reply.field("Sec-WebSocket-Version"), "13");
  EXPECT_EQ(shake(kGet, without("Sec-WebSocket-Version") + "Sec-WebSocket-Version: 8\r\n").status,
            426);
  EXPECT_TRUE(told_error(Errc::ws_bad_version));
  EXPECT_EQ(shake(kGet, without("Sec-WebSocket-Key")).status, 400);
  EXPECT_EQ(shake(kGet, without("Sec-WebSocket-Key") + "Sec-WebSocket-Key: abc\r\n").status, 400);
  EXPECT_EQ(shake(kGet, good + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n").status, 400);
  EXPECT_TRUE(told_error(Errc::ws_bad_key));
  EXPECT_EQ(shake(kGet, without("Host")).status, 400);
  EXPECT_EQ(shake(kGet, good + "Content-Length: 5\r\n").status, 400);
  // No upgrade at all: plain requests, that nothing takes here.
  EXPECT_EQ(shake(kGet, without("Connection")).status, 404);
  EXPECT_EQ(shake(kGet, without("Upgrade")).status, 404);
  EXPECT_EQ(shake("POST /chat HTTP/1.1", good + "Content-Length: 0\r\n").status, 404);
  EXPECT_EQ(shake("GET /chat HTTP/1.0", good).status, 404);
  // Cases and lists.
  EXPECT_EQ(shake(kGet, without("Connection") + "connection: keep-alive, UPGRADE\r\n").status, 101);
  EXPECT_EQ(shake(kGet, without("Upgrade") + "upgrade: WebSocket\r\n").status, 101);
}

TEST_P(WsHandshake, MayBeLessStrict) {
  server.security_options.enforce_websocket_version = false;
  server.security_options.validate_websocket_key = false;
  Running running = start();
  const std::string fields("Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
  EXPECT_EQ(shake(kGet, fields + "Sec-WebSocket-Key: short\r\n").status, 101);
  EXPECT_EQ(shake(kGet, fields + "Sec-WebSocket-Key: " + std::string(200, 'k') + "\r\n").status,
            101);
  EXPECT_EQ(shake(kGet, fields).status, 400);
}

TEST_P(WsHandshake, IsForTheOriginsThatAreAllowed) {
  server.security_options.origins_allowed = {"http://example.org", "http://localhost:*"};
  Running running = start();
  auto status = [this](std::string_view origin) {
    return ws("/", origin.empty() ? std::string() : "Origin: " + std::string(origin) + "\r\n")
        .reply()
        .status;
  };
  EXPECT_EQ(status("http://example.org"), 101);
  EXPECT_EQ(status("http://EXAMPLE.org:80"), 101);
  EXPECT_EQ(status("http://localhost:1234"), 101);
  EXPECT_EQ(status("http://example.org:81"), 403);
  EXPECT_EQ(status("https://example.org"), 403);
  EXPECT_EQ(status("http://example.org.evil.test"), 403);
  EXPECT_EQ(status("null"), 403);
  EXPECT_EQ(status(""), 403);
  EXPECT_TRUE(told_error(Errc::ws_origin_refused));
  EXPECT_TRUE(logged(Errc::ws_origin_refused));
}

TEST_P(WsHandshake, GoesToItsRoute) {
  Told<std::string> at_route;
  WebSocketHandlers handlers;
  handlers.on_connect = [&](Connection connection) {
    at_route.tell("connect " + std::string(connection.url()));
  };
  handlers.on_message = [&](Connection connection, std::string_view text) {
    at_route.tell(std::string(text));
    connection.write_data("route");
  };
  ASSERT_TRUE(server.websocket("/rooms/{room}", handlers));
  ASSERT_TRUE(server.route("GET", "/plain", [](Connection, const HttpRequest&, HttpResponse& r) {
    r.content_text("plain");
  }));
  Running running = start();
  WsClient room = ws("/rooms/7");
  ASSERT_TRUE(room.is_open());
  room.text("hello");
  EXPECT_EQ(room.read(), "route");
  EXPECT_EQ(at_route.all(), (std::vector<std::string>{"connect /rooms/7", "hello"}));
  EXPECT_EQ(events.size(), 0u);
  // What the route leaves empty falls back to the server's own.
  room.binary("bytes");
  EXPECT_EQ(room.read(), "bytes");
  EXPECT_TRUE(room.close_and_wait(1001));
  EXPECT_TRUE(told("disconnect 1001"));
  EXPECT_EQ(events.all(), (std::vector<std::string>{"binary bytes", "disconnect 1001"}));
  WsClient other = ws("/elsewhere");
  ASSERT_TRUE(other.is_open());
  EXPECT_TRUE(told("connect"));
  // A path with a plain route is not for the server's own events.
  EXPECT_EQ(ws("/plain").reply().body, "plain");
}

TEST_P(WsHandshake, IsAPlainRequestWhereNobodyTakesWebSockets) {
  Server plain;
  prepare(plain);
  plain.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
    response.content_text("plain");
  };
  ASSERT_TRUE(plain.start());
  WsClient socket(plain.bound_port(), "/");
  EXPECT_EQ(socket.reply().status, 200);
  EXPECT_EQ(socket.reply().body, "plain");
}

INSTANTIATE_TEST_SUITE_P(Api, WsHandshake, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
