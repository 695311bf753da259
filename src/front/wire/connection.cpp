// front/wire/connection.cpp - the socket's side: receiving, pausing, the end.
#include "front/wire/connection.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/websocket.hpp"
#include "front/wire/loop.hpp"

namespace sluice::wire {
namespace {

// How long a client may go on sending after the connection's last answer.
constexpr std::uint64_t kLingerLimit = 30'000;
// Received bytes that may wait for an answer before reading stops.
constexpr std::size_t kKeptLimit = 16 * 1024;
// From so much on a body is received in bulk, if who takes it has no use for less.
constexpr std::uint64_t kBulkBody = 1 << 20;

}  // namespace

static_assert(sizeof(Connection) <= 128, "ten thousand idle ones shall take little");

Connection::Connection(const core::Endpoint& peer, core::DestinationRef destination)
    : core::Connection(std::move(destination)) {
  remote = peer;
  if (!has_work()) throw std::bad_alloc();
}

Connection* Connection::make(Loop& loop, const core::Endpoint& peer,
                             core::DestinationRef destination) {
  base::Cells& cells = *loop.shard().home->cells;
  void* cell = cells.take();
  try {
    return new (cell) Connection(peer, std::move(destination));
  } catch (...) {
    cells.give_back(cell);
    throw;
  }
}

Connection::~Connection() {
  if (secured_) delete secure();
  if (work_) end_used_work();  // it was never opened: else on_closed has done it
}

void Connection::destroy() {
  core::Home& own = home();
  own.retain();
  this->~Connection();
  own.cells->give_back(this);
  own.release();
}

bool Connection::has_work() noexcept {
  if (!work_) work_ = loop().works().take(*this);
  return work_ != nullptr;
}

Work& Connection::begin_work() {
  if (!has_work()) throw std::bad_alloc();
  return *work_;
}

void Connection::end_work() { loop().works().give_back(*std::exchange(work_, nullptr)); }
void Connection::end_used_work() { loop().works().give_back_used(*std::exchange(work_, nullptr)); }

void Connection::secure_with(const SecurePort& port) {
  kept = SecureClient::make(*this, port.context()).release()->as_kept();
  secured_ = true;
}

void Connection::open(int descriptor) {
  set_phase(Phase::header, std::uint64_t(shard().settings().timeouts.header_wait.count()));
  paced_ = shard().settings().bandwidth != nullptr;
  if (secured_) return secure()->adopt(descriptor);
  loop().engine().adopt(*this, descriptor);
}

void Connection::open_busy(int descriptor) {
  paced_ = shard().settings().bandwidth != nullptr;
  loop().engine().adopt(*this, descriptor);
  guarded([this] { plain_error(Errc::too_many_connections); });
}

// --- Received ------------------------------------------------------------------------------------

void Connection::out_of_memory() {
  close_now(io::CloseMode::abort);
  try {
    loop().session().log(LogLevel::error, Errc::out_of_memory,
                         "a connection is broken off: there is no memory for its next step");
  } catch (...) {  // not even for the application's log
  }
}

// A copy in on_received: it is run for every message.
inline void Connection::leave_received() {
  if (!in_event_) return;
  // Now, while the connection is in the cache: with a thousand of them it is gone by the end of the
  // turn. What all the messages of this wake-up are answered with leaves in one send all the same.
  bool sends = dirty_;
  leave_event();
  if (sends && out_empty()) shard().scratch.rewind();
}

void Connection::on_received(const io::Received& received) {
  loop().enter();
  begin_event();
  receive_guarded(received);
  leave_received();
}

void Connection::end_event() { leave_received(); }

void Connection::receive(const io::Received& received) {
  bytes_received.store(bytes_received.load(std::memory_order_relaxed) + received.bytes.size(),
                       std::memory_order_relaxed);
  shard().counters.bytes_received.add(received.bytes.size());
  if (closing_) return;  // what a peer sends after the last answer is dropped
  if (stream) {
    stream->on_bytes(*received.block, received.bytes);
    return;
  }
  if (work_->in) {
    keep(received.bytes);
    process_kept();
  } else {
    std::size_t used = process(*received.block, received.bytes);
    if (used < received.bytes.size() && !close_called_) keep(received.bytes.subspan(used));
  }
  settle();
}

void Connection::keep(std::span<const std::byte> bytes) {
  std::size_t left = work_->in_size - work_->in_at;
  if (!work_->in || work_->in_size + bytes.size() > work_->in->capacity()) {
    base::BlockRef larger = shard().blocks.take((left + bytes.size()) * (work_->in ? 2 : 1));
    if (!larger) return out_of_memory();
    if (left > 0) std::memcpy(larger->data(), work_->in->data() + work_->in_at, left);
    work_->in = std::move(larger);
    work_->in_at = 0;
    work_->in_size = std::uint32_t(left);
  }
  std::memcpy(work_->in->data() + work_->in_size, bytes.data(), bytes.size());
  work_->in_size += std::uint32_t(bytes.size());
}

void Connection::process_kept() {
  if (work_->processing || !work_->in || close_called_) return;
  base::BlockRef block = work_->in;
  std::size_t used = process(*block, {block->data() + work_->in_at, work_->in_size - work_->in_at});
  work_->in_at += std::uint32_t(used);
  if (work_->in_at == work_->in_size || closing_) {
    work_->in.reset();
    work_->in_at = work_->in_size = 0;
  }
}

void Connection::go_on() {
  if (secured_) secure()->go_on();
  if (closed_ || close_called_) return;
  if (multiplexed_) {
    guarded([this] { http2().push(); });
    return rest();
  }
  if (!work_ || work_->processing) return;
  guarded([this] {
    finish_body();  // also in front of a request that waits already
    if (work_ && work_->in) {
      process_kept();
    } else {
      wait_for_body();
    }
    if (peer_ended_ && !close_called_ && work_ && work_->exchange && work_->reading_body &&
        !work_->body_done && !work_->body_paused && !work_->in) {
      end_of_input();  // it had come before anybody read the body
    }
    settle();
  });
  rest();
}

void Connection::on_end() {
  loop().enter();
  peer_ended_ = true;
  guarded([this] { end_of_input(); });
  rest();
}

void Connection::end_of_input() {
  if (stream && !closing_) {
    stream->on_end();
    return;
  }
  if (lingering_) {
    close_now(io::CloseMode::graceful);
  } else if (!work_) {
    close_when_drained(false);
  } else if (work_->exchange && work_->reading_body && !work_->body_done) {
    loop().session().reject(this, Errc::http_body_truncated, shard());
    close_now(io::CloseMode::graceful);
  } else if (!work_->exchange && work_->in) {
    process_kept();  // requests that waited for their turn; the end comes behind the last
  } else if (!work_->exchange && !work_->waits_for_room) {
    close_when_drained(false);
  }
  settle();
}

// Reading stops while there is nowhere to put more.
void Connection::settle() {
  if (closed_ || close_called_) return;
  std::size_t waiting = work_ && work_->in ? work_->in_size - work_->in_at : 0;
  if (work_ && (work_->bulk || work_->body_left >= kBulkBody)) expect_bulk(waiting);
  bool pause = stream || !work_
                   ? stream_paused_
                   : pool_paused_ ||
                         (waiting >= kKeptLimit && (work_->exchange || work_->waits_for_room)) ||
                         (work_->body_paused && (waiting > 0 || work_->bulk));
  if (closing_) pause = false;
  if (pause != reading_paused_) {
    reading_paused_ = pause;
    if (secured_) {
      pause ? secure()->pause() : secure()->resume();
    } else if (pause) {
      loop().engine().pause(*this);
    } else {
      loop().engine().resume(*this);
    }
  }
}

// `waiting`: bytes of the body that have come, and that nobody has taken.
void Connection::expect_bulk(std::size_t waiting) {
  const std::uint64_t least = work_->bulk ? io::Engine::kBulkWait : kBulkBody;
  const bool wanted = work_->reading_body && !work_->body_chunked && !work_->body_slow &&
                      !closing_ && !secured_ && work_->exchange && work_->exchange->sink &&
                      work_->exchange->sink->takes_bulk() && work_->body_left >= waiting + least;
  if (wanted == work_->bulk) return;
  work_->bulk = wanted;
  loop().engine().expect_bulk(*this, wanted);
}

void Connection::pool_pause() {
  if (closed_) return;
  if (core::WebSocket* socket = websocket()) {
    socket->pool_pause(true);
    return;
  }
  if (stream) return pause_reading();
  pool_paused_ = true;
  settle();
}

void Connection::pool_resume() {
  if (closed_) return;
  if (core::WebSocket* socket = websocket()) {
    socket->pool_pause(false);
    return;
  }
  if (stream) return resume_reading();
  pool_paused_ = false;
  settle();
}

void Connection::pause_reading() {
  want_writable();
  stream_paused_ = true;
  settle();
}

void Connection::resume_reading() {
  stream_paused_ = false;
  settle();
}

// --- The end -------------------------------------------------------------------------------------

// Nothing waits any more.
void Connection::after_drained() {
  if (work_) {
    work_->rate_since = base::never;
    if (work_->pace) pay_back();
  }
  if (!closing_ || close_called_) return;
  if (!linger_ || peer_ended_) {
    close_now(io::CloseMode::graceful);
    return;
  }
  if (lingering_) return;
  lingering_ = true;
  if (secured_) return secure()->shutdown_send();
  loop().engine().shutdown_send(*this);
}

void Connection::close_when_drained(bool linger) {
  queue_first_run();
  if (close_called_) return;
  closing_ = true;
  linger_ = linger_ || linger;
  if (linger_ && work().phase != Phase::linger) {
    auto limit = std::uint64_t(shard().settings().timeouts.drain_entity_body.count());
    if (shard().draining) limit = kDrainLinger;
    begin_linger(limit == 0 ? kLingerLimit : std::min(limit, kLingerLimit));
  } else if (!linger_) {
    set_phase(Phase::none, 0);
  }
  settle();
  if (out_empty() && !sending()) {
    after_drained();
  } else {
    mark_dirty();
  }
}

void Connection::finish(std::uint64_t linger_milliseconds, bool until_peer_ends) {
  queue_first_run();
  if (closing_ || close_called_) return;
  closing_ = true;
  linger_ = until_peer_ends;
  begin_linger(linger_milliseconds);
  settle();
  if (out_empty() && !sending()) {
    after_drained();
  } else {
    mark_dirty();
  }
}

void Connection::close_now(io::CloseMode mode) {
  if (close_called_ || closed_) return;
  close_called_ = true;
  if (!is_adopted()) return;  // the loop never opens it
  if (secured_) return secure()->close(mode);
  loop().engine().close(*this, mode);
}

void Connection::abort(const Error& why) {
  if (why.code == Errc::out_of_memory) return out_of_memory();
  close_now(io::CloseMode::abort);
}
void Connection::abort_now(const Error&) { close_now(io::CloseMode::abort); }
void Connection::disconnect(const Error& why) {
  if (core::WebSocket* socket = websocket()) socket->cut_off();
  if (why.code == Errc::out_of_memory) return out_of_memory();
  close_now(io::CloseMode::graceful);
}

void Connection::on_detached(int descriptor, Bytes) {
  ::close(descriptor);
  on_closed(Errc::gone);
}

void Connection::on_closed(const Error& why) {
  loop().enter();
  closed_ = close_called_ = true;
  set_open(false);
  if (work_) {
    shard().timers.cancel(work_->timer);
    if (core::Exchange* left = std::exchange(work_->exchange, nullptr)) {
      guarded([&] { loop().session().on_abort(*left); });
      left->release();
    }
  }
  if (work_) {
    if (work_->pace) pay_back();
    shard().queued_bytes -= work_->out.size();
    work_->out.clear(loop().segments(), why ? why.code : Errc::gone);
  }
  if (stream) {
    guarded([&] { stream->on_ended(why); });
    stream.reset();
  }
  if (work_ && !dirty_) end_used_work();  // else the flush that is due does
  loop().gone(*this);
  if (!dirty_) release();  // else the flush that is due lets it go
}

}  // namespace sluice::wire
