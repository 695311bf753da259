// core/heartbeat.cpp - whose turn it is, whose time is over; the WebSocket's part is here, too.
#include "core/heartbeat.hpp"

#include <algorithm>

#include "core/connection.hpp"
#include "core/incoming.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "core/step.hpp"
#include "core/websocket.hpp"

namespace sluice::core {

Heartbeat::Heartbeat(Shard& shard, const HeartBeat& settings)
    : shard_(shard),
      settings_(settings),
      slice_(base::Duration(settings.interval) / kSlices),
      timer_(&Heartbeat::timer_fired, this) {}

void Heartbeat::set(const HeartBeat& settings) {
  if (settings == settings_) return;
  settings_ = settings;
  slice_ = base::Duration(settings.interval) / kSlices;
  if (!settings_.enabled || shard_.websockets.empty()) return;  // who has been asked may answer yet
  origin_ = shard_.now;
  done_ = 0;
  set_timer();
}

void Heartbeat::begin() {
  if (timer_.armed()) return;
  origin_ = shard_.now;
  done_ = 0;
  set_timer();
}

void Heartbeat::set_timer() {
  base::Instant next = origin_ + slice_ * (done_ + 1);
  if (!awaited_.empty()) next = std::min(next, awaited_.front().until);
  shard_.timers.set(timer_, next);
}

void Heartbeat::timer_fired(void* self) { static_cast<Heartbeat*>(self)->beat(); }

void Heartbeat::beat() {
  if (shard_.websockets.empty()) {
    awaited_.clear();
    return;
  }
  std::int64_t due = (shard_.now - origin_) / slice_;
  done_ = std::max(done_, due - kSlices);  // after a long pause everybody has one turn, not many
  while (done_ < due) {
    ++done_;
    if (settings_.enabled) beat_slice(done_ % kSlices);
  }
  end_silent();
  if (settings_.enabled || !awaited_.empty()) set_timer();
}

// What a handler does ends connections, but none is gone before its next event.
void Heartbeat::beat_slice(std::int64_t slice) {
  for (auto slot = std::uint32_t(slice); slot < shard_.registry.slots(); slot += kSlices) {
    Connection* connection = shard_.registry.at(slot);
    if (!connection || !connection->websocket()) continue;
    // Without memory for one ping, that connection ends: the others have theirs.
    step(*connection, [&] { connection->websocket()->beat(); });
  }
}

void Heartbeat::await_pong(const Connection& connection) {
  awaited_.push_back({shard_.now + settings_.timeout,
                      connection.bytes_sent.load(std::memory_order_relaxed), connection.slot,
                      connection.generation, false});
}

// From the newest: a pong takes a round trip, most of those that wait have waited longer.
void Heartbeat::answered(const Connection& connection) {
  for (auto line = awaited_.rbegin(); line != awaited_.rend(); ++line) {
    if (line->slot != connection.slot || line->generation != connection.generation) continue;
    line->answered = true;
    break;
  }
  while (!awaited_.empty() && awaited_.front().answered) awaited_.pop_front();
}

void Heartbeat::end_silent() {
  while (!awaited_.empty() && (awaited_.front().answered || awaited_.front().until <= shard_.now)) {
    Awaited line = awaited_.front();
    awaited_.pop_front();
    Connection* connection = line.answered ? nullptr : shard_.registry.at(line.slot);
    if (!connection || connection->generation != line.generation) continue;
    if (!connection->websocket()) continue;
    step(*connection, [&] { connection->websocket()->no_pong(line.sent); });
  }
}

// --- WebSocket -----------------------------------------------------------------------------------

void WebSocket::beat() {
  // One ping at a time is under way; what a full pool does not get to is not piled up.
  if (awaits_pong_ || pool_pause_ || !can_send()) return;
  Shard& here = shard();
  bool heard = heard_;
  heard_ = false;
  if (heard && here.heartbeat.settings().type == HeartBeatType::only_if_idle) return;
  ServerSession& session = here.session;
  const auto& handler = session.events.on_before_heartbeat;
  if (!handler) return send_heartbeat();
  Dispatcher& dispatcher = session.dispatcher;
  if (!dispatcher.uses_pool()) {
    bool handled = false;
    bool fine = dispatcher.call(connection_, "on_before_heartbeat",
                                [&] { handler(connection_.handle(), handled); });
    if (!fine) {
      handler_threw();
    } else if (!handled) {
      send_heartbeat();
    }
    return;
  }
  struct Outcome {
    bool handled = false, threw = false;
  };
  auto outcome = std::make_shared<Outcome>();
  PoolQueue::Event event;
  event.work = [connection = &connection_, &dispatcher, &handler, outcome] {
    outcome->threw = !dispatcher.call(*connection, "on_before_heartbeat",
                                      [&] { handler(connection->handle(), outcome->handled); });
  };
  event.done = [connection = &connection_, outcome] {
    step(*connection, [&] {
      WebSocket* socket = connection->websocket();
      if (!socket) return;
      if (outcome->threw) {
        socket->handler_threw();
      } else if (!outcome->handled) {
        socket->send_heartbeat();
      }
    });
    connection->release();
  };
  connection_.retain();
  dispatcher.submit(connection_, std::move(event));
}

// Also to one whose queue is full: it is two bytes, and the next waits for this one's pong.
void WebSocket::send_heartbeat() {
  if (awaits_pong_ || !can_send()) return;
  Heartbeat& heartbeat = shard().heartbeat;
  if (heartbeat.settings().timeout.count() > 0) {
    heartbeat.await_pong(connection_);
    awaits_pong_ = true;
  }
  write(ws::Opcode::ping, true, {}, kKept);
}

// Any pong is an answer: a peer that has got several pings may answer the last alone (RFC 6455
// section 5.5.3), and that may have been the application's own.
void WebSocket::on_pong() {
  if (!awaits_pong_) return;
  awaits_pong_ = false;
  shard().heartbeat.answered(connection_);
}

// The time is over. `sent`: the bytes that the kernel had taken when the ping was written.
void WebSocket::no_pong(std::uint64_t sent) {
  if (!awaits_pong_) return;
  if (!can_send()) return;  // it is being ended, for which there is another deadline
  // It gets as much time again where the pong, or the ping, may be on its way: behind the rest of a
  // frame that goes on arriving, behind what the peer goes on taking, in front of a pool that is
  // busy, or behind what had to wait for its bandwidth.
  bool frame_arrives = heard_ && incoming_ && incoming_->decoder.in_frame();
  bool takes = (connection_.queued() > 0 || connection_.is_paced()) &&
               connection_.bytes_sent.load(std::memory_order_relaxed) != sent;
  if (frame_arrives || takes || pool_pause_ || connection_.is_rationed()) {
    heard_ = false;
    shard().heartbeat.await_pong(connection_);
    return;
  }
  awaits_pong_ = false;
  ServerSession& session = shard().session;
  disconnect(Errc::heartbeat_timeout);
  cut_off();
  session.ended_silent(connection_, Errc::heartbeat_timeout);
}

}  // namespace sluice::core
