// front/wire/http2_stream_send.cpp - what of an answer leaves, and what becomes of clients that do
// not take it.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "core/session.hpp"
#include "core/step.hpp"
#include "front/wire/connection.hpp"
#include "front/wire/http2_connection.hpp"
#include "front/wire/http2_stream.hpp"
#include "front/wire/http2_tunnel.hpp"
#include "front/wire/loop.hpp"
#include "io/file_pool.hpp"

namespace sluice::wire {
namespace {

// A run up to this size is copied behind its frame's head, so that both leave in one.
constexpr std::size_t kCopied = 4096;
// Read of a file at a time: sendfile() would have to be called for each frame.
constexpr std::size_t kFileAhead = 128 * 1024;
// A client's pace is judged over so long.
constexpr base::Duration kRateSpan = std::chrono::seconds(10);

}  // namespace

http2::Piece Http2Stream::next(std::size_t most) noexcept {
  if (broken) return {0, http2::Piece::Then::later, {}};
  if (ahead_size == 0 && out.file_first()) {
    switch (load()) {
      case Loaded::yes:
        break;
      case Loaded::later:
        return {0, http2::Piece::Then::later, {}};
      case Loaded::failed:
        broken = owner->has_broken_ = true;
        return {0, http2::Piece::Then::later, {}};
    }
  }
  std::size_t here = ahead_size;
  if (here == 0) {
    iovec parts[16];
    bool file_next = false;
    const std::size_t count = out.gather(parts, file_next);
    for (std::size_t i = 0; i < count && here < most; ++i) here += parts[i].iov_len;
  }
  here = std::min(here, most);
  if (finished && here == pending()) {
    if (leaves_at_once) end_sent = owner->has_leaving_ = true;
    return {here, http2::Piece::Then::end, trailers_out};
  }
  return {here, here == 0 ? http2::Piece::Then::later : http2::Piece::Then::more, {}};
}

bool Http2Stream::put_body(std::size_t bytes) noexcept {
  Connection& connection = owner->connection();
  core::Shard& shard = owner->shard();
  shard.queued_bytes -= bytes;  // the connection counts them from here on
  if (counts) owner->held -= bytes;
  moved += bytes;
  if (tunnel) {
    tunnel->bytes_sent.store(tunnel->bytes_sent.load(std::memory_order_relaxed) + bytes,
                             std::memory_order_relaxed);
  }
  if (over_budget) owner->wants_room_ = true;
  SegmentPool& pool = owner->loop().segments();
  while (bytes > 0 && !connection.close_called_) {
    if (ahead_size > 0) {
      const std::size_t part = std::min(bytes, ahead_size);
      connection.write_block(*ahead, {ahead->data() + ahead_at, part}, core::kKept);
      ahead_at += part;
      ahead_size -= part;
      bytes -= part;
      if (ahead_size == 0) ahead.reset();
      continue;
    }
    const Segment& front = out.front();
    const std::size_t part = std::size_t(std::min<std::uint64_t>(bytes, front.size));
    const Bytes run{front.at, part};
    if (part <= kCopied) {
      connection.write(run);
    } else if (front.block) {
      connection.write_block(*front.block, run, core::kKept);
    } else {
      connection.write_kept(front.owner, run);
    }
    out.consume(pool, part);
    bytes -= part;
  }
  shard.queued_bytes += bytes;
  if (counts) owner->held += bytes;
  return !connection.close_called_;
}

// The next part of the file in front, as far as no disk has to be waited for.
Http2Stream::Loaded Http2Stream::load() noexcept {
  if (warming) return Loaded::later;
  const Segment& front = out.front();
  const std::size_t size = std::size_t(std::min<std::uint64_t>(front.size, kFileAhead));
  if (std::exchange(warmed, 0) < size && !io::is_cached(front.file, front.offset, size)) {
    try {
      warm(size);
    } catch (const std::bad_alloc&) {
      return Loaded::failed;
    }
    if (warming) return Loaded::later;
  }
  base::BlockRef block = owner->shard().blocks.take(size);
  if (!block) return Loaded::failed;
  ssize_t read = 0;
  do {
    read = ::pread(front.file, block->data(), size, off_t(front.offset));
  } while (read < 0 && errno == EINTR);
  if (read <= 0) return Loaded::failed;  // it has become shorter
  ahead = std::move(block);
  ahead_at = 0;
  ahead_size = std::size_t(read);
  out.consume(owner->loop().segments(), std::uint64_t(read));
  return Loaded::yes;
}

void Http2Stream::warm(std::size_t bytes) {
  const Segment& front = out.front();
  Connection& connection = owner->connection();
  core::Hold<core::Connection> hold(connection);
  warming = true;
  const bool taken = owner->loop().session().body_source->run_blocking(
      owner->shard(),
      [file = front.owner, fd = front.file, offset = front.offset, bytes] {
        io::warm(fd, offset, bytes);
      },
      [self = this, &connection, mine = use, bytes] {
        if (!connection.closed_) {
          Http2Stream* found = connection.http2().find(self, mine);
          if (found) connection.guarded([&] { found->is_warm(bytes); });
        }
        connection.release();
      });
  if (taken) return hold.leave();
  warming = false;
}

// A page that is evicted meanwhile costs one short wait.
void Http2Stream::is_warm(std::size_t bytes) {
  warming = false;
  warmed = bytes;
  more_to_send();
}

// A client may open streams and take nothing of their answers, which no queue of the connection
// shows.
void Http2Stream::watch() {
  if (stall_timer.armed() || pending() == 0) return;
  stall_mark = rate_mark = moved;
  stall_since = rate_since = owner->shard().now;
  look_again();
}

void Http2Stream::look_again() {
  const core::SessionSettings& settings = owner->shard().settings();
  base::Duration tick = settings.timeouts.min_send_rate > 0 ? kRateSpan : base::Duration::zero();
  const base::Duration write = settings.options.write_timeout;
  if (write.count() > 0) tick = tick.count() > 0 ? std::min(tick, write) : write;
  if (tick.count() > 0) owner->shard().timers.set(stall_timer, owner->shard().now + tick);
}

void Http2Stream::on_stalled() {
  if (!stream || pending() == 0) return;
  const core::SessionSettings& settings = owner->shard().settings();
  const base::Duration write = settings.options.write_timeout;
  const double rate = settings.timeouts.min_send_rate;
  const base::Instant now = owner->shard().now;
  const bool waits =
      owner->session().waits_for_window(*stream) && !owner->connection().is_rationed();
  if (!waits || moved != stall_mark) {
    stall_mark = moved;
    stall_since = now;
  }
  if (!waits) {
    rate_mark = moved;
    rate_since = now;
    return look_again();
  }
  Errc why = Errc::none;
  const double span = std::chrono::duration<double>(now - rate_since).count();
  if (write.count() > 0 && now - stall_since >= write) {
    why = Errc::write_timeout;
  } else if (rate > 0 && now - rate_since >= kRateSpan) {
    if (double(moved - rate_mark) < rate * span) why = Errc::send_rate_timeout;
    rate_mark = moved;
    rate_since = now;
  }
  if (why == Errc::none) return look_again();
  owner->connection().guarded([&] { owner->cut(*this, http2::Code::cancel, why); });
}

}  // namespace sluice::wire
