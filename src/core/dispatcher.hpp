// core/dispatcher.hpp - where handlers run, and the one place where what they throw is caught.
//
// inline: on the shard, at once. thread_pool: events of one connection, or of one stream of HTTP/2,
// run one at a time and in order; the pool takes these in turn, one event each. Layer: core.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/task.hpp"
#include "core/shard.hpp"

namespace sluice::core {

class Connection;
class Exchange;
class RequestQueue;
class ServerSession;

// Events of one connection, or of one exchange beside others on its connection, that wait for the
// pool.
struct PoolQueue {
  struct Event {
    base::Task work;  // on a pool thread
    base::Task done;  // on the shard, afterwards
    std::size_t bytes = 0;
    RequestQueue* queue = nullptr;  // of a request, which waits there and is kept by its exchange
  };
  std::deque<Event> events;
  std::size_t bytes = 0;
  bool scheduled = false;        // in the ready list, or an event is running
  bool paused = false;           // reading was paused (shard)
  Exchange* exchange = nullptr;  // whose own it is, while that is there (shard)
};

class ThreadPool {
 public:
  static constexpr std::size_t kEvents = 64;
  static constexpr std::size_t kBytes = 256 * 1024;

  explicit ThreadPool(std::uint32_t threads);
  // Runs what waits, then ends the threads. Nothing is submitted meanwhile.
  ~ThreadPool();
  void stop();

  enum class Verdict { queued, queued_and_full, refused };
  // Shard. refused: the queue of waiting requests is full. `own`: where the event waits; null: in
  // the connection's queue.
  Verdict submit(Connection& connection, const std::shared_ptr<PoolQueue>& own,
                 PoolQueue::Event event);

  // True on a thread of any pool.
  static bool on_pool_thread();
  // How many bytes the event that runs on this thread has sent to its own connection.
  static std::size_t& sent_by_event();

 private:
  struct Ready {
    Connection* connection;  // of which it holds one use
    std::shared_ptr<PoolQueue> own;
  };
  void run();
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Ready> waiting_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

class Dispatcher {
 public:
  explicit Dispatcher(ServerSession& session);
  ~Dispatcher();
  void start();  // the pool's threads, if there is a pool
  void stop();

  bool uses_pool() const { return pool_ != nullptr; }

  // Calls `work` for the connection; what it throws goes to on_exception. True when it returned
  // normally.
  template <class Work>
  bool call(Connection& connection, std::string_view name, Work&& work) {
    const Connection* before = std::exchange(running_, &connection);
    bool fine = true;
    try {
      if (names_handlers_) [[unlikely]]
        Shard::handler_begins(name);
      work();
    } catch (...) {
      threw(connection, std::current_exception());
      fine = false;
    }
    running_ = before;
    Shard::handler_ended(name);
    return fine;
  }
  // The connection whose handler runs on this thread, or null.
  static const Connection* running() { return running_; }

  // Shard. Gives the event to the pool; pauses reading when the connection has too many. False:
  // refused.
  bool submit(Connection& connection, PoolQueue::Event event);
  // The same for an event of a request: see Exchange::parallel.
  bool submit(Exchange& exchange, PoolQueue::Event event);

 private:
  void threw(Connection& connection, const std::exception_ptr& what);
  static thread_local constinit const Connection* running_;
  ServerSession& session_;
  const bool names_handlers_;
  std::unique_ptr<ThreadPool> pool_;
};

}  // namespace sluice::core
