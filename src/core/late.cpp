// core/late.cpp - answers from any thread find their way to the shard.
#include "core/late.hpp"

#include <new>
#include <utility>

#include "core/answer_coder.hpp"
#include "core/connection.hpp"
#include "core/event_stream.hpp"
#include "core/exchange.hpp"
#include "core/front.hpp"
#include "core/session.hpp"
#include "core/shard.hpp"
#include "core/step.hpp"

namespace sluice::core {

namespace {

// Guards what is left of shards that have ended.
std::recursive_mutex& orphans() {
  static std::recursive_mutex mutex;  // what goes may hold another late answer
  return mutex;
}

// The stream may stay open for hours, and nobody asks for its request any more.
void forget_request(Exchange& exchange) {
  if (!exchange.body_complete) return;
  exchange.head.clear();
  std::vector<http::Field>().swap(exchange.head.fields);
  exchange.document = {};
  exchange.params.clear();
  exchange.arena.reset();
  exchange.head_block.reset();
  exchange.body_block.reset();
  exchange.body = {};
  std::string().swap(exchange.body_text);
  exchange.body_file.reset();
  exchange.form.reset();
}

}  // namespace

Late::Late(Exchange& held, std::size_t budget,
           std::shared_ptr<std::atomic<std::uint32_t>> outstanding)
    : exchange(&held),
      budget_(budget),
      keep_(held.shard.self.lock()),
      mailbox_(held.shard.mailbox),
      outstanding_(std::move(outstanding)) {
  held.late = this;
}

Late::Late(Errc refused) : budget_(0), refused_(refused) { uses_ = 0; }

Late::~Late() = default;

bool Late::on_shard() const {
  Shard* shard = Shard::current();
  return shard && shard->mailbox == mailbox_;
}

// The task runs on the shard, now if this is the shard, and gives one use back. A shard that has
// ended runs nothing any more. Throws std::bad_alloc on other threads only.
// What concerns events is never done now: who sends to many streams must not find itself in what
// the end of one of them calls.
bool Late::post(base::Task task) {
  if (!events_ && on_shard()) {
    task();
    return true;
  }
  try {
    return mailbox_->post_always(std::move(task));
  } catch (const std::bad_alloc&) {
    release();  // the task's use
    throw;
  }
}

// The shard has ended: what the exchange holds is let go here.
void Late::orphan() {
  std::lock_guard lock(orphans());
  let_go();
}

Errc Late::send() {
  if (refused()) return refused_;
  State expected = State::open;
  if (!state_.compare_exchange_strong(expected, State::finished)) return Errc::already_replied;
  bool gone = aborted();
  retain();
  try {
    if (!post([this] { deliver(), release(); })) {
      orphan();
      release();
      gone = true;
    }
  } catch (const std::bad_alloc&) {
    state_.store(State::open);
    throw;
  }
  return gone ? Errc::gone : Errc::none;
}

// On the shard. A client that goes while the handler is still on the pool is noticed here: on_abort
// is told when the handler has returned, and what it writes meanwhile must not go on for ever.
bool Late::over() {
  if (let_go_) return true;
  if (!exchange->port) aborted_.store(true, std::memory_order_release);
  return aborted();
}

void Late::deliver() {
  if (over()) return let_go();
  if (exchange->in_handler) {
    send_wanted_ = true;
    return;
  }
  Exchange& answered = *exchange;
  step(answered, [&] {
    let_go();
    answered.shard.session.respond(answered);
  });
}

void Late::handler_returned() {
  if (begun_events_) forget_request(*exchange);
  if (send_wanted_) {
    send_wanted_ = false;
    deliver();
  }
}

Errc Late::begin_stream() {
  if (refused()) return refused_;
  State expected = State::open;
  if (!state_.compare_exchange_strong(expected, State::streaming)) return Errc::already_replied;
  retain();
  try {
    if (post([this] { start(), release(); })) return Errc::none;
  } catch (const std::bad_alloc&) {
    state_.store(State::open);
    throw;
  }
  release();  // the last handle to go lets the exchange go
  return Errc::gone;
}

void Late::start() {
  if (started_ || over()) return;
  started_ = true;
  if (exchange->answer.error != Errc::none) {
    // A head that may not be sent: the answer is a 500, and nothing can be written.
    state_.store(State::finished);
    return deliver();
  }
  exchange->streaming = true;
  step(*exchange, [this] {
    if (AnswerTap* tap = exchange->answer.tap()) tap->begin(*exchange);
    if (exchange->answer.changes()) exchange->shard.session.response_cache->changed(*exchange);
    core::begin_stream(*exchange, Pace::pushed);
  });
}

Errc Late::begin_events(base::Duration heartbeat, std::string first) {
  if (refused()) return refused_;
  auto events = std::make_unique<EventStream>(*this, heartbeat, std::move(first));
  State expected = State::open;
  if (!state_.compare_exchange_strong(expected, State::streaming)) return Errc::already_replied;
  events_ = std::move(events);
  retain();
  try {
    if (post([this] { start_events(), release(); })) return Errc::none;
  } catch (const std::bad_alloc&) {
    events_.reset();
    state_.store(State::open);
    throw;
  }
  release();  // the last handle to go lets the exchange go
  events_->over();
  return Errc::gone;
}

void Late::start_events() {
  if (over()) return events_->over();
  const int status = exchange->answer.status;
  const bool bodyless = exchange->head_only || status == 204 || status == 304;
  const bool ends = bodyless || exchange->shard.draining;
  begun_events_ = events_.get();
  events_->begin(exchange->shard);
  // It may be open for hours: it has no place among the answers that are still to come, and nobody
  // waits for it.
  if (const auto counted = std::move(outstanding_)) counted->fetch_sub(1);
  exchange->answer.leave_cache();
  start();
  if (let_go_ || !exchange->streaming) return;
  if (ends) return end_events();
  if (exchange->on_pool == 0) forget_request(*exchange);  // else when the handler has returned
  if (!events_->first().empty()) put(events_->first());
}

Errc Late::offer(const base::SharedBytes& bytes) {
  if (refused() || !streaming()) return Errc::gone;
  // With what a post takes itself: a great many short ones count, too.
  const std::size_t size = bytes.size() + sizeof(base::Task) + sizeof bytes;
  const auto is_full = [this] { return full_.load() || posted_.load() >= budget_; };
  if (is_full()) {
    wants_room_.store(true);
    // Asked again: what made room in between has told nobody.
    if (is_full()) return Errc::would_block;
  }
  base::Task task = [this, bytes, size] {
    posted_.fetch_sub(size);
    put(bytes);
    if (!full_.load() && wants_room_.load()) writable_on_shard();
    release();
  };
  posted_.fetch_add(size);
  retain();
  try {
    if (post(std::move(task))) return Errc::none;
    release();
    return Errc::gone;
  } catch (const std::bad_alloc&) {
    posted_.fetch_sub(size);
    throw;
  }
}

void Late::put(const base::SharedBytes& bytes) {
  if (over()) return;
  if (begun_events_) begun_events_->sent();
  step(*exchange, [&] {
    if (!exchange->port->write_stream_shared(*exchange, bytes)) {
      full_.store(true);
      wants_room_.store(true);
    }
  });
}

void Late::put_if_room(std::string_view text) {
  if (!full_.load()) put(text);
}

void Late::end_events() {
  State expected = State::streaming;
  if (state_.compare_exchange_strong(expected, State::finished)) finish({});
}

bool Late::write(std::string_view text) {
  if (aborted() || state_.load() != State::streaming) return false;
  if (text.empty()) return !full_.load();
  if (on_shard()) {
    put(text);
    return !full_.load() && !aborted();
  }
  base::Task task = [this, copy = std::string(text)] {
    posted_.fetch_sub(copy.size());
    put(copy);
    if (!full_.load() && wants_room_.load()) writable_on_shard();
    release();
  };
  posted_.fetch_add(text.size());
  retain();
  try {
    if (!post(std::move(task))) {
      release();
      return false;
    }
  } catch (const std::bad_alloc&) {
    posted_.fetch_sub(text.size());
    throw;
  }
  if (posted_.load() < budget_ && !full_.load()) return true;
  wants_room_.store(true);
  // Asked again: what made room in between has told nobody.
  return posted_.load() < budget_ && !full_.load();
}

void Late::put(std::string_view text) {
  if (over()) return;
  Exchange& answered = *exchange;  // what is written may end it
  step(answered, [&] {
    AnswerTap* tap = answered.answer.tap();
    if (tap) tap->piece(as_bytes(text));
    if (!answered.port->write_stream(answered, as_bytes(text))) {
      full_.store(true);
      wants_room_.store(true);
      if (tap) tap->let_others_go();
    }
  });
}

Errc Late::end(std::string trailer_lines) {
  if (refused()) return refused_;
  State expected = State::streaming;
  if (!state_.compare_exchange_strong(expected, State::finished)) {
    return Errc::already_replied;
  }
  retain();
  try {
    if (!post([this, lines = std::move(trailer_lines)] { finish(lines), release(); })) {
      orphan();
      release();
      return Errc::gone;
    }
  } catch (const std::bad_alloc&) {
    state_.store(State::streaming);
    throw;
  }
  return aborted() ? Errc::gone : Errc::none;
}

void Late::finish(std::string_view trailer_lines) {
  if (over()) return let_go();
  Exchange& answered = *exchange;
  step(answered, [&] {
    let_go();
    answered.answered = true;
    // Trailers are not kept, and so nothing is.
    AnswerTap* tap = answered.answer.tap();
    if (tap && trailer_lines.empty()) tap->end();
    answered.port->end_stream(answered, trailer_lines);
  });
}

void Late::break_off() {
  if (over()) return let_go();
  Exchange& broken = *exchange;
  step(broken, [&] {
    let_go();
    broken.answered = true;
    broken.port->break_off(broken, Errc::reply_abandoned);
  });
}

void Late::abandon() {
  Exchange& abandoned = *exchange;
  step(abandoned, [&] {
    abandoned.set_error(Errc::reply_abandoned);
    abandoned.shard.session.reject(abandoned.connection, Errc::reply_abandoned, abandoned.shard);
  });
  deliver();
}

void Late::drop_handle() {
  if (handles_.fetch_sub(1) == 1 && !refused()) {
    State was = state_.exchange(State::finished);
    if (was != State::finished) {
      retain();
      const auto end = [this, was] {
        if (was == State::streaming && events_) {
          finish({});  // it is complete whenever it ends
        } else if (was == State::streaming) {
          break_off();
        } else if (over()) {
          let_go();
        } else {
          abandon();
        }
        release();
      };
      bool posted = true;
      try {
        posted = post(end);
      } catch (const std::bad_alloc&) {
        if (!on_shard()) throw;
        retain();
        end();  // without memory for a later time it is done now
      }
      if (!posted) {
        orphan();
        release();
      }
    }
  }
  release();
}

// Gives back what ties this to the exchange. The exchange's own use goes too, so `this` must be
// held by the caller.
void Late::let_go() {
  if (let_go_) return;
  let_go_ = true;
  if (auto* events = std::exchange(begun_events_, nullptr)) events->over();
  Exchange* held = std::exchange(exchange, nullptr);
  if (outstanding_) outstanding_->fetch_sub(1, std::memory_order_relaxed);
  forget_handlers();
  held->detach_late();
  release();
}

void Late::on_abort(std::function<void()> handler) {
  if (refused()) return;
  retain();
  {
    std::lock_guard lock(mutex_);
    has_handlers_.store(true, std::memory_order_release);
    on_abort_ = std::move(handler);
  }
  // If the client left before this was set, the handler runs now, on the shard.
  if (!aborted() || !post([this] { aborted_on_shard(), release(); })) {
    if (aborted()) forget_handlers();
    release();
  }
}

void Late::on_writable(std::function<void()> handler) {
  {
    std::lock_guard lock(mutex_);
    has_handlers_.store(true, std::memory_order_release);
    if (aborted()) return;
    on_writable_ = std::move(handler);
  }
  // Room that came before there was a handler is told of now; always by a post, since who sets one
  // does not expect to find himself in it.
  if (!wants_room_.load() || full_.load() || posted_.load() >= budget_ || !mailbox_) return;
  retain();
  try {
    const bool posted = mailbox_->post_always([this] {
      if (!over() && !full_.load()) writable_on_shard();
      release();
    });
    if (!posted) release();
  } catch (const std::bad_alloc&) {
    release();
    throw;
  }
}

// They may hold the very handle that keeps this alive; they go outside of the lock.
void Late::forget_handlers() {
  if (!has_handlers_.load(std::memory_order_acquire)) return;
  std::function<void()> abort, writable;
  std::lock_guard lock(mutex_);
  abort.swap(on_abort_);
  writable.swap(on_writable_);
}

void Late::aborted_on_shard() {
  bool finished = state_.load() == State::finished;
  aborted_.store(true, std::memory_order_release);
  std::function<void()> handler;
  {
    std::lock_guard lock(mutex_);
    if (!abort_told_ && on_abort_ && !finished) {
      abort_told_ = true;
      handler = std::move(on_abort_);
      on_abort_ = nullptr;
    }
  }
  forget_handlers();
  if (handler) call(handler);
  if (auto* events = std::exchange(begun_events_, nullptr)) events->over();
}

void Late::call(const std::function<void()>& handler) {
  try {
    handler();
  } catch (...) {
    if (exchange && exchange->connection) {
      exchange->shard.session.threw(*exchange->connection, std::current_exception());
    }
  }
}

void Late::writable_on_shard() {
  full_.store(false);
  if (!wants_room_.load()) return;
  std::function<void()> handler;
  {
    std::lock_guard lock(mutex_);
    if (!on_writable_) return;  // on_writable() looks when there is one
    wants_room_.store(false);
    handler.swap(on_writable_);
  }
  call(handler);
  // It is called each time, unless it has set another or the answer is complete.
  std::lock_guard lock(mutex_);
  if (!on_writable_ && !let_go_ && !aborted()) on_writable_.swap(handler);
}

}  // namespace sluice::core
