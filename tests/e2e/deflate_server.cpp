// tests/e2e/deflate_server.cpp - compressed WebSocket messages for clients that others wrote.
//
//   e2e_deflate_server ENGINE BITS [takeover]
//
// A message that begins with "all:" is broadcast, "later:" is sent back by another thread; every
// other is answered with itself, binary ones in fragments of 100 bytes. Messages may have 256 KiB.
#include <condition_variable>
#include <deque>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <sluice/sluice.hpp>

namespace {

// Sends on a thread that is none of the server's.
class Later {
 public:
  void send(sluice::Connection connection, std::string text) {
    std::lock_guard lock(mutex_);
    waiting_.emplace_back(std::move(connection), std::move(text));
    changed_.notify_one();
  }

 private:
  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [this] { return !waiting_.empty(); })) {
      auto [connection, text] = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      connection.write_data(text);
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::pair<sluice::Connection, std::string>> waiting_;
  std::jthread thread_{[this](const std::stop_token& stop) { run(stop); }};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string engine = argv[1];
  sluice::Server server;
  server.port = 0;
  server.engine = engine == "uring" ? sluice::EngineKind::uring : sluice::EngineKind::epoll;
  server.shards = 2;
  server.limits.message_bytes = 256 << 10;
  sluice::PerMessageDeflate& deflate = server.extensions.permessage_deflate;
  deflate.enabled = true;
  deflate.threshold = 0;
  deflate.server_max_window_bits = deflate.client_max_window_bits =
      static_cast<std::uint32_t>(std::stoul(argv[2]));
  const bool takeover = argc > 3;
  deflate.server_no_context_takeover = deflate.client_no_context_takeover = !takeover;
  Later later;
  server.on_message = [&](sluice::Connection connection, std::string_view text) {
    if (text.starts_with("all:")) {
      server.broadcast(text);
    } else if (text.starts_with("later:")) {
      later.send(connection, std::string(text));
    } else {
      connection.write_data(text);
    }
  };
  server.on_binary = [](sluice::Connection connection, sluice::Bytes bytes) {
    connection.write_data(bytes, 100);
  };
  server.on_startup = [&] {
    std::cout << "listening on http://localhost:" << server.bound_port() << "/" << std::endl;
  };
  return server.run();
}
