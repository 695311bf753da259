// core/exchange.hpp - one request and its answer.
//
// Pooled by the shard and used again: a steady load allocates nothing. Layer: core. Thread: the
// shard; the handler's thread while a handler runs, and the thread that holds the Reply while the
// answer is deferred.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/api_keys.hpp>
#include <sluice/authentication.hpp>
#include <sluice/http_request.hpp>
#include <sluice/http_response.hpp>

#include "base/arena.hpp"
#include "base/block.hpp"
#include "base/clock.hpp"
#include "base/shared_bytes.hpp"
#include "core/body_file.hpp"
#include "core/body_sink.hpp"
#include "core/form.hpp"
#include "core/front.hpp"
#include "core/gate.hpp"
#include "core/open_file.hpp"
#include "core/response_cache.hpp"
#include "proto/http/head.hpp"

namespace sluice::core {

class AnswerCoder;
class BodyDecoder;
class CodedVariants;
class Connection;
class Late;
class Shard;
struct PoolQueue;
struct Route;
struct UrlEntry;
struct UrlGroupView;
class UrlPicture;

// One run of a response body. Exactly one of the three is set.
struct BodyPart {
  base::SharedBytes shared;  // bytes of their own
  Bytes bytes;               // in the exchange's arena, or in `shared`
  FileRef file;              // a region of a regular file
  std::uint64_t offset = 0, length = 0;
};

// What few answers say.
struct AnswerExtras {
  std::string trailers;         // complete lines
  std::vector<BodyPart> parts;  // body, in order
  std::string file;             // path for the file responder; empty: none
  std::unique_ptr<std::istream> source;
  sluice::BodyProducer producer;               // where there is no source
  std::optional<std::uint64_t> source_length;  // of either
  std::optional<std::uint64_t> stream_length;  // of a streamed body, when known
  std::optional<std::uint64_t> range_first, range_last, range_size;
  // The representation's size when no body is sent (HEAD, 304 of a file).
  std::optional<std::uint64_t> length_without_body;
  // What the application says of the response cache: for how long; 0: not, kUntilFlushed. Nothing
  // where it does not say.
  std::optional<std::chrono::milliseconds> cache;
  std::unique_ptr<AnswerTap> tap;  // the response cache's own
  bool changes = false;            // likewise: its request may change what is kept
  bool uncoded = false;            // it goes without a content coding
  // Where the coded forms of its body are kept; null: nowhere.
  std::shared_ptr<CodedVariants> variants;
};

// What the handler said. The front turns it into bytes.
class Answer {
 public:
  // Of a streamed answer; null: nobody listens. The shard may ask while others set what it has.
  AnswerTap* tap() const { return extras_.tap.get(); }
  // ResponseCache::changed() wants to be called.
  bool changes() const { return has_extras_ && extras_.changes; }
  // The response cache does not keep it, whatever was said before.
  void leave_cache();

  int status = 200;
  Errc error = Errc::none;  // of a field that was refused
  bool has_type = false, has_date = false, has_range = false;
  bool close_connection = false;
  std::string fields;  // complete lines; capacity is kept
  std::string type;    // Content-Type
  std::string text;    // body, unless parts or source

  // Nobody has asked to set one of the extras: all are as they were made.
  bool is_plain() const { return !has_extras_; }
  const AnswerExtras& extras() const { return extras_; }
  AnswerExtras& set_extras() {
    has_extras_ = true;
    return extras_;
  }

  std::uint64_t body_size() const { return extras_.parts.empty() ? text.size() : size_of_parts(); }
  // For another answer to the same request: what is known of that stays.
  void clear();
  void reset();  // for another request

 private:
  std::uint64_t size_of_parts() const;
  void clear_values();
  void clear_extras();
  bool has_extras_ = false;
  AnswerExtras extras_;
};

// What makes or undoes a content coding for one exchange. Each stands where the port did.
struct Codings {
  std::shared_ptr<AnswerCoder> answer;
  std::shared_ptr<BodyDecoder> body;
};

class Exchange {
 public:
  explicit Exchange(Shard& owner) : shard(owner), request_(this), response_(this) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Back to how it was made, keeping memory. Called by the pool.
  void clear();

