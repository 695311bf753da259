// bench/guard/paths.cpp - the paths that are measured, one row of the stored figures each.
#include <chrono>
#include <optional>
#include <thread>

#include "served.hpp"
#include "support/ws_client.hpp"
#include "world.hpp"

namespace sluice::guard {
namespace {

using test::WsClient;

constexpr std::string_view kOk = "HTTP/1.1 200 ";
constexpr std::string_view kSwitching = "HTTP/1.1 101 ";

// What a browser of few words sends.
std::string request(std::string_view line, std::string_view fields = {}) {
  std::string text(line);
  return text.append(" HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n").append(fields).append("\r\n");
}

// Answers of one kind have one size. The first one shows it.
class Answers {
 public:
  explicit Answers(std::string_view begins) : begins_(begins) {}
  void check(const std::string& got) {
    if (!size_) size_ = got.size();
    if (got.size() == *size_ && got.starts_with(begins_)) return;
    give_up("a wrong answer of " + std::to_string(got.size()) + " bytes instead of " +
            std::to_string(*size_) + ": " + got.substr(0, 200));
  }

 private:
  const std::string begins_;
  std::optional<std::size_t> size_;
};

int open_connection(World& world, std::uint32_t shard = 0) {
  int client = world.connect(shard);
  world.settle();
  return client;
}

int open_websocket(World& world, std::string_view target) {
  int client = open_connection(world);
  world.send(client, WsClient::handshake(target));
  world.settle();
  if (!world.take(client).starts_with(kSwitching)) give_up("no WebSocket");
  return client;
}

std::string repeated(std::string_view text, unsigned times) {
  std::string all;
  for (unsigned i = 0; i < times; ++i) all += text;
  return all;
}

// One connection: the same bytes again and again, each time when the answer is there.
class Repeat : public Script {
 public:
  Repeat(std::string bytes, std::string_view begins) : bytes_(std::move(bytes)), answers_(begins) {}
  void prepare(World& world) override {
    client_ = open(world);
    world.send(client_, bytes_);
    world.settle();
  }
  // Longer bytes than fit into a receive block need another step.
  bool act(World& world, unsigned step) override {
    if (step > 0) return false;
    answers_.check(world.take(client_));
    world.send(client_, bytes_);
    return true;
  }

 protected:
  virtual int open(World& world) { return open_connection(world); }

 private:
  const std::string bytes_;
  Answers answers_;
  int client_ = -1;
};

template <unsigned kTimes>
std::unique_ptr<Script> plain() {
  return std::make_unique<Repeat>(repeated(request("GET /"), kTimes), kOk);
}
std::unique_ptr<Script> json() { return std::make_unique<Repeat>(request("GET /json"), kOk); }
std::unique_ptr<Script> file() { return std::make_unique<Repeat>(request("GET /f/1k.txt"), kOk); }

// The first answer is its handler's, and has no age.
class Cached final : public Repeat {
 public:
  Cached() : Repeat(request(kTarget), kOk) {}

 private:
  int open(World& world) override {
    const int client = open_connection(world);
    world.send(client, request(kTarget));
    world.settle();
    if (!world.take(client).starts_with(kOk)) give_up("nothing to keep");
    return client;
  }
  static constexpr std::string_view kTarget = "GET /cached/1k.txt";
};

// With credentials that were verified before: on a thread of its own, which takes its time.
class Basic final : public Repeat {
 public:
  Basic() : Repeat(request("GET /", kJoe), kOk) {}

 private:
  int open(World& world) override {
    const int client = open_connection(world);
    world.send(client, request("GET /", kJoe));
    std::string got;
    for (int i = 0; i < 20'000 && got.empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      world.settle();
      got = world.take(client);
    }
    if (!got.starts_with(kOk)) give_up("joe may not come in");
    return client;
  }
  static constexpr std::string_view kJoe = "Authorization: Basic am9lOnBhc3N3b3Jk\r\n";
};

class Echo final : public Repeat {
 public:
  Echo(std::size_t size, unsigned times)
      : Repeat(repeated(WsClient::frame(WsClient::kBinary, std::string(size, 'e')), times),
               "\x82") {}

 private:
  int open(World& world) override { return open_websocket(world, "/ws"); }
};

template <std::size_t kSize, unsigned kTimes>
std::unique_ptr<Script> echo() {
  return std::make_unique<Echo>(kSize, kTimes);
}

// Each of two shards has a connection, and they take turns.
class TwoShards final : public Script {
 public:
  void prepare(World& world) override {
    for (std::uint32_t shard : {0u, 1u}) {
      clients_[shard] = open_connection(world, shard);
      world.send(clients_[shard], request("GET /"));
      world.settle();
    }
  }
  bool act(World& world, unsigned step) override {
    answers_.check(world.take(clients_[step]));
    world.send(clients_[step], request("GET /"));
    return true;
  }

 private:
  Answers answers_{kOk};
  int clients_[2] = {-1, -1};
};

// From accept to close, which is the server's: the client has nothing to say any more.
class OneEach final : public Script {
 public:
  bool act(World& world, unsigned step) override {
    if (step == 1) {
      world.send(client_, request("GET /", "Connection: close\r\n"));
      return true;
    }
    if (client_ >= 0) {
      answers_.check(world.take(client_));
      world.close(client_);
    }
    client_ = world.connect();
    return true;
  }

