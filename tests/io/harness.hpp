// tests/io/harness.hpp - one way to speak to the far end of a socket, whatever the engine under
// test runs on.
//
// Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/engine.hpp"
#include "io/sim/sim_engine.hpp"
#include "support/skip.hpp"

namespace sluice::io {

// The far end of one connection.
class Peer {
 public:
  virtual ~Peer() = default;
  // Sends as much as there is room for; returns how much that was.
  virtual std::size_t send(std::string_view bytes) = 0;
  virtual void end() = 0;    // FIN; still receives
  virtual void reset() = 0;  // RST, where the transport knows one
  // Takes at most `most` of the bytes that have arrived.
  virtual std::string take(std::size_t most = SIZE_MAX) = 0;
  virtual bool saw_end() = 0;
  virtual bool saw_reset() = 0;
  // Makes the transport hold little, so that sends come up short.
  virtual void narrow() = 0;
};

enum class Transport { tcp, local, simulated };

struct Setup {
  const char* engine;
  Transport transport;
  bool inline_completions = true, piecewise_receive = true;
};

std::string name_of(const Setup& setup);
inline void PrintTo(const Setup& setup, std::ostream* out) { *out << name_of(setup); }
// Every engine on every transport, for INSTANTIATE_TEST_SUITE_P.
std::vector<Setup> all_setups();

// Engines of one kind and what they are connected to.
class Harness {
 public:
  Harness(const Setup& setup, EngineOptions options);

  Engine& engine() { return *engine_; }
  Engine& other() { return *other_; }  // a second one of the same kind
  bool is_simulated() const { return setup_.transport == Transport::simulated; }
  bool is_tcp() const { return setup_.transport == Transport::tcp; }
  SimNetwork& network() { return network_; }

  // A connected descriptor to adopt, and its far end. A narrow one holds little, so that sends come
  // up short.
  std::pair<int, std::unique_ptr<Peer>> connect(bool narrow = false);
  // A listening descriptor, and a far end that connects to it.
  int listening();
  std::unique_ptr<Peer> connect_to(int listening);
  // Closes a descriptor that the engine has given back.
  void close(int fd);

  // One turn of each engine that waits at most a little.
  void turn();
  // Turns until `done` says so. False, and a failed expectation, when that does not come about.
  bool until(const std::function<bool()>& done);
  // A few turns in which nothing is expected.
  void some_turns(int count = 5);

 private:
  Setup setup_;
  SimNetwork network_;
  std::unique_ptr<Engine> engine_, other_;
};

// A test that runs once for each setup.
class EngineTest : public testing::TestWithParam<Setup> {
 protected:
  void SetUp() override {
    if (std::string_view(GetParam().engine) == "uring") SKIP_WITHOUT(io_uring);
    start({});
  }
  void start(const EngineOptions& options) {
    harness_ = std::make_unique<Harness>(GetParam(), options);
  }
  Harness& harness() { return *harness_; }
  Engine& engine() { return harness_->engine(); }

  std::unique_ptr<Harness> harness_;
};

// Notes what it is told, and does what the test hangs in.
class Recorder final : public Socket {
 public:
  explicit Recorder(Engine& engine) : engine_(&engine) {}

  Socket& socket = *this;
  std::string received;
  std::string order;                // r e s c d, as told
  std::uint64_t total = 0;          // bytes that have gone, at once or as told
  std::vector<std::uint64_t> sent;  // that, at each on_sent
  Error why;
  int given = -1;  // what on_detached gave
  std::string unread;
  std::function<void(const Received&)> when_received;
  std::function<void()> when_ended, when_sent, when_closed, when_detached;

  int count(char event) const;
  bool is_over() const { return count('c') + count('d') > 0; }
  Engine& engine() { return *engine_; }
  void adopt(Engine& engine, int descriptor, Bytes already = {});
  std::size_t send(std::string_view bytes, bool more = false);
  std::size_t send(std::span<const iovec> parts, bool more = false);
  std::size_t send_file(int file, std::uint64_t offset, std::size_t length);
  void close(CloseMode mode = CloseMode::graceful) { engine_->close(socket, mode); }

  void on_received(const Received& bytes) override;
  void on_end() override;
  void on_sent(std::uint64_t bytes) override;
  void on_closed(const Error& error) override;
  void on_detached(int descriptor, Bytes bytes) override;

 private:
  void note(char event);
  Engine* engine_;
};

// An address that was told with a socket is that of its far end.
void check_peer(int descriptor, const sockaddr_storage* told);

class ListenRecorder final : public ListenerEvents {
 public:
  Listener listener;
  std::vector<int> accepted;
  int failures = 0, closed = 0, fd = -2;
  Error why;
  std::function<void(int)> when_accepted;

  void on_accepted(int descriptor, const sockaddr_storage* peer) override {
    EXPECT_EQ(closed, 0);
    check_peer(descriptor, peer);
    accepted.push_back(descriptor);
    if (when_accepted) when_accepted(descriptor);
  }
  void on_accept_failed(const Error& error) override {
    EXPECT_EQ(closed, 0);
    ++failures;
    why = error;
  }
  void on_listener_closed(int descriptor) override {
    ++closed;
    fd = descriptor;
  }
};

// A text in which every place differs from its neighbourhood, so that lost or moved bytes show.
std::string numbered(std::size_t size);

}  // namespace sluice::io
