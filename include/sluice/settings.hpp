// sluice/settings.hpp - every setting of a Server: plain members of plain structs.
//
// Read at start(), and by Server::apply(). Durations are std::chrono, sizes are bytes. The names
// are the specification's in snake_case (docs/reference/component.md section 2). Layer: public.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sluice/ssl_options.hpp>

namespace sluice {

enum class OperatingMode : std::uint8_t {
  classic,    // one acceptor deals connections out to the shards
  high_perf,  // each shard has its own listening socket
};

// Where handlers run.
enum class Dispatch : std::uint8_t {
  inline_,      // on the shard that owns the connection; they must not block
  thread_pool,  // on one of `thread_pool_size` threads, in order and one at a time for each
                // connection
};

enum class EngineKind : std::uint8_t {
  automatic,  // io_uring where it is allowed, else epoll; the start-up line in the log says which
              // and why
  uring,
  epoll,
};

struct FineTune {
  // Requests that wait for a pool thread, and the listen backlog that is asked for. 1 to 65535.
  // Over: 503, reason QueueFull.
  std::uint32_t queue_length = 1000;
  OperatingMode operating_mode = OperatingMode::high_perf;
  // Per shard: up to 16 x value accepts in one wake-up, and 256 x value receive buffers (allocated
  // on use). 1 to 64.
  std::uint32_t high_perf_accepts_per_worker = 4;
  // The specification's SkipIOCPOnSuccess: what can complete at once completes at once.
  bool inline_completions = true;

  friend bool operator==(const FineTune&, const FineTune&) = default;
};

struct Limits {
  std::optional<std::uint64_t> connections;  // open at once; over: 503, reason ConnLimit
  // Bytes per second that leave, all connections together; at least 1,024. Sends wait for their
  // turn; those of a URL group with a limit of its own keep to both.
  std::optional<std::uint64_t> bandwidth;
  std::uint64_t message_bytes = 64ull << 20;  // of a WebSocket message; over: close 1009
  std::uint32_t message_fragments = 65536;    // of one message; over: close 1008
  std::size_t head_bytes = 16384;     // request line and fields; over: 431 (414 for the line alone)
  std::size_t field_bytes = 16384;    // of one field
  std::size_t fields = 128;           // in one head
  std::size_t target_segments = 255;  // of a path; over: 400
  // Requests of one HTTP/2 connection at a time, 1 to 10,000 (RFC 9113 section 5.1.2); over: the
  // stream is refused. For connections that come.
  std::uint32_t streams = 100;
  std::uint64_t body_bytes = 64ull << 20;  // of a request; over: 413
  std::size_t body_memory_bytes =
      64 << 10;  // a whole body larger than this is kept in an unlinked temporary file
  std::size_t send_queue_bytes = 1 << 20;    // waiting to be sent, per connection
  std::size_t send_queue_total = 256 << 20;  // the same, per shard
  // Of forms (multipart/form-data). Over: 413.
  std::uint32_t upload_parts = 1000;               // of one form
  std::uint64_t upload_field_bytes = 1 << 20;      // of one field that is no file
  std::uint64_t upload_fields_bytes = 8 << 20;     // of all of them, and of the names of all parts
  std::optional<std::uint64_t> upload_file_bytes;  // of one file
  std::uint32_t deferred = 10000;  // requests whose answer was deferred, per server; over: 503
};

// What happens when a WebSocket reads too slowly for what others send to it.
enum class SlowReader : std::uint8_t {
  close,        // close code 1013
  drop_newest,  // the message that does not fit is dropped
  drop_oldest,  // whole waiting messages are dropped, oldest first; never control frames
};

// What of one kind waits for a WebSocket whose peer has not taken what was sent before.
enum class QueueLevel : std::uint8_t {
  all,   // everything; over limits.send_queue_bytes, options.slow_reader decides
  last,  // the newest: one that waits makes place for the next
  none,  // nothing: what cannot leave at once is dropped (SendStatus::would_block)
};

// Of messages that others than the connection's own handlers send, of broadcasts, and of all pings.
// What is dropped counts in Counters::messages_dropped, and on_asynchronous tells
// Errc::slow_reader. A message that goes out in fragments is not taken back; heartbeats are sent
// whatever waits.
struct QueueOptions {
  QueueLevel text = QueueLevel::all;
  QueueLevel binary = QueueLevel::all;
  QueueLevel ping = QueueLevel::all;  // Connection::ping

