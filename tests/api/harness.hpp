// tests/api/harness.hpp - a real server on a free port of the loopback, and what it told.
//
// Tests go through the public API and real sockets only. Every wait is for an event and ends after
// kPatience, which no test reaches unless it fails. Layer: tests.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/sluice.hpp>

#include "support/http_client.hpp"
#include "support/skip.hpp"

namespace sluice::test {

inline constexpr std::chrono::milliseconds kPatience{20'000};

// What a test is repeated over.
struct Setup {
  EngineKind engine = EngineKind::epoll;
  OperatingMode mode = OperatingMode::high_perf;
  Dispatch dispatch = Dispatch::inline_;
};

inline std::string name_of(const testing::TestParamInfo<Setup>& info) {
  std::string name = info.param.engine == EngineKind::uring ? "uring" : "epoll";
  if (info.param.mode == OperatingMode::classic) name += "_classic";
  if (info.param.dispatch == Dispatch::thread_pool) name += "_pool";
  return name;
}

// A port that was free a moment ago.
inline std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

// Both engines.
inline auto engines() {
  return testing::Values(Setup{EngineKind::uring}, Setup{EngineKind::epoll});
}

// Both engines, each with handlers on the shard and on the thread pool.
inline auto engines_and_dispatches() {
  constexpr auto kPool = Dispatch::thread_pool;
  constexpr auto kShared = OperatingMode::high_perf;
  return testing::Values(Setup{EngineKind::uring}, Setup{EngineKind::epoll},
                         Setup{EngineKind::uring, kShared, kPool},
                         Setup{EngineKind::epoll, kShared, kPool});
}

// Everything.
inline auto every_setup() {
  constexpr auto kPool = Dispatch::thread_pool;
  constexpr auto kInline = Dispatch::inline_;
  constexpr auto kShared = OperatingMode::high_perf;
  constexpr auto kClassic = OperatingMode::classic;
  return testing::Values(
      Setup{EngineKind::uring, kShared, kInline}, Setup{EngineKind::epoll, kShared, kInline},
      Setup{EngineKind::uring, kShared, kPool}, Setup{EngineKind::epoll, kShared, kPool},
      Setup{EngineKind::uring, kClassic, kInline}, Setup{EngineKind::epoll, kClassic, kInline},
      Setup{EngineKind::uring, kClassic, kPool}, Setup{EngineKind::epoll, kClassic, kPool});
}

// What handlers say, on whatever thread, and the test waits for.
template <class T>
class Told {
 public:
  void tell(T value) {
    // Notified under the lock: the test may end, and this object with it, as soon as it sees it.
    std::lock_guard lock(mutex_);
    list_.push_back(std::move(value));
    changed_.notify_all();
  }
  // True once `test` is true of the list.
  bool wait_until(const std::function<bool(const std::vector<T>&)>& test) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return test(list_); });
  }
  bool wait_for(std::size_t count) {
    return wait_until([count](const std::vector<T>& list) { return list.size() >= count; });
  }
  std::vector<T> all() const {
    std::lock_guard lock(mutex_);
    return list_;
  }
  std::size_t size() const { return all().size(); }
  std::size_t count(const T& value) const {
    std::vector<T> list = all();
    return static_cast<std::size_t>(std::count(list.begin(), list.end(), value));
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> list_;
};

// A door that threads wait at until it is opened.
class Gate {
 public:
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

// A value that one thread leaves for another.
template <class T>
class Handover {
 public:
  void put(T value) {
    std::lock_guard lock(mutex_);
    list_.push_back(std::move(value));
    changed_.notify_all();
  }
  // The oldest one; nothing when time is over.
  std::optional<T> take() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [this] { return !list_.empty(); })) return std::nullopt;
    T value = std::move(list_.front());
    list_.erase(list_.begin());
    return value;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> list_;
};

// Asks again and again, for what no event tells of.
inline bool eventually(const std::function<bool()>& test) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!test()) {
    if (std::chrono::steady_clock::now() > until) return false;
    ::poll(nullptr, 0, 1);
  }
  return true;
}

// Bytes that repeat late, so that a piece in the wrong place is seen.
inline std::string pattern(std::size_t size, unsigned seed = 1) {
  std::string text(size, '\0');
  std::uint32_t state = seed * 2654435761u + 1;
  for (char& c : text) {
    state = state * 1664525u + 1013904223u;
    c = static_cast<char>('!' + (state >> 24) % 94);
  }
  return text;
}

struct LogLine {
  LogLevel level;
  Errc code;
  std::string message;
};

// Stops the server when the test's body ends: what handlers refer to must be declared before it.
class Running {
 public:
  explicit Running(Server& server) : server_(&server) {}
  Running(Running&& other) noexcept : server_(std::exchange(other.server_, nullptr)) {}
  ~Running() {
    if (!server_) return;
    EXPECT_TRUE(server_->stop(std::chrono::milliseconds(0)));
  }

 private:
  Server* server_;
};

class ServerTest : public testing::TestWithParam<Setup> {
 protected:
  void SetUp() override {
    if (GetParam().engine == EngineKind::uring) SKIP_WITHOUT(io_uring);
    prepare(server);
  }

  // The setup of this run, and everything that is told goes to `log` and `errors`.
  void prepare(Server& which) {
    which.engine = GetParam().engine;
    which.fine_tune.operating_mode = GetParam().mode;
    which.dispatch = GetParam().dispatch;
    which.host = "127.0.0.1";
    which.port = 0;
    which.shards = 2;
    which.thread_pool_size = 3;
    which.on_log = [this](LogLevel level, Errc code, std::string_view message) {
      log.tell({level, code, std::string(message)});
    };
    which.on_error = [this](Connection, const Error& error) { errors.tell(error.code); };
  }

  [[nodiscard]] Running start() {
    Result<void> started = server.start();
    EXPECT_TRUE(started) << started.error().message();
    port = server.bound_port();
    return Running(server);
  }
  bool on_pool() const { return GetParam().dispatch == Dispatch::thread_pool; }

  HttpClient client() const { return HttpClient(port, "127.0.0.1", kPatience); }
  // True once the log has a line of that code.
  bool logged(Errc code) {
    return log.wait_until([code](const std::vector<LogLine>& lines) {
      return std::any_of(lines.begin(), lines.end(),
                         [code](const LogLine& line) { return line.code == code; });
    });
  }
  // The same without waiting.
  bool logged_now(Errc code) const {
    const std::vector<LogLine> lines = log.all();
    return std::any_of(lines.begin(), lines.end(),
                       [code](const LogLine& line) { return line.code == code; });
  }
  bool told_error(Errc code) {
    return errors.wait_until([code](const std::vector<Errc>& codes) {
      return std::find(codes.begin(), codes.end(), code) != codes.end();
    });
  }

  Told<LogLine> log;
  Told<Errc> errors;
  std::uint16_t port = 0;
  Server server;
};

}  // namespace sluice::test
