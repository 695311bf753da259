// tests/front/wire/harness.hpp - loops on the sim engine: no kernel, no clock, no threads.
//
//   Rig rig;
//   rig.events.on_http_request = ...;          // settings, events and routes first
//   rig.start();
//   io::SimPeer peer = rig.connect();
//   peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
//   rig.settle();                              // turns until nothing more happens
//   rig.pass(30s);                             // time passes only here
//
// When a Rig goes, every connection is broken off and nothing may be left: no block, no segment, no
// byte that counts as queued, no descriptor. Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "core/session.hpp"
#include "front/wire/loop.hpp"
#include "io/sim/sim_engine.hpp"
#include "service/files/file_service.hpp"
#include "support/ws_client.hpp"

namespace sluice::test {

using namespace std::chrono_literals;

// Programs that make allocations fail set this: called with true when code of the server begins to
// run, with false when it ends. What the simulated kernel needs never fails.
inline void (*server_runs)(bool) = nullptr;

struct ServerRuns {
  explicit ServerRuns(bool now) : now_(now) { tell(now_); }
  ~ServerRuns() { tell(!now_); }
  ServerRuns(const ServerRuns&) = delete;
  ServerRuns& operator=(const ServerRuns&) = delete;

 private:
  static void tell(bool now) {
    if (server_runs) server_runs(now);
  }
  const bool now_;
};

// The sim engine, and how often it was asked to send.
class WatchedEngine final : public io::Engine {
 public:
  WatchedEngine(io::SimNetwork& network, const io::EngineOptions& options)
      : inner_(network, options) {}

  std::size_t sends = 0, file_sends = 0;
  base::Instant slept_until{};          // what the last wait was given
  std::atomic<std::uint64_t> wakes{0};  // by posts, from whatever thread

  const char* name() const override { return inner_.name(); }
  void adopt(io::Socket& socket, int fd, Bytes already) override {
    ServerRuns kernel(false);
    inner_.adopt(socket, fd, already);
  }
  std::size_t send(io::Socket& socket, std::span<const iovec> parts, bool more) override {
    ServerRuns kernel(false);
    ++sends;
    return inner_.send(socket, parts, more);
  }
  std::size_t send_file(io::Socket& socket, int file, std::uint64_t offset,
                        std::size_t length) override {
    ServerRuns kernel(false);
    ++file_sends;
    return inner_.send_file(socket, file, offset, length);
  }
  void pause(io::Socket& socket) override { inner_.pause(socket); }
  void resume(io::Socket& socket) override { inner_.resume(socket); }
  void expect_bulk(io::Socket& socket, bool bulk) override { inner_.expect_bulk(socket, bulk); }
  void shutdown_send(io::Socket& socket) override { inner_.shutdown_send(socket); }
  void close(io::Socket& socket, io::CloseMode mode) override { inner_.close(socket, mode); }
  void detach(io::Socket& socket) override { inner_.detach(socket); }
  void listen(io::Listener& listener, int fd, io::ListenerEvents& events) override {
    inner_.listen(listener, fd, events);
  }
  void close_listener(io::Listener& listener) override { inner_.close_listener(listener); }
  void leave_listener(io::Listener& listener) override { inner_.leave_listener(listener); }
  void wait(base::Instant until) override {
    slept_until = until;
    inner_.wait(until);
  }
  bool tells_more() const override { return inner_.tells_more(); }
  void wake() override {
    inner_.wake();
    ++wakes;
    wakes.notify_all();
  }
  bool failed() const override { return inner_.failed(); }
  void abandon() override { inner_.abandon(); }
  void abandon(io::Socket& socket) override { inner_.abandon(socket); }
  void forget_listener(io::Listener& listener) override { inner_.forget_listener(listener); }
  base::Instant now() const override { return inner_.now(); }
  base::BlockPool& blocks() override { return inner_.blocks(); }
  const Counters& counters() const override { return inner_.counters(); }

