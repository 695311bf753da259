// core/session.hpp - the server session: settings, events, routes, and what becomes of an exchange.
//
// One for each start of a Server; shared by all shards and read-only while they run, but for what
// says otherwise. Layer: core.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/server.hpp>

#include "core/connection.hpp"
#include "core/dispatcher.hpp"
#include "core/front.hpp"
#include "core/router.hpp"
#include "core/shard.hpp"
#include "proto/http/head.hpp"
#include "proto/ws/frame_header.hpp"

namespace sluice::core {

class Exchange;

// The settings in force.
struct SessionSettings {
  FineTune fine_tune;
  Limits limits;
  Timeouts timeouts;
  Options options;
  SecurityOptions security;
  Dispatch dispatch = Dispatch::inline_;
  std::uint32_t thread_pool_size = 32;
  std::vector<std::string> protocols;
  std::chrono::milliseconds handler_limit{1000};
};

struct SessionEvents {
  std::function<void(sluice::Connection, bool&)> on_tcp_connect;
  RequestHandler on_http_request;
  std::function<void(sluice::Connection, Headers&)> on_handshake;
  WebSocketHandlers websocket;
  std::function<void(sluice::Connection, const Error&)> on_error;
  std::function<void(sluice::Connection, std::exception_ptr)> on_exception;
  std::function<void(LogLevel, Errc, std::string_view)> on_log;
};

// BroadcastOptions, owned: it crosses from thread to thread.
struct BroadcastFilter {
  std::string channel, protocol;
  std::vector<ConnectionId> exclude, include;
  bool only_included = false;  // an include list was given, even one that names nobody
};

// Answers from files and from streams that may block. Implemented above the core (service/files).
class BodySource {
 public:
  virtual ~BodySource() = default;
  // answer.file names a path: fill the answer (or an error) and call ServerSession::respond, now or
  // later on this shard.
  virtual void respond_file(Exchange& exchange) = 0;
  // answer.source: read it off the shards and stream it.
  virtual void respond_stream(Exchange& exchange) = 0;
  // Of an exchange that respond_stream() has (exchange.stream_state is set): its queue has room
  // again, or nobody waits for it any more.
  virtual void stream_writable(Exchange& exchange) = 0;
  virtual void stream_aborted(Exchange& exchange) = 0;
  // Runs `work` where waiting for a disk harms nobody, then `done` on the shard. False: too much is
  // waiting.
  virtual bool run_blocking(Shard& shard, base::Task work, base::Task done) = 0;
};

// What a prefix serves: Host fields with this name on connections to this port.
struct ServedHost {
  std::uint16_t port = 0;
  std::string name;  // lower case; empty: any Host field
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
  // The body is complete (also when there is none): the handler of a whole-body request runs.
  void on_body_end(Exchange& exchange);
  // The connection has gone, or the server stops, before the answer was complete. The front lets
  // the exchange go after this.
  void on_abort(Exchange& exchange);
  // The stream's queue has room again.
  void on_writable(Exchange& exchange);
  // A request was refused before there was an exchange, or without a handler: log, on_error,
  // counter.
  void reject(Connection* connection, const Error& why, Shard& shard);
  // The time in the pool's queue is over.
  void on_queue_timeout(Exchange& exchange);

  // --- What answers call ---

  // The handler's answer is complete: files and streams take their way, anything else goes to the
  // port.
  void respond(Exchange& exchange);
  void respond_error(Exchange& exchange, Errc code);

  void log(LogLevel level, Errc code, std::string_view message) const;
  void failed_event(Connection& connection, const Error& why);
  void threw(Connection& connection, const std::exception_ptr& what);

  // The connection's shard, slot and generation; false when it is no id of this process.
  bool address_of(const ConnectionId& id, std::uint32_t& shard, std::uint32_t& slot,
                  std::uint32_t& generation) const;

  // Returns how many shards were told.
  std::size_t broadcast(ws::Opcode opcode, Bytes payload, const BroadcastOptions& options);
  static void broadcast_on(Shard& shard, ws::Opcode opcode, Bytes payload,
                           const BroadcastFilter& filter);

  const SessionSettings settings;
  const http::HeadLimits head_limits;  // of those
  const SessionEvents events;
  const Router& router;
  const std::shared_ptr<const IdCipher> cipher;
  Dispatcher dispatcher;
  std::vector<Shard*> shards;   // filled before any thread runs
  const void* owner = nullptr;  // whose session this is
  BodySource* body_source = nullptr;
  std::vector<ServedHost> hosts;  // empty: any Host field on any port
  std::shared_ptr<std::atomic<std::uint32_t>> deferred;
  // Counted only where there is a limit: shards share no line that they write for each connection.
  std::atomic<std::uint64_t> open_connections{0};

 private:
  bool serves_host(const Exchange& exchange) const;
  void refuse_method(Exchange& exchange, std::string_view allow);
  bool respond_with_extras(Exchange& exchange);
  void spoil_answer(Exchange& exchange);
  bool try_upgrade(Exchange& exchange);
  void upgrade(Exchange& exchange, const WebSocketHandlers& handlers);
  void run_handler(Exchange& exchange);
  void run_on_pool(Exchange& exchange, const RequestHandler& handler, std::string_view name);
  void after_handler(Exchange& exchange, bool threw);
  void left_pool(Exchange& exchange);
  void abort_answer(Exchange& exchange);
  void run_on_data(Exchange& exchange, base::Block* block, std::span<const std::byte> piece,
                   bool last);
  void flush_to_file(Exchange& exchange, bool last);
  void after_body(Exchange& exchange);
  bool server_takes_websockets_ = false;
};

}  // namespace sluice::core
