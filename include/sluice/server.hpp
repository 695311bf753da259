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
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/api_keys.hpp>
#include <sluice/authentication.hpp>
#include <sluice/connection.hpp>
#include <sluice/error.hpp>
#include <sluice/export.hpp>
#include <sluice/forward.hpp>
#include <sluice/headers.hpp>
#include <sluice/http_request.hpp>
#include <sluice/http_response.hpp>
#include <sluice/rate_limit.hpp>
#include <sluice/response_cache.hpp>
#include <sluice/result.hpp>
#include <sluice/settings.hpp>

namespace sluice {

enum class Opcode : std::uint8_t { text = 1, binary = 2 };

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

// The sub-protocols that handshakes may choose (RFC 6455 section 1.9), in the client's order.
class Protocols {
 public:
  struct Protocol {
    std::string name;
    WebSocketHandlers handlers;
  };
  Protocols() = default;
  Protocols(std::initializer_list<std::string_view> names) {
    for (std::string_view name : names) add(name);
  }

  // `name` is a token (RFC 9110 section 5.6.2) and is added once: start() fails with
  // Errc::bad_setting otherwise. `handlers` are told of the WebSockets that chose it; what is left
  // empty falls back to those of the route, then to the server's.
  void add(std::string_view name, WebSocketHandlers handlers = {}) {
    list_.push_back({std::string(name), std::move(handlers)});
  }
  void clear() { list_.clear(); }
  bool empty() const { return list_.empty(); }
  const std::vector<Protocol>& list() const { return list_; }

  // The same names in the same order; handlers cannot be compared.
  bool has_names_of(const Protocols& other) const {
    if (list_.size() != other.list_.size()) return false;
    for (std::size_t i = 0; i < list_.size(); ++i) {
      if (list_[i].name != other.list_[i].name) return false;
    }
    return true;
  }

 private:
  std::vector<Protocol> list_;
};

// Filters are ANDed, exclude wins. Lists of ids are separated by commas or semicolons.
struct BroadcastOptions {
  // Empty: every WebSocket. With `*` (any characters) or `?` (any one) a mask: the subscribers of
  // every channel that it matches, each once.
  std::string_view channel = {};
  std::string_view protocol = {};  // empty: any
  std::string_view exclude = {};
  std::string_view include = {};  // empty: all
  std::size_t fragment_size = 0;  // bytes; 0: one frame
  std::uint64_t tag = 0;          // told again in BroadcastResult
};

// What became of a broadcast, over all shards.
struct BroadcastResult {
  std::size_t shards = 0;     // that were told
  std::size_t delivered = 0;  // WebSockets for which it was queued
  std::size_t dropped = 0;    // those for which it was not: slow readers, some that were ending
  std::uint64_t tag = 0;
};

// Sums over all shards since start(); read without stopping anything, so they may be a moment
// apart.
struct Counters {
  std::uint64_t connections = 0, websockets = 0;  // open now
  std::uint64_t accepted = 0, requests = 0, rejected = 0;
  std::uint64_t messages_received = 0, messages_sent = 0;
  // How often a message was compressed: a broadcast once for each window that clients agreed on.
  std::uint64_t messages_compressed = 0;
  std::uint64_t bytes_received = 0, bytes_sent = 0;
  std::uint64_t receive_buffers_exhausted = 0, slow_readers = 0, messages_dropped = 0;
  std::uint64_t bytes_queued = 0;  // waiting to be sent now
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

// All of them. A Server has them as members.
struct Settings {
  // "localhost": both loopbacks. An IP literal: that address. "+", "*", "0.0.0.0", "::", empty or a
  // name: all addresses.
  std::string host = "localhost";
  std::uint16_t port = 8080;  // 0: a free one; see bound_port()
  Bindings bindings;          // instead of host and port
  BindingOptions binding_options;
  SslOptions ssl_options;  // of https prefixes
  FineTune fine_tune;
  Limits limits;
  Timeouts timeouts;
  Options options;
  QueueOptions queue_options;
  Extensions extensions;
  HeartBeat heartbeat;
  SecurityOptions security_options;
  std::map<std::string, UrlGroupOptions, std::less<>> url_groups;  // by the name in PrefixOptions
  RequestQueueOptions request_queue;
  TcpKeepAlive tcp_keep_alive;
  HttpUploadFiles http_upload_files;
  LogFile log_file;
  WatchDog watchdog;
  // Who is asked for the addresses of upstreams: `127.0.0.1:5353`. Empty: whom the system asks.
  std::vector<std::string> name_servers;
  Authentication authentication;
  std::shared_ptr<ApiKeyManager> api_key_manager;  // null: nobody is asked for an API key
  // At most 32. A rule that is the same after a change, or at the next start, goes on counting.
  std::vector<RateRule> rate_limits;
  ContentCodingOptions content_coding;
  ResponseCacheOptions response_cache;
  std::vector<CacheRule> cache_rules;  // at most 64; the longest path decides
  Dispatch dispatch = Dispatch::inline_;
  std::uint32_t thread_pool_size = 32;
  std::uint32_t shards = 0;  // 0: one per allowed CPU
  EngineKind engine = EngineKind::automatic;
  std::size_t read_buffer_size = 16384;  // 1,024 to 1,048,576
  Protocols protocols;
  bool asynchronous = false;  // on_asynchronous is told of each send
  std::chrono::milliseconds handler_limit{
      1000};  // a handler that holds a shard for longer is reported to on_log; 0: never
};

class SLUICE_API Server : public Settings {
 public:
  Server();
  // Stops without a drain if it is running.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // --- Events
  // ------------------------------------------------------------------------------------------------------------