  // Uses: the front's while the request is alive, a running handler's. An attached Late counts as
  // one more. With the last one it goes back to the pool. Thread: shard.
  void retain() { ++holds_; }
  void release() {
    if (--holds_ == 0) unused();
  }
  void detach_late();
  // Whoever asks is the only one who keeps it.
  bool is_last_use() const { return holds_ == 1 && !late; }

  // A plain answer by number, with a one-line text body. Replaces what was set.
  void set_plain(int status, std::string_view text = {});
  // The answer for an error: its status and its sentence. `reason` goes to the log through
  // ServerSession::reject.
  void set_error(Errc code);
  // Adds one field if it may be sent; else notes the error in the answer.
  void add_field(std::string_view name, std::string_view value);
  void add_field_unchecked(std::string_view name, std::string_view value);  // known to be good

  // Nothing follows the head: no body, or one of length 0.
  bool ends_with_head() const {
    return head.body == http::BodyKind::none ||
           (head.body == http::BodyKind::length && head.content_length == 0);
  }

  sluice::HttpRequest& request() { return request_; }
  sluice::HttpResponse& response() { return response_; }

  Shard& shard;
  ExchangePort* port = nullptr;      // null once the connection has gone
  Connection* connection = nullptr;  // kept alive by the exchange (one reference)
  http::RequestHead head;
  std::size_t head_size = 0;  // bytes
  std::string_view document;  // routing path
  // The URL prefix it belongs to; null where a session has none. Kept by `urls`, one use of it.
  const UrlEntry* url = nullptr;
  const UrlGroupView* url_group = nullptr;
  UrlPicture* urls = nullptr;
  Identity identity;                           // who asks, once that is known
  ApiKeyIdentity api_key;                      // the valid one that it came with
  std::shared_ptr<const void> api_key_memory;  // what its views point to
  KeptGate* gate = nullptr;               // that it has come to, one use of it; null: there is none
  std::unique_ptr<GateState> gate_state;  // the gate's own, while it needs one
  std::uint8_t gate_place = 0;            // how far it has come
  base::Arena arena;
  const Route* route = nullptr;
  std::vector<std::pair<std::string_view, std::string_view>> params;
  Answer answer;

  // The request's memory: what views point to.
  base::BlockRef head_block, body_block;
  // The body.
  Bytes body;             // complete, in body_block, body_text or the mapping
  std::string body_text;  // collected pieces; capacity is kept
  std::unique_ptr<BodyFile> body_file;
  std::unique_ptr<Form> form;      // of a body that is one, complete
  std::unique_ptr<BodySink> sink;  // takes the body as it arrives
  std::uint64_t body_received = 0, body_limit = 0;
  bool body_complete = false, body_wanted_whole = true, body_paused = false;
  bool undecided = false;       // between BodyPlan::Kind::later and what follows it
  bool body_judged = false;     // the application has been asked whether it wants the body
  bool forward_judged = false;  // whether somebody else answers it is decided
  bool handled = false;         // its handler has begun
  bool in_queue = false;        // it waits for its request queue to become active
  bool in_cache = false;        // it waits for another's answer in the response cache
  std::function<void(Bytes, bool)> on_data;

  // When the response cache was asked; written each time that it is.
  std::uint64_t cache_ticket = 0;

  Late* late = nullptr;           // a deferred or streamed answer; the exchange keeps one use
  int on_pool = 0;                // handlers of this exchange that wait for the pool or run there
  bool abort_after_pool = false;  // the connection went meanwhile
  bool in_handler = false;        // a handler runs on this shard right now
  bool answered = false;  // the answer has been given to the port, or will be when the body ends
  bool answer_after_body = false;
  bool head_only = false;  // HEAD
  // Others are under way on its connection (HTTP/2): its events on the pool wait for each other
  // only.
  bool parallel = false;
  std::shared_ptr<PoolQueue> pool_queue;          // then, once there was one
  bool streaming = false;                         // begin_stream was called
  std::shared_ptr<std::atomic<int>> queue_state;  // thread pool: see dispatcher
  std::shared_ptr<void> stream_state;             // the body source's own
  // Content codings under way; null in most.
  std::unique_ptr<Codings> codings;

 private:
  friend class Shard;
  void unused();
  void end_codings();
  int holds_ = 0;
  Exchange* next_idle_ = nullptr;
  sluice::HttpRequest request_;
  sluice::HttpResponse response_;

 public:
  static sluice::RequestBody body_of(Exchange* exchange) { return sluice::RequestBody(exchange); }
};

}  // namespace sluice::core
