// core/shard.cpp - one turn after the other.
#include "core/shard.hpp"

#include <time.h>

#include <string>
#include <utility>

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
      incoming(WebSocket::decoder_options(*owner.in_force())),
      heartbeat(*this, owner.in_force()->heartbeat),
      settings_(owner.in_force()),
      handler_limit_ns_(settings_->handler_limit.count() * 1'000'000) {
  static_assert(sizeof date_ == http::kDateSize);
  websockets.reserve(kExpected);
  set_gate(keep(owner.gate()));
  if (session.settings.asynchronous) home->pending_sends = std::make_unique<PendingSends>();
  begin_turn(start);
}

Shard::~Shard() {
  mailbox->close();
  while (Exchange* exchange = idle_) {
    idle_ = exchange->next_idle_;
    delete exchange;
  }
  if (gate_) gate_->release();
  home->release();
}

void Shard::set_gate(std::unique_ptr<KeptGate> next) {
  KeptGate* const before = std::exchange(gate_, next.release());
  if (before) before->release();
}

void Shard::set_settings(std::shared_ptr<const SessionSettings> next) {
  settings_ = std::move(next);
  handler_limit_ns_ = settings_->handler_limit.count() * 1'000'000;
  incoming.set_options(WebSocket::decoder_options(*settings_));
  heartbeat.set(settings_->heartbeat);
  if (settings_->bandwidth) registry.for_each([](Connection& each) { each.pace(); });
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
  if (handler_limit_ns_ > 0) coarse_ns_ = coarse_clock();
}

bool Shard::finish_turn() {
  if (!mailbox->empty()) mailbox->run();
  timers.advance(now);
  return !mailbox->empty();
}

Exchange* Shard::take_exchange() {
  Exchange* exchange = idle_;
  if (exchange) [[likely]] {
    idle_ = exchange->next_idle_;
    --idle_count_;
  } else {
    exchange = new Exchange(*this);
  }
  exchange->retain();
  return exchange;
}

void Shard::give_back(Exchange* exchange) {
  exchange->clear();
  if (idle_count_ < kIdleExchanges) {
    exchange->next_idle_ = idle_;
    idle_ = exchange;
    ++idle_count_;
  } else {
    delete exchange;
  }
}

std::string Shard::running_handler() const {
  const std::string* name = running_.load(std::memory_order_acquire);
  return name ? *name : std::string();
}

void Shard::handler_begins(std::string_view name) {
  Shard* shard = current_shard;
  if (!shard) return;
  auto known = shard->names_.find(name);
  if (known == shard->names_.end()) known = shard->names_.emplace(name, name).first;
  shard->running_.store(&known->second, std::memory_order_release);
}

void Shard::handler_ended(std::string_view name) {
  Shard* shard = current_shard;
  if (shard && shard->session.settings.names_handlers) [[unlikely]]
    shard->running_.store(nullptr, std::memory_order_release);
  if (!shard || shard->handler_limit_ns_ <= 0) return;
  std::int64_t after = coarse_clock(), spent = after - shard->coarse_ns_;
  shard->coarse_ns_ = after;
  if (spent >= shard->handler_limit_ns_) [[unlikely]]
    shard->report_stall(name, spent);
}

void Shard::report_stall(std::string_view name, std::int64_t spent) {
  session.log(LogLevel::warning, Errc::handler_stalled,
              "the handler of " + std::string(name) + " held shard " + std::to_string(index) +
                  " for " + std::to_string(spent / 1'000'000) +
                  " ms; use dispatch = thread_pool for work that blocks");
}

}  // namespace sluice::core