  std::function<void()> on_startup, on_shutdown;  // listening; stopped
  // Within start(), on its thread: all prefixes are collected, none is registered yet. The list may
  // be edited.
  std::function<void(std::vector<Binding>&)> on_before_binding;
  // Before any byte is read; accept = false closes at once.
  std::function<void(Connection, bool& accept)> on_tcp_connect;
  // The first bytes of a connection are not HTTP. They live until the handler returns. accept =
  // true: they and all that follows come to on_raw_data. Else, and where it is not set: 400. Runs
  // on the shard.
  std::function<void(Connection, Bytes first, bool& accept)> on_unknown_protocol;
  // Bytes of such a connection, as they arrive; once, and last, with `last` and no bytes when the
  // peer has ended its side or the connection has gone. The server ends its side then, behind what
  // Connection::write_raw has queued.
  std::function<void(Connection, Bytes bytes, bool last)> on_raw_data;
  // A password has come (basic, session, url) and was compared with those of authentication.users:
  // `authenticated` says whether it is right, and may be changed. Asked for each request: what it
  // says is not remembered.
  std::function<void(Connection, std::string_view user, std::string_view password,
                     bool& authenticated)>
      on_authentication;
  // The same, instead of it, for who answers later.
  std::function<void(Connection, std::string_view user, std::string_view password,
                     AuthenticationReply)>
      on_authentication_async;
  // The secret of a user of Digest: `ha1` is that of authentication.digest.users, or empty, and may
  // be set: SHA-256 of `user:realm:password` in hexadecimal (MD5: 32 letters).
  std::function<void(std::string_view user, std::string_view realm, std::string& ha1)>
      on_digest_secret;
  // Every request that is not an upgrade and that no route took. Not set: 404.
  RequestHandler on_http_request;
  // Each field of a form that is no file, in their order, before the request's handler and where
  // that runs. The views live for the call.
  std::function<void(Connection, std::string_view name, std::string_view value)>
      on_http_upload_read_input;
  // The head of a request with a body has come, its body has not; where server.uploads takes it,
  // that body may be empty. `accept` = false: 413, and the body is not read.
  std::function<void(Connection, const HttpRequest& request, bool& accept)>
      on_http_upload_before_create_post_stream;
  // With http_upload_files.stream_type `file`, in front of each file: its name and the folder may
  // be changed. The name is the one that the client sent, `../../etc/passwd` perhaps: it is made
  // safe behind this event, and never belongs into `file_path`. Where nothing safe can be made of
  // it the request is refused with 400.
  std::function<void(Connection, std::string& file_name, std::string& file_path)>
      on_http_upload_before_save_file;
  // It is complete, synced, and has its name: the form's field, and the path.
  std::function<void(Connection, std::string_view name, std::string_view path)>
      on_http_upload_after_save_file;
  // Whether somebody else answers: asked for each request, upgrades too, before routes and
  // handlers. Where a rule of forward() holds, `forward` says so and may be changed.
  std::function<void(Connection, const HttpRequest&, Forward&)> on_before_forward_http;
  // The head of the upstream's answer has come (`error` is null) and may be changed before it
  // leaves: with a content_text its body is replaced. Or there is none: what the client gets, 502
  // or 504, may be changed.
  std::function<void(Connection, const HttpRequest&, HttpResponse&, const Error* error)>
      on_after_forward_http;
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
  // A ping of the heartbeat is due. `handled`: it is not sent, and no pong is waited for: the
  // application keeps the connection alive in its own way.
  std::function<void(Connection, bool& handled)> on_before_heartbeat;
  // With `asynchronous`, once for each write_data that answered `queued`, in their order: the
  // kernel has all of it, or it failed. Those that a connection's end leaves are told before
  // on_disconnect.
  std::function<void(Connection, const SendResult&)> on_asynchronous;
  // Once for each broadcast, when every shard has done its share; on one of the shards (also with
  // `thread_pool`), so that it must not block. Broadcasts of one turn are not handed out together
  // where it is set.
  std::function<void(const BroadcastResult&)> on_broadcast_done;
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
  // Everything below `prefix` (which ends in `/`) that no longer pattern takes is answered by
  // others: every method, and WebSockets. Errors: bad_setting, naming what of the options is wrong.
  Result<void> forward(std::string_view prefix, const ForwardOptions& options);
  // Stores what POST and PUT bring below `prefix` (which ends in `/` and has no parameters) in
  // `directory`, as it arrives: the files of a form, or a body under the one name that the path has
  // behind the prefix (else one that is made up). 201, with JSON: {"files": [{"name", "file_name",
  // "stored", "size"}]}, `stored` being its name in the directory. The events of uploads are told.
  // A PUT with Content-Range is refused with 400. The directory must exist at start().
  Result<void> uploads(std::string_view prefix, std::string_view directory,
                       const UploadOptions& options = {});
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
  // connects meanwhile is served. WebSockets get 1012. Where certificates cannot be used it goes on
  // as it is, and says why (unless on_before_binding is set, which is asked after the stop).
  Result<void> restart(std::chrono::milliseconds drain = std::chrono::seconds(10));
  // Other settings, while it runs: all of them or, with an error, none. Returns when every
  // shard has them, or after a second when a handler holds one, which has them when it ends. What
  // is under way goes on as it began: a timer that runs, a message that has begun, a request that
  // authentication, API keys or rate_limits have begun with. May change: limits, timeouts, options,
  // queue_options, extensions, content_coding, heartbeat, security_options, url_groups (of the same
  // names), request_queue, fine_tune.queue_length (not the listen backlog), handler_limit, log_file
  // (its file is opened anew; not whether there is one), and docs/adr/0021: authentication (its
  // keys are read again), api_key_manager, rate_limits (a rule that is the same goes on counting),
  // response_cache, cache_rules. ssl_options too, and those of prefixes (unless on_before_binding
  // is set): all their files are read again, and hold for those who connect from then on. Before a
  // start everything may. Errors: bad_setting, naming the setting, also one that needs a restart;
  // would_deadlock on a thread of the server.
  Result<void> apply(const Settings& settings);
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
  // When the first of the certificates in force expires; nothing where no prefix is https, or
  // before start().
  std::optional<std::chrono::system_clock::time_point> certificates_expire() const;

