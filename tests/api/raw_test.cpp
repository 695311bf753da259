// tests/api/raw_test.cpp - connections that do not speak HTTP.
#include <thread>

#include "api/harness.hpp"

namespace sluice::test {
namespace {

class Raw : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    server.on_http_request = [](Connection, const HttpRequest&, HttpResponse& response) {
      response.content_text("http");
    };
    server.on_unknown_protocol = [this](Connection, Bytes first, bool& accept) {
      begun.tell(std::string(as_text(first)));
      accept = !as_text(first).starts_with("bad");
    };
    server.on_raw_data = [this](Connection connection, Bytes bytes, bool last) {
      received.tell({std::string(as_text(bytes)), last});
      if (last) return;
      if (as_text(bytes) == "bye") {
        connection.write_raw(as_bytes(std::string_view("good-bye")), true);
      } else {
        connection.write_raw(bytes);
      }
    };
  }
  bool told_last(std::size_t times = 1) {
    return received.wait_until([&](const auto& list) {
      return std::size_t(std::count_if(list.begin(), list.end(),
                                       [](const auto& one) { return one.second; })) >= times;
    });
  }

  Told<std::string> begun;
  Told<std::pair<std::string, bool>> received;
};

TEST_P(Raw, BytesGoBothWays) {
  Running running = start();
  const std::string greeting("\x16\x03\x01\0\xff", 5);
  HttpClient peer = client();
  ASSERT_TRUE(peer.send(greeting));
  std::string back;
  ASSERT_TRUE(peer.read_bytes(5, back));
  EXPECT_EQ(back, greeting);
  EXPECT_EQ(begun.all(), std::vector<std::string>{greeting});
  const std::string much = pattern(700'000);
  std::string echoed;
  std::jthread sender([&] { EXPECT_TRUE(peer.send(much)); });
  ASSERT_TRUE(peer.read_bytes(much.size(), echoed));
  EXPECT_TRUE(echoed == much);
  sender.join();
  ASSERT_TRUE(peer.send("bye"));
  EXPECT_EQ(peer.read_to_end(), "good-bye");
  EXPECT_TRUE(told_last());
}

TEST_P(Raw, ALineThatIsNoRequestLineIsUnknownToo) {
  Running running = start();
  for (std::string_view first :
       {"HELO a.example\r\n", "SSH-2.0-x\r\n\r\n", "{\"json\": 1}", "a(b"}) {
    HttpClient peer = client();
    ASSERT_TRUE(peer.send(first));
    std::string back;
    EXPECT_TRUE(peer.read_bytes(first.size(), back)) << first;
    EXPECT_EQ(back, first);
  }
}

TEST_P(Raw, WhatIsNotAcceptedGets400) {
  Running running = start();
  HttpClient peer = client();
  ASSERT_TRUE(peer.send("bad{"));
  EXPECT_EQ(peer.read().status, 400);
  EXPECT_TRUE(peer.at_end());
  EXPECT_TRUE(told_error(Errc::http_bad_request_line));
  EXPECT_EQ(received.size(), 0u);
}

TEST_P(Raw, HttpIsStillHttp) {
  Running running = start();
  HttpClient peer = client();
  for (char c : std::string_view("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")) {
    ASSERT_TRUE(peer.send({&c, 1}));
  }
  EXPECT_EQ(peer.read().body, "http");
  ASSERT_TRUE(peer.send("\x16\x03\r\n\r\n"));
  EXPECT_EQ(peer.read().status, 400) << "a connection that has begun with HTTP goes on with it";
  HttpClient other = client();
  EXPECT_EQ(other.get("/", "Bad Field: x\r\n").status, 400) << "a bad field is bad HTTP";
  EXPECT_EQ(begun.size(), 0u);
}

TEST_P(Raw, ThePeersEndIsToldOnceAndAnswered) {
  Running running = start();
  HttpClient ends = client();
  ASSERT_TRUE(ends.send("{1"));
  ends.end_sending();
  EXPECT_EQ(ends.read_to_end(), "{1");
  EXPECT_TRUE(told_last(1));
  HttpClient goes = client();
  ASSERT_TRUE(goes.send("{2"));
  std::string back;
  ASSERT_TRUE(goes.read_bytes(2, back));
  goes.reset();
  EXPECT_TRUE(told_last(2));
  ASSERT_TRUE(eventually([this] { return server.counters().connections == 0; }));
  EXPECT_EQ(received.count({"", true}), 2u);
}

TEST_P(Raw, AnybodyMayWriteUntilItHasGone) {
  Handover<Connection> opened;
  server.on_unknown_protocol = [&](Connection connection, Bytes, bool& accept) {
    accept = true;
    opened.put(connection);
  };
  Running running = start();
  HttpClient peer = client();
  ASSERT_TRUE(peer.send("{"));
  Connection connection = opened.take().value_or(Connection());
  ASSERT_TRUE(connection);
  EXPECT_FALSE(connection.is_websocket());
  std::string back;
  ASSERT_TRUE(peer.read_bytes(1, back));
  EXPECT_EQ(connection.write_raw(as_bytes(std::string_view("one "))), SendStatus::queued);
  EXPECT_EQ(connection.write_raw(as_bytes(std::string_view("two")), true), SendStatus::queued);
  EXPECT_EQ(peer.read_to_end(), "one two");
  peer.disconnect();
  ASSERT_TRUE(eventually([&] { return !connection.is_open(); }));
  EXPECT_EQ(connection.write_raw(as_bytes(std::string_view("x"))), SendStatus::gone);
  HttpClient http = client();
  EXPECT_EQ(http.get("/").body, "http");
}

TEST_P(Raw, APeerThatReadsNothingCostsABoundedNumberOfBytes) {
  if (on_pool()) return;  // its bound is that of one event: tests/api/pool_test.cpp
  server.limits.send_queue_bytes = 100'000;
  Told<SendStatus> refused;
  const std::string much = pattern(65'536);
  server.on_raw_data = [&](Connection connection, Bytes, bool last) {
    if (last) return;
    SendStatus status = SendStatus::queued;
    for (int i = 0; i < 1'000 && status == SendStatus::queued; ++i) {
      status = connection.write_raw(as_bytes(much));
    }
    refused.tell(status);
  };
  Running running = start();
  HttpClient peer = client();
  ASSERT_TRUE(peer.send("{"));
  ASSERT_TRUE(refused.wait_for(1));
  EXPECT_EQ(refused.all()[0], SendStatus::would_block);
}

TEST_P(Raw, AHandlerThatThrowsEndsIt) {
  server.on_raw_data = [](Connection, Bytes, bool) { throw std::runtime_error("no"); };
  Told<bool> thrown;
  server.on_exception = [&](Connection, std::exception_ptr) { thrown.tell(true); };
  Running running = start();
  HttpClient peer = client();
  ASSERT_TRUE(peer.send("{"));
  EXPECT_TRUE(peer.at_end());
  EXPECT_TRUE(thrown.wait_for(1));
}

TEST_P(Raw, AStopEndsIt) {
  Running running = start();
  HttpClient peer = client();
  ASSERT_TRUE(peer.send("{"));
  std::string back;
  ASSERT_TRUE(peer.read_bytes(1, back));
  EXPECT_TRUE(server.stop(kPatience));
  EXPECT_TRUE(peer.at_end());
  EXPECT_TRUE(told_last());
}

INSTANTIATE_TEST_SUITE_P(Setups, Raw, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
