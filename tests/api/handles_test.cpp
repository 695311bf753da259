// tests/api/handles_test.cpp - handles and ids: while the connection lives, afterwards, and after
// the server.
//
// Layer: tests.
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/ws_harness.hpp"

namespace sluice::test {
namespace {

class Handles : public WsTest {
 protected:
  // What stays readable of a connection that has gone, and that everything else says so.
  static void expect_gone(Connection connection, const ConnectionId& id,
                          std::uint16_t client_port) {
    EXPECT_EQ(connection.id(), id);
    EXPECT_EQ(connection.ip(), "127.0.0.1");
    EXPECT_EQ(connection.port(), client_port);
    EXPECT_EQ(connection.url(), "/kept");
    EXPECT_EQ(connection.protocol(), "p");
    EXPECT_FALSE(connection.is_open());
    EXPECT_FALSE(connection.is_websocket());
    EXPECT_EQ(connection.write_data("x"), SendStatus::gone);
    EXPECT_EQ(connection.write_data(as_bytes("x"), 1), SendStatus::gone);
    EXPECT_EQ(connection.ping(), SendStatus::gone);
    EXPECT_EQ(connection.close(), SendStatus::gone);
    EXPECT_EQ(connection.disconnect(), SendStatus::gone);
    EXPECT_EQ(connection.subscribe("a"), SendStatus::gone);
    EXPECT_EQ(connection.unsubscribe("a"), SendStatus::gone);
    EXPECT_FALSE(connection.subscribed("a"));
    EXPECT_EQ(connection.post([] { ADD_FAILURE() << "a post to a connection that has gone ran"; }),
              SendStatus::gone);
    Connection copy = connection;
    EXPECT_EQ(copy, connection);
  }
};

TEST_P(Handles, OfNothingAnswerGone) {
  Connection none;
  EXPECT_FALSE(none);
  EXPECT_FALSE(none.is_open());
  EXPECT_EQ(none.id(), ConnectionId());
  EXPECT_EQ(none.ip(), "");
  EXPECT_EQ(none.port(), 0);
  EXPECT_EQ(none.url(), "");
  EXPECT_EQ(none.write_data("x"), SendStatus::gone);
  EXPECT_EQ(none.close(), SendStatus::gone);
  EXPECT_EQ(none.disconnect(), SendStatus::gone);
  EXPECT_EQ(none.post([] {}), SendStatus::gone);
  EXPECT_FALSE(none.subscribed("a"));
  EXPECT_FALSE(none.data().has_value());
  EXPECT_EQ(none.bytes_sent(), 0u);
  Connection moved = std::move(none);
  EXPECT_FALSE(moved);
}

TEST_P(Handles, TellTheirFacts) {
  const auto before = std::chrono::system_clock::now() - std::chrono::seconds(2);
  Running running = start();
  WsClient socket = ws("/facts");
  Connection connection = next_connection();
  EXPECT_TRUE(connection);
  EXPECT_EQ(connection.ip(), "127.0.0.1");
  EXPECT_NE(connection.port(), 0);
  EXPECT_EQ(connection.local_ip(), "127.0.0.1");
  EXPECT_EQ(connection.local_port(), port);
  EXPECT_EQ(connection.url(), "/facts");
  EXPECT_GE(connection.created_at(), before);
  socket.text("hello");
  EXPECT_EQ(socket.read(), "hello");
  EXPECT_GE(connection.last_message_at(), before);
  EXPECT_GT(connection.bytes_received(), 11u);
  EXPECT_GT(connection.bytes_sent(), 7u);
  EXPECT_TRUE(connection.is_open());
}

TEST_P(Handles, AnswerGoneAfterTheConnectionTheStopAndTheServer) {
  std::vector<Connection> kept;
  std::vector<ConnectionId> ids;
  std::vector<std::uint16_t> ports;
  {
    Server other;
    prepare(other);
    watch(other);
    other.protocols = {"p"};
    other.on_handshake = [](Connection, Headers&) {};
    ASSERT_TRUE(other.start());
    std::vector<std::unique_ptr<WsClient>> sockets;
    for (int i = 0; i < 3; ++i) {
      sockets.push_back(std::make_unique<WsClient>(other.bound_port(), "/kept",
                                                   "Sec-WebSocket-Protocol: p\r\n", kPatience));
      ASSERT_TRUE(sockets.back()->is_open());
      kept.push_back(next_connection());
      ids.push_back(kept.back().id());
      ports.push_back(kept.back().port());
    }
    sockets[0]->http().reset();
    ASSERT_TRUE(told("disconnect 1006"));
    ASSERT_TRUE(eventually([&] { return !kept[0].is_open(); }));
    expect_gone(kept[0], ids[0], ports[0]);
    EXPECT_EQ(other.write_data(ids[0], "x"), SendStatus::gone);
    EXPECT_TRUE(other.stop(std::chrono::milliseconds(1)));
    expect_gone(kept[1], ids[1], ports[1]);
    EXPECT_EQ(other.write_data(ids[1], "x"), SendStatus::gone);
    ASSERT_TRUE(other.start());
    EXPECT_EQ(other.write_data(ids[1], "x"), SendStatus::gone);
    expect_gone(kept[2], ids[2], ports[2]);
  }
  for (std::size_t i = 0; i < kept.size(); ++i) expect_gone(kept[i], ids[i], ports[i]);
}

TEST_P(Handles, OfConnectionsThatNeverWereWebSocketsAnswerGone) {
  Handover<Connection> plain;
  server.on_http_request = [&](Connection connection, const HttpRequest&, HttpResponse&) {
    EXPECT_EQ(connection.write_data("x"), SendStatus::gone);
    EXPECT_EQ(connection.subscribe("x"), SendStatus::gone);
    EXPECT_EQ(connection.close(), SendStatus::gone);
    plain.put(connection);
  };
  Running running = start();
  HttpClient http = client();
  EXPECT_EQ(http.get("/").status, 200);
  std::optional<Connection> connection = plain.take();
  ASSERT_TRUE(connection);
  EXPECT_TRUE(connection->is_open());
  EXPECT_EQ(connection->write_data("x"), SendStatus::gone);
  EXPECT_EQ(connection->ping(), SendStatus::gone);
  EXPECT_TRUE(server.share_list().empty());
  EXPECT_EQ(connection->disconnect(), SendStatus::queued);
  EXPECT_TRUE(http.at_end());
}

TEST_P(Handles, HaveIdsThatFindThemAgain) {
  Running running = start();
  WsClient one = ws(), two = ws();
  Connection first = next_connection(), second = next_connection();
  const std::string text = second.id().to_string();
  EXPECT_EQ(text.size(), 36u);
  EXPECT_NE(first.id(), second.id());
  for (std::string form : {text, "{" + text + "}"}) {
    std::optional<ConnectionId> id = ConnectionId::parse(form);
    ASSERT_TRUE(id);
    EXPECT_EQ(*id, second.id());
    EXPECT_EQ(server.write_data(*id, form), SendStatus::queued);
    EXPECT_EQ(two.read(), form);
  }
  std::string lower = text;
  for (char& c : lower) c = c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
  EXPECT_EQ(ConnectionId::parse(lower), second.id());
  for (std::string_view bad :
       {"", "x", "3F2504E0-4F89-11D3-9A0C-0305E82C330", "3F2504E0-4F89-11D3-9A0C-0305E82C33011",
        "3F2504E0 4F89-11D3-9A0C-0305E82C3301", "3F2504E0-4F89-11D3-9A0C-0305E82C330G",
        "{3F2504E0-4F89-11D3-9A0C-0305E82C3301"}) {
    EXPECT_FALSE(ConnectionId::parse(bad)) << bad;
  }
  EXPECT_EQ(server.write_data(ConnectionId(), "x"), SendStatus::gone);
  EXPECT_EQ(server.write_data(*ConnectionId::parse("3F2504E0-4F89-11D3-9A0C-0305E82C3301"), "x"),
            SendStatus::gone);
  // Every bit matters.
  for (std::size_t bit = 0; bit < 128; ++bit) {
    std::array<std::byte, 16> bytes = second.id().bytes();
    bytes[bit / 8] ^= std::byte(1 << bit % 8);
    EXPECT_EQ(server.write_data(ConnectionId(bytes), "x"), SendStatus::gone) << bit;
  }
}

TEST_P(Handles, HaveIdsThatAreNotGivenAgain) {
  Running running = start();
  std::set<ConnectionId> ids;
  for (std::size_t i = 1; i <= 30; ++i) {
    WsClient socket = ws();
    Connection connection = next_connection();
    EXPECT_TRUE(ids.insert(connection.id()).second);
    socket.http().reset();
    ASSERT_TRUE(told("disconnect 1006", i));
    EXPECT_EQ(server.write_data(connection.id(), "x"), SendStatus::gone);
  }
}

TEST_P(Handles, RunPostsOnTheirShard) {
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  Told<bool> ran;
  EXPECT_EQ(connection.subscribe("room"), SendStatus::queued);
  EXPECT_EQ(connection.post([&, connection] {
    EXPECT_TRUE(connection.subscribed("room"));
    Connection copy = connection;
    copy.write_data("from the post");
    ran.tell(true);
  }),
            SendStatus::queued);
  ASSERT_TRUE(ran.wait_for(1));
  EXPECT_EQ(socket.read(), "from the post");
  EXPECT_FALSE(connection.subscribed("room"));  // not on its shard
}

TEST_P(Handles, PostWhatThrowsWithoutHarm) {
  Told<bool> thrown;
  server.on_exception = [&](Connection, std::exception_ptr) { thrown.tell(true); };
  Running running = start();
  WsClient socket = ws();
  Connection connection = next_connection();
  EXPECT_EQ(connection.post([] { throw std::runtime_error("no"); }), SendStatus::queued);
  EXPECT_TRUE(thrown.wait_for(1));
  EXPECT_EQ(connection.write_data("alive"), SendStatus::queued);
  EXPECT_EQ(socket.read(), "alive");
}

TEST_P(Handles, AreListedWhileTheyAreOpen) {
  Running running = start();
  std::vector<std::unique_ptr<WsClient>> sockets;
  std::set<std::string> ids;
  for (int i = 0; i < 8; ++i) {
    sockets.push_back(std::make_unique<WsClient>(port));
    ids.insert(next_connection().id().to_string());
  }
  HttpClient plain = client();
  EXPECT_EQ(plain.get("/").status, 404);
  ConnectionList list = server.share_list();
  EXPECT_EQ(list.size(), 8u);
  std::set<std::string> listed;
  for (const Connection& connection : list) listed.insert(connection.id().to_string());
  EXPECT_EQ(listed, ids);
  sockets.clear();
  ASSERT_TRUE(told("disconnect 1006", 8));
  EXPECT_TRUE(eventually([&] { return server.share_list().empty(); }));
  for (Connection connection : list) EXPECT_EQ(connection.write_data("x"), SendStatus::gone);
  list.unshare();
  EXPECT_TRUE(list.empty());
}

TEST_P(Handles, AreAllClosedByDisconnectAll) {
  Running running = start();
  std::vector<std::unique_ptr<WsClient>> sockets;
  for (int i = 0; i < 8; ++i) sockets.push_back(std::make_unique<WsClient>(port));
  ASSERT_TRUE(told("connect", 8));
  server.disconnect_all(4001);
  for (auto& socket : sockets) {
    EXPECT_EQ(socket->read_close(), 4001);
    socket->close(4001);
    EXPECT_TRUE(socket->at_end());
  }
  EXPECT_TRUE(told("disconnect 4001", 8));
  WsClient again = ws();  // the server goes on
  again.text("x");
  EXPECT_EQ(again.read(), "x");
}

// Threads use handles, ids and lists while connections come and go.
TEST_P(Handles, MayBeUsedByAnyThreadAtAnyTime) {
  std::atomic<bool> over{false};
  Running running = start();
  std::vector<std::jthread> users;
  for (int i = 0; i < 2; ++i) {
    users.emplace_back([&] {
      while (!over) {
        for (Connection connection : server.share_list()) {
          connection.write_data("x");
          connection.ping();
          connection.subscribe("s");
          server.write_data(connection.id(), "y");
          static_cast<void>(connection.is_open());
          static_cast<void>(connection.bytes_sent());
          connection.post([] {});
        }
        server.broadcast("z");
        static_cast<void>(server.counters());
      }
    });
  }
  for (int round = 0; round < 60; ++round) {
    WsClient one = ws(), two = ws();
    EXPECT_TRUE(one.is_open());
    if (round % 3 == 0) one.close_and_wait();
    if (round % 3 == 1) one.http().reset();
    two.text("hello");
  }
  over = true;
  for (std::jthread& user : users) user.join();
  EXPECT_TRUE(events.wait_until([](const std::vector<std::string>& list) {
    return static_cast<std::size_t>(std::count_if(
               list.begin(), list.end(),
               [](const std::string& e) { return e.starts_with("disconnect"); })) == 120;
  }));
}

INSTANTIATE_TEST_SUITE_P(Api, Handles, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
