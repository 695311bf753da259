// core/session.hpp - the server session: settings, events, routes, and what becomes of an exchange.
//
// One for each start of a Server; shared by all shards and read-only while they run, but for what
// says otherwise. Layer: core.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/server.hpp>

#include "core/connection.hpp"
#include "core/dispatcher.hpp"
#include "core/front.hpp"
#include "core/router.hpp"
#include "core/shard.hpp"
#include "proto/http/content_coding.hpp"
#include "proto/http/head.hpp"
#include "proto/ws/frame_header.hpp"
#include "proto/ws/permessage_deflate.hpp"

namespace sluice::core {

class Bandwidth;
class BodySinks;
class CompressedOnce;
class Exchange;
class Gate;
class RequestQueue;
class ResponseCache;
class UrlGroup;
class UrlNamespace;
class UrlSession;
struct CodingPolicy;

// What was set at the start. What may change while the server runs, shards have in
// Shard::settings().
struct SessionSettings {
  FineTune fine_tune;
  Limits limits;
  Timeouts timeouts;
  Options options;
  HeartBeat heartbeat;
  bool asynchronous = false;
  SecurityOptions security;
  Dispatch dispatch = Dispatch::inline_;
  std::uint32_t thread_pool_size = 32;
  std::vector<std::string> protocols;
  std::chrono::milliseconds handler_limit{1000};
  QueueOptions queue;
  Extensions extensions;
  std::shared_ptr<const CodingPolicy> codings;  // of answers; null: none is coded
  bool decodes_bodies = false;                  // of requests with a content coding
  std::shared_ptr<Bandwidth> bandwidth;         // of limits.bandwidth; the session sees to it
  bool watchdog = false;                        // a shard that is lost will be brought back
  bool names_handlers = false;                  // for whoever asks Shard::running_handler

  // Of which of kText, kBinary and kPing not all may wait, and of which only the newest.
  Marks few_wait = kKept, last_waits = kKept;

  http::HeadLimits head_limits() const {
    return {limits.head_bytes, limits.field_bytes, limits.fields, limits.target_segments};
  }
};

struct SessionEvents {
  std::function<void(sluice::Connection, bool&)> on_tcp_connect;
  std::function<void(sluice::Connection, Bytes, bool&)> on_unknown_protocol;
  std::function<void(sluice::Connection, Bytes, bool)> on_raw_data;
  RequestHandler on_http_request;
  std::function<void(sluice::Connection, Headers&)> on_handshake;
  WebSocketHandlers websocket;
  // Of settings.protocols: those that have any.
  std::vector<std::pair<std::string, WebSocketHandlers>> protocols;
  std::function<void(sluice::Connection, bool&)> on_before_heartbeat;
  std::function<void(sluice::Connection, const HttpRequest&, bool&)> on_before_body;
  std::function<void(sluice::Connection, std::string_view, std::string_view)> on_form_field;
  std::function<void(sluice::Connection, const SendResult&)> on_asynchronous;
  std::function<void(const BroadcastResult&)> on_broadcast_done;
  std::function<void(sluice::Connection, const Error&)> on_error;
  std::function<void(sluice::Connection, std::exception_ptr)> on_exception;
  std::function<void(LogLevel, Errc, std::string_view)> on_log;
};

// What becomes of a broadcast, summed over the shards; the last that has done its share tells it.
class BroadcastSum;

// BroadcastOptions, owned: it crosses from thread to thread.
struct BroadcastFilter {
  std::string channel, protocol;
  std::vector<ConnectionId> exclude, include;
  bool only_included = false;  // an include list was given, even one that names nobody
  bool channel_is_mask = false;
  std::size_t fragment_size = 0;
  std::shared_ptr<BroadcastSum> sum = {};  // null where nobody wants to know
  // What one shard has compressed for all; null where nobody wants it so.
  std::shared_ptr<CompressedOnce> compressed = {};
};

// Answers from files and from streams that may block. Implemented above the core (service/files).
class BodySource {
 public:
  virtual ~BodySource() = default;
  // answer.file names a path: fill the answer (or an error) and call ServerSession::respond, now or
  // later on this shard.
  virtual void respond_file(Exchange& exchange) = 0;
  // answer.source or .producer: read it off the shards and stream it.
  virtual void respond_stream(Exchange& exchange) = 0;
  // Of an exchange that respond_stream() has (exchange.stream_state is set): its queue has room
  // again, or nobody waits for it any more.
  virtual void stream_writable(Exchange& exchange) = 0;
  virtual void stream_aborted(Exchange& exchange) = 0;
  // Runs `work` where waiting for a disk harms nobody, then `done` on the shard, also when there
  // was no memory for `work` and it threw. False: too much is waiting.
  virtual bool run_blocking(Shard& shard, base::Task work, base::Task done) = 0;
};

// Has somebody else answer. Implemented above the core (service/forward).
class Forwarder {
 public:
  virtual ~Forwarder() = default;
  // The request may pass, and nobody here has seen it yet. True: it is taken, or answered, and
  // `plan` says what becomes of its body; ServerSession::go_on may follow.
  virtual bool take(Exchange& exchange, BodyPlan& plan) = 0;
};

// The shards of a session. Thread: one adds, any reads meanwhile; they stay until clear().
class ShardList {
 public:
  // How many there may be at most. Before any is added.
  void reserve(std::size_t most) { slots_ = std::make_unique<Shard*[]>(most_ = most); }
  void push_back(Shard* shard) {
    const std::size_t count = count_.load(std::memory_order_relaxed);
    if (count == most_) reserve_more();
    slots_[count] = shard;
    count_.store(count + 1, std::memory_order_release);
  }
  void clear() { count_.store(0, std::memory_order_release); }
  std::size_t size() const { return count_.load(std::memory_order_acquire); }
  bool empty() const { return size() == 0; }
  Shard* front() const { return slots_[0]; }
  Shard* operator[](std::size_t index) const { return slots_[index]; }
  Shard* const* begin() const { return slots_.get(); }
  Shard* const* end() const { return slots_.get() + size(); }