 private:
  io::SimEngine inner_;
};

// Not secret, but it undoes itself.
inline std::shared_ptr<const core::IdCipher> plain_cipher(unsigned key = 0x5a) {
  auto cipher = std::make_shared<core::IdCipher>();
  cipher->encrypt = [key](const core::IdCipher::Block& block) {
    core::IdCipher::Block out = block;
    for (std::byte& b : out) b ^= std::byte(key);
    return out;
  };
  cipher->decrypt = cipher->encrypt;
  return cipher;
}

// What it got but for dates, and how it ended.
inline std::string transcript_of(const io::SimPeer& peer) {
  std::string text = peer.received();
  for (std::size_t at = 0; (at = text.find("Date: ", at)) != std::string::npos;) {
    text.erase(at, text.find("\r\n", at) + 2 - at);
  }
  return text + (peer.saw_reset() ? "(reset)" : peer.saw_end() ? "(end)" : "");
}

class Rig {
 public:
  Rig() { settings.handler_limit = 0ms; }
  ~Rig() {
    if (!loops.empty()) stop();
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  io::SimNetwork network;
  core::Router router;
  core::SessionSettings settings;
  core::SessionEvents events;
  std::shared_ptr<core::Gate> gate;
  io::EngineOptions engine_options;
  std::shared_ptr<core::ServerSession> session;
  std::vector<std::shared_ptr<wire::Loop>> loops;
  std::vector<WatchedEngine*> engines;
  std::deque<base::Task> file_work;  // waits for run_files(), unless that is done by itself
  bool files_at_once = true;
  std::uint64_t connects = 0;                      // by connect()
  std::vector<Errc> errors;                        // told by on_error, unless the test sets its own
  std::shared_ptr<const wire::SecurePort> secure;  // connections speak TLS

  void start(std::uint32_t count = 1) {
    files_ = std::make_unique<service::FileService>(
        count,
        [this](base::Task task) {
          file_work.push_back(std::move(task));
          return true;
        },
        nullptr, http::MediaTypes());
    if (!events.on_error) {
      events.on_error = [this](sluice::Connection, const Error& why) {
        errors.push_back(why.code);
      };
    }
    for (auto& [prefix, root] : directories) {
      auto handler = files_->directory(prefix, root, {});
      ASSERT_TRUE(handler) << handler.error().message();
      ASSERT_TRUE(router.add_native("GET", prefix + "{path...}", std::move(*handler), {}));
    }
    session = std::make_shared<core::ServerSession>(settings, events, router, plain_cipher());
    session->body_source = files_.get();
    session->set_gate(gate);
    for (std::uint32_t i = 0; i < count; ++i) {
      auto engine = std::make_unique<WatchedEngine>(network, engine_options);
      engines.push_back(engine.get());
      loops.push_back(std::make_shared<wire::Loop>(session, i, std::move(engine)));
      loops.back()->tie();
      session->shards.push_back(&loops.back()->shard());
    }
    session->dispatcher.start();
  }
  std::vector<std::pair<std::string, std::string>> directories;  // prefix and root, before start()

  void stop() {
    session->dispatcher.stop();
    for (std::size_t i = 0; i < loops.size(); ++i) {
      on(i, [&] { loops[i]->abort_all(Errc::server_stopping); });
      on(i, [&] { loops[i]->close_listeners(false); });
    }
    settle();
    for (auto& loop : loops) {
      EXPECT_EQ(loop->connections(), 0u);
      EXPECT_EQ(loop->shard().registry.size(), 0u);
      EXPECT_EQ(loop->shard().queued_bytes, 0u);
      EXPECT_EQ(loop->shard().websockets.size(), 0u);
      EXPECT_EQ(loop->shard().counters.connections.get(), 0u);
      EXPECT_EQ(loop->shard().counters.websockets.get(), 0u);
      EXPECT_EQ(loop->segments().in_use(), 0u);
      loop->shard().scratch.release();
      EXPECT_EQ(loop->engine().blocks().blocks_in_use(), 0u);
    }
    EXPECT_EQ(session->deferred->load(), 0u);
    // Who is turned away before the engine has it is closed past the simulated network.
    std::uint64_t adopted = network.count(io::SimOperation::adopt);
    EXPECT_EQ(network.open_count(), connects > adopted ? connects - adopted : 0);
    session->shards.clear();
    loops.clear();
    engines.clear();
    files_.reset();
    session.reset();
  }

  wire::Loop& loop(std::size_t index = 0) { return *loops[index]; }
  core::Shard& shard(std::size_t index = 0) { return loops[index]->shard(); }
  WatchedEngine& engine(std::size_t index = 0) { return *engines[index]; }

  // Runs `call` as on the thread of that loop.
  template <class Call>
  void on(std::size_t index, Call&& call) {
    core::Shard::set_current(&loops[index]->shard());
    {
      ServerRuns now(true);
      call();
    }
    core::Shard::set_current(nullptr);
  }

  void turn(std::size_t index = 0) {
    on(index, [&] { loops[index]->turn(base::Instant::min()); });
  }
  // A turn that would wait for as long as the loop has nothing to do.
  void turn_and_sleep(std::size_t index = 0) {
    on(index, [&] { loops[index]->turn(base::never); });
  }
  void run_files() {
    while (!file_work.empty()) {
      base::Task task = std::move(file_work.front());
      file_work.pop_front();
      task();
    }
  }
  // Turns until three in a row change nothing.
  void settle() {
    for (int quiet = 0; quiet < 3;) {
      auto before = seen();
      if (files_at_once) run_files();
      for (std::size_t i = 0; i < loops.size(); ++i) turn(i);
      quiet = before == seen() ? quiet + 1 : 0;
    }
  }
  void pass(base::Duration time) {
    network.advance(time);
    settle();
  }

  // Adopted by the loop as if it had been accepted.
  io::SimPeer connect(std::size_t index = 0) {
    auto [fd, peer] = network.open_connection();
    ++connects;
    on(index, [&, descriptor = fd] { loops[index]->adopt(descriptor, {.secure = secure}); });
    return peer;
  }
  // The connection opened last on that loop.
  sluice::Connection newest(std::size_t index = 0) {
    core::Connection* last = nullptr;
    loops[index]->shard().registry.for_each([&](core::Connection& each) {
      if (!last || each.generation >= last->generation) last = &each;
    });
    return last ? last->handle() : sluice::Connection();
  }
  io::SimPeer websocket(std::string_view target = "/", std::size_t index = 0) {
    io::SimPeer peer = connect(index);
    peer.send(WsClient::handshake(target));
    settle();
    EXPECT_EQ(peer.take_received().substr(0, 12), "HTTP/1.1 101");
    return peer;
  }
  // What an on_error of the test's own would have to be told.
  std::size_t count_errors(Errc code) const {
    std::size_t count = 0;
    for (Errc each : errors) count += each == code;
    return count;
  }

 private:
  using Seen = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::size_t,
                          std::size_t, std::size_t, std::size_t>;
  Seen seen() const {
    std::size_t queued = 0, mail = 0;
    for (const auto& loop : loops) {
      queued += loop->shard().queued_bytes;
      mail += loop->shard().mailbox->empty() ? 0 : 1;
    }
    return {network.count(io::SimOperation::adopt),
            network.count(io::SimOperation::receive),
            network.count(io::SimOperation::send),
            network.count(io::SimOperation::accept),
            network.open_count(),
            queued,
            mail,
            file_work.size()};
  }
  std::unique_ptr<service::FileService> files_;
};

// --- What peers were sent ---------------------------------------------------------------------

// Takes the next whole answer off the front of `text`; status 0 when there is none.
inline HttpReply take_reply(std::string_view& text, bool head_only = false) {
  HttpReply reply;
  std::size_t end = text.find("\r\n\r\n");
  if (end == std::string::npos || text.size() < 12) return reply;
  reply.head = text.substr(0, end + 4);
  std::size_t at = reply.head.find("\r\n") + 2;
  while (at + 2 < reply.head.size()) {
    std::size_t eol = reply.head.find("\r\n", at), colon = reply.head.find(": ", at);
    reply.fields.emplace_back(reply.head.substr(at, colon - at),
                              reply.head.substr(colon + 2, eol - colon - 2));
    at = eol + 2;
  }
  std::string_view rest = text.substr(end + 4);
  int status = std::stoi(reply.head.substr(9, 3));
  if (head_only || status == 204 || status == 304 || status < 200) {
    reply.complete = true;
  } else if (reply.field("Transfer-Encoding") == "chunked") {
    std::size_t from = 0;
    for (;;) {
      std::size_t eol = rest.find("\r\n", from);
      if (eol == std::string::npos) return HttpReply();
      std::size_t size = std::stoul(std::string(rest.substr(from, eol - from)), nullptr, 16);
      if (rest.size() < eol + 2 + size + 2) return HttpReply();
      reply.body.append(rest.substr(eol + 2, size));
      from = eol + 2 + size + 2;
      if (size == 0) break;
    }
    rest.remove_prefix(from);
    reply.complete = true;
  } else if (reply.has("Content-Length")) {
    std::size_t size = std::stoul(std::string(reply.field("Content-Length")));
    if (rest.size() < size) return HttpReply();
    reply.body = rest.substr(0, size);
    rest.remove_prefix(size);
    reply.complete = true;
  } else {
    reply.body = std::exchange(rest, {});
    reply.complete = reply.until_close = true;
  }
  reply.status = status;
  text = rest;
  return reply;
}

inline HttpReply take_reply(io::SimPeer& peer, bool head_only = false) {
  const std::string received = peer.take_received();
  std::string_view text = received;
  return take_reply(text, head_only);
}

inline std::vector<HttpReply> take_replies(io::SimPeer& peer) {
  std::vector<HttpReply> replies;
  const std::string received = peer.take_received();
  std::string_view text = received;
  for (;;) {
    HttpReply reply = take_reply(text);
    if (reply.status == 0) break;
    replies.push_back(std::move(reply));
  }
  EXPECT_EQ(text, "") << "half an answer";
  return replies;
}

inline std::vector<WsFrame> take_frames(std::string& text) {
  std::vector<WsFrame> frames;
  auto byte = [&](std::size_t i) { return std::size_t(static_cast<unsigned char>(text[i])); };
  while (text.size() >= 2) {
    WsFrame frame;
    frame.opcode = int(byte(0) & 15);
    frame.fin = (byte(0) & 0x80) != 0;
    frame.masked = (byte(1) & 0x80) != 0;
    std::size_t size = byte(1) & 0x7f, head = 2;
    std::size_t more = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (text.size() < head + more) break;
    if (more != 0) size = 0;
    for (std::size_t i = 0; i < more; ++i) size = size << 8 | byte(head + i);
    head += more;
    if (text.size() < head + size) break;
    frame.payload = text.substr(head, size);
    text.erase(0, head + size);
    frames.push_back(std::move(frame));
  }
  return frames;
}

inline std::vector<WsFrame> take_frames(io::SimPeer& peer) {
  std::string text = peer.take_received();
  std::vector<WsFrame> frames = take_frames(text);
  EXPECT_EQ(text, "") << "half a frame";
  return frames;
}

inline std::string get(std::string_view target, std::string_view fields = {}) {
  std::string text("GET ");
  return text.append(target).append(" HTTP/1.1\r\nHost: a\r\n").append(fields).append("\r\n");
}

inline std::string post(std::string_view target, std::string_view body) {
  std::string text("POST ");
  return text.append(target)
      .append(" HTTP/1.1\r\nHost: a\r\nContent-Length: ")
      .append(std::to_string(body.size()))
      .append("\r\n\r\n")
      .append(body);
}

// Answers with the path, and behind it the body.
inline void echo(sluice::Connection, const HttpRequest& request, HttpResponse& response) {
  response.content_text(std::string(request.document()) + std::string(request.body().text()));
}

}  // namespace sluice::test
