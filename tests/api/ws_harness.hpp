// tests/api/ws_harness.hpp - a server that writes down every WebSocket event and answers messages
// with themselves.
//
// Layer: tests.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/harness.hpp"
#include "support/ws_client.hpp"

namespace sluice::test {

class WsTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    watch(server);
  }

  void watch(Server& which) {
    which.on_connect = [this](Connection connection) {
      events.tell("connect");
      connections.put(connection);
    };
    which.on_message = [this](Connection connection, std::string_view text) {
      events.tell("text " + shown(text));
      connection.write_data(text);
    };
    which.on_binary = [this](Connection connection, Bytes bytes) {
      events.tell("binary " + shown(as_text(bytes)));
      connection.write_data(bytes);
    };
    which.on_disconnect = [this](Connection, std::uint16_t code) {
      events.tell("disconnect " + std::to_string(code));
    };
  }
  static std::string shown(std::string_view text) {
    return text.size() <= 40 ? std::string(text) : std::to_string(text.size()) + " bytes";
  }

  WsClient ws(std::string_view target = "/", std::string_view fields = {}) const {
    return WsClient(port, target, fields, kPatience);
  }
  // The server's handle of the connection that was opened the longest ago and not yet taken.
  Connection next_connection() {
    std::optional<Connection> connection = connections.take();
    EXPECT_TRUE(connection);
    return connection.value_or(Connection());
  }
  // True once `event` has come so many times.
  bool told(const std::string& event, std::size_t times = 1) {
    return events.wait_until([&](const std::vector<std::string>& list) {
      return static_cast<std::size_t>(std::count(list.begin(), list.end(), event)) >= times;
    });
  }

  Told<std::string> events;
  Handover<Connection> connections;
};

}  // namespace sluice::test
