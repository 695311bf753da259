// sluice/settings.hpp - every setting of a Server: plain members of plain structs.
//
// Read once, at start(). Durations are std::chrono, sizes are bytes. The names are the
// specification's in snake_case (docs/reference/component.md section 2). Layer: public.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
};

struct Limits {
  std::optional<std::uint64_t> connections;   // open at once; over: 503, reason ConnLimit
  std::uint64_t message_bytes = 64ull << 20;  // of a WebSocket message; over: close 1009
  std::uint32_t message_fragments = 65536;    // of one message; over: close 1008
  std::size_t head_bytes = 16384;     // request line and fields; over: 431 (414 for the line alone)
  std::size_t field_bytes = 16384;    // of one field
  std::size_t fields = 128;           // in one head
  std::size_t target_segments = 255;  // of a path; over: 400
  std::uint64_t body_bytes = 64ull << 20;  // of a request; over: 413
  std::size_t body_memory_bytes =
      64 << 10;  // a whole body larger than this is kept in an unlinked temporary file
  std::size_t send_queue_bytes = 1 << 20;    // waiting to be sent, per connection
  std::size_t send_queue_total = 256 << 20;  // the same, per shard
  std::uint32_t deferred = 10000;  // requests whose answer was deferred, per server; over: 503
};

// What happens when a WebSocket reads too slowly for what others send to it.
enum class SlowReader : std::uint8_t {
  close,        // close code 1013
  drop_newest,  // the message that does not fit is dropped
  drop_oldest,  // whole waiting messages are dropped, oldest first; never control frames
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
};

struct SecurityOptions {
  std::vector<std::string>
      origins_allowed;  // empty: all. `http://host:*` allows every port. Others get 403
  bool enforce_websocket_version = true;  // 426 and Sec-WebSocket-Version: 13
  bool validate_websocket_key = true;     // 400
};

// One prefix to listen on: `http://HOST:PORT/`. HOST is `localhost` (both loopbacks), an IP
// literal, a name, `+` or `*` (all addresses, dual stack). A Host field that no named prefix of the
// port matches gets 400, reason Hostname.
struct Binding {
  std::string prefix;
};

// The prefixes of a server. Empty: one made of `host` and `port`.
class Bindings {
 public:
  void add(std::string prefix) { list_.push_back({std::move(prefix)}); }
  void clear() { list_.clear(); }
  bool empty() const { return list_.empty(); }
  const std::vector<Binding>& list() const { return list_; }
  std::vector<Binding>& list() { return list_; }

 private:
  std::vector<Binding> list_;
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

// server.files
struct FilesOptions {
  std::string index = "index.html";  // what a directory answers; empty: none
  bool listing = false;              // a directory without index answers a list of its entries
  bool precompressed = true;         // `.br` and `.gz` siblings by Accept-Encoding
  bool follow_symlinks_out = false;  // a symlink may lead out of the directory
  bool hidden_files = false;         // names that begin with a dot are served
  std::string cache_control = {};    // sent with each file; empty: none
};

}  // namespace sluice