  friend bool operator==(const QueueOptions&, const QueueOptions&) = default;
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };

// A file that gets a line for all that on_log is told:
// `2026-11-23T08:00:00.123Z warning TEXT`, in UTC. It is appended to, or made with mode 0640.
// Nobody waits for the disk: what it does not take is lost, and counted by the next line that it
// takes. apply() opens it anew, so that it may be renamed before.
struct LogFile {
  std::string file_name;            // empty: none
  LogLevel level = LogLevel::info;  // and above

  friend bool operator==(const LogFile&, const LogFile&) = default;
};

enum class UploadStream : std::uint8_t {
  memory,  // a form is read when it has arrived whole
  file,    // files go to the disk as they arrive
};

// What becomes of a file that has the name of one that is uploaded.
enum class ExistingFile : std::uint8_t {
  number,   // it stays; the new one is `name (1).ext`
  replace,  // it goes, at the moment at which the new one takes its place
  refuse,   // it stays; the request is refused
};

// Files of clients: POST and PUT. With `file`, memory does not grow with the upload,
// limits.body_bytes does not hold for it (limits.upload_file_bytes does, and what the URL group or
// the route says itself), a file appears under its name when it is whole and synced, and what a
// failed request has stored goes again (but for what has taken the place of another).
struct HttpUploadFiles {
  UploadStream stream_type = UploadStream::memory;
  std::uint64_t min_size = 0;  // of a body with a length: smaller ones stay in memory
  std::string save_directory;  // exists; needed with `file`
  // Off: a form is stored as it came, as one file.
  bool remove_boundaries = true;
  ExistingFile existing = ExistingFile::number;