 private:
  void reserve_more() {  // nobody reads yet
    auto before = std::move(slots_);
    const std::size_t count = size();
    reserve(count * 2 + 1);
    std::copy(before.get(), before.get() + count, slots_.get());
  }
  std::unique_ptr<Shard*[]> slots_;
  std::size_t most_ = 0;
  std::atomic<std::size_t> count_{0};
};

class ServerSession {
 public:
  ServerSession(SessionSettings settings, SessionEvents events, const Router& router,
                std::shared_ptr<const IdCipher> cipher);
  ~ServerSession();

  // --- What fronts call, on the connection's shard ---

  enum class Admission { accept, refuse /* close at once */, busy /* 503, then close */ };
  Admission on_accepted(Connection& connection);
  void on_closed(Connection& connection);
  // The head is complete. Routes it; answers it when the head alone decides.
  BodyPlan on_head(Exchange& exchange);
  // A piece of the body; `block` holds it and may be shared.
  void on_body(Exchange& exchange, base::Block& block, std::span<std::byte> piece);
  // The same of what came out of a content coding.
  void on_decoded(Exchange& exchange, base::Block& block, std::span<std::byte> piece);
  void on_decoded_end(Exchange& exchange);
  // The body is complete (also when there is none): the handler of a whole-body request runs.
  void on_body_end(Exchange& exchange);
  // The connection has gone, or the server stops, before the answer was complete. The front lets
  // the exchange go after this.
  void on_abort(Exchange& exchange);
  // The stream's queue has room again.
  void on_writable(Exchange& exchange);
  // The first bytes are no request: whether they are the application's.
  bool on_unknown_protocol(Connection& connection, Bytes first);
  // A request was refused before there was an exchange, or without a handler: log, on_error,
  // counter.
  void reject(Connection* connection, const Error& why, Shard& shard);
  // The time in the queue is over.
  void on_queue_timeout(Exchange& exchange);
  // The shard begins to stop: who waits for an inactive queue is answered, and streams of events
  // are ended within `window`.
  void on_drain(Shard& shard, base::Duration window);

  // --- What gates and queues call, on the exchange's shard ---

  // The gate lets it pass, some time after it had said Gate::Verdict::later.
  void go_on(Exchange& exchange);
  // The sink has all of the body (Exchange::form says what): the handler's turn.
  void body_stored(Exchange& exchange);
  // A request queue has become active.
  void look_at_queue(Shard& shard);

  // --- What answers call ---

  // The handler's answer is complete: files and streams take their way, anything else goes to the
  // port.
  void respond(Exchange& exchange);
  void respond_error(Exchange& exchange, Errc code);
  // Its target, as a log may have it.
  std::string shown_target(const Exchange& exchange) const;

  void log(LogLevel level, Errc code, std::string_view message) const;
  void failed_event(Connection& connection, const Error& why);
  // A WebSocket was broken off because nothing was heard of its peer: log, on_error.
  void ended_silent(Connection& connection, const Error& why);
  void sent_event(Connection& connection, const SendResult& result);
  void threw(Connection& connection, const std::exception_ptr& what);

  // The connection's shard, slot and generation; false when it is no id of this process.
  bool address_of(const ConnectionId& id, std::uint32_t& shard, std::uint32_t& slot,
                  std::uint32_t& generation) const;

