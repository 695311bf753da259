// front/wire/loop.cpp - turns.
#include "front/wire/loop.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <random>
#include <utility>

namespace sluice::wire {
namespace {

using namespace std::chrono_literals;

// How often it is looked whether peers take what waits for them; zero: never. Who takes nothing for
// write_timeout is found before a half of it more is over.
base::Duration rate_tick(const core::SessionSettings& settings) {
  base::Duration tick = settings.timeouts.min_send_rate > 0 ? std::chrono::seconds(5) : 0s;
  base::Duration write = settings.options.write_timeout;
  if (write.count() == 0) return tick;
  write = std::max<base::Duration>(write / 4, base::TimerWheel::kTick);
  return tick.count() > 0 ? std::min(tick, write) : write;
}

core::Endpoint endpoint_of(const sockaddr_storage& address) {
  core::Endpoint endpoint;
  if (address.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address);
    endpoint.family = core::Endpoint::Family::ip4;
    endpoint.port = ntohs(in.sin_port);
    std::memcpy(endpoint.address.data(), &in.sin_addr, 4);
  } else if (address.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(address);
    endpoint.family = core::Endpoint::Family::ip6;
    endpoint.port = ntohs(in.sin6_port);
    std::memcpy(endpoint.address.data(), &in.sin6_addr, 16);
  }
  return endpoint;
}

using AskName = int (*)(int, sockaddr*, socklen_t*);

core::Endpoint ask(int fd, AskName name) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (fd < 0 || name(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return endpoint_of(address);
}

}  // namespace

Loop::Loop(std::shared_ptr<core::ServerSession> session, std::uint32_t index,
           std::unique_ptr<io::Engine> engine)
    : session_(std::move(session)),
      engine_(std::move(engine)),
      waking_(engine_.get()),
      shard_(*session_, index, engine_->blocks(), engine_->now()),
      rate_timer_(&Loop::rate_timer_fired, this) {
  shard_.home->front = this;
  shard_.home->cells = std::make_unique<base::Cells>(sizeof(Connection));
  shard_.upstreams = &upstreams_;
  shard_.mailbox->open(*this);
}

Loop::~Loop() { shard_.scratch.release(); }

void Loop::tie() { shard_.self = weak_from_this(); }

void Loop::add_listener(const ListenSocket& socket, bool only_backlog) {
  listeners_.push_back(std::make_unique<Accepting>(*this, socket));
  listeners_.back()->only_backlog = only_backlog;
  open_listeners_.fetch_add(1);
}

void Loop::turn(base::Instant until) {
  bool at_once = shard_.finish_turn();
  if (!going_on_.empty()) {
    std::vector<Connection*> waiting;
    waiting.swap(going_on_);
    for (Connection* connection : waiting) {
      connection->go_on();
      connection->release();
    }
    if (going_on_.empty()) {
      waiting.clear();
      going_on_.swap(waiting);  // keeps its memory
    }
  }
  if (!shard_.broadcasts.should_wait()) shard_.broadcasts.hand_out_and_send();
  flush_dirty();
  if (!shard_.ended_sends.empty()) {
    shard_.ended_sends.tell(*session_);
    flush_dirty();
    at_once = at_once || !shard_.ended_sends.empty();
  }
  while (upstreams_.wants_flush()) {
    upstreams_.flush();
    flush_dirty();
  }
  // What was flushed may have had room again, and what was told of that may have broadcast.
  at_once = at_once || !going_on_.empty() || shard_.broadcasts.waits() || done();
  shard_.scratch.rewind();
  shard_.counters.bytes_queued.set(shard_.queued_bytes);
  base::Instant next = at_once ? base::Instant::min() : shard_.timers.next();
  engine_->wait(std::min(next, until));
  enter();
  shard_.counters.receive_buffers_exhausted.set(engine_->counters().out_of_blocks);
}

void Loop::listen() {
  for (auto& accepting : listeners_) {
    accepting->open = true;
    engine_->listen(accepting->listener, accepting->socket.fd, *accepting);
    if (accepting->only_backlog) engine_->close_listener(accepting->listener);
  }
}

void Loop::run() {
  core::Shard::set_current(&shard_);
  listen();
  while (!done()) {
    turn(base::never);
    if (engine_->failed()) [[unlikely]]
      lose();
    while (lost() && !done()) rest_until_woken();
  }
  shard_.mailbox->close();
  shard_.broadcasts.hand_out();
  flush_dirty();
  for (Connection* connection : going_on_) connection->release();
  going_on_.clear();
  core::Shard::set_current(nullptr);
}

// --- A shard without an engine -------------------------------------------------------------------

void Loop::wake() {
  waking_.load(std::memory_order_acquire)->wake();
  if (!lost()) return;
  std::lock_guard lock(lost_mutex_);
  woken_.notify_all();
}

void Loop::lose() {
  session_->log(LogLevel::error, Errc::shard_lost,
                "shard " + std::to_string(shard_.index) + " has lost its " + engine_->name() +
                    " descriptor; its connections end" +
                    (session_->settings.watchdog ? ", the watchdog brings it back"
                                                 : "; restart the server, or enable the watchdog"));
  lost_.store(true, std::memory_order_seq_cst);
  engine_->abandon();
  upstreams_.abandon(*engine_);
  std::vector<Connection*> all;
  for_each_socket([&](Connection& each) {
    all.push_back(&each);
    each.retain();
  });
  for (Connection* connection : all) {
    engine_->abandon(connection->socket());
    connection->release();
  }
  for (auto& accepting : listeners_) {
    accepting->listener.events = nullptr;
    if (accepting->open && !accepting->only_backlog && !session_->settings.watchdog) {
      ::shutdown(accepting->socket.fd, SHUT_RD);  // the other shards take its clients
    }
    if (accepting->open && accepting->only_backlog) {
      ::close(accepting->socket.fd);
      accepting->on_listener_closed(-1);
    }
  }
  flush_dirty();
}

void Loop::rest_until_woken() {
  {
    std::unique_lock lock(lost_mutex_);
    auto posted = [this] { return !shard_.mailbox->empty(); };
    woken_.wait_for(lock, std::chrono::milliseconds(100), posted);
  }
  shard_.begin_turn(base::read_clock());
  shard_.finish_turn();
  flush_dirty();
}

void Loop::revive(std::unique_ptr<io::Engine> engine) {
  if (!lost() || shard_.draining) return;
  failed_engines_.push_back(std::move(engine_));
  engine_ = std::move(engine);
  waking_.store(engine_.get(), std::memory_order_release);
  lost_.store(false, std::memory_order_release);
  promised_.store(false, std::memory_order_release);
  for (auto& accepting : listeners_) {
    if (accepting->open) engine_->listen(accepting->listener, accepting->socket.fd, *accepting);
  }
}

void Loop::replace_listener(int old, bool ours, int fd) {
  if (shard_.draining) {
    ::close(fd);
    return;
  }
  for (auto& accepting : listeners_) {
    if (!accepting->open || accepting->socket.fd != old) continue;
    accepting->socket.fd = fd;
    if (!lost()) {  // else revive() listens on it
      accepting->next_fd = fd;
      engine_->forget_listener(accepting->listener);
    }
    if (ours) ::close(old);
    return;
  }
}

void Loop::drop_listener(int fd) {
  for (auto& accepting : listeners_) {
    if (!accepting->open || accepting->only_backlog || accepting->socket.fd != fd) continue;
    if (lost()) {
      ::close(fd);
      accepting->on_listener_closed(-1);
    } else {
      accepting->only_backlog = true;
      engine_->close_listener(accepting->listener);
    }
    return;
  }
}

void Loop::mark_dirty(Connection& connection) {
  connection.work_->next_dirty = nullptr;
  if (last_dirty_) {
    last_dirty_->work_->next_dirty = &connection;
  } else {
    first_dirty_ = &connection;
  }
  last_dirty_ = &connection;
}

void Loop::flush_dirty() {
  while (Connection* connection = first_dirty_) {
    first_dirty_ = connection->work_->next_dirty;
    if (!first_dirty_) last_dirty_ = nullptr;
    if (connection->closed_) {
      connection->end_used_work();
      connection->release();  // it went while it waited here
    } else {
      connection->flush();
    }
  }
}

void Loop::want_to_go_on(Connection& connection) {
  going_on_.push_back(&connection);
  connection.retain();
}

void Loop::want_rate_check() {
  if (rate_timer_.armed()) return;
  const base::Duration tick = rate_tick(shard_.settings());
  if (tick.count() > 0) shard_.timers.set(rate_timer_, shard_.now + tick);
}

void Loop::rate_timer_fired(void* self) { static_cast<Loop*>(self)->check_rates(); }

void Loop::check_rates() {
  bool any = false;
  // None comes or goes meanwhile: a connection that is closed is told of it later.
  for_each_socket([&](Connection& connection) {
    if (!connection.waits_to_send()) return;
    connection.check_send_rate();
    any = true;
  });
  if (any) want_rate_check();
}

// --- Listeners -----------------------------------------------------------------------------------

void Loop::Accepting::on_accepted(int fd, const sockaddr_storage* peer) {
  loop.enter();
  loop.shard_.counters.accepted.add();
  if (loop.deal_.empty()) {
    loop.adopt(fd, socket, peer);
    return;
  }
  std::size_t next = loop.next_deal_++;
  for (std::size_t i = 0; i < loop.deal_.size() && loop.deal_[next % loop.deal_.size()]->lost();
       ++i) {
    next = loop.next_deal_++;
  }
  Loop& target = *loop.deal_[next % loop.deal_.size()];
  if (&target == &loop) {
    loop.adopt(fd, socket, peer);
    return;
  }
  // Counted from here on: a stop that looks between the two loops must not find nobody.
  target.connections_.fetch_add(1, std::memory_order_relaxed);
  bool posted = false;
  try {
    posted = target.post([&target, fd, from = socket] {
      target.adopt(fd, from);
      target.connections_.fetch_sub(1, std::memory_order_relaxed);
      if (target.on_change) target.on_change();
    });
    if (!posted) ::close(fd);
  } catch (const std::bad_alloc&) {
    loop.turn_away(fd);
  }
  if (!posted) target.connections_.fetch_sub(1, std::memory_order_relaxed);
}

void Loop::Accepting::on_accept_failed(const Error& why) {
  loop.session_->log(LogLevel::error, why.code,
                     "connections cannot be accepted for a moment: " + why.message());
}

void Loop::Accepting::on_listener_closed(int) {
  if (next_fd >= 0) {
    loop.engine_->listen(listener, std::exchange(next_fd, -1), *this);
    return;
  }
  open = false;
  loop.open_listeners_.fetch_sub(1);
  if (loop.on_change) loop.on_change();
}

void Loop::close_listeners(bool keep) {
  for (auto& accepting : listeners_) {
    if (!accepting->open || accepting->only_backlog) continue;
    if (accepting->next_fd >= 0) {  // it is being replaced: on_listener_closed() is on its way
      const int next = std::exchange(accepting->next_fd, -1);
      if (!keep) ::close(next);
    } else if (lost()) {
      if (!keep) ::close(accepting->socket.fd);
      accepting->on_listener_closed(-1);
    } else if (keep) {
      engine_->leave_listener(accepting->listener);
    } else {
      engine_->close_listener(accepting->listener);
    }
  }
}

// --- Connections ---------------------------------------------------------------------------------

void Loop::adopt(int fd, const ListenSocket& from, const sockaddr_storage* peer) {
  if (lost()) {
    ::close(fd);
    return;
  }
  Connection* connection = nullptr;
  try {
    connection = Connection::make(
        *this, peer ? endpoint_of(*peer) : ask(fd, ::getpeername),
        shard_.destinations.of(from.any_address ? ask(fd, ::getsockname) : from.local));
    shard_.registry.add(*connection);
  } catch (const std::bad_alloc&) {
    if (connection) connection->release();
    return turn_away(fd);
  }
  shard_.counters.connections.add();
  connections_.fetch_add(1, std::memory_order_relaxed);
  auto admission = core::ServerSession::Admission::refuse;
  connection->guarded([&] { admission = session_->on_accepted(*connection); });
  if (connection->close_called_) admission = core::ServerSession::Admission::refuse;
  if (from.secure && !begin_tls(*connection, *from.secure, admission)) {
    admission = core::ServerSession::Admission::refuse;
  }
  switch (admission) {
    case core::ServerSession::Admission::accept:
      connection->open(fd);
      break;
    case core::ServerSession::Admission::busy:
      connection->open_busy(fd);
      break;
    case core::ServerSession::Admission::refuse:
      ::close(fd);
      connection->set_open(false);
      connection->closed_ = true;
      connection->end_used_work();
      gone(*connection);
      connection->release();
      return;
  }
  if (shard_.draining) connection->drain(1001, {});
}

// Who has not shaken hands cannot be told why it is refused.
bool Loop::begin_tls(Connection& connection, const SecurePort& port,
                     core::ServerSession::Admission admission) {
  if (admission != core::ServerSession::Admission::accept) return false;
  try {
    connection.secure_with(port);
    return true;
  } catch (const std::bad_alloc&) {
    log_turned_away();
    return false;
  }
}

std::shared_ptr<const http2::Context> Loop::http2_context() {
  http2::Settings wanted;
  wanted.head = shard_.settings().head_limits();
  wanted.streams = shard_.settings().limits.streams;
  wanted.extended_connect = true;
  if (!http2_context_ || http2_context_->settings().head != wanted.head ||
      http2_context_->settings().streams != wanted.streams) {
    auto made = http2::Context::server(wanted);
    if (!made) throw std::bad_alloc();
    http2_context_ = std::move(*made);
  }
  return http2_context_;
}

// There is no memory for this connection.
void Loop::turn_away(int fd) {
  ::close(fd);
  log_turned_away();
}

void Loop::log_turned_away() {
  try {
    session_->log(LogLevel::error, Errc::out_of_memory,
                  "a connection is turned away: there is no memory for it");
  } catch (...) {  // not even for the application's log
  }
}

void Loop::gone(Connection& connection) {
  shard_.registry.remove(connection);
  shard_.counters.connections.subtract();
  session_->on_closed(connection);
  connections_.fetch_sub(1, std::memory_order_relaxed);
  if (on_change) on_change();
}

void Loop::drain(std::uint16_t close_code, base::Duration spread) {
  shard_.draining = true;
  upstreams_.drain();
  // Spread over time, so that their clients do not come back all at once.
  std::minstd_rand random(std::uint32_t(shard_.now.time_since_epoch().count()));
  auto window =
      std::min<std::int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(spread).count(),
                             std::int64_t(shard_.registry.size()) / 4);
  session_->on_drain(shard_, std::chrono::milliseconds(window));
  for_each_socket([&](Connection& each) {
    std::int64_t delay = window > 0 ? std::int64_t(random() % std::uint64_t(window + 1)) : 0;
    each.drain(close_code, std::chrono::milliseconds(delay));
  });
}

void Loop::abort_all(const Error& why) {
  for_each_socket([&](Connection& each) { each.abort_now(why); });
}

void Loop::finish() {
  finishing_ = true;
  upstreams_.close_all();
}

}  // namespace sluice::wire
