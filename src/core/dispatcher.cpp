// core/dispatcher.cpp - the pool's threads and queues.
#include "core/dispatcher.hpp"

#include "base/signals.hpp"
#include "core/connection.hpp"
#include "core/exchange.hpp"
#include "core/request_queue.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"

namespace sluice::core {
namespace {

thread_local bool pool_thread = false;
constinit thread_local std::size_t event_bytes = 0;

}  // namespace

bool ThreadPool::on_pool_thread() { return pool_thread; }
std::size_t& ThreadPool::sent_by_event() { return event_bytes; }

ThreadPool::ThreadPool(std::uint32_t threads) {
  const base::SignalsBlocked blocked;
  for (std::uint32_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

ThreadPool::Verdict ThreadPool::submit(Connection& connection,
                                       const std::shared_ptr<PoolQueue>& own,
                                       PoolQueue::Event event) {
  std::lock_guard lock(mutex_);
  if (event.queue && event.queue->admit(false) == RequestQueue::Admission::full) {
    return Verdict::refused;
  }
  PoolQueue& queue = own ? *own : connection.pool_queue();
  queue.bytes += event.bytes;
  queue.events.push_back(std::move(event));
  if (!queue.scheduled) {
    waiting_.push_back({&connection, own});
    queue.scheduled = true;
    connection.retain();
    ready_.notify_one();
  }
  bool full = queue.events.size() >= kEvents || queue.bytes >= kBytes;
  if (full) queue.paused = true;
  return full ? Verdict::queued_and_full : Verdict::queued;
}

void ThreadPool::run() {
  pool_thread = true;
  std::unique_lock lock(mutex_);
  for (;;) {
    ready_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;  // stopping, and everything has run
    Ready next = std::move(waiting_.front());
    waiting_.pop_front();
    Connection* const connection = next.connection;
    PoolQueue& queue = next.own ? *next.own : connection->pool_queue();
    PoolQueue::Event event = std::move(queue.events.front());
    queue.events.pop_front();
    if (event.queue) event.queue->leave();
    lock.unlock();

    event_bytes = 0;
    event.work();
    event.work = {};

    lock.lock();
    queue.bytes -= event.bytes;
    bool resume = queue.paused && queue.events.size() < kEvents / 2 && queue.bytes < kBytes / 2;
    if (resume) queue.paused = false;
    lock.unlock();
    // Told before the connection's next event may run on another thread: in order.
    connection->retain();
    bool posted = connection->mailbox().post_always(
        [connection, resume, own = next.own, done = std::move(event.done)]() mutable {
          if (resume && own && own->exchange && own->exchange->port) {
            own->exchange->port->pool_resume(*own->exchange);
          }
          done();
          if (resume && !own) connection->pool_resume();
          connection->release();
        });
    if (!posted) connection->release();
    lock.lock();
    if (queue.events.empty()) {
      queue.scheduled = false;
      lock.unlock();
      connection->release();  // perhaps the last one
      lock.lock();
    } else {
      waiting_.push_back(std::move(next));  // with the use it came with
      ready_.notify_one();
    }
  }
}

Dispatcher::Dispatcher(ServerSession& session)
    : session_(session), names_handlers_(session.settings.names_handlers) {}
Dispatcher::~Dispatcher() = default;

void Dispatcher::start() {
  const SessionSettings& settings = session_.settings;
  if (settings.dispatch != Dispatch::thread_pool) return;
  pool_ = std::make_unique<ThreadPool>(settings.thread_pool_size);
}

void Dispatcher::stop() {
  if (pool_) pool_->stop();
}

bool Dispatcher::submit(Connection& connection, PoolQueue::Event event) {
  switch (pool_->submit(connection, nullptr, std::move(event))) {
    case ThreadPool::Verdict::refused:
      return false;
    case ThreadPool::Verdict::queued_and_full:
      connection.pool_pause();
      return true;
    case ThreadPool::Verdict::queued:
      return true;
  }
  return true;
}

bool Dispatcher::submit(Exchange& exchange, PoolQueue::Event event) {
  if (!exchange.parallel) return submit(*exchange.connection, std::move(event));
  if (!exchange.pool_queue) {
    exchange.pool_queue = std::make_shared<PoolQueue>();
    exchange.pool_queue->exchange = &exchange;
  }
  const auto verdict = pool_->submit(*exchange.connection, exchange.pool_queue, std::move(event));
  if (verdict == ThreadPool::Verdict::queued_and_full && exchange.port) {
    exchange.port->pool_pause(exchange);
  }
  return verdict != ThreadPool::Verdict::refused;
}

void Dispatcher::threw(Connection& connection, const std::exception_ptr& what) {
  session_.threw(connection, what);
}

constinit thread_local const Connection* Dispatcher::running_ = nullptr;

}  // namespace sluice::core
