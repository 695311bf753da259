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

void Connection::open(int descriptor) {
  set_phase(Phase::header, std::uint64_t(loop().session().settings.timeouts.header_wait.count()));
  loop().engine().adopt(*this, descriptor);
}

void Connection::open_busy(int descriptor) {
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

void Connection::on_received(const io::Received& received) {
  loop().enter();
  in_event_ = !dirty_;  // else it waits in the list already
  guarded([&] { receive(received); });
  if (!in_event_) return;
  // Now, while the connection is in the cache: with a thousand of them it is gone by the end of the
  // turn. What all the messages of this wake-up are answered with leaves in one send all the same.
  bool sends = dirty_;
  leave_event();
  if (sends && out_empty()) shard().scratch.rewind();
}

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
  if (closed_ || close_called_ || !work_ || work_->processing) return;
  guarded([this] {
    if (work_->in) {
      process_kept();
    } else {
      work_->processing = true;
      finish_body();
      work_->processing = false;
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
  bool pause = stream || !work_
                   ? stream_paused_
                   : pool_paused_ ||
                         (waiting >= kKeptLimit && (work_->exchange || work_->waits_for_room)) ||
                         (work_->body_paused && waiting > 0);
  if (closing_) pause = false;
  if (pause != reading_paused_) {
    reading_paused_ = pause;
    if (pause) {
      loop().engine().pause(*this);
    } else {
      loop().engine().resume(*this);
    }
  }
}

void Connection::pool_pause() {
  if (closed_) return;
  if (core::WebSocket* socket = websocket()) {
    socket->pool_pause(true);
    return;
  }
  pool_paused_ = true;
  settle();
}

void Connection::pool_resume() {
  if (closed_) return;
  if (core::WebSocket* socket = websocket()) {
    socket->pool_pause(false);
    return;
  }
  pool_paused_ = false;
  settle();
}

void Connection::pause_reading() {
  if (waiting() > 0) over_budget_ = true;
  stream_paused_ = true;
  settle();
}

void Connection::resume_reading() {
  stream_paused_ = false;
  settle();
}

// --- Sending -------------------------------------------------------------------------------------

std::size_t Connection::budget() const { return loop().session().settings.limits.send_queue_bytes; }

bool Connection::budget_is_used_up() const {
  std::size_t here = waiting();
  if (here == 0) return false;
  return here >= budget() ||
         shard().queued_bytes >= loop().session().settings.limits.send_queue_total;
}

// True when the writer has to wait. The shard's budget may be used up before the connection's is.
bool Connection::wants_on_writable() {
  if (!budget_is_used_up()) return false;
  over_budget_ = true;
  return true;
}

void Connection::mark_dirty() {
  if (waiting() >= budget()) over_budget_ = true;
  if (dirty_) return;
  dirty_ = true;
  if (!in_event_) loop().mark_dirty(*this);
}

std::byte* Connection::reserve(std::size_t bytes) { return shard().scratch.reserve(bytes); }

void Connection::commit(std::size_t bytes, bool droppable) {
  core::Scratch& scratch = shard().scratch;
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
  base::BlockRef block = shard().blocks.take(bytes.size());
  if (!block) return out_of_memory();
  std::memcpy(block->data(), bytes.data(), bytes.size());
  write_block(*block, {block->data(), bytes.size()}, false);
}

void Connection::write_block(base::Block& block, Bytes part, bool droppable) {
  if (closed_ || close_called_) return;
  Loop& own = loop();
  droppable = droppable && own.session().settings.options.slow_reader == SlowReader::drop_oldest;
  bool first = in_event_ && out_empty() && joins_first_run(block, part, droppable);
  if (!first) {
    queue_first_run();
    if (close_called_) return;  // there was no memory for it
    if (!has_work() || !work_->out.append(own.segments(), block, part, droppable)) {
      return out_of_memory();
    }
  }
  own.shard().queued_bytes += part.size();
  mark_dirty();
}

void Connection::write_shared(const base::SharedBytes& bytes, bool droppable) {
  if (closed_ || close_called_) return;
  if (bytes.size() <= 2048 && !droppable) return write(bytes.bytes());
  queue_first_run();
  if (close_called_) return;
  if (!has_work() ||
      !work_->out.append(loop().segments(), bytes.owner(), bytes.bytes(), droppable)) {
    return out_of_memory();
  }
  shard().queued_bytes += bytes.size();
  mark_dirty();
}

// Where a flush could call somebody (on_writable, the end) it waits for its turn.
void Connection::cork() {
  if (!dirty_ && !over_budget_ && !closing_) in_event_ = true;
}

void Connection::uncork() {
  if (!in_event_) return;
  if (over_budget_) {
    queue_first_run();
    in_event_ = false;
    if (dirty_) loop().mark_dirty(*this);
  } else {
    leave_event();
  }
}

// True when it is, or stands behind, the first run.
bool Connection::joins_first_run(base::Block& block, Bytes part, bool droppable) {
  Loop& own = loop();
  FirstRun& first = own.first_run;
  if (!first.block) {
    first.block = base::BlockRef::share(block);
    first.bytes = part;
    first.droppable = droppable;
    return true;
  }
  bool behind = first.block.get() == &block && !droppable && !first.droppable &&
                first.bytes.data() + first.bytes.size() == part.data();
  if (behind) first.bytes = {first.bytes.data(), first.bytes.size() + part.size()};
  return behind;
}

// More than one run after all, or something that the first must not get ahead of.
void Connection::queue_first_run() {
  if (!in_event_) return;
  Loop& own = loop();
  FirstRun& first = own.first_run;
  if (!first.block) return;
  bool fine =
      has_work() && work_->out.append(own.segments(), *first.block, first.bytes, first.droppable);
  if (!fine) own.shard().queued_bytes -= first.bytes.size();
  first.block.reset();
  if (!fine) out_of_memory();
}

void Connection::leave_event() {
  // Where sending has consequences it takes the long way.
  // So it does without a place in the queue at hand for what the kernel does not take: once it has
  // the bytes nothing may fail.
  Loop& own = loop();
  bool place = own.segments().has_idle() && (work_ || own.works().has_idle());
  bool plain =
      place && !over_budget_ && !closing_ && !close_called_ && !(work_ && work_->waits_for_room);
  if (!plain) queue_first_run();
  in_event_ = false;
  if (own.first_run.block) {
    send_first_run();
  } else if (dirty_) {
    flush();
  } else {
    rest();
  }
}

void Connection::send_first_run() {
  dirty_ = false;
  Loop& own = loop();
  FirstRun& first = own.first_run;
  iovec part{const_cast<std::byte*>(first.bytes.data()), first.bytes.size()};
  std::size_t gone = own.engine().send(*this, {&part, 1});
  core::Shard& here = own.shard();
  here.queued_bytes -= gone;
  here.counters.bytes_sent.add(gone);
  bytes_sent.store(bytes_sent.load(std::memory_order_relaxed) + gone, std::memory_order_relaxed);
  if (gone < first.bytes.size()) {
    // leave_event() has seen to it that there is a place.
    bool fine =
        has_work() && work_->out.append(own.segments(), *first.block, first.bytes.subspan(gone),
                                        first.droppable && gone == 0);
    first.block.reset();
    if (!fine) return out_of_memory();
    if (waiting() >= budget()) over_budget_ = true;
    own.want_rate_check();
    return;
  }
  first.block.reset();
  rest();
}

std::size_t Connection::waiting() const {
  std::size_t bytes = work_ ? work_->out.size() : 0;
  return in_event_ && loop().first_run.block ? bytes + loop().first_run.bytes.size() : bytes;
}

std::size_t Connection::drop_oldest(std::size_t room) {
  queue_first_run();
  std::size_t limit = budget(), before = work_ ? work_->out.size() : 0;
  if (before == 0 || before + room <= limit) return 0;
  std::size_t dropped = work_->out.drop(loop().segments(), send_left(), before + room - limit);
  shard().queued_bytes -= before - work_->out.size();
  return dropped;
}

std::size_t Connection::queued() const {
  std::size_t here = waiting();
  return here > 0 && budget_is_used_up() ? std::max(here, budget()) : here;
}

void Connection::flush() {
  dirty_ = false;
  if (closed_ || close_called_ || !work_ || work_->warming) return;
  guarded([this] { send_queued(); });
  rest();
}

void Connection::send_queued() {
  iovec parts[kMaxParts];
  io::Engine& engine = loop().engine();
  OutQueue& out = work_->out;
  while (!out.empty() && !sending()) {
    std::size_t gone = 0;
    if (out.file_first()) {
      if (work_->file_window == 0) {
        send_file_window();
        if (work_->file_window == 0) return;
      }
      const Segment& front = out.front();
      std::uint64_t size = std::min(front.size, work_->file_window);
      gone = engine.send_file(*this, front.file, front.offset, std::size_t(size));
    } else {
      bool file_next = false;
      std::size_t count = out.gather(parts, file_next);
      gone = engine.send(*this, {parts, count}, file_next);
    }
    if (gone > 0) sent(gone);
    if (gone == 0 && !sending()) return;  // failed: on_closed follows
    if (close_called_) return;
  }
  if (out.empty()) {
    after_drained();
  } else {
    loop().want_rate_check();
  }
}

// A shard never waits for a disk: the next window of the file is in the page cache before it is
// sent.
void Connection::send_file_window() {
  const Segment& front = work_->out.front();
  std::uint64_t size = std::min(front.size, kFileWindow);
  if (io::is_cached(front.file, front.offset, std::size_t(size))) {
    work_->file_window = size;
    return;
  }
  work_->warming = true;
  retain();
  auto file = front.owner;
  bool taken = loop().session().body_source->run_blocking(
      shard(),
      [file, fd = front.file, offset = front.offset, size] {
        io::warm(fd, offset, std::size_t(size));
      },
      [this, size] {
        if (!work_) return release();  // it has closed
        work_->warming = false;
        work_->file_window = size;  // a page that was evicted meanwhile costs one short wait
        if (!dirty_) flush();
        release();
      });
  if (taken) return;
  work_->warming = false;
  work_->file_window = size;
  release();
}

void Connection::on_sent(std::uint64_t bytes) {
  loop().enter();
  guarded([&] {
    sent(bytes);
    if (!sending() && !dirty_) flush();  // else it is about to be flushed
  });
  rest();
}

void Connection::sent(std::uint64_t bytes) {
  if (work_->out.file_first()) work_->file_window -= std::min(work_->file_window, bytes);
  Loop& own = loop();
  work_->out.consume(own.segments(), bytes);
  own.shard().queued_bytes -= bytes;
  own.shard().counters.bytes_sent.add(bytes);
  bytes_sent.store(bytes_sent.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  if (!work_->out.empty() && work_->out.size() >= budget() / 2) return;
  if (over_budget_) {
    over_budget_ = false;
    if (stream) {
      stream->on_writable();
    } else if (work_->exchange && work_->exchange->streaming) {
      loop().session().on_writable(*work_->exchange);
    }
  }
  if (work_->waits_for_room) {
    work_->waits_for_room = false;
    loop().want_to_go_on(*this);
  }
}

// Nothing waits any more.
void Connection::after_drained() {
  if (work_) work_->rate_since = base::never;
  if (!closing_ || close_called_) return;
  if (!linger_ || peer_ended_) {
    close_now(io::CloseMode::graceful);
    return;
  }
  if (lingering_) return;
  lingering_ = true;
  loop().engine().shutdown_send(*this);
}

void Connection::close_when_drained(bool linger) {
  queue_first_run();
  if (close_called_) return;
  closing_ = true;
  linger_ = linger_ || linger;
  if (linger_ && work().phase != Phase::linger) {
    auto limit = std::uint64_t(loop().session().settings.timeouts.drain_entity_body.count());
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
  if (is_adopted()) loop().engine().close(*this, mode);  // else the loop never opens it
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
  if (stream) {
    guarded([&] { stream->on_ended(why); });
    stream.reset();
  }
  if (work_) {
    shard().queued_bytes -= work_->out.size();
    work_->out.clear(loop().segments());
    if (!dirty_) end_used_work();  // else the flush that is due does
  }
  loop().gone(*this);
  if (!dirty_) release();  // else the flush that is due lets it go
}

}  // namespace sluice::wire
