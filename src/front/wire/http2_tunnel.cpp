// front/wire/http2_tunnel.cpp - see http2_tunnel.hpp.
#include "front/wire/http2_tunnel.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "core/session.hpp"
#include "core/websocket.hpp"
#include "front/wire/connection.hpp"
#include "front/wire/http2_connection.hpp"
#include "front/wire/http2_stream.hpp"
#include "front/wire/loop.hpp"

namespace sluice::wire {

Http2Tunnel::Http2Tunnel(Connection& carrier, Http2Stream& port)
    : core::Connection(carrier.shard().destinations.of(carrier.destination().local)),
      carrier_(carrier),
      port_(&port) {
  remote = carrier.remote;
  is_tunnel_ = true;
  paced_ = carrier.is_paced();
  carrier_.retain();
}

Http2Tunnel::~Http2Tunnel() { carrier_.release(); }

Http2Tunnel* Http2Tunnel::make(Connection& carrier, Http2Stream& port) {
  auto* made = new Http2Tunnel(carrier, port);
  try {
    made->shard().registry.add(*made);
  } catch (...) {
    made->port_ = nullptr;
    made->release();
    throw;
  }
  return made;
}

void Http2Tunnel::receive(base::Block& block, std::span<std::byte> bytes) {
  bytes_received.store(bytes_received.load(std::memory_order_relaxed) + bytes.size(),
                       std::memory_order_relaxed);
  if (stream && !closing_) stream->on_bytes(block, bytes);
}

void Http2Tunnel::receive_end() {
  peer_ended_ = true;
  if (stream && !closing_) stream->on_end();
}

void Http2Tunnel::end(const Error& why) noexcept {
  port_ = nullptr;
  closed_ = close_called_ = true;
  set_open(false);
  if (stream) {
    try {
      stream->on_ended(why);
    } catch (const std::bad_alloc&) {  // of whoever was told
    }
    stream.reset();
  }
  shard().registry.remove(*this);
  shard().session.on_closed(*this);
  release();
}

void Http2Tunnel::drain(std::uint16_t close_code) {
  if (stream && !closing_) stream->on_drain(close_code);
}

const TlsInfo* Http2Tunnel::tls() const { return carrier_.tls(); }

void Http2Tunnel::disconnect(const Error& why) {
  if (core::WebSocket* socket = websocket()) socket->cut_off();
  abort(why);
}

void Http2Tunnel::pool_pause() {
  if (core::WebSocket* socket = websocket()) {
    socket->pool_pause(true);
  } else {
    pause_reading();
  }
}

void Http2Tunnel::pool_resume() {
  if (core::WebSocket* socket = websocket()) {
    socket->pool_pause(false);
  } else {
    resume_reading();
  }
}

// --- Writing -------------------------------------------------------------------------------------

std::size_t Http2Tunnel::budget() const { return shard().settings().limits.send_queue_bytes; }

core::Marks Http2Tunnel::kept(core::Marks marks) const {
  const bool drops = shard().settings().options.slow_reader == SlowReader::drop_oldest;
  return drops ? marks : core::Marks(marks & ~core::kDroppable);
}

void Http2Tunnel::no_memory() { abort(Errc::out_of_memory); }

// What was added leaves with the rest of this wake-up.
void Http2Tunnel::written() {
  if (port_->pending() >= budget()) over_budget_ = true;
  if (over_budget_) port_->over_budget = true;
  port_->more_to_send();
}

std::byte* Http2Tunnel::reserve(std::size_t bytes) { return shard().scratch.reserve(bytes); }

void Http2Tunnel::commit(std::size_t bytes, core::Marks marks) {
  core::Scratch& scratch = shard().scratch;
  std::byte* at = scratch.reserve(0);
  scratch.commit(bytes);
  write_block(scratch.block(), {at, bytes}, marks);
}

void Http2Tunnel::write(Bytes bytes) {
  if (bytes.size() <= core::Scratch::kLargest) {
    std::byte* at = reserve(bytes.size());
    if (!at) return no_memory();
    std::memcpy(at, bytes.data(), bytes.size());
    return commit(bytes.size(), core::kKept);
  }
  const base::BlockRef block = shard().blocks.take(bytes.size());
  if (!block) return no_memory();
  std::memcpy(block->data(), bytes.data(), bytes.size());
  write_block(*block, {block->data(), bytes.size()}, core::kKept);
}

void Http2Tunnel::write_block(base::Block& block, Bytes part, core::Marks marks) {
  if (!port_ || close_called_) return;
  if (!port_->add(block, part, kept(marks))) return no_memory();
  written();
}

void Http2Tunnel::write_shared(const base::SharedBytes& bytes, core::Marks marks) {
  if (!port_ || close_called_) return;
  if (bytes.size() <= 2048 && marks == core::kKept) return write(bytes.bytes());
  if (!port_->add_shared(bytes.owner(), bytes.bytes(), marks)) return no_memory();
  written();
}

void Http2Tunnel::tell_when_sent(std::shared_ptr<core::Receipt> receipt) {
  if (!port_ || close_called_ || port_->waiting().empty()) return receipt->ended(Errc::gone);
  port_->waiting().add_receipt(std::move(receipt));
}

std::size_t Http2Tunnel::drop_oldest(std::size_t room) {
  if (!port_) return 0;
  const std::size_t limit = budget(), before = port_->pending();
  if (before == 0 || before + room <= limit) return 0;
  return port_->drop(before + room - limit, core::kDroppable);
}

std::size_t Http2Tunnel::drop(core::Marks marks) {
  return port_ ? port_->drop(port_->pending(), marks) : 0;
}

std::size_t Http2Tunnel::droppable(core::Marks marks) const {
  return port_ ? port_->waiting().size_of(0, marks) : 0;
}

bool Http2Tunnel::is_held() const {
  return port_ && (carrier_.is_held() || port_->owner->session().waits_for_window(*port_->stream));
}

bool Http2Tunnel::is_rationed() const { return carrier_.is_rationed(); }

std::size_t Http2Tunnel::queued() const {
  const std::size_t here = port_ ? port_->pending() : 0;
  const bool full = here > 0 && shard().queued_bytes >= shard().settings().limits.send_queue_total;
  return full ? std::max(here, budget()) : here;
}

void Http2Tunnel::want_writable() {
  if (port_ && port_->pending() > 0) port_->over_budget = over_budget_ = true;
}

// --- Reading, time and the end -------------------------------------------------------------------

void Http2Tunnel::pause_reading() {
  want_writable();
  if (port_) port_->paused = true;
}

void Http2Tunnel::resume_reading() {
  if (!port_ || !port_->paused) return;
  port_->paused = false;
  port_->tell_news();
}

void Http2Tunnel::set_deadline(std::uint64_t milliseconds) {
  if (port_ && !closing_) port_->set_stream_time(milliseconds);
}

void Http2Tunnel::finish(std::uint64_t linger_milliseconds, bool until_peer_ends) {
  if (!port_ || closing_ || close_called_) return;
  closing_ = true;
  port_->paused = false;
  port_->finished = true;
  port_->leaves_at_once = !until_peer_ends && !peer_ended_;
  port_->set_stream_time(std::max<std::uint64_t>(linger_milliseconds, 1));
  port_->more_to_send();
}

void Http2Tunnel::abort(const Error&) {
  if (!port_ || close_called_) return;
  close_called_ = true;
  port_->give_up(http2::Code::cancel);
}

}  // namespace sluice::wire