 private:
  Answers answers_{kOk};
  int client_ = -1;
};

// A handshake, from accept to a WebSocket that its peer leaves.
class Upgrade final : public Script {
 public:
  bool act(World& world, unsigned step) override {
    switch (step) {
      case 0:
        client_ = world.connect();
        break;
      case 1:
        world.send(client_, WsClient::handshake("/ws"));
        break;
      default:
        answers_.check(world.take(client_));
        world.close(client_);
    }
    return true;
  }

 private:
  Answers answers_{kSwitching};
  int client_ = -1;
};

// One of many says something, and all of them hear it.
class Broadcast final : public Script {
 public:
  explicit Broadcast(unsigned times)
      : bytes_(repeated(WsClient::frame(WsClient::kBinary, std::string(64, 'b')), times)) {}
  void prepare(World& world) override {
    for (std::size_t i = 0; i < world.crowd(); ++i) {
      clients_.push_back(open_websocket(world, "/all"));
    }
    world.send(clients_[0], bytes_);
    world.settle();
  }
  bool act(World& world, unsigned step) override {
    if (step != 0) return false;  // the server looks what else has come
    for (int client : clients_) answers_.check(world.take(client));
    world.send(clients_[0], bytes_);
    return true;
  }

 private:
  const std::string bytes_;
  Answers answers_{"\x82"};
  std::vector<int> clients_;
};

template <unsigned kTimes>
std::unique_ptr<Script> broadcast() {
  return std::make_unique<Broadcast>(kTimes);
}

// The handler keeps the Reply; another thread sends it.
class Deferred final : public Script {
 public:
  void prepare(World& world) override { client_ = open_connection(world); }
  bool act(World& world, unsigned step) override {
    if (step == 1) {
      world.answer();
      return true;
    }
    if (begun_) answers_.check(world.take(client_));
    begun_ = true;
    world.send(client_, request("GET /late"));
    return true;
  }

 private:
  Answers answers_{kOk};
  int client_ = -1;
  bool begun_ = false;
};

// In pieces of a receive block. The last steps wait for what the file pool does.
class Upload final : public Script {
 public:
  static constexpr unsigned kPieces = 64, kSteps = kPieces + 8;
  explicit Upload(std::string_view line)
      : head_(request(line, "Content-Length: 1048576\r\n")), piece_(16384, 'u') {}
  void prepare(World& world) override { client_ = open_connection(world); }
  bool act(World& world, unsigned step) override {
    if (step >= kPieces) return false;
    if (step == 0 && begun_) answers_.check(world.take(client_));
    begun_ = true;
    world.send(client_, step == 0 ? head_ + piece_ : piece_);
    return true;
  }

 private:
  Answers answers_{kOk};
  const std::string head_, piece_;
  int client_ = -1;
  bool begun_ = false;
};

std::unique_ptr<Script> upload() { return std::make_unique<Upload>("POST /upload"); }
std::unique_ptr<Script> upload_to_file() { return std::make_unique<Upload>("POST /whole"); }

// Kept-alive connections that say nothing, and the turns that timers ask for.
class Idle final : public Script {
 public:
  void prepare(World& world) override {
    for (std::size_t i = 0; i < world.crowd(); ++i) {
      int client = open_connection(world);
      world.send(client, request("GET /"));
      world.settle();
      if (!world.take(client).starts_with(kOk)) give_up("no answer");
    }
  }
  bool act(World& world, unsigned) override {
    world.sleep();
    return true;
  }
};

template <class Made>
std::unique_ptr<Script> make() {
  return std::make_unique<Made>();
}

}  // namespace

const std::vector<Path>& paths() {
  static const std::vector<Path> all = {
      {.name = "get", .make = plain<1>},
      {.name = "get_basic", .make = make<Basic>, .real = false, .authenticates = true},
      {.name = "get_two_shards",
       .make = make<TwoShards>,
       .steps = 2,
       .operations = 2,
       .real = false,
       .shards = 2},
      {.name = "get_16_pipelined", .make = plain<16>, .operations = 16, .rounds = 200},
      {.name = "connection_per_request", .make = make<OneEach>, .steps = 2},
      {.name = "json_2k", .make = json},
      {.name = "file_1k", .make = file},
      {.name = "cached_1k", .make = make<Cached>},
      {.name = "deferred", .make = make<Deferred>, .steps = 2},
      {.name = "upload_1m", .make = upload, .steps = Upload::kSteps, .rounds = 20},
      {.name = "upload_1m_to_file",
       .make = upload_to_file,
       .steps = Upload::kSteps,
       .rounds = 20,
       .real = false},
      {.name = "upgrade", .make = make<Upgrade>, .steps = 3},
      {.name = "echo_64", .make = echo<64, 1>},
      {.name = "echo_64_x16", .make = echo<64, 16>, .operations = 16, .rounds = 200},
      {.name = "echo_16k", .make = echo<16384, 1>, .steps = 2, .rounds = 200},
      {.name = "broadcast", .make = broadcast<1>, .steps = 3, .per_member = true, .rounds = 20},
      {.name = "broadcast_x16",
       .make = broadcast<16>,
       .steps = 3,
       .operations = 16,
       .per_member = true,
       .rounds = 5},
      {.name = "idle_timers", .make = make<Idle>, .rounds = 200, .real = false},
  };
  return all;
}

}  // namespace sluice::guard
