// sluice/server.hpp - the server component: settings, events and methods.
//
// Settings and events are set before start(). Events run on the shard that owns the connection, or
// on the thread pool
// (`dispatch`); views passed to them live until they return. Layer: public.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/connection.hpp>
#include <sluice/error.hpp>
#include <sluice/export.hpp>
#include <sluice/headers.hpp>
#include <sluice/http_request.hpp>
#include <sluice/http_response.hpp>
#include <sluice/result.hpp>
#include <sluice/settings.hpp>

namespace sluice {

enum class Opcode : std::uint8_t { text = 1, binary = 2 };
enum class LogLevel : std::uint8_t { debug, info, warning, error };

using RequestHandler = std::function<void(Connection, const HttpRequest&, HttpResponse&)>;

// Events of the WebSockets of one route; what is left empty falls back to the server's event of the
// same name.
struct WebSocketHandlers {
  std::function<void(Connection)> on_connect = {};
  std::function<void(Connection, std::string_view)> on_message = {};
  std::function<void(Connection, Bytes)> on_binary = {};
  std::function<void(Connection, Bytes, Opcode, bool more)> on_fragmented = {};
  std::function<void(Connection, std::uint16_t code)> on_disconnect = {};
};

// Filters are ANDed, exclude wins. Lists of ids are separated by commas or semicolons.
struct BroadcastOptions {
  std::string_view channel = {};   // empty: every WebSocket
  std::string_view protocol = {};  // empty: any
  std::string_view exclude = {};
  std::string_view include = {};  // empty: all
};

// Sums over all shards since start(); read without stopping anything, so they may be a moment
// apart.
struct Counters {
  std::uint64_t connections = 0, websockets = 0;  // open now
  std::uint64_t accepted = 0, requests = 0, rejected = 0;
  std::uint64_t messages_received = 0, messages_sent = 0;
  std::uint64_t bytes_received = 0, bytes_sent = 0;
  std::uint64_t receive_buffers_exhausted = 0, slow_readers = 0, messages_dropped = 0;
};

// A snapshot of the open WebSockets; see Server::share_list.
class SLUICE_API ConnectionList {
 public:
  ConnectionList() = default;
  explicit ConnectionList(std::vector<Connection> connections) : list_(std::move(connections)) {}
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  std::size_t size() const { return list_.size(); }
  bool empty() const { return list_.empty(); }
  // Lets the handles go; the destructor does too.
  void unshare() { list_.clear(); }

 private:
  std::vector<Connection> list_;
};

class SLUICE_API Server {
 public:
  Server();
  // Stops without a drain if it is running.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // --- Settings (read at start)
  // ------------------------------------------------------------------------------------------

  // "localhost": both loopbacks. An IP literal: that address. "+", "*", "0.0.0.0", "::", empty or a
  // name: all addresses.
  std::string host = "localhost";
  std::uint16_t port = 8080;  // 0: a free one; see bound_port()
  Bindings bindings;          // instead of host and port
  FineTune fine_tune;
  Limits limits;
  Timeouts timeouts;
  Options options;
  SecurityOptions security_options;
  Dispatch dispatch = Dispatch::inline_;
  std::uint32_t thread_pool_size = 32;
  std::uint32_t shards = 0;  // 0: one per allowed CPU
  EngineKind engine = EngineKind::automatic;
  std::size_t read_buffer_size = 16384;  // 1,024 to 1,048,576
  std::vector<std::string>
      protocols;  // sub-protocols that handshakes may choose, in the client's order
  std::chrono::milliseconds handler_limit{
      1000};  // a handler that holds a shard for longer is reported to on_log; 0: never

  // --- Events
  // ------------------------------------------------------------------------------------------------------------

