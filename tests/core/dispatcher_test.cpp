// tests/core/dispatcher_test.cpp - handlers on the thread pool: in order, in turn, one at a time
// for each connection.
//
// Layer: tests.
#include "core/dispatcher.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "core/harness.hpp"
#include "core/request_queue.hpp"

namespace sluice::test {
namespace {

using core::PoolQueue;

core::SessionSettings pooled(std::uint32_t threads, std::uint32_t queue_length = 1000) {
  core::SessionSettings settings;
  settings.dispatch = Dispatch::thread_pool;
  settings.thread_pool_size = threads;
  settings.fine_tune.queue_length = queue_length;
  return settings;
}

PoolQueue::Event event_of(
    base::Task work, base::Task done = [] {}, std::size_t bytes = 0) {
  PoolQueue::Event event;
  event.work = std::move(work);
  event.done = std::move(done);
  event.bytes = bytes;
  return event;
}

// Keeps one thread of the pool busy until it goes.
struct Blocker {
  Blocker(Bench& bench, PlainConnection& connection) {
    bench.session.dispatcher.submit(connection, event_of([this] {
                                      entered.set_value();
                                      go_on.get_future().wait();
                                    }));
    entered.get_future().wait();
  }
  void release() { go_on.set_value(); }
  std::promise<void> entered, go_on;
};

TEST(ThreadPool, EventsOfOneConnectionRunInOrderAndOneAtATime) {
  Bench bench(pooled(4));
  bench.session.dispatcher.start();
  std::vector<PlainConnection*> connections;
  for (int i = 0; i < 8; ++i) connections.push_back(&bench.connection());
  struct State {
    std::atomic<int> inside{0};
    int next = 0;
  };
  std::vector<State> states(connections.size());
  for (int n = 0; n < 500; ++n) {
    for (std::size_t c = 0; c < connections.size(); ++c) {
      State& state = states[c];
      bench.session.dispatcher.submit(*connections[c], event_of([&state, n] {
        EXPECT_EQ(state.inside.fetch_add(1), 0);
        EXPECT_EQ(state.next++, n);
        EXPECT_TRUE(core::ThreadPool::on_pool_thread());
        state.inside.fetch_sub(1);
      }));
    }
  }
  bench.session.dispatcher.stop();
  for (State& state : states) EXPECT_EQ(state.next, 500) << "stop() runs what waits";
  EXPECT_FALSE(core::ThreadPool::on_pool_thread());
}

TEST(ThreadPool, ConnectionsTakeTurns) {
  Bench bench(pooled(1));
  bench.session.dispatcher.start();
  PlainConnection &blocked = bench.connection(), &busy = bench.connection(),
                  &other = bench.connection();
  Blocker blocker(bench, blocked);
  std::string order;
  for (int i = 0; i < 4; ++i) {
    bench.session.dispatcher.submit(busy, event_of([&] { order += 'b'; }));
  }
  for (int i = 0; i < 2; ++i) {
    bench.session.dispatcher.submit(other, event_of([&] { order += 'o'; }));
  }
  blocker.release();
  bench.session.dispatcher.stop();
  EXPECT_EQ(order, "bobobb");
}

TEST(ThreadPool, WhatIsDoneIsToldOnTheShardInOrder) {
  Bench bench(pooled(2));
  bench.session.dispatcher.start();
  PlainConnection& connection = bench.connection();
  std::vector<int> done;
  for (int i = 0; i < 100; ++i) {
    bench.session.dispatcher.submit(connection, event_of([] {}, [&done, i] { done.push_back(i); }));
  }
  bench.session.dispatcher.stop();
  EXPECT_TRUE(done.empty());
  bench.shard->mailbox->run();
  ASSERT_EQ(done.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(done[std::size_t(i)], i);
}

TEST(ThreadPool, AFullConnectionPausesAndResumes) {
  for (bool by_bytes : {false, true}) {
    Bench bench(pooled(1));
    bench.session.dispatcher.start();
    PlainConnection &blocked = bench.connection(), &connection = bench.connection();
    Blocker blocker(bench, blocked);
    std::size_t bytes = by_bytes ? core::ThreadPool::kBytes / 4 : 0;
    std::size_t most = by_bytes ? 4 : core::ThreadPool::kEvents;
    for (std::size_t i = 0; i < most; ++i) {
      EXPECT_EQ(connection.paused, 0) << i;
      bench.session.dispatcher.submit(connection, event_of([] {}, [] {}, bytes));
    }
    EXPECT_EQ(connection.paused, 1);
    blocker.release();
    bench.session.dispatcher.stop();
    bench.shard->mailbox->run();
    EXPECT_EQ(connection.resumed, 1);
  }
}

TEST(ThreadPool, TheQueueOfRequestsIsBounded) {
  Bench bench(pooled(1, 3));
  bench.session.dispatcher.start();
  PlainConnection& blocked = bench.connection();
  Blocker blocker(bench, blocked);
  auto queue = *core::RequestQueue::create({}, 3);
  auto request = [&] {
    PoolQueue::Event event = event_of([] {});
    event.queue = queue.get();
    return event;
  };
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(bench.session.dispatcher.submit(bench.connection(), request()));
  }
  EXPECT_FALSE(bench.session.dispatcher.submit(bench.connection(), request()));
  EXPECT_TRUE(bench.session.dispatcher.submit(bench.connection(), event_of([] {})))
      << "other events are bounded by their connection";
  EXPECT_EQ(queue->waiting(), 3u);
  blocker.release();
  bench.session.dispatcher.stop();
  EXPECT_EQ(queue->waiting(), 0u);
}

TEST(Dispatcher, WhatAHandlerThrowsIsCaughtAndTold) {
  core::SessionEvents events;
  std::vector<std::string> told;
  events.on_exception = [&](sluice::Connection, std::exception_ptr what) {
    try {
      std::rethrow_exception(what);
    } catch (const std::exception& error) {
      told.emplace_back(error.what());
    } catch (int number) {
      told.push_back(std::to_string(number));
    }
    throw 7;  // must not matter
  };
  std::vector<Errc> logged;
  events.on_log = [&](LogLevel, Errc code, std::string_view) { logged.push_back(code); };
  Bench bench({}, std::move(events));
  PlainConnection& connection = bench.connection();
  core::Dispatcher& dispatcher = bench.session.dispatcher;
  EXPECT_TRUE(dispatcher.call(connection, "fine", [] {}));
  EXPECT_FALSE(dispatcher.call(connection, "throws", [] { throw std::runtime_error("words"); }));
  EXPECT_FALSE(dispatcher.call(connection, "throws", [] { throw 42; }));
  EXPECT_EQ(told, (std::vector<std::string>{"words", "42"}));
  EXPECT_EQ(logged.size(), 4u);
}

TEST(Dispatcher, KnowsWhoseHandlerRuns) {
  Bench bench;
  PlainConnection &outer = bench.connection(), &inner = bench.connection();
  core::Dispatcher& dispatcher = bench.session.dispatcher;
  EXPECT_EQ(core::Dispatcher::running(), nullptr);
  dispatcher.call(outer, "outer", [&] {
    EXPECT_EQ(core::Dispatcher::running(), &outer);
    dispatcher.call(inner, "inner", [&] { EXPECT_EQ(core::Dispatcher::running(), &inner); });
    EXPECT_EQ(core::Dispatcher::running(), &outer);
  });
  EXPECT_EQ(core::Dispatcher::running(), nullptr);
}

// Pool threads end while other threads still submit nothing: stop() is final and may come twice.
TEST(ThreadPool, StopsTwice) {
  Bench bench(pooled(3));
  bench.session.dispatcher.start();
  bench.session.dispatcher.stop();
  bench.session.dispatcher.stop();
}

}  // namespace
}  // namespace sluice::test
