// core/shard.cpp - one turn after the other.
#include "core/shard.hpp"

#include <time.h>

#include <string>

#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/websocket.hpp"
#include "proto/http/date.hpp"

namespace sluice::core {
namespace {

thread_local Shard* current_shard = nullptr;

std::int64_t coarse_clock() {
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
  return std::int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec;
}

}  // namespace

Shard::Shard(ServerSession& owner, std::uint32_t number, base::BlockPool& pool, base::Instant start)
    : session(owner),
      index(number),
      blocks(pool),
      now(start),
      timers(start),
      scratch(pool),
      mailbox(std::make_shared<Mailbox>()),
      home(new Home(this, number, mailbox, owner.cipher)),
      websocket_cells(sizeof(WebSocket)),
      incoming(WebSocket::decoder_options(owner.settings)) {
  static_assert(sizeof date_ == http::kDateSize);
  idle_.reserve(kIdleExchanges);
  websockets.reserve(kExpected);
  begin_turn(start);
}

Shard::~Shard() {
  mailbox->close();
  for (Exchange* exchange : idle_) delete exchange;
  home->release();
}

Shard* Shard::current() { return current_shard; }
void Shard::set_current(Shard* shard) { current_shard = shard; }

void Shard::begin_turn(base::Instant at) {
  now = at;
  if (at >= date_until_) {
    timespec wall{};
    clock_gettime(CLOCK_REALTIME, &wall);
    wall_seconds_ = wall.tv_sec;
    http::write_date(date_, wall_seconds_);
    date_until_ = at + base::Duration(1'000'000'000 - wall.tv_nsec);
  }
  if (session.settings.handler_limit.count() > 0) coarse_ns_ = coarse_clock();
}

base::Instant Shard::finish_turn() {
  mailbox->run();
  timers.advance(now);
  return mailbox->empty() ? timers.next() : base::Instant::min();
}

Exchange* Shard::take_exchange() {
  Exchange* exchange = nullptr;
  if (idle_.empty()) {
    exchange = new Exchange(*this);
  } else {
    exchange = idle_.back();
    idle_.pop_back();
  }
  exchange->retain();
  return exchange;
}

void Shard::give_back(Exchange* exchange) {
  exchange->clear();
  if (idle_.size() < kIdleExchanges) {
    idle_.push_back(exchange);
  } else {
    delete exchange;
  }
}

void Shard::handler_ended(std::string_view name) {
  auto limit = session.settings.handler_limit.count() * 1'000'000;
  if (limit <= 0) return;
  std::int64_t after = coarse_clock(), spent = after - coarse_ns_;
  coarse_ns_ = after;
  if (spent < limit) return;
  session.log(LogLevel::warning, Errc::handler_stalled,
              "the handler of " + std::string(name) + " held shard " + std::to_string(index) +
                  " for " + std::to_string(spent / 1'000'000) +
                  " ms; use dispatch = thread_pool for work that blocks");
}

}  // namespace sluice::core
