// core/late.hpp - what stands between a Reply or a BodyWriter and its exchange.
//
// Layer: core. Thread: any, except where it says shard.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <sluice/error.hpp>

#include "base/clock.hpp"
#include "base/shared_bytes.hpp"
#include "core/mailbox.hpp"

namespace sluice::core {

class EventStream;
class Exchange;

// Shared by the handles (each one use) and the exchange (one use).
class Late {
 public:
  enum class State : int { open, streaming, finished };

  // Shard or the handler's thread. Attached, it holds the exchange.
  // `outstanding`: counted down when the answer has been given; may be null.
  Late(Exchange& exchange, std::size_t budget,
       std::shared_ptr<std::atomic<std::uint32_t>> outstanding);
  // Tied to nothing, and why: limits.deferred was reached, or there is an answer already. Goes with
  // its last handle.
  explicit Late(Errc refused);

  void retain() { uses_.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (uses_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  // The last handle has gone: an answer that was not given is given now (500), or the stream is
  // broken off.
  void drop_handle();
  void add_handle() {
    handles_.fetch_add(1, std::memory_order_relaxed);
    retain();
  }

  Errc send();          // open -> finished
  Errc begin_stream();  // open -> streaming
  // open -> streaming; the answer's head has been set.
  Errc begin_events(base::Duration heartbeat, std::string first);
  bool write(std::string_view text);
  // Events only. Errc::would_block: nothing was taken, on_writable follows.
  Errc offer(const base::SharedBytes& bytes);
  Errc end(std::string trailer_lines);
  void on_abort(std::function<void()> handler);
  void on_writable(std::function<void()> handler);
  bool aborted() const { return aborted_.load(std::memory_order_acquire); }
  bool refused() const { return refused_ != Errc::none; }
  bool streaming() const { return state_.load() == State::streaming && !aborted(); }
  EventStream* events() const { return events_.get(); }  // from begin_events() on

  // Shard: the front's news.
  void aborted_on_shard();  // the client or the server has gone
  void writable_on_shard();
  void handler_returned();  // what was asked for while the handler ran is done now
  void end_events();        // the server does so
  void put_if_room(std::string_view text);
  void call(const std::function<void()>& handler);  // of the application; catches what it throws

  Exchange* exchange =
      nullptr;  // shard; the handle's thread for setters. Valid until the hold is given back

 private:
  ~Late();
  bool post(base::Task task);
  bool over();                                  // shard: nobody is there any more
  void deliver();                               // shard
  void start();                                 // shard
  void start_events();                          // shard
  void put(std::string_view text);              // shard
  void put(const base::SharedBytes& bytes);     // shard
  void finish(std::string_view trailer_lines);  // shard
  void break_off();                             // shard
  void abandon();                               // shard: nobody will answer any more
  void let_go();                                // shard: gives the hold back
  void orphan();
  void forget_handlers();
  bool on_shard() const;

  std::atomic<std::uint32_t> uses_{1}, handles_{0};
  std::atomic<State> state_{State::open};
  std::atomic<bool> aborted_{false}, full_{false}, wants_room_{false};
  std::atomic<std::size_t> posted_{0};
  bool send_wanted_ = false, started_ = false, let_go_ = false;  // shard
  std::unique_ptr<EventStream> events_;  // set before its first post, which start_events() is
  EventStream* begun_events_ = nullptr;  // shard: events_, once they have begun
  const std::size_t budget_;
  const Errc refused_ = Errc::none;
  std::shared_ptr<void> keep_;  // the shard's memory
  std::shared_ptr<Mailbox> mailbox_;
  std::shared_ptr<std::atomic<std::uint32_t>> outstanding_;
  std::mutex mutex_;
  std::function<void()> on_abort_, on_writable_;
  std::atomic<bool> has_handlers_{false};  // or had: set before one of those is
  bool abort_told_ = false;
};

}  // namespace sluice::core
