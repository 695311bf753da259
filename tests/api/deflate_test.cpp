// tests/api/deflate_test.cpp - permessage-deflate over real sockets.
//
// RFC 7692. Layer: tests.
#include <gtest/gtest.h>

#include <any>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/deflate_harness.hpp"

namespace sluice::test {
namespace {

class Deflate : public DeflateTest {};

TEST_P(Deflate, IsAgreedUponAsTheSettingsSay) {
  Running running = start();
  EXPECT_EQ(open().answer,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=12; client_max_window_bits=12");
  EXPECT_EQ(open("other, permessage-deflate; server_max_window_bits=9").answer,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=9");
  EXPECT_EQ(open("permessage-deflate; server_max_window_bits=7").answer, "");
  EXPECT_EQ(ws("/",
               "Sec-WebSocket-Extensions: other\r\nSec-WebSocket-Extensions: "
               "permessage-deflate\r\n")
                .reply()
                .field("Sec-WebSocket-Extensions"),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=12");
  EXPECT_EQ(ws().reply().field("Sec-WebSocket-Extensions"), "");
}

TEST_P(Deflate, IsOffByDefault) {
  server.extensions = {};
  Running running = start();
  DeflateClient client = open();
  EXPECT_EQ(client.answer, "");
  ASSERT_TRUE(client.send("compressed all the same"));
  EXPECT_EQ(client.read(), "(close 1002)");
}

// With every parameter that may be agreed upon.
TEST_P(Deflate, MessagesComeAndGo) {
  deflate().server_max_window_bits = deflate().client_max_window_bits = 15;
  allow_takeover();
  Running running = start();
  for (const char* server_bits :
       {"", "; server_max_window_bits=8", "; server_max_window_bits=15"}) {
    for (const char* client_bits : {"", "; client_max_window_bits", "; client_max_window_bits=9"}) {
      for (const char* takeover :
           {"", "; server_no_context_takeover", "; client_no_context_takeover",
            "; server_no_context_takeover; client_no_context_takeover"}) {
        const std::string offer =
            std::string("permessage-deflate") + server_bits + client_bits + takeover;
        SCOPED_TRACE(offer);
        DeflateClient client = open(offer);
        ASSERT_NE(client.answer, "");
        for (int i = 0; i < 6; ++i) {
          const std::string text = item(i, 200 + 5000 * std::size_t(i));
          ASSERT_TRUE(client.send(text));
          ASSERT_EQ(client.read(), text);
          EXPECT_TRUE(client.was_compressed);
          EXPECT_LT(client.size, text.size() / 2);
        }
        ASSERT_TRUE(client.send(pattern(100), WsClient::kBinary));
        ASSERT_EQ(client.read(), pattern(100));
        EXPECT_FALSE(client.was_compressed);  // below the threshold
        ASSERT_TRUE(client.socket.text("plain"));
        ASSERT_EQ(client.read(), "plain");
        ASSERT_TRUE(client.socket.close());
        ASSERT_EQ(client.read(), "(close 1000)");
      }
    }
  }
  stop(std::move(running));  // nothing is told any more
  EXPECT_EQ(errors.size(), 0u);
}

TEST_P(Deflate, ContextsAreTakenOver) {
  allow_takeover();
  Running running = start();
  DeflateClient client = open();
  std::size_t first = 0, last = 0;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(client.send(item(7)));
    ASSERT_EQ(client.read(), item(7));
    (i == 0 ? first : last) = client.size;
  }
  EXPECT_LT(last * 3, first);
}

TEST_P(Deflate, WhatIsSmallOrDoesNotShrinkGoesAsItIs) {
  deflate().threshold = 50;
  allow_takeover();
  Running running = start();
  DeflateClient client = open();
  std::string noise;
  for (unsigned i = 0; i < 10'000; ++i) noise += static_cast<char>((i * i * 2654435761u) >> 13);
  struct Message {
    std::string text;
    bool compressed;
  };
  for (const auto& [text, compressed] :
       {Message{"", false}, Message{std::string(49, 'a'), false},
        Message{std::string(50, 'a'), true}, Message{item(1), true}, Message{noise, false},
        Message{item(1), true}}) {
    ASSERT_TRUE(client.socket.binary(text));
    ASSERT_EQ(client.read(), text);
    EXPECT_EQ(client.was_compressed, compressed) << text.size();
  }
}

// --- In pieces -----------------------------------------------------------------------------------

TEST_P(Deflate, FragmentsWithPingsBetween) {
  allow_takeover();
  Running running = start();
  DeflateClient client = open();
  for (const std::size_t piece : {1u, 2u, 7u, 1000u}) {
    const std::string text = item(int(piece), 5000);
    ASSERT_TRUE(client.send_pieces(text, piece));
    ASSERT_EQ(client.read(), text);
  }
}

// However the bytes are cut on their way, and with a frame of its own for each byte.
TEST_P(Deflate, OneByteAtATime) {
  Running running = start();
  DeflateClient client = open();
  const std::string text = item(3, 300);
  const std::string frame =
      WsClient::frame(WsClient::kText, client.packed(text), true, true, DeflateClient::kCompressed);
  for (const char byte : frame) ASSERT_TRUE(client.socket.send({&byte, 1}));
  EXPECT_EQ(client.read(), text);
}

TEST_P(Deflate, HandlersOfFragmentsGetInflatedOnes) {
  std::string got;
  Told<std::string> whole;
  server.options.fragmented_messages = FragmentedMessages::all;
  std::mutex mutex;
  server.on_fragmented = [&](Connection, Bytes bytes, Opcode opcode, bool more) {
    std::lock_guard lock(mutex);
    EXPECT_EQ(opcode, Opcode::text);
    got += as_text(bytes);
    if (!more) whole.tell(std::exchange(got, {}));
  };
  Running running = start();
  DeflateClient client = open();
  const std::string text = item(5, 30'000);
  ASSERT_TRUE(client.send_pieces(text, 100));
  ASSERT_EQ(client.read(), text);
  ASSERT_TRUE(client.send(text));
  ASSERT_EQ(client.read(), text);
  ASSERT_TRUE(whole.wait_for(2));
  EXPECT_EQ(whole.all(), (std::vector<std::string>{text, text}));
}

TEST_P(Deflate, OnlyFragments) {
  server.options.fragmented_messages = FragmentedMessages::only_fragmented;
  Told<std::string> pieces;
  std::atomic<std::size_t> size{0};
  server.on_fragmented = [&](Connection, Bytes bytes, Opcode, bool more) {
    size += bytes.size();
    if (!more) pieces.tell("end");
  };
  server.limits.message_bytes = 50'000;
  Running running = start();
  DeflateClient client = open();
  ASSERT_TRUE(client.send_pieces(std::string(50'000, 'a'), 10));
  ASSERT_TRUE(pieces.wait_for(1));
  EXPECT_EQ(size, 50'000u);
  // The limit is of the whole message, however little of it is kept.
  ASSERT_TRUE(client.send_pieces(std::string(50'001, 'a'), 10));
  EXPECT_EQ(client.read(), "(close 1009)");
}

TEST_P(Deflate, SendsInFragments) {
  allow_takeover();
  server.on_message = [](Connection connection, std::string_view text) {
    connection.write_data(as_bytes(text), 100);
  };
  Running running = start();
  DeflateClient client = open();
  for (int i = 0; i < 5; ++i) {
    const std::string text = pattern(2000, unsigned(i));
    ASSERT_TRUE(client.send(text));
    ASSERT_EQ(client.read(), text);
    EXPECT_TRUE(client.was_compressed);
    EXPECT_EQ(client.frames, (client.size + 99) / 100);
  }
}

// --- Broadcasts ----------------------------------------------------------------------------------

TEST_P(Deflate, MessagesBroadcastsAndSendsOfOtherThreadsAlternate) {
  allow_takeover();
  Running running = start();
  std::deque<DeflateClient> clients;
  for (const char* offer : {"permessage-deflate", "permessage-deflate; client_max_window_bits",
                            "permessage-deflate; server_max_window_bits=8",
                            "permessage-deflate; server_no_context_takeover", "none"}) {
    clients.emplace_back(port, offer);
  }
  std::vector<Connection> handles;
  for (std::size_t i = 0; i < clients.size(); ++i) handles.push_back(next_connection());
  for (int round = 0; round < 30; ++round) {
    for (std::size_t i = 0; i < clients.size(); ++i) {
      DeflateClient& client = clients[i];
      const std::string own = item(round, 300);
      ASSERT_TRUE(client.answer.empty() ? client.socket.text(own) : client.send(own));
      ASSERT_EQ(client.read(), own) << round << ' ' << i;
    }
    const std::string shared = item(round, round % 3 == 0 ? 20'000 : 400);
    BroadcastOptions options;
    if (round % 4 == 1) options.fragment_size = 64;
    if (round % 4 == 2) options.exclude = "nobody";
    server.broadcast(shared, options);
    for (DeflateClient& client : clients) {
      ASSERT_EQ(client.read(), shared) << round;
      EXPECT_EQ(client.was_compressed, !client.answer.empty());
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const std::string sent = item(round, 350);
      ASSERT_EQ(handles[i].write_data(sent), SendStatus::queued);
    }
    for (DeflateClient& client : clients) ASSERT_EQ(client.read(), item(round, 350)) << round;
    if (round % 5 == 0) {
      server.broadcast("short");
      for (DeflateClient& client : clients) ASSERT_EQ(client.read(), "short");
    }
  }
  stop(std::move(running));  // nothing is told any more
  EXPECT_EQ(errors.size(), 0u);
}

// Of 24 clients on two shards, with three windows between them.
TEST_P(Deflate, ABroadcastIsCompressedOnceForEachWindow) {
  deflate().server_no_context_takeover = false;
  Running running = start();
  std::deque<DeflateClient> clients;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back(port, kOffer);
    clients.emplace_back(port, "permessage-deflate; server_no_context_takeover");
    clients.emplace_back(port, "permessage-deflate; server_max_window_bits=10");
    clients.emplace_back(port, "permessage-deflate; server_max_window_bits=9");
  }
  ASSERT_TRUE(told("connect", clients.size()));
  for (int round = 1; round <= 20; ++round) {
    EXPECT_EQ(server.broadcast(item(round)), 2u);
    for (DeflateClient& client : clients) {
      ASSERT_EQ(client.read(), item(round));
      ASSERT_TRUE(client.was_compressed);
    }
    EXPECT_EQ(server.counters().messages_compressed, 3u * unsigned(round));
  }
}

TEST_P(Deflate, ChannelsAndFilters) {
  allow_takeover();
  server.on_connect = [this](Connection connection) {
    connection.subscribe("news");
    connections.put(connection);
  };
  Running running = start();
  DeflateClient first = open(), second = open("permessage-deflate; server_max_window_bits=9"),
                plain = open("none");
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(next_connection().id().to_string());
  server.broadcast(item(1), {.channel = "news"});
  server.broadcast(item(2), {.channel = "n*"});
  for (DeflateClient* client : {&first, &second, &plain}) {
    EXPECT_EQ(client->read(), item(1));
    EXPECT_EQ(client->read(), item(2));
  }
  for (const std::string& id : ids) server.broadcast(item(3), {.include = id});
  for (DeflateClient* client : {&first, &second, &plain}) EXPECT_EQ(client->read(), item(3));
}

// --- What becomes of sends -----------------------------------------------------------------------

// Results are of messages as they were handed in; what is waited for are their bytes as they leave.
TEST_P(Deflate, AsynchronousSendsAndThoseThatWait) {
  allow_takeover();
  server.asynchronous = true;
  Told<SendResult> results;
  server.on_asynchronous = [&](Connection, const SendResult& result) { results.tell(result); };
  Running running = start();
  DeflateClient client = open();
  Connection connection = next_connection();
  for (int i = 0; i < 20; ++i) {
    const std::string sent = item(i, 300 + 2000 * std::size_t(i)), waited = item(i, 700);
    ASSERT_EQ(connection.write_data(sent, SendTag{std::uint64_t(i)}), SendStatus::queued);
    ASSERT_TRUE(connection.write_and_wait(waited, kPatience));
    ASSERT_EQ(client.read(), sent);
    EXPECT_TRUE(client.was_compressed);
    ASSERT_EQ(client.read(), waited);
    EXPECT_TRUE(client.was_compressed);
  }
  ASSERT_TRUE(results.wait_for(20));
  const std::vector<SendResult> all = results.all();
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_FALSE(all[i].error);
    EXPECT_EQ(all[i].tag, i);
    EXPECT_EQ(all[i].bytes, item(int(i), 300 + 2000 * i).size());
  }
  EXPECT_EQ(all.size(), 20u);
}

// What a handler on the pool keeps with the connection is made beside the shard's contexts.
TEST_P(Deflate, DataOfHandlersAndContextsAreMadeAtTheSameTime) {
  allow_takeover();
  server.on_connect = [this](Connection connection) {
    connection.data() = std::string("of this connection");
    events.tell("connect");
  };
  server.on_message = [](Connection connection, std::string_view text) {
    const auto* data = std::any_cast<std::string>(&connection.data());
    EXPECT_TRUE(data && *data == "of this connection");
    connection.write_data(text);
  };
  Running running = start();
  for (int round = 0; round < 10; ++round) {
    std::deque<DeflateClient> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back(port, kOffer);
      ASSERT_TRUE(clients.back().send(item(i)));  // on_connect may not have run yet
      server.broadcast(item(50));
    }
    for (int i = 0; i < 4; ++i) {
      bool answered = false;
      while (!answered) {
        const std::string text = clients[std::size_t(i)].read();
        ASSERT_TRUE(text == item(i) || text == item(50)) << text;
        answered = text == item(i);
      }
    }
  }
}

// --- Errors and limits ---------------------------------------------------------------------------

TEST_P(Deflate, MistakesHaveTheirCloseCodes) {
  constexpr int kText = WsClient::kText, kMore = WsClient::kContinuation;
  constexpr int kZ = DeflateClient::kCompressed;
  Running running = start();
  const auto frame = [](int opcode, std::string_view payload, bool fin, int reserved) {
    return WsClient::frame(opcode, payload, fin, true, reserved);
  };
  DeflateClient packer = open();
  const std::string good = packer.packed("Hello"), cut = packer.packed("ab\xe2\x82");
  struct Wrong {
    const char* what;
    std::string bytes;
    int close_code;
    Errc code;
  };
  const Wrong cases[] = {
      {"a continuation",
       frame(kText, good.substr(0, 3), false, kZ) + frame(kMore, good.substr(3), true, kZ), 1002,
       Errc::ws_reserved_bits},
      {"a continuation of what is not compressed",
       frame(kText, "a", false, 0) + frame(kMore, good, true, kZ), 1002, Errc::ws_reserved_bits},
      {"a ping", frame(WsClient::kPing, "", true, kZ), 1002, Errc::ws_reserved_bits},
      {"a close", frame(WsClient::kClose, "", true, kZ), 1002, Errc::ws_reserved_bits},
      {"another bit with it", frame(kText, good, true, kZ | 1), 1002, Errc::ws_reserved_bits},
      {"garbage", frame(kText, "\xff\xff\xff\xff", true, kZ), 1007, Errc::ws_bad_deflate},
      {"with zlib's header", frame(kText, "\x78\x9c" + good, true, kZ), 1007, Errc::ws_bad_deflate},
      {"cut short", frame(kText, good.substr(0, 3), true, kZ), 1007, Errc::ws_bad_deflate},
      {"a distance too far", frame(kText, std::string("\xf2\x00\x11\x00\x00", 5), true, kZ), 1007,
       Errc::ws_bad_deflate},
      {"no UTF-8", frame(kText, packer.packed("ab\xff"), true, kZ), 1007, Errc::ws_bad_utf8},
      {"a code point cut off", frame(kText, cut, true, kZ), 1007, Errc::ws_bad_utf8},
      {"no UTF-8 before the end of the message", frame(kText, packer.packed("ab\xff"), false, kZ),
       1007, Errc::ws_bad_utf8},
  };
  std::size_t done = 0;
  for (const Wrong& wrong : cases) {
    DeflateClient client = open();
    ASSERT_TRUE(client.socket.send(wrong.bytes));
    EXPECT_EQ(client.socket.read_close(), wrong.close_code) << wrong.what;
    EXPECT_EQ(client.read(), "(end)") << wrong.what;
    ASSERT_TRUE(errors.wait_for(++done)) << wrong.what;
    EXPECT_EQ(errors.all().back(), wrong.code) << wrong.what;
  }
  // What is no text need not be UTF-8.
  ASSERT_TRUE(packer.send("ab\xff", WsClient::kBinary));
  EXPECT_EQ(packer.read(), "ab\xff");
}

TEST_P(Deflate, BombsEndAtTheLimit) {
  constexpr std::size_t kLimit = 256 << 10;
  server.limits.message_bytes = kLimit;
  server.on_message = nullptr;
  server.on_binary = [this](Connection, Bytes bytes) {
    events.tell(std::to_string(bytes.size()) + " bytes");
  };
  Running running = start();
  const std::string large(100 << 20, '\0');
  DeflateClient packer = open("permessage-deflate");
  const std::string bomb = packer.packed(large);
  ASSERT_LT(bomb.size(), kLimit);
  DeflateClient whole = open("permessage-deflate");
  ASSERT_TRUE(whole.socket.send(
      WsClient::frame(WsClient::kBinary, bomb, true, true, DeflateClient::kCompressed)));
  EXPECT_EQ(whole.socket.read_close(), 1009);
  // It may be over before all is sent, but not before any: all is compressed by then.
  const std::string in_pieces = packer.pieces(large, 1000);
  DeflateClient pieces = open("permessage-deflate");
  pieces.socket.send(in_pieces);
  EXPECT_EQ(pieces.socket.read_close(), 1009);
  // And the limit itself is none.
  DeflateClient fits = open(), over = open();
  ASSERT_TRUE(fits.send(std::string(kLimit, 'x'), WsClient::kBinary));
  EXPECT_TRUE(told(std::to_string(kLimit) + " bytes"));
  ASSERT_TRUE(over.send(std::string(kLimit + 1, 'x'), WsClient::kBinary));
  EXPECT_EQ(over.read(), "(close 1009)");
  ASSERT_TRUE(errors.wait_for(3));  // a pool may tell of them after the Close has come
  EXPECT_EQ(errors.all(), std::vector<Errc>(3, Errc::ws_message_too_big));
}

TEST_P(Deflate, GroupsHaveALimitOfTheirOwn) {
  server.url_groups["small"].message_bytes = 1000;
  server.bindings.add("http://127.0.0.1:0/", {.url_group = "small"});
  Running running = start();
  DeflateClient client = open();
  ASSERT_TRUE(client.send(std::string(1000, 'a')));
  EXPECT_EQ(client.read(), std::string(1000, 'a'));
  ASSERT_TRUE(client.send(std::string(1001, 'a')));
  EXPECT_EQ(client.read(), "(close 1009)");
}

INSTANTIATE_TEST_SUITE_P(Api, Deflate, engines_and_dispatches(), name_of);

}  // namespace
}  // namespace sluice::test
