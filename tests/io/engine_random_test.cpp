// tests/io/engine_random_test.cpp - long random lives of many connections, checked against what was
// put in.
//
// Each connection carries a numbered text both ways. Whatever happens in between (pauses, detaching
// to the other engine, shared blocks, closes), what was received is always a prefix of what was
// sent, and all of it in the end. Layer: tests.
#include <algorithm>
#include <random>

#include "harness.hpp"
#include "support/skip.hpp"

namespace sluice::io {
namespace {

class EngineRandom : public testing::TestWithParam<Setup> {
 protected:
  void SetUp() override {
    if (std::string_view(GetParam().engine) == "uring") SKIP_WITHOUT(io_uring);
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, EngineRandom, testing::ValuesIn(all_setups()),
                         [](const auto& setup) { return name_of(setup.param); });

constexpr std::size_t kText = 400'000;

class World;

class Life {
 public:
  Life(World& world, Engine& engine) : world_(world), recorder(engine) {}
  void begin();
  void step();
  bool is_over() const { return recorder.count('c') > 0; }
  void check() const;

 private:
  void send_some();
  World& world_;

 public:
  Recorder recorder;
  std::unique_ptr<Peer> peer;

 private:
  std::size_t peer_sent_ = 0;
  std::string peer_got_;
  std::size_t sent_ = 0;
  bool peer_ended_ = false, paused_ = false, detaching_ = false, shut_ = false, reset_ = false,
       closed_ = false;
};

class World {
 public:
  World(const Setup& setup, unsigned seed, const EngineOptions& options)
      : harness(setup, options), random(seed) {}

  std::size_t below(std::size_t limit) { return std::size_t(random() % limit); }
  Engine& any_engine() { return below(2) ? harness.engine() : harness.other(); }

  Harness harness;
  std::mt19937 random;
  const std::string text = numbered(kText);
  std::vector<std::pair<Engine*, base::BlockRef>> shared;
};

void Life::begin() {
  auto [fd, far] = world_.harness.connect(world_.below(2) == 0);
  peer = std::move(far);
  recorder.when_received = [this](const Received& received) {
    EXPECT_FALSE(paused_);
    if (world_.below(10) == 0) {
      world_.shared.emplace_back(&recorder.engine(), base::BlockRef::share(*received.block));
    }
    std::size_t choice = world_.below(12);
    if (choice == 0) {
      paused_ = true;
      recorder.engine().pause(recorder.socket);
    }
    if (choice < 3) send_some();
  };
  recorder.when_sent = [this] {
    if (world_.below(2)) send_some();
  };
  recorder.when_ended = [this] { EXPECT_FALSE(paused_); };
  recorder.when_detached = [this] {
    detaching_ = paused_ = false;
    std::string unread = recorder.unread;
    recorder.adopt(world_.any_engine(), recorder.given, as_bytes(unread));
  };
  std::size_t already = world_.below(3) * 100;
  peer_sent_ = already;
  recorder.adopt(recorder.engine(), fd, as_bytes(std::string_view(world_.text).substr(0, already)));
}

void Life::send_some() {
  if (recorder.socket.sending() || detaching_ || shut_ || closed_ || sent_ == kText) return;
  std::vector<iovec> parts(1 + world_.below(5));
  for (iovec& part : parts) {
    std::size_t size = std::min(kText - sent_, world_.below(30'000));
    part = {const_cast<char*>(world_.text.data()) + sent_, size};
    sent_ += size;
  }
  recorder.send(parts);
}

void Life::step() {
  if (is_over()) return;
  if (!reset_) peer_got_ += peer->take(world_.below(80'000));
  Engine& engine = recorder.engine();
  switch (world_.below(closed_ ? 1 : 10)) {
    case 1:
    case 2:
      if (!peer_ended_ && !reset_) {
        std::size_t size = world_.below(40'000);
        peer_sent_ += peer->send(std::string_view(world_.text).substr(peer_sent_, size));
        if (peer_sent_ == kText) {
          peer->end();
          peer_ended_ = true;
        }
      }
      break;
    case 3:
      paused_ = false;
      engine.resume(recorder.socket);
      break;
    case 4:
      if (!recorder.socket.sending() && !detaching_ && !shut_ && world_.below(3) == 0) {
        detaching_ = true;
        engine.detach(recorder.socket);
      }
      break;
    case 5:
      if (world_.below(100) == 0) {
        closed_ = true;
        recorder.close(world_.below(2) ? CloseMode::graceful : CloseMode::abort);
      }
      break;
    case 6:
      if (!reset_ && world_.below(150) == 0) {
        peer->reset();
        reset_ = true;
      }
      break;
    case 7:
      if (sent_ == kText && !shut_ && !detaching_) {
        shut_ = true;
        engine.shutdown_send(recorder.socket);
      }
      break;
    case 8:
      engine.expect_bulk(recorder.socket, world_.below(3) == 0);
      break;
    default:
      send_some();
  }
  // A life in which all was said ends by itself.
  if (!closed_ && shut_ && !recorder.socket.sending() && recorder.received.size() == kText &&
      peer_got_.size() == kText) {
    closed_ = true;
    recorder.close();
  }
}

void Life::check() const {
  const std::string& text = world_.text;
  EXPECT_EQ(text.compare(0, recorder.received.size(), recorder.received), 0) << "received";
  EXPECT_EQ(text.compare(0, peer_got_.size(), peer_got_), 0) << "sent";
  EXPECT_LE(recorder.received.size(), peer_sent_);
  EXPECT_LE(peer_got_.size(), sent_);
  EXPECT_EQ(recorder.count('c'), 1);
  EXPECT_TRUE(reset_ || recorder.why.code == Errc::none) << recorder.why.message();
}

TEST_P(EngineRandom, EveryLifeIsConsistent) {
  auto first = unsigned(testing::UnitTest::GetInstance()->random_seed()) * 3;
  for (unsigned seed = first; seed < first + 3; ++seed) {
    World world(GetParam(), seed, {.receive_block_bytes = 4096, .receive_blocks = 16});
    std::vector<std::unique_ptr<Life>> lives;
    for (int i = 0; i < 40; ++i) {
      lives.push_back(std::make_unique<Life>(world, world.any_engine()));
      lives.back()->begin();
    }
    auto over = [&] {
      return std::all_of(lives.begin(), lives.end(), [](auto& life) { return life->is_over(); });
    };
    int turns = 0;
    ASSERT_TRUE(world.harness.until([&] {
      for (auto& life : lives) life->step();
      if (++turns % 3 == 0 && !world.shared.empty()) {
        world.shared.erase(
            world.shared.begin(),
            world.shared.begin() + std::ptrdiff_t(1 + world.below(world.shared.size())));
      }
      return over();
    })) << "seed "
        << seed;
    for (auto& life : lives) life->check();
    world.shared.clear();
  }
}

}  // namespace
}  // namespace sluice::io
