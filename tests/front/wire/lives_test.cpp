// tests/front/wire/lives_test.cpp - many connections, random events, and what must be true whatever
// happens.
//
// Every life is told in order: on_connect, messages, on_disconnect, nothing behind it; queues stay
// within their budget; counters agree; in the end nothing is left (see Rig). Layer: tests.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/websocket.hpp"
#include "front/wire/harness.hpp"

namespace sluice::test {
namespace {

constexpr std::size_t kBudget = 32 << 10;
constexpr std::size_t kLargest = 20'000;

struct Life {
  int connected = 0, disconnected = 0, messages = 0;
};

class World {
 public:
  World(unsigned seed, SlowReader policy) : random_(seed) {
    rig.settings.limits.send_queue_bytes = kBudget;
    rig.settings.options.slow_reader = policy;
    rig.settings.limits.body_memory_bytes = 8000;
    rig.settings.limits.connections = 1'000'000;  // so that they are counted
    rig.network.deliver_at_most(pick(2) == 0 ? SIZE_MAX : 1 + pick(3000));
    rig.events.on_http_request = [this](sluice::Connection connection, const HttpRequest& request,
                                        HttpResponse& response) {
      handle(connection, request, response);
    };
    rig.events.websocket.on_connect = [this](sluice::Connection connection) {
      Life& life = life_of(connection);
      EXPECT_EQ(++life.connected, 1);
      if (pick(3) == 0) static_cast<void>(connection.subscribe("news"));
      if (pick(20) == 0) static_cast<void>(connection.close(1000));
      if (pick(30) == 0) throw std::runtime_error("on_connect");
      open.push_back(std::move(connection));
    };
    rig.events.websocket.on_message = [this](sluice::Connection connection, std::string_view text) {
      Life& life = life_of(connection);
      ++life.messages;
      EXPECT_EQ(life.connected, 1);
      EXPECT_EQ(life.disconnected, 0);
      EXPECT_TRUE(connection.is_open());
      act(connection, text);
    };
    rig.events.websocket.on_disconnect = [this](sluice::Connection connection, std::uint16_t) {
      Life& life = life_of(connection);
      EXPECT_EQ(life.connected, 1);
      EXPECT_EQ(++life.disconnected, 1);
      std::erase(open, connection);
    };
    rig.start(2);
  }
  ~World() {
    open.clear();
    replies.clear();
    writers.clear();
    rig.stop();
    int messages = 0;
    for (const auto& [unused, life] : lives) {
      EXPECT_EQ(life.connected, life.disconnected);
      messages += life.messages;
    }
    EXPECT_GT(lives.size(), 20u) << "else nothing was tested";
    EXPECT_GT(messages, 100);
  }