  std::function<void()> on_startup, on_shutdown;  // listening; stopped
  // Before any byte is read; accept = false closes at once.
  std::function<void(Connection, bool& accept)> on_tcp_connect;
  // Every request that is not an upgrade and that no route took. Not set: 404.
  RequestHandler on_http_request;
  // An upgrade has been judged, the 101 not yet sent; fields may be added.
  std::function<void(Connection, Headers&)> on_handshake;
  std::function<void(Connection)> on_connect;  // WebSocket only
  std::function<void(Connection, std::string_view text)> on_message;
  std::function<void(Connection, Bytes)> on_binary;
  // Each fragment, when options.fragmented_messages asks for it; `more` is false on the last.
  std::function<void(Connection, Bytes, Opcode, bool more)> on_fragmented;
  // Exactly once for each connection that had on_connect, and last. 1006 when there was no Close
  // frame.
  std::function<void(Connection, std::uint16_t code)> on_disconnect;
  // Protocol errors and failed sends. Every rejected request comes here with its reason.
  std::function<void(Connection, const Error&)> on_error;
  // A handler threw; the peer gets 500 or close 1011 and the server goes on.
  std::function<void(Connection, std::exception_ptr)> on_exception;
  // The library prints nothing by itself. Any thread; must not call back into the server.
  std::function<void(LogLevel, Errc, std::string_view message)> on_log;

  // --- Routes (added before start)
  // ---------------------------------------------------------------------------------------

  // `pattern` begins with `/`; `{name}` matches one segment, a last `{name...}` matches the rest.
  // The longest pattern wins (literal segments before parameters), HEAD follows GET; 404, and 405
  // with Allow.
  Result<void> route(std::string_view method, std::string_view pattern, RequestHandler handler,
                     const RouteOptions& options = {});
  // Serves `directory` below `prefix` (which ends in `/`). The directory must exist at start().
  Result<void> files(std::string_view prefix, std::string_view directory,
                     const FilesOptions& options = {});
  // WebSockets at `pattern`.
  Result<void> websocket(std::string_view pattern, WebSocketHandlers handlers);
  // How bodies of requests below `prefix` that no route takes reach on_http_request.
  Result<void> body_mode(std::string_view prefix, const RouteOptions& options);

  // --- Methods
  // -----------------------------------------------------------------------------------------------------------

  // Starts, waits, drains on SIGINT and SIGTERM. 0, or 1 with one line on standard error.
  int run();
  // Returns when it listens, or with the error. Touches no signal. Errc::would_deadlock on a thread
  // of the server.
  Result<void> start();
  // Finishes what was begun for up to `drain`, closes WebSockets with 1001, then breaks off what is
  // left (told to on_log).
  Result<void> stop(std::chrono::milliseconds drain = std::chrono::seconds(10));
  // Stops and starts again. Listening sockets that are still wanted stay open: a client that
  // connects meanwhile is served. WebSockets get 1012.
  Result<void> restart(std::chrono::milliseconds drain = std::chrono::seconds(10));
  // Until stopped.
  Result<void> wait();
  // The same from a thread of their own: the outcome is told by on_startup, on_shutdown and on_log.
  void start_async();
  void stop_async(std::chrono::milliseconds drain = std::chrono::seconds(10));
  void restart_async(std::chrono::milliseconds drain = std::chrono::seconds(10));

  bool active() const;
  // active(true) is start(), active(false) is stop().
  Result<void> active(bool on);
  // The port of the first binding, once started.
  std::uint16_t bound_port() const;
  // Every prefix that is listened on, with real ports: "http://localhost:8080/".
  std::vector<std::string> bound_prefixes() const;
  // "uring" or "epoll", and why: "io_uring (kernel 6.18)". Empty before start().
  std::string engine_name() const;
  std::string engine_reason() const;
  std::uint32_t shard_count() const;

  SendStatus write_data(const ConnectionId& id, std::string_view text);
  SendStatus write_data(const ConnectionId& id, Bytes bytes, std::size_t fragment_size = 0);
  // To every WebSocket that the filters leave. Framed once for each shard and then shared. Returns
  // how many shards were told.
  std::size_t broadcast(std::string_view text, const BroadcastOptions& options = {});
  std::size_t broadcast(Bytes bytes, const BroadcastOptions& options = {});
  // A ping to every WebSocket.
  void ping(std::string_view payload = {});
  // A Close frame to every WebSocket; the server goes on listening.
  void disconnect_all(std::uint16_t close_code = 1001);
  // A snapshot of the open WebSockets, copied shard by shard under a lock held for the copy only.
  ConnectionList share_list() const;
  Counters counters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
