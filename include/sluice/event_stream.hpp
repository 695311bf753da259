// sluice/event_stream.hpp - server-sent events: a response that goes on for as long as its client
// listens.
//
// WHATWG HTML, section 9.2. Layer: public.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include <sluice/error.hpp>
#include <sluice/export.hpp>

namespace sluice {

namespace core {
class Late;
}

class HttpRequest;
class HttpResponse;
class Reply;

// One event. Views are read before the call that takes them returns.
struct Event {
  // Its type; empty: "message". No NUL, CR or LF, UTF-8.
  std::string_view event = {};
  // The client sends the last one as Last-Event-ID when it comes back; an empty one makes it forget
  // that. No NUL, CR or LF, UTF-8, at most kMaxEventId bytes.
  std::optional<std::string_view> id = {};
  // One line or several (CR LF, CR, LF), UTF-8. Without data nothing is dispatched in the client;
  // id and retry count all the same.
  std::optional<std::string_view> data = {};
  // How long the client waits before it comes back.
  std::optional<std::chrono::milliseconds> retry = {};
};

inline constexpr std::size_t kMaxEventId = 1024;

// Last-Event-ID: what a client that comes back has seen last. Empty: nothing, or no id that an
// Event could have had. Lives as long as the request.
SLUICE_API std::string_view last_event_id(const HttpRequest& request);

struct EventStreamOptions {
  // A comment goes out when nothing else has for so long, so that no proxy takes the stream for
  // dead and a client that has gone is found out. 0, or above a day: none; the next event does so.
  std::chrono::milliseconds heartbeat{15'000};
  // Sent first, if set.
  std::optional<std::chrono::milliseconds> retry = {};
};

// The response to one request as a stream of events: HttpResponse::event_stream(). Copies are the
// same stream; any thread, one at a time. The last copy going ends it as close() does. When the
// server stops every stream is ended at once (spread over a moment, as WebSockets are): its client
// comes back by itself. The request's views end with the handler.
class SLUICE_API EventStream {
 public:
  EventStream() = default;
  EventStream(const EventStream& other);
  EventStream(EventStream&& other) noexcept;
  EventStream& operator=(EventStream other) noexcept;
  ~EventStream();

  // Errc::none: it is on its way. would_block: the client has not taken what was sent before
  // (limits.send_queue_bytes); nothing was queued, on_writable follows. bad_event: the id or the
  // type cannot be sent, or there is nothing in it. gone: the stream is over.
  Errc send(const Event& event);
  // Lines that a client ignores.
  Errc comment(std::string_view text);
  // Runs on the owning shard each time there is room again after would_block.
  void on_writable(std::function<void()> handler);
  // Runs once, when the stream is over for whatever reason: on the owning shard, or here and now
  // when it is over already. Several may be given.
  void on_close(std::function<void()> handler);
  // Behind what was sent the response ends; the client comes back unless it is told not to (status
  // 204). Errc::gone when it is over already.
  Errc close();
  bool is_open() const;

 private:
  friend class EventChannel;
  friend class HttpResponse;
  friend class Reply;
  EventStream(core::Late* late, const EventStreamOptions& options);
  core::Late* late_ = nullptr;
};

struct EventChannelOptions {
  // So many of the newest events are kept for clients that come back, in at most so many bytes.
  std::size_t history = 0;
  std::size_t history_bytes = 256 * 1024;
};

// Many streams that get the same events, each formatted once. A stream leaves by itself when it is
// over. One that is too slow (would_block) is closed: its client comes back with Last-Event-ID and
// is told what it missed. Thread: any. It may go before or after its streams' server; going, it
// closes its streams.
class SLUICE_API EventChannel {
 public:
  explicit EventChannel(const EventChannelOptions& options = {});
  ~EventChannel();
  EventChannel(const EventChannel&) = delete;
  EventChannel& operator=(const EventChannel&) = delete;

  // From here on the stream gets every event; first those that came behind `last_event_id`, none
  // left out and none twice. True when the history goes back to it, or it is empty. False: what was
  // missed is not known.
  bool subscribe(const EventStream& stream, std::string_view last_event_id = {});
  // To all of them and into the history. An event without an id is repeated to clients that have
  // seen it. Errc::none or bad_event.
  Errc send(const Event& event);
  // How many streams there are.
  std::size_t size() const;
  // Closes every stream; the history stays.
  void close();

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace sluice