  void broadcast_done(const BroadcastResult& result) const;
  // Returns how many shards were told.
  std::size_t broadcast(ws::Opcode opcode, Bytes payload, const BroadcastOptions& options);
  static void broadcast_on(Shard& shard, ws::Opcode opcode, Bytes payload,
                           const BroadcastFilter& filter);

  // Limits, timeouts, options, security, heartbeat and handler_limit of these are in force from
  // each shard's next turn on; nothing else may differ. With them the gate: a request that has come
  // to another one stays with that. Thread: one at a time.
  void apply(SessionSettings next, std::shared_ptr<Gate> gate);
  // The same for a shard that joined the others while that may have been under way.
  void bring_up_to_date(Shard& shard) const;
  std::shared_ptr<const SessionSettings> in_force() const;
  // Null: everybody may.
  std::shared_ptr<Gate> gate() const;
  // Before there is a shard.
  void set_gate(std::shared_ptr<Gate> gate);

  const SessionSettings settings;
  const SessionEvents events;
  const Router& router;
  const std::shared_ptr<const IdCipher> cipher;
  Dispatcher dispatcher;
  ShardList shards;
  const void* owner = nullptr;  // whose session this is
  BodySource* body_source = nullptr;
  BodySinks* body_sinks = nullptr;          // null: no body goes anywhere but to its handler
  Forwarder* forwarder = nullptr;           // null: every request is answered here
  ResponseCache* response_cache = nullptr;  // null: an answer that may be kept is not
  // The same, once it is worth asking.
  std::atomic<ResponseCache*> cache_in_use{nullptr};
  // Which prefixes there are. Null: every request is ours, and no queue limits how many wait.
  std::shared_ptr<UrlNamespace> urls;
  std::shared_ptr<std::atomic<std::uint32_t>> deferred;
  // There has been a WebSocket with permessage-deflate.
  std::atomic<bool> compresses{false};
  // Of the limits in force, for threads that are no shard.
  std::atomic<std::uint32_t> deferred_limit;
  std::atomic<std::size_t> send_queue_bytes;

 private:
  std::uint64_t open_connections() const;
  SessionSettings completed(SessionSettings next, std::shared_ptr<Bandwidth> before) const;
  mutable std::mutex in_force_mutex_;
  std::shared_ptr<const SessionSettings> in_force_;
  std::shared_ptr<Gate> gate_;
  bool find_url(Exchange& exchange);
  bool is_cached(Exchange& exchange, ResponseCache& cache, BodyPlan& plan);
  BodyPlan decide(Exchange& exchange);
  bool is_body_wanted(Exchange& exchange, BodyPlan& plan);
  bool read_codings(Exchange& exchange, http::CodingList& list);
  bool decode_body(Exchange& exchange, const http::CodingList& list);
  BodyPlan wait_in_queue(Exchange& exchange, RequestQueue& queue);
  void leave_queue(Exchange& exchange);
  bool limit_503(Exchange& exchange, Errc code);
  void refuse_method(Exchange& exchange, std::string_view allow);
  bool respond_with_extras(Exchange& exchange);
  void spoil_answer(Exchange& exchange);
  bool try_upgrade(Exchange& exchange);
  std::string_view choose_protocol(const http::RequestHead& head) const;
  const WebSocketHandlers* handlers_of(std::string_view protocol) const;
  static std::optional<ws::DeflateParameters> choose_deflate(const http::RequestHead& head,
                                                             const PerMessageDeflate& settings);
  const WebSocketHandlers& joined(const WebSocketHandlers& protocol,
                                  const WebSocketHandlers& route);
  void upgrade(Exchange& exchange, const WebSocketHandlers& handlers, std::string_view protocol);
  void run_handler(Exchange& exchange);
  void whole_body(Exchange& exchange);
  void form_read(Exchange& exchange, Errc verdict);
  void tell_fields(Exchange& exchange) const;
  void run_on_pool(Exchange& exchange, const RequestHandler& handler, std::string_view name);
  void after_handler(Exchange& exchange, bool threw);
  void left_pool(Exchange& exchange);
  void abort_answer(Exchange& exchange);
  void run_on_data(Exchange& exchange, base::Block* block, std::span<const std::byte> piece,
                   bool last);
  void flush_to_file(Exchange& exchange, bool last);
  void after_body(Exchange& exchange);
  bool server_takes_websockets_ = false;
  // What a protocol's handlers and a route's are together: made at the first handshake that has
  // both, on any shard.
  std::mutex joined_mutex_;
  std::map<std::pair<const WebSocketHandlers*, const WebSocketHandlers*>, WebSocketHandlers>
      joined_;
};

}  // namespace sluice::core