  friend bool operator==(const HttpUploadFiles&, const HttpUploadFiles&) = default;
};

// Zero turns a timer off.
struct Timeouts {
  std::chrono::milliseconds header_wait{
      30'000};  // from accept, and from a request's first byte, to its whole head
  std::chrono::milliseconds entity_body{120'000};  // between two pieces of a request body
  std::chrono::milliseconds drain_entity_body{
      120'000};                                        // for the rest of a body that nobody wanted
  std::chrono::milliseconds request_queue{120'000};    // waiting for a pool thread; over: 503
  std::chrono::milliseconds idle_connection{120'000};  // between two requests; never a WebSocket
  std::uint32_t min_send_rate = 150;  // bytes per second, while bytes wait on the peer
};

enum class FragmentedMessages : std::uint8_t {
  only_buffer,      // on_message and on_binary with the whole message
  only_fragmented,  // on_fragmented with each fragment
  all,              // both
};

struct Options {
  FragmentedMessages fragmented_messages = FragmentedMessages::only_buffer;
  bool validate_utf8 = true;
  bool clean_disconnect = true;  // a Close frame is sent before the connection is closed
  SlowReader slow_reader = SlowReader::close;
  // While bytes wait to be sent and the peer takes none of them for so long, the connection is
  // broken off: on_error tells Errc::write_timeout, on_disconnect 1006. At most 30 days; 0: off.
  std::chrono::milliseconds write_timeout{0};
  // HTTP/2 (RFC 9113): offered by ALPN where there is TLS, and understood in clear from clients
  // that begin with it (prior knowledge). For connections that come.
  bool http2 = true;
  // The handshake's fields, and the query of its URL, stay readable as long as a handle is kept.
  // Costs that much memory for each WebSocket.
  bool keep_headers = false;
};

// Compressed WebSocket messages (RFC 7692), for clients that offer them. Defaults cost little
// memory: an idle connection keeps none, and what compresses is shared. But of a message under way
// each connection may have limits.message_bytes, and needs a thousandth of that in traffic to get
// there: with clients that are not trusted, that times limits.connections should fit into memory.
struct PerMessageDeflate {
  bool enabled = false;
  // Of what we send, and of what clients send: at most 2^N bytes are looked back, 8 to 15; less
  // where the client asks for less. One that cannot limit its own uses 15.
  std::uint32_t server_max_window_bits = 12;
  std::uint32_t client_max_window_bits = 12;
  // Each message stands alone. Off: messages refer to those before, and each connection keeps what
  // that needs, 38 KiB for sending (2^(bits+2) + 2^(memory_level+9) bytes, and 6 KiB) and 11 KiB
  // for receiving (2^bits bytes, and 7 KiB), unless the client wants it otherwise.
  bool server_no_context_takeover = true;
  bool client_no_context_takeover = true;
  std::uint32_t level = 5;         // 1 (fast) to 9 (small)
  std::uint32_t memory_level = 5;  // 1 to 9
  std::size_t threshold = 128;     // smaller messages, and empty ones, go as they are

  friend bool operator==(const PerMessageDeflate&, const PerMessageDeflate&) = default;
};

// Of WebSockets (RFC 6455 section 9). What is changed while the server runs holds for handshakes
// from then on; level, memory_level and threshold for the messages of all.
struct Extensions {
  PerMessageDeflate permessage_deflate = {};

  friend bool operator==(const Extensions&, const Extensions&) = default;
};

// Which WebSockets are pinged.
enum class HeartBeatType : std::uint8_t {
  always,        // all
  only_if_idle,  // those from which nothing arrived within the interval
};

// A ping to each WebSocket every `interval`, spread over it.
struct HeartBeat {
  bool enabled = false;
  std::chrono::milliseconds interval{300'000};  // 10 ms to 30 days
  // From a ping to its pong, at most 30 days; 0: not checked. Over: the connection is broken off,
  // on_error tells Errc::heartbeat_timeout, on_disconnect 1006. A pong may come later behind the
  // rest of a frame, or where the peer is still taking what was sent before the ping.
  std::chrono::milliseconds timeout{0};
  HeartBeatType type = HeartBeatType::always;

  friend bool operator==(const HeartBeat&, const HeartBeat&) = default;
};

struct SecurityOptions {
  std::vector<std::string>
      origins_allowed;  // empty: all. `http://host:*` allows every port. Others get 403
  bool enforce_websocket_version = true;  // 426 and Sec-WebSocket-Version: 13
  bool validate_websocket_key = true;     // 400
};

// The kernel's own check that peers are still there, for every connection; it sends empty segments,
// and a peer that answers none of them is gone. Whole seconds, 1 to 32,767 each.
struct TcpKeepAlive {
  bool enabled = false;
  std::chrono::seconds time{60};      // without anything received, until the first one
  std::chrono::seconds interval{10};  // between two
  std::uint32_t probes = 6;           // 1 to 127

  friend bool operator==(const TcpKeepAlive&, const TcpKeepAlive&) = default;
};

// A thread that looks after the server: it reopens listening sockets that have gone, and gives a
// shard whose engine has failed a new one. It does nothing after stop().
struct WatchDog {
  bool enabled = false;
  std::chrono::milliseconds interval{60'000};  // between two looks; at least 10 ms
  std::uint32_t attempts = 0;                  // so many repairs in all, then it only tells; 0: any
  // Shards that answer nothing for `timeout` are told to on_log (Errc::shard_lost), with the
  // handler that holds them, and a fresh shard takes their listening sockets.
  struct Monitor {
    bool enabled = false;
    std::chrono::milliseconds timeout{10'000};  // at least 10 ms

    friend bool operator==(const Monitor&, const Monitor&) = default;
  } monitor = {};

  friend bool operator==(const WatchDog&, const WatchDog&) = default;
};

// Content codings (RFC 9110 section 8.4) on the way: gzip, br, zstd. `enabled`: what handlers,
// files in memory and the response cache answer is coded for clients that accept it; never an
// answer with a Content-Encoding, a Content-Range, a digest or `no-transform`, nor one that says no
// (HttpResponse::content_coding). Its strong ETag becomes a weak one, and Vary says what decided.
// docs/adr/0032 has the rules.
struct ContentCodingOptions {
  bool enabled = false;
  // Which of `zstd`, `br`, `gzip` are made; where the client likes several the same, the first.
  std::vector<std::string> codings{"zstd", "br", "gzip"};
  // Media types: `text/html`, `text/*`, `*/*+json`; with `!` in front one that is left out. Empty:
  // text, scripts, JSON, XML and other kinds that shrink, but no event streams: each one that is
  // open would keep an encoder.
  std::vector<std::string> types;
  std::size_t least_bytes = 1024;  // a body that is known to be shorter goes as it is
  // Over TLS also answers with Set-Cookie and those to requests with Authorization. The length of
  // what is compressed tells about secrets beside what an attacker can put in (BREACH).
  bool secrets_over_tls = false;
  // Of each shard, at least 4 MiB: what encoders of answers under way take (gzip 0.3 MiB, zstd 1.2,
  // br 3.1). Over: an answer goes as it is.
  std::size_t encoder_bytes = 32 << 20;
  // Of each shard: coded forms of files and of answers in the response cache, which are made once
  // and kept as long as those. Over: they are made each time.
  std::size_t variant_bytes = 16 << 20;
  // Bodies of requests are undone (gzip, deflate, br, zstd, two in a row at most) before handlers
  // and uploads see them: Content-Encoding and Content-Length are gone then, and limits.body_bytes
  // counts what comes out, at most 200 times what came from 1 MiB on (over: 413). What is damaged
  // gets 400, what is not known 415. Off: bodies come as they are. What is forwarded always does.
  bool decode_requests = false;

  friend bool operator==(const ContentCodingOptions&, const ContentCodingOptions&) = default;
};

// What goes with one prefix.
struct PrefixOptions {
  std::string url_group = {};  // whose properties its requests have; empty: the server's own
  std::uint64_t context = 0;   // the application's; HttpRequest::url_context() gives it back
  // Of an https prefix: what it has besides the server's. May change while the server runs.
  SslOptions ssl_options = {};

  friend bool operator==(const PrefixOptions&, const PrefixOptions&) = default;
};

// One prefix to listen on: `http://HOST:PORT/PATH/` or `https://HOST:PORT/PATH/`, in the grammar of
// the HTTP Server API. A port has one of the two. https needs a certificate (ssl_options). HOST is
// `localhost` (both loopback addresses), an IP literal (that address), a name, `*.domain`, `+` or
// `*`; the last four listen on all addresses, dual stack. Port 0 asks for a free one. A request is
// offered to `+`, then to names, `*.domain`, addresses and `*`, and the first with any prefix of
// its path takes it, by the longest one. What nobody takes gets 400, reason Hostname.
struct Binding {
  std::string prefix;
  PrefixOptions options = {};

  friend bool operator==(const Binding&, const Binding&) = default;
};

// The prefixes of a server. Empty: one made of `host` and `port`.
class Bindings {
 public:
  void add(std::string prefix, PrefixOptions options = {}) {
    list_.push_back({std::move(prefix), std::move(options)});
  }
  void clear() { list_.clear(); }
  bool empty() const { return list_.empty(); }
  const std::vector<Binding>& list() const { return list_; }
  std::vector<Binding>& list() { return list_; }

  friend bool operator==(const Bindings&, const Bindings&) = default;

 private:
  std::vector<Binding> list_;
};

// Properties of a URL group; what is left empty is the server's own. Requests of all prefixes with
// `url_group` of this name have them.
struct UrlGroupOptions {
  bool active = true;                        // else 503, reason Disabled
  std::optional<std::uint64_t> connections;  // open at once; over: 503, reason ConnLimit
  std::optional<std::uint64_t> body_bytes;   // over: 413, of uploads, too
  std::optional<std::uint64_t> head_bytes;   // at most that of the server; over: 431
  // Of messages of WebSockets that are opened from then on; over: close 1009.
  std::optional<std::uint64_t> message_bytes;
  // Bytes per second that leave, its connections together; at least 1,024. A connection counts for
  // the group of its last request, and comes under a new limit with its next one.
  std::optional<std::uint64_t> bandwidth;
  std::optional<std::chrono::milliseconds> entity_body, request_queue, idle_connection;

  friend bool operator==(const UrlGroupOptions&, const UrlGroupOptions&) = default;
};

// What a request that its queue refuses with 503 gets.
enum class Verbosity503 : std::uint8_t {
  basic,    // no answer: a reset
  limited,  // 503 without a reason, then the connection is closed
  full,     // 503 with the reason, then the connection is closed
};

// Of the server's request queue; its length is fine_tune.queue_length.
struct RequestQueueOptions {
  Verbosity503 verbosity_503 = Verbosity503::limited;
  // While it is false, complete requests wait for up to timeouts.request_queue; see
  // Server::request_queue_active.
  bool active = true;

  friend bool operator==(const RequestQueueOptions&, const RequestQueueOptions&) = default;
};

// When the handler of a request runs.
enum class BodyMode : std::uint8_t {
  whole,   // when the body is complete
  stream,  // after the head; the body arrives through request.body().on_data
};

struct RouteOptions {
  BodyMode body_mode = BodyMode::whole;
  std::optional<std::uint64_t> body_bytes;  // instead of limits.body_bytes
};

// Which of several servers gets the next request.
enum class Balance : std::uint8_t {
  round_robin,        // one after the other
  least_connections,  // the one with the fewest requests under way
};

// Zero: no limit.
struct ForwardTimeouts {
  std::chrono::milliseconds connect{5'000};
  std::chrono::milliseconds response{60'000};  // from the end of the request to the answer's head
  // Between two pieces of the answer, and of the request; never of a WebSocket.
  std::chrono::milliseconds idle{60'000};

  friend bool operator==(const ForwardTimeouts&, const ForwardTimeouts&) = default;
};

// How servers behind `https://` are spoken to: TLS 1.2 or 1.3 (RFC 8446), HTTP/1.1.
struct ForwardTls {
  // The certificate must be valid, be issued by somebody who is trusted, and be for the host of the
  // URL. Off: anybody will do, also somebody in between.
  bool verify = true;
  // PEM: who is trusted. Empty: whom the system trusts. Read when the server starts.
  std::string ca_file = {};
  // The name that the server is asked for (SNI) and that its certificate must be for. Empty: the
  // host of the URL.
  std::string server_name = {};

  friend bool operator==(const ForwardTls&, const ForwardTls&) = default;
};

// server.forward
struct ForwardOptions {
  // `http://HOST[:PORT][/PATH]` or `https://...`, where HOST is an address or a name, or
  // `unix:FILE` (`unix:@NAME` without a file). With a PATH, that takes the place of the rule's
  // prefix, and the routing path is sent; else the target goes on as it came. At least one.
  std::vector<std::string> upstreams;
  Balance balance = Balance::round_robin;
  ForwardTimeouts timeouts = {};
  // The Host that the client asked for is sent on; off: that of the upstream.
  bool keep_host = true;
  // Addresses and networks (`10.0.0.0/8`, `::1`) whose Forwarded and X-Forwarded-* fields are
  // believed and added to; from others they are replaced.
  std::vector<std::string> trusted = {};
  // A server that failed so often, without an answer in between, gets nothing for `fail_time`,
  // unless all have failed. Requests that it cannot have seen go to the next one.
  std::uint32_t max_failures = 1;
  std::chrono::milliseconds fail_time{10'000};
  std::optional<std::uint64_t> body_bytes = {};  // of a request, instead of limits.body_bytes
  ForwardTls tls = {};                           // of upstreams behind https://

  friend bool operator==(const ForwardOptions&, const ForwardOptions&) = default;
};

// server.files
struct FilesOptions {
  std::string index = "index.html";  // what a directory answers; empty: none
  bool listing = false;              // a directory without index answers a list of its entries
  bool precompressed = true;         // `.br` and `.gz` siblings by Accept-Encoding
  bool follow_symlinks_out = false;  // a symlink may lead out of the directory
  bool hidden_files = false;         // names that begin with a dot are served
  std::string cache_control = {};    // sent with each file; empty: none
};

// server.uploads
struct UploadOptions {
  ExistingFile existing = ExistingFile::number;
  std::optional<std::uint64_t> file_bytes = {};  // of one file; else limits.upload_file_bytes
  std::optional<std::uint64_t> body_bytes = {};  // of one request, else what its URL group says

  friend bool operator==(const UploadOptions&, const UploadOptions&) = default;
};

}  // namespace sluice
