// front/wire/connection_send.cpp - the socket's side: what waits, and how it leaves.
#include <algorithm>
#include <utility>

#include "core/exchange.hpp"
#include "core/session.hpp"
#include "core/step.hpp"
#include "front/wire/connection.hpp"
#include "front/wire/loop.hpp"
#include "io/file_pool.hpp"

namespace sluice::wire {
namespace {

constexpr std::size_t kMaxParts = 64;
constexpr std::uint64_t kFileWindow = 1 << 20;
constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

// Leaves of `count` parts the first `most` bytes; returns how many parts those are.
std::size_t cut(iovec* parts, std::size_t count, std::uint64_t most, bool& file_next) {
  for (std::size_t i = 0; i < count; ++i) {
    if (parts[i].iov_len < most) {
      most -= parts[i].iov_len;
      continue;
    }
    file_next = file_next && i + 1 == count && parts[i].iov_len == most;
    parts[i].iov_len = std::size_t(most);
    return i + 1;
  }
  return count;
}

}  // namespace

std::size_t Connection::budget() const { return shard().settings().limits.send_queue_bytes; }

bool Connection::budget_is_used_up() const {
  std::size_t here = waiting();
  if (here == 0) return false;
  return here >= budget() || shard().queued_bytes >= shard().settings().limits.send_queue_total;
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

void Connection::commit(std::size_t bytes, core::Marks marks) {
  core::Scratch& scratch = shard().scratch;
  std::byte* at = scratch.reserve(0);
  scratch.commit(bytes);
  write_block(scratch.block(), {at, bytes}, marks);
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

void Connection::write_block(base::Block& block, Bytes part, core::Marks marks) {
  if (closed_ || close_called_) return;
  Loop& own = loop();
  if (own.shard().settings().options.slow_reader != SlowReader::drop_oldest) {
    marks &= core::Marks(~core::kDroppable);
  }
  bool first = in_event_ && out_empty() && joins_first_run(block, part, marks);
  if (!first) {
    queue_first_run();
    if (close_called_) return;  // there was no memory for it
    if (!has_work() || !work_->out.append(own.segments(), block, part, marks)) {
      return out_of_memory();
    }
  }
  own.shard().queued_bytes += part.size();
  mark_dirty();
}

void Connection::write_shared(const base::SharedBytes& bytes, core::Marks marks) {
  if (closed_ || close_called_) return;
  if (bytes.size() <= 2048 && marks == core::kKept) return write(bytes.bytes());
  queue_first_run();
  if (close_called_) return;
  if (!has_work() || !work_->out.append(loop().segments(), bytes.owner(), bytes.bytes(), marks)) {
    return out_of_memory();
  }
  shard().queued_bytes += bytes.size();
  mark_dirty();
}

// What `keeper` keeps, without a copy.
void Connection::write_kept(std::shared_ptr<const void> keeper, Bytes bytes) {
  queue_first_run();
  if (closed_ || close_called_) return;
  if (!has_work() || !work_->out.append(loop().segments(), std::move(keeper), bytes, core::kKept)) {
    return out_of_memory();
  }
  shard().queued_bytes += bytes.size();
  mark_dirty();
}

void Connection::tell_when_sent(std::shared_ptr<core::Receipt> receipt) {
  queue_first_run();
  if (closed_ || close_called_ || !work_ || work_->out.empty()) return receipt->ended(Errc::gone);
  work_->out.add_receipt(std::move(receipt));
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
bool Connection::joins_first_run(base::Block& block, Bytes part, core::Marks marks) {
  Loop& own = loop();
  FirstRun& first = own.first_run;
  if (!first.block) {
    first.block = base::BlockRef::share(block);
    first.bytes = part;
    first.marks = marks;
    return true;
  }
  bool behind = first.block.get() == &block && (marks | first.marks) == core::kKept &&
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
      has_work() && work_->out.append(own.segments(), *first.block, first.bytes, first.marks);
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
  bool plain = place && !over_budget_ && !closing_ && !close_called_ && !paced_ && !secured_ &&
               !(work_ && work_->waits_for_room);
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
                                        gone == 0 ? first.marks : core::kKept);
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
  std::size_t dropped =
      work_->out.drop(loop().segments(), send_left(), before + room - limit, core::kDroppable);
  shard().queued_bytes -= before - work_->out.size();
  return dropped;
}

std::size_t Connection::droppable(core::Marks marks) const {
  return work_ ? work_->out.size_of(send_left(), marks) : 0;
}

std::size_t Connection::drop(core::Marks marks) {
  queue_first_run();
  std::size_t before = work_ ? work_->out.size() : 0;
  if (before == 0) return 0;
  std::size_t dropped = work_->out.drop(loop().segments(), send_left(), before, marks);
  shard().queued_bytes -= before - work_->out.size();
  return dropped;
}

std::size_t Connection::queued() const {
  std::size_t here = waiting();
  return here > 0 && budget_is_used_up() ? std::max(here, budget()) : here;
}

void Connection::want_writable() {
  if (waiting() > 0) over_budget_ = true;
}

void Connection::flush() {
  dirty_ = false;
  if (closed_ || close_called_ || !work_ || work_->warming) return;
  guarded([this] { send_queued(); });
  rest();
}

std::size_t Connection::send_file(int file, std::uint64_t offset, std::size_t length) {
  if (secured_) return secure()->send_file(file, offset, length);
  return loop().engine().send_file(*this, file, offset, length);
}

// `more`: see io::Engine::send.
std::size_t Connection::send_memory(std::span<const iovec> parts, bool more) {
  if (secured_) return secure()->send(parts);
  return loop().engine().send(*this, parts, more);
}

void Connection::send_queued() {
  iovec parts[kMaxParts];
  OutQueue& out = work_->out;
  while (!out.empty() && !sending()) {
    const std::uint64_t most = paced_ ? allowed() : kNoLimit;
    if (most == 0) break;
    std::size_t gone = 0;
    if (out.file_first()) {
      if (work_->file_window == 0) {
        send_file_window();
        if (work_->file_window == 0) return;
      }
      const Segment& front = out.front();
      std::uint64_t size = std::min({front.size, work_->file_window, most});
      gone = send_file(front.file, front.offset, std::size_t(size));
    } else {
      bool file_next = false;
      std::size_t count = out.gather(parts, file_next);
      if (paced_) count = cut(parts, count, most, file_next);
      gone = send_memory({parts, count}, file_next);
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
  core::Hold<core::Connection> hold(*this);
  work_->warming = true;
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
  if (taken) return hold.leave();
  work_->warming = false;
  work_->file_window = size;
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
  own.shard().queued_bytes -= bytes;
  own.shard().counters.bytes_sent.add(bytes);
  bytes_sent.store(bytes_sent.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  if (work_->pace) work_->pace->paid -= std::min(work_->pace->paid, bytes);
  work_->out.consume(own.segments(), bytes);  // receipts: what they tell of has been counted
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

}  // namespace sluice::wire