  void step() {
    switch (pick(12)) {
      case 0:
      case 1:
        peers.push_back({rig.connect(pick(2)), false});
        break;
      case 2: {
        peers.push_back({rig.connect(pick(2)), true});
        peers.back().peer.send(WsClient::handshake("/ws"));
        break;
      }
      case 3:
      case 4:
      case 5:
        say();
        break;
      case 6:
        end_somehow();
        break;
      case 7: {
        if (peers.empty()) break;
        io::SimPeer& peer = peers[pick(peers.size())].peer;
        if (pick(2) == 0) {
          peer.set_window(pick(2) == 0 ? 0 : pick(50'000));
        } else {
          peer.set_window(SIZE_MAX);
        }
        break;
      }
      case 8:
        answer();
        break;
      case 9: {
        if (open.empty()) break;
        sluice::Connection target = open[pick(open.size())];
        act(target, "from another thread");
        break;
      }
      case 10:
        for (std::size_t i = 0; i < 2; ++i) {
          if (pick(3) == 0) rig.turn(i);
        }
        break;
      default:
        if (pick(4) == 0) rig.network.advance(std::chrono::milliseconds(pick(20'000)));
        rig.settle();
        check();
    }
  }

  void check() {
    for (auto& loop : rig.loops) {
      std::size_t connections = 0, most = 0;
      loop->shard().registry.for_each([&](core::Connection& each) {
        ++connections;
        auto& connection = static_cast<wire::Connection&>(each);
        most = std::max(most, static_cast<core::ByteStream&>(connection).queued());
      });
      // One answer or message may go over; pipelined answers stop at the budget.
      EXPECT_LE(most, kBudget + kLargest + 1000);
      EXPECT_EQ(loop->connections(), connections);
      EXPECT_EQ(loop->shard().counters.connections.get(), connections);
      EXPECT_EQ(loop->shard().counters.websockets.get(), loop->shard().websockets.size());
      for (std::size_t i = 0; i < loop->shard().websockets.size(); ++i) {
        EXPECT_EQ(loop->shard().websockets[i]->place, i);
      }
    }
    EXPECT_EQ(rig.network.open_count(), rig.loop(0).connections() + rig.loop(1).connections());
  }

  Rig rig;
  struct Peer {
    io::SimPeer peer;
    bool websocket = false;
  };
  std::vector<Peer> peers;
  std::vector<sluice::Connection> open;
  std::vector<Reply> replies;
  std::vector<BodyWriter> writers;
  std::map<std::uint64_t, Life> lives;

 private:
  std::size_t pick(std::size_t below) { return random_() % below; }
  Life& life_of(const sluice::Connection& connection) {
    core::Connection* of = core::Connection::of(connection);
    return lives[std::uint64_t{of->home().index} << 60 | std::uint64_t{of->slot} << 32 |
                 of->generation];
  }
  // What a handler may do with a connection, its own or another's.
  void act(sluice::Connection& connection, std::string_view text) {
    switch (pick(30)) {
      case 0:
        static_cast<void>(connection.close(1000));
        break;
      case 1:
        static_cast<void>(connection.disconnect());
        break;
      case 2:
        static_cast<void>(connection.ping("p"));
        break;
      case 3:
        static_cast<void>(connection.subscribe("news"));
        break;
      case 4:
        static_cast<void>(connection.unsubscribe("news"));
        break;
      case 5:
        rig.session->broadcast(ws::Opcode::text, as_bytes(text), {});
        break;
      case 6:
        rig.session->broadcast(ws::Opcode::text, as_bytes(text), {"news", {}, {}, {}});
        break;
      case 7: {
        if (open.empty()) break;
        static_cast<void>(open[pick(open.size())].write_data(std::string(pick(kLargest), 'o')));
        break;
      }
      case 8:
        static_cast<void>(connection.post([] {}));
        break;
      case 9: {
        if (core::Shard::current()) throw std::runtime_error("a handler");
        break;
      }
      case 10:
        static_cast<void>(connection.write_data(as_bytes(std::string(pick(kLargest), 'f')), 700));
        break;
      default:
        static_cast<void>(connection.write_data(text));
        break;
    }
  }
  void handle(sluice::Connection& connection, const HttpRequest& request, HttpResponse& response) {
    switch (pick(9)) {
      case 0:
        replies.push_back(response.defer());
        break;
      case 1: {
        writers.push_back(response.stream());
        writers.back().write(std::string(pick(1000) + 1, 'w'));
        break;
      }
      case 2:
        static_cast<void>(connection.disconnect());
        break;
      case 3:
        throw std::runtime_error("a handler");
      case 4:
        response.response_no(204);
        break;
      case 5:
        response.content_text(std::string(pick(kLargest), 'x'));
        break;
      default:
        response.content_text(request.document());
    }
  }
  void answer() {
    if (!replies.empty()) {
      std::size_t which = pick(replies.size());
      if (pick(4) != 0) static_cast<void>(replies[which].content_text("late").send());
      replies.erase(replies.begin() + std::ptrdiff_t(which));
    }
    if (!writers.empty()) {
      std::size_t which = pick(writers.size());
      if (pick(3) != 0) {
        writers[which].write(std::string(pick(5000), 'w'));
      } else {
        if (pick(4) != 0) static_cast<void>(writers[which].end());
        writers.erase(writers.begin() + std::ptrdiff_t(which));
      }
    }
  }
  void say() {
    if (peers.empty()) return;
    Peer& peer = peers[pick(peers.size())];
    std::string text;
    // Mostly what fits; sometimes what makes no sense there.
    switch (pick(20) == 0 ? pick(10) : peer.websocket ? 5 + pick(5) : pick(5)) {
      case 0:
        text = get("/a");
        break;
      case 1:
        text = get("/a") + get("/b") + get("/c");
        break;
      case 2:
        text = post("/p", std::string(pick(30'000), 'b'));
        break;
      case 3:
        text = get("/x", pick(5) == 0 ? "Connection: close\r\n" : "");
        break;
      case 4:
        text =
            "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
            "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        break;
      case 5:
        text = WsClient::frame(WsClient::kText, std::string(pick(kLargest), 'm'));
        break;
      case 6:
        text = WsClient::frame(WsClient::kPing, "ping");
        break;
      case 7:
        text = pick(5) == 0 ? WsClient::close_frame(1000) : WsClient::frame(WsClient::kText, "t");
        break;
      case 8:
        text = WsClient::frame(WsClient::kText, "in ", false) +
               WsClient::frame(WsClient::kContinuation, "pieces");
        break;
      default:
        for (std::size_t n = 1 + pick(30); n > 0; --n) {
          text += WsClient::frame(WsClient::kText, std::string(pick(300), 'm'));
        }
    }
    if (pick(60) == 0) text.resize(pick(text.size() + 1));
    if (pick(80) == 0) text[pick(text.size() + 1) % std::max<std::size_t>(text.size(), 1)] ^= 4;
    peer.peer.send(text);
  }
  void end_somehow() {
    if (peers.size() < 10) return;
    std::size_t which = pick(peers.size());
    switch (pick(4)) {
      case 0:
        peers[which].peer.reset();
        break;
      case 1:
        peers[which].peer.end();
        return;
      default:
        peers[which].peer.close();
    }
    peers.erase(peers.begin() + std::ptrdiff_t(which));
  }

  std::minstd_rand random_;
};

class Lives : public testing::TestWithParam<SlowReader> {};

TEST_P(Lives, AreToldInOrderAndLeaveNothing) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    World world(seed * 7919, GetParam());
    for (int i = 0; i < 1500; ++i) world.step();
    world.rig.settle();
    world.check();
    if (seed % 2 == 0) {  // a stop in the middle of it all
      for (std::size_t i = 0; i < 2; ++i) {
        world.rig.on(i, [&] { world.rig.loop(i).drain(1001, 100ms); });
      }
      for (int i = 0; i < 200; ++i) world.step();
      world.rig.pass(100ms);
    }
    if (testing::Test::HasFailure()) return;
  }
}

std::string name_of(const testing::TestParamInfo<SlowReader>& policy) {
  constexpr const char* kNames[] = {"close", "drop_newest", "drop_oldest"};
  return kNames[static_cast<std::size_t>(policy.param)];
}

INSTANTIATE_TEST_SUITE_P(Policies, Lives,
                         testing::Values(SlowReader::close, SlowReader::drop_newest,
                                         SlowReader::drop_oldest),
                         name_of);

}  // namespace
}  // namespace sluice::test
