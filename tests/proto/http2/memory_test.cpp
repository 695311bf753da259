// tests/proto/http2/memory_test.cpp - what a session takes: nothing between two requests, little
// while idle, a bounded amount under attack; and every allocation failing once.
//
// Layer: tests.
#include "support/new_hook.hpp"

#include "proto/http2/harness.hpp"

namespace sluice::test::h2 {
namespace {

// Somebody who takes no memory.
class Quiet final : public http2::Events, public http2::Out {
 public:
  void on_request(Stream& stream, Request& request) override {
    fields = request.head.fields.size();
    ++requests;
    if (!answers) return;
    AnswerHead head{.fields = "X-Name: v\r\n", .date = "Thu, 01 Jan 1970 00:00:00 GMT"};
    head.content_length = 5;
    static_cast<void>(session->answer(stream, head));
  }
  void on_data(Stream& stream, std::span<std::byte> data) override {
    session->consume(stream, data.size());
  }
  void on_end(Stream&) override {}
  void on_closed(Stream&, Code) override { ++closed; }
  bool put(Bytes frames) noexcept override {
    sent += frames.size();
    return true;
  }
  Piece next(Stream&, std::size_t) noexcept override { return {5, Piece::Then::end, {}}; }
  bool put_body(Stream&, std::size_t bytes) noexcept override {
    sent += bytes;
    return true;
  }
  bool feed(std::string& bytes) {
    const bool works =
        session->feed(now, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
    if (reads) session->send(*this, 1 << 20);
    return works;
  }

  std::unique_ptr<http2::Session> session;
  base::Instant now = at_second(0);
  bool answers = true, reads = true;
  std::size_t requests = 0, closed = 0, sent = 0, fields = 0;
};

std::shared_ptr<const http2::Context> context(const Settings& settings = {}) {
  return *http2::Context::server(settings);
}

TEST(Http2Memory, NothingIsAllocatedBetweenRequests) {
  http2::Memory memory;
  Quiet peer;
  peer.session = *http2::Session::accept(context(), memory, peer);
  std::vector<std::string> requests;
  for (std::uint32_t i = 0; i < 60; ++i) {
    requests.push_back(
        headers(4 * i + 1, with(get("/some/path"),
                                {{"accept", "*/*"}, {"cookie", "a=b"}, {"cookie", "c=d"}})) +
        headers(4 * i + 3, post(), false) + data(4 * i + 3, std::string(1000, 'x'), true));
  }
  std::string start = opening();
  peer.feed(start);
  for (std::size_t i = 0; i < 20; ++i) peer.feed(requests[i]);
  EXPECT_EQ(count_news([&] {
              for (std::size_t i = 20; i < 60; ++i) peer.feed(requests[i]);
            }),
            0U);
  EXPECT_EQ(peer.requests, 120U);
  EXPECT_EQ(peer.closed, 120U);
}

TEST(Http2Memory, Idle) {
  http2::Memory memory(0);
  Quiet peer;
  const auto shared = context();
  std::string bytes = opening() + headers(1, with(get(), {{"x", std::string(1000, 'v')}}));
  ASSERT_TRUE(memory.stock());  // one for all
  const std::size_t before = live_bytes;
  peer.session = *http2::Session::accept(shared, memory, peer);
  peer.feed(bytes);
  EXPECT_EQ(peer.closed, 1U);
  peer.session->shrink();
  const std::size_t idle = live_bytes - before;
  RecordProperty("idle_bytes", static_cast<int>(idle));
  std::printf("idle: %zu bytes\n", idle);
  EXPECT_LT(idle, 40000U);
  peer.session.reset();
  EXPECT_EQ(memory.bytes_in_use(), 0U);
}

TEST(Http2Memory, AHundredThousandRapidResets) {
  for (const bool reads : {true, false}) {
    Settings settings;
    settings.floods.resets = settings.floods.half_of = 1000000;
    http2::Memory memory;
    Quiet peer;
    peer.reads = peer.answers = reads;  // answers that wait would be too many
    peer.session = *http2::Session::accept(context(settings), memory, peer);
    std::string start = opening();
    peer.feed(start);
    std::size_t most = 0;
    const std::size_t before = live_bytes;
    std::string bytes;
    for (std::uint32_t i = 0; i < 100000; ++i) {
      bytes = headers(2 * i + 1, get()) + reset(2 * i + 1);
      ASSERT_TRUE(peer.feed(bytes)) << i << peer.session->failure().detail;
      most = std::max(most, live_bytes - before);
    }
    EXPECT_EQ(peer.requests, 100000U);
    EXPECT_EQ(peer.closed, 100000U);
    EXPECT_LT(most, 64U * 1024U);
  }
  // With the numbers as they are it ends soon.
  http2::Memory memory;
  Quiet peer;
  peer.session = *http2::Session::accept(context(), memory, peer);
  std::string bytes = opening();
  for (std::uint32_t i = 0; i < 100000; ++i) bytes += headers(2 * i + 1, get()) + reset(2 * i + 1);
  EXPECT_FALSE(peer.feed(bytes));
  EXPECT_LE(peer.requests, 501U);
  EXPECT_EQ(peer.closed, peer.requests);
}

TEST(Http2Memory, WhatNobodyReadsIsBounded) {
  Settings settings;
  settings.floods.pings = settings.floods.settings = 1000000;
  http2::Memory memory;
  Quiet peer;
  peer.reads = false;
  peer.session = *http2::Session::accept(context(settings), memory, peer);
  std::string bytes = opening();
  peer.feed(bytes);
  const std::size_t before = live_bytes;
  bytes = ping() + settings_ack() + test::h2::settings({{4, 100000}});
  for (int i = 0; i < 100000; ++i) {
    if (!peer.feed(bytes)) break;
  }
  EXPECT_TRUE(peer.session->has_failed());
  EXPECT_LT(live_bytes - before, 1024U * 1024U);
}

// With the Nth allocation failing, for every N, the session says so, everybody who was told of a
// stream is told of its end, and nothing is lost.
TEST(Http2Memory, EachAllocationFailsOnce) {
  const auto shared = context(Settings{.extended_connect = true});
  std::string bytes = opening();
  bytes += headers(1, with(get("/a"), {{"cookie", "a"}, {"cookie", std::string(300, 'b')}}));
  bytes += headers(3, post(), false) + data(3, "abc") + headers(3, {{"x", std::string(600, 'y')}});
  bytes += headers(5, with(get(), {{"A", "b"}})) + ping() + headers(7, get()) + reset(7) +
           test::h2::settings({{4, 100}});
  std::size_t failed = 0;
  for (std::size_t n = 1;; ++n) {
    http2::Memory memory(0);
    Quiet peer;
    std::string copy = bytes;
    fail_after = n;
    auto made = http2::Session::accept(shared, memory, peer);
    if (made) {
      peer.session = std::move(*made);
      peer.feed(copy);
      peer.session->announce_end();
      peer.session->end();
      peer.session->send(peer, 1 << 20);
    }
    const bool through = fail_after != 0;
    fail_after = 0;
    if (through) {
      EXPECT_FALSE(peer.session->has_failed());
      EXPECT_EQ(peer.closed, 3U);
      break;
    }
    ++failed;
    if (peer.session != nullptr && peer.session->has_failed()) {
      EXPECT_EQ(peer.session->failure().reason, Reason::out_of_memory)
          << n << peer.session->failure().detail;
      EXPECT_EQ(peer.closed, peer.requests) << n;
      EXPECT_EQ(peer.session->streams(), 0U) << n;
    }
    peer.session.reset();
    EXPECT_EQ(memory.bytes_in_use(), 0U) << n;
  }
  EXPECT_GT(failed, 30U);
}

// There is no more from the Nth allocation on; what comes back to the shelves can still be had.
TEST(Http2Memory, MemoryIsOutAndStaysSo) {
  const auto shared = context();
  for (std::size_t n = 1; n < 40; ++n) {
    for (const bool shelves : {true, false}) {
      http2::Memory memory(shelves ? 1 << 20 : 0);
      std::string start = opening(), bytes;
      for (std::uint32_t i = 0; i < 4; ++i) {
        start += headers(2 * i + 1, with(get(), {{"priority", "u=3"}}));
      }
      for (std::uint32_t i = 0; i < 8; ++i) {
        bytes += headers(2 * i + 9, with(get(), {{"priority", "u=" + std::to_string(i)}}));
      }
      Quiet peers[2];
      for (Quiet& peer : peers) {
        peer.session = *http2::Session::accept(shared, memory, peer);
        peer.feed(start);
      }
      std::string copies[2] = {bytes, bytes};
      fail_after = n;
      fail_on = true;
      for (std::size_t i = 0; i < 2; ++i) {
        peers[i].feed(copies[i]);
        peers[i].session->send(peers[i], 1 << 20);
      }
      fail_after = 0;
      fail_on = false;
      for (Quiet& peer : peers) {
        EXPECT_EQ(peer.closed, peer.requests) << n;
        EXPECT_TRUE(peer.session->has_failed() || peer.requests == 12) << n;
        if (peer.session->has_failed()) {
          EXPECT_EQ(peer.session->failure().reason, Reason::out_of_memory) << n;
          EXPECT_TRUE(peer.session->is_over()) << n;
        }
        peer.session.reset();
      }
      EXPECT_EQ(memory.bytes_in_use(), 0U) << n;
    }
  }
}

TEST(Http2Memory, NoRoomForWhatIsSent) {
  Connection peer;
  peer.talk(opening() + headers(1, get()));
  peer.answer(1);
  peer.no_memory = true;
  peer.take();
  EXPECT_EQ(peer.session->failure().reason, Reason::out_of_memory);
  EXPECT_EQ(peer.log, "request 1 GET /\nclosed 1 INTERNAL_ERROR\n");
  EXPECT_TRUE(peer.session->is_over());
}

TEST(Http2Memory, PiecesAreKeptWithinABound) {
  http2::Memory memory(1000);
  std::vector<void*> pieces;
  for (const std::size_t bytes :
       std::initializer_list<std::size_t>{1, 16, 17, 100, 500, 3000, 5000})
    pieces.push_back(memory.take(bytes));
  pieces[0] = memory.change(pieces[0], 2000);
  pieces.push_back(memory.change(nullptr, 8));
  for (void* piece : pieces) memory.give_back(piece);
  memory.give_back(nullptr);
  EXPECT_EQ(memory.bytes_in_use(), 0U);
  EXPECT_LE(memory.bytes_kept(), 1000U);
  EXPECT_GT(memory.bytes_kept(), 100U);
  EXPECT_EQ(count_news([&] { memory.give_back(memory.take(100)); }), 0U);
}

}  // namespace
}  // namespace sluice::test::h2
