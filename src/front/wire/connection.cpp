// front/wire/connection.cpp - the socket's side: receiving, sending, pausing, the end.
#include "front/wire/connection.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/websocket.hpp"
#include "front/wire/loop.hpp"
#include "io/file_pool.hpp"

namespace sluice::wire {
namespace {

constexpr std::size_t kMaxParts = 64;
constexpr std::uint64_t kFileWindow = 1 << 20;
// How long a client may go on sending after the connection's last answer.
constexpr std::uint64_t kLingerLimit = 30'000;
// Received bytes that may wait for an answer before reading stops.
constexpr std::size_t kKeptLimit = 16 * 1024;

}  // namespace

Connection::Connection(Loop& loop, core::Endpoint peer, core::Endpoint own)
    : loop_(loop), timer_(&Connection::timer_fired, this) {
  remote = peer;
  local = own;
  shard = &loop.shard();
  shard_index = shard->index;
  mailbox = shard->mailbox;
  cipher = loop.session().cipher;
  created_at = std::chrono::system_clock::time_point(std::chrono::seconds(shard->wall_seconds()));
}

Connection::~Connection() = default;

void Connection::open(int fd) {
  set_phase(Phase::header, std::uint64_t(loop_.session().settings.timeouts.header_wait.count()));
  loop_.engine().adopt(socket_, fd, *this);
}

void Connection::open_busy(int fd) {
  loop_.engine().adopt(socket_, fd, *this);
  guarded([this] { plain_error(Errc::too_many_connections); });
}

// --- Received ------------------------------------------------------------------------------------

void Connection::out_of_memory() {
  close_now(io::CloseMode::abort);
  try {
    loop_.session().log(LogLevel::error, Errc::out_of_memory,
                        "a connection is broken off: there is no memory for its next step");
  } catch (...) {  // not even for the application's log
  }
}

void Connection::on_received(const io::Received& received) {
  loop_.enter();
  in_event_ = !dirty_;  // else it waits in the list already
  guarded([&] { receive(received); });
  if (!in_event_) return;
  in_event_ = false;
  if (!dirty_) return;
  // Now, while the connection is in the cache: with a thousand of them it is gone by the end of the
  // turn. What all the messages of this wake-up are answered with leaves in one send all the same.
  flush();
  if (out_.empty()) shard->scratch.rewind();
}

void Connection::receive(const io::Received& received) {
  bytes_received.store(bytes_received.load(std::memory_order_relaxed) + received.bytes.size(),
                       std::memory_order_relaxed);
  shard->counters.bytes_received.add(received.bytes.size());
  if (closing_) return;  // what a peer sends after the last answer is dropped
  if (stream_) {
    stream_->on_bytes(*received.block, received.bytes);
    return;
  }
  if (in_) {
    keep(received.bytes);
    process_kept();
  } else {
    std::size_t used = process(*received.block, received.bytes);
    if (used < received.bytes.size() && !close_called_) keep(received.bytes.subspan(used));
  }
  settle();
}

void Connection::keep(std::span<const std::byte> bytes) {
  std::size_t left = in_size_ - in_at_;
  if (!in_ || in_size_ + bytes.size() > in_->capacity()) {
    base::BlockRef larger = shard->blocks.take((left + bytes.size()) * (in_ ? 2 : 1));
    if (!larger) return out_of_memory();
    if (left > 0) std::memcpy(larger->data(), in_->data() + in_at_, left);
    in_ = std::move(larger);
    in_at_ = 0;
    in_size_ = std::uint32_t(left);
  }
  std::memcpy(in_->data() + in_size_, bytes.data(), bytes.size());
  in_size_ += std::uint32_t(bytes.size());
}

void Connection::process_kept() {
  if (processing_ || !in_ || close_called_) return;
  base::BlockRef block = in_;
  std::size_t used = process(*block, {block->data() + in_at_, in_size_ - in_at_});
  in_at_ += std::uint32_t(used);
  if (in_at_ == in_size_ || closing_) {
    in_.reset();
    in_at_ = in_size_ = 0;
  }
}

void Connection::go_on() {
  if (closed_ || close_called_ || processing_) return;
  guarded([this] {
    if (in_) {
      process_kept();
    } else {
      processing_ = true;
      finish_body();
      processing_ = false;
    }
    settle();
  });
}

void Connection::on_end() {
  loop_.enter();
  peer_ended_ = true;
  guarded([this] { end_of_input(); });
}

void Connection::end_of_input() {
  if (stream_ && !closing_) {
    stream_->on_end();
    return;
  }
  if (lingering_) {
    close_now(io::CloseMode::graceful);
  } else if (exchange_ && reading_body_ && !body_done_) {
    loop_.session().reject(this, Errc::http_body_truncated, *shard);
    close_now(io::CloseMode::graceful);
  } else if (!exchange_ && in_) {
    process_kept();  // requests that waited for their turn; the end comes behind the last
  } else if (!exchange_ && !waits_for_room_) {
    close_when_drained(false);
  }
  settle();
}

// Reading stops while there is nowhere to put more.
void Connection::settle() {
  if (closed_ || close_called_) return;
  std::size_t waiting = in_ ? in_size_ - in_at_ : 0;
  bool pause = stream_
                   ? stream_paused_
                   : pool_paused_ || (waiting >= kKeptLimit && (exchange_ || waits_for_room_)) ||
                         (body_paused_ && waiting > 0);
  if (closing_) pause = false;
  if (pause != reading_paused_) {
    reading_paused_ = pause;
    if (pause) {
      loop_.engine().pause(socket_);
    } else {
      loop_.engine().resume(socket_);
    }
  }
}

void Connection::pool_pause() {
  if (closed_) return;
  if (websocket) {
    websocket->pool_pause(true);
    return;
  }
  pool_paused_ = true;
  settle();
}

void Connection::pool_resume() {
  if (closed_) return;
  if (websocket) {
    websocket->pool_pause(false);
    return;
  }
  pool_paused_ = false;
  settle();
}

void Connection::pause_reading() {
  if (!out_.empty()) over_budget_ = true;
  stream_paused_ = true;
  settle();
}

void Connection::resume_reading() {
  stream_paused_ = false;
  settle();
}

// --- Sending -------------------------------------------------------------------------------------

std::size_t Connection::budget() const { return loop_.session().settings.limits.send_queue_bytes; }

bool Connection::budget_is_used_up() const {
  return out_.size() >= budget() ||
         (shard->queued_bytes >= loop_.session().settings.limits.send_queue_total && !out_.empty());
}

// True when the writer has to wait. The shard's budget may be used up before the connection's is.
bool Connection::wants_on_writable() {
  if (!budget_is_used_up()) return false;
  if (!out_.empty()) over_budget_ = true;
  return true;
}

void Connection::mark_dirty() {
  if (out_.size() >= budget()) over_budget_ = true;
  if (dirty_) return;
  dirty_ = true;
  if (!in_event_) loop_.mark_dirty(*this);
}

std::byte* Connection::reserve(std::size_t bytes) { return shard->scratch.reserve(bytes); }

void Connection::commit(std::size_t bytes, bool droppable) {
  core::Scratch& scratch = shard->scratch;
  std::byte* at = scratch.reserve(0);
  scratch.commit(bytes);
  write_block(scratch.block(), {at, bytes}, droppable);
}

void Connection::write(Bytes bytes) {
  if (bytes.size() <= core::Scratch::kLargest) {
    std::byte* at = reserve(bytes.size());
    if (!at) return out_of_memory();
    std::memcpy(at, bytes.data(), bytes.size());
    commit(bytes.size(), false);
    return;
  }
  base::BlockRef block = shard->blocks.take(bytes.size());
  if (!block) return out_of_memory();
  std::memcpy(block->data(), bytes.data(), bytes.size());
  write_block(*block, {block->data(), bytes.size()}, false);
}

void Connection::write_block(base::Block& block, Bytes part, bool droppable) {
  if (closed_ || close_called_) return;
  droppable = droppable && loop_.session().settings.options.slow_reader == SlowReader::drop_oldest;
  if (!out_.append(loop_.segments(), block, part, droppable)) return out_of_memory();
  shard->queued_bytes += part.size();
  mark_dirty();
}

void Connection::write_shared(const base::SharedBytes& bytes, bool droppable) {
  if (closed_ || close_called_) return;
  if (bytes.size() <= 2048 && !droppable) return write(bytes.bytes());
  if (!out_.append(loop_.segments(), bytes.owner(), bytes.bytes(), droppable)) {
    return out_of_memory();
  }
  shard->queued_bytes += bytes.size();
  mark_dirty();
}

std::size_t Connection::drop_oldest(std::size_t room) {
  std::size_t limit = budget(), before = out_.size();
  if (before + room <= limit) return 0;
  std::size_t dropped = out_.drop(loop_.segments(), socket_.send_left(), before + room - limit);
  shard->queued_bytes -= before - out_.size();
  return dropped;
}

std::size_t Connection::queued() const {
  return budget_is_used_up() ? std::max(out_.size(), budget()) : out_.size();
}

void Connection::flush() {
  dirty_ = false;
  if (closed_ || close_called_ || warming_) return;
  guarded([this] { send_queued(); });
}

void Connection::send_queued() {
  iovec parts[kMaxParts];
  while (!out_.empty() && !socket_.sending()) {
    std::size_t gone = 0;
    if (out_.file_first()) {
      if (file_window_ == 0) {
        send_file_window();
        if (file_window_ == 0) return;
      }
      const Segment& front = out_.front();
      std::uint64_t size = std::min(front.size, file_window_);
      gone = loop_.engine().send_file(socket_, front.file, front.offset, std::size_t(size));
    } else {
      std::size_t count = out_.gather(parts);
      gone = loop_.engine().send(socket_, {parts, count});
    }
    if (gone > 0) sent(gone);
    if (gone == 0 && !socket_.sending()) return;  // failed: on_closed follows
    if (close_called_) return;
  }
  if (out_.empty()) {
    after_drained();
  } else {
    loop_.want_rate_check();
  }
}

// A shard never waits for a disk: the next window of the file is in the page cache before it is
// sent.
void Connection::send_file_window() {
  const Segment& front = out_.front();
  std::uint64_t size = std::min(front.size, kFileWindow);
  if (io::is_cached(front.file, front.offset, std::size_t(size))) {
    file_window_ = size;
    return;
  }
  warming_ = true;
  retain();
  auto file = front.owner;
  bool taken = loop_.session().body_source->run_blocking(
      *shard,
      [file, fd = front.file, offset = front.offset, size] {
        io::warm(fd, offset, std::size_t(size));
      },
      [this, size] {
        warming_ = false;
        file_window_ = size;  // a page that was evicted meanwhile costs one short wait
        if (!dirty_) flush();
        release();
      });
  if (taken) return;
  warming_ = false;
  file_window_ = size;
  release();
}

void Connection::on_sent(std::uint64_t total) {
  loop_.enter();
  guarded([&] {
    std::uint64_t bytes = total - sent_seen_;
    if (bytes > 0) sent(bytes);
    if (!socket_.sending() && !dirty_) flush();  // else it is about to be flushed
  });
}

void Connection::sent(std::uint64_t bytes) {
  sent_seen_ += bytes;
  if (out_.file_first()) file_window_ -= std::min(file_window_, bytes);
  out_.consume(loop_.segments(), bytes);
  shard->queued_bytes -= bytes;
  shard->counters.bytes_sent.add(bytes);
  bytes_sent.store(bytes_sent.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  if (out_.size() >= budget() / 2 && !out_.empty()) return;
  if (over_budget_) {
    over_budget_ = false;
    if (stream_) {
      stream_->on_writable();
    } else if (exchange_ && exchange_->streaming) {
      loop_.session().on_writable(*exchange_);
    }
  }
  if (waits_for_room_) {
    waits_for_room_ = false;
    loop_.want_to_go_on(*this);
  }
}

// Nothing waits any more.
void Connection::after_drained() {
  rate_since_ = base::never;
  if (!closing_ || close_called_) return;
  if (!linger_ || peer_ended_) {
    close_now(io::CloseMode::graceful);
    return;
  }
  if (lingering_) return;
  lingering_ = true;
  loop_.engine().shutdown_send(socket_);
}

void Connection::close_when_drained(bool linger) {
  if (close_called_) return;
  closing_ = true;
  linger_ = linger_ || linger;
  if (linger_ && phase_ != Phase::linger) {
    auto limit = std::uint64_t(loop_.session().settings.timeouts.drain_entity_body.count());
    if (shard->draining) limit = kDrainLinger;
    begin_linger(limit == 0 ? kLingerLimit : std::min(limit, kLingerLimit));
  } else if (!linger_) {
    set_phase(Phase::none, 0);
  }
  settle();
  if (out_.empty() && !socket_.sending()) {
    after_drained();
  } else {
    mark_dirty();
  }
}

void Connection::finish(std::uint64_t linger_milliseconds, bool until_peer_ends) {
  if (closing_ || close_called_) return;
  closing_ = true;
  linger_ = until_peer_ends;
  begin_linger(linger_milliseconds);
  settle();
  if (out_.empty() && !socket_.sending()) {
    after_drained();
  } else {
    mark_dirty();
  }
}

void Connection::close_now(io::CloseMode mode) {
  if (close_called_ || closed_) return;
  close_called_ = true;
  if (socket_.is_open()) loop_.engine().close(socket_, mode);  // else the loop never opens it
}

void Connection::abort(const Error& why) {
  if (why.code == Errc::out_of_memory) return out_of_memory();
  close_now(io::CloseMode::abort);
}
void Connection::abort_now(const Error&) { close_now(io::CloseMode::abort); }
void Connection::disconnect(const Error& why) {
  if (websocket) websocket->cut_off();
  if (why.code == Errc::out_of_memory) return out_of_memory();
  close_now(io::CloseMode::graceful);
}

void Connection::on_detached(int fd, Bytes) {
  ::close(fd);
  on_closed(Errc::gone);
}

void Connection::on_closed(const Error& why) {
  loop_.enter();
  closed_ = close_called_ = true;
  set_open(false);
  shard->timers.cancel(timer_);
  if (core::Exchange* left = exchange_) {
    exchange_ = nullptr;
    guarded([&] { loop_.session().on_abort(*left); });
    left->release();
  }
  if (stream_) {
    guarded([&] { stream_->on_ended(why); });
    websocket = nullptr;
    stream_.reset();
  }
  in_.reset();
  shard->queued_bytes -= out_.size();
  out_.clear(loop_.segments());
  chunks_.reset();
  loop_.gone(*this);
  if (!dirty_) release();  // else the flush that is due lets it go
}

}  // namespace sluice::wire