  SendStatus write_data(const ConnectionId& id, std::string_view text);
  SendStatus write_data(const ConnectionId& id, Bytes bytes, std::size_t fragment_size = 0);
  SendStatus write_data(const ConnectionId& id, std::string_view text, SendTag tag);
  SendStatus write_data(const ConnectionId& id, Bytes bytes, SendTag tag,
                        std::size_t fragment_size = 0);
  // To every WebSocket that the filters leave. Framed once for each shard and then shared. Returns
  // how many shards were told.
  std::size_t broadcast(std::string_view text, const BroadcastOptions& options = {});
  std::size_t broadcast(Bytes bytes, const BroadcastOptions& options = {});
  // A ping to every WebSocket.
  void ping(std::string_view payload = {});
  // A Close frame to every WebSocket; the server goes on listening.
  void disconnect_all(std::uint16_t close_code = 1001);
  // Whether a URL group takes requests; false: they get 503, reason Disabled. Until the next start.
  // Errors: not_running; invalid_argument, where there is no such group.
  Result<void> url_group_active(std::string_view group, bool on);
  // Whether handlers of requests begin. While they do not, requests wait in the queue, which has
  // fine_tune.queue_length places. Until the next start. Errors: not_running.
  Result<void> request_queue_active(bool on);
  // A snapshot of the open WebSockets, copied shard by shard under a lock held for the copy only.
  ConnectionList share_list() const;
  Counters counters() const;
  // Cached responses go: those of `url`, which is a URL ("http://host:8080/a?b") or, for all hosts,
  // a path ("/a?b"); `recursive`: with all below its path, whatever their queries ("/" is
  // everything). The answer of a handler that is under way is not kept. Returns how many went.
  std::size_t flush_cache(std::string_view url, bool recursive = false);
  CacheCounters cache_counters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
