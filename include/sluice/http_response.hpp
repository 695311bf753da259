// sluice/http_response.hpp - the answer to one request: now, later, or bit by bit.
//
// `x()` reads, `x(v)` sets and returns the response. A handler that leaves it alone answers 200
// with no body. Layer: public.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/bytes.hpp>
#include <sluice/error.hpp>
#include <sluice/export.hpp>
#include <sluice/response_cache.hpp>
#include <sluice/result.hpp>

namespace sluice {

namespace core {
class Exchange;
class Late;
}  // namespace core

class Reply;
class BodyWriter;
class EventStream;
struct EventStreamOptions;

// Fills a part of `room` (never empty) with the next bytes of a body and says how many; 0: that was
// the last. An error, or what it throws (on_exception), ends the response: a 500 if nothing was
// sent yet, else the connection is closed.
using BodyProducer = std::function<Result<std::size_t>(std::span<std::byte> room)>;

using FileTime = std::chrono::system_clock::time_point;

// What HttpResponse and Reply have in common; use it through those.
class SLUICE_API ResponseBase {
 public:
  int response_no() const;
  std::string_view content_text() const;
  std::string_view content_type() const;
  // Errc::none, or why a field that was set cannot be sent (CR, LF, NUL, a framing field): the
  // client gets 500 then.
  Errc error() const;

 protected:
  explicit ResponseBase(core::Exchange* exchange) : exchange_(exchange) {}
  ResponseBase(const ResponseBase&) = default;
  ResponseBase& operator=(const ResponseBase&) = default;
  void set_status(int status);
  void set_text(std::string_view text);
  void set_text(std::string&& text);
  void set_stream(std::unique_ptr<std::istream> source, std::optional<std::uint64_t> length);
  void set_producer(BodyProducer producer, std::optional<std::uint64_t> length);
  void set_file(std::string_view path);
  void set_type(std::string_view type);
  void add_field(std::string_view name, std::string_view value);
  void add_date(std::string_view name, FileTime time);
  void add_block(std::string_view block);
  void add_trailer(std::string_view name, std::string_view value);
  void set_range(std::optional<std::uint64_t> first, std::optional<std::uint64_t> last,
                 std::optional<std::uint64_t> length);
  void set_cache(Cache policy, std::chrono::milliseconds ttl);
  void set_coding(bool wanted);

  core::Exchange* exchange_;
};

template <class Self>
class ResponseSetters : public ResponseBase {
 public:
  using ResponseBase::content_text;
  using ResponseBase::content_type;
  using ResponseBase::response_no;

  // The status, 200 to 599 (the specification's ResponseNo). Anything else becomes a 500 with
  // reason BadResponse.
  Self& response_no(int status) { return set_status(status), self(); }
  // The body. A string given as an rvalue is taken over, anything else is copied.
  Self& content_text(std::string_view text) { return set_text(text), self(); }
  Self& content_text(const char* text) { return set_text(std::string_view(text)), self(); }
  Self& content_text(std::string&& text) { return set_text(std::move(text)), self(); }
  Self& content_type(std::string_view type) { return set_type(type), self(); }
  // The body is read from `source`, in pieces of 64 KiB, on the file pool and at the client's pace;
  // it goes there too, when all was sent or the client has gone (on the shard, if the pool has too
  // much to do). Without `length` a seekable stream is measured from where it stands; any other is
  // sent chunked, under HTTP/1.0 until the connection closes. A seekable stream is ranged by the
  // server; ETag and Last-Modified that were set are compared with the request's preconditions. A
  // content range tells its length: too short a stream ends the connection. One that breaks before
  // anything was sent is a 500.
  Self& content_stream(std::unique_ptr<std::istream> source,
                       std::optional<std::uint64_t> length = std::nullopt) {
    return set_stream(std::move(source), length), self();
  }
  // The body is made by `producer`: one call after the other, on the file pool, with room for 64
  // KiB, each when the client has taken what came before. It may compute and read disks; what waits
  // for other things for long keeps a thread from them and had better use stream(). With `length`
  // it is asked for so many bytes and no more, without it is chunked. It goes as a `source` does.
  Self& content_producer(BodyProducer producer,
                         std::optional<std::uint64_t> length = std::nullopt) {
    return set_producer(std::move(producer), length), self();
  }
  // A file of the server: validators, ranges, preconditions, media type and precompressed siblings
  // are done by the server. A path that is missing or no regular file answers 404.
  Self& file_name(std::string_view path) { return set_file(path), self(); }
  // One field. CR, LF, NUL and framing fields (Content-Length, Transfer-Encoding, Connection) are
  // refused: error().
  Self& header(std::string_view name, std::string_view value) {
    return add_field(name, value), self();
  }
  // `Name: value` lines, separated by CRLF or LF; each is validated like header() (the
  // specification's CustomHeaders).
  Self& custom_headers(std::string_view block) { return add_block(block), self(); }
  Self& location(std::string_view url) { return add_field("Location", url), self(); }
  Self& etag(std::string_view tag) { return add_field("ETag", tag), self(); }  // with its quotes
  Self& last_modified(FileTime time) { return add_date("Last-Modified", time), self(); }
  Self& expires(FileTime time) { return add_date("Expires", time), self(); }
  Self& cache_control(std::string_view value) { return add_field("Cache-Control", value), self(); }
  Self& accept_ranges(std::string_view unit) { return add_field("Accept-Ranges", unit), self(); }
  // The handler has cut the range itself: status 206 and the body is sent as it is. All three
  // together (64 bits).
  Self& content_range_start(std::uint64_t first) { return set_range(first, {}, {}), self(); }
  Self& content_range_end(std::uint64_t last) { return set_range({}, last, {}), self(); }
  Self& content_range_instance_length(std::uint64_t size) {
    return set_range({}, {}, size), self();
  }
  // Sent behind a chunked body (content_stream or content_producer without a length).
  Self& trailer(std::string_view name, std::string_view value) {
    return add_trailer(name, value), self();
  }
  // Whether this answer is given again without the handler, and for how long; kept are answers to
  // GET that are complete in one call, with the rules of docs/adr/0024. See
  // Settings::response_cache.
  Self& cache(std::chrono::milliseconds ttl) { return cache(Cache::time_to_live, ttl); }
  Self& cache(Cache policy, std::chrono::milliseconds ttl = {}) {
    return set_cache(policy, ttl), self();
  }
  // False: this answer goes as it is, whatever Settings::content_coding says.
  Self& content_coding(bool wanted) { return set_coding(wanted), self(); }

 protected:
  using ResponseBase::ResponseBase;

 private:
  Self& self() { return static_cast<Self&>(*this); }
};

// Given to a handler; lives until it returns.
class SLUICE_API HttpResponse : public ResponseSetters<HttpResponse> {
 public:
  // The answer comes later, from any thread, through the Reply. What was set so far is kept.
  // Over limits.deferred the client has had its 503 and the Reply answers Errc::deferred_full.
  Reply defer();
  // The head leaves now (what was set so far, no body), the body through the writer, from any
  // thread.
  BodyWriter stream();
  // Server-sent events (sluice/event_stream.hpp): the head leaves now, with Content-Type
  // text/event-stream, Cache-Control: no-cache unless one was set, X-Accel-Buffering: no. To HEAD
  // that is all.
  EventStream event_stream();
  EventStream event_stream(const EventStreamOptions& options);

  HttpResponse(const HttpResponse&) = delete;
  HttpResponse& operator=(const HttpResponse&) = delete;

 private:
  friend class core::Exchange;
  explicit HttpResponse(core::Exchange* exchange) : ResponseSetters(exchange) {}
};

// A late answer. Move-only; one thread at a time. Destroyed unsent, it sends 500 (reason
// Abandoned).
class SLUICE_API Reply : public ResponseSetters<Reply> {
 public:
  Reply();
  Reply(Reply&& other) noexcept;
  Reply& operator=(Reply&& other) noexcept;
  ~Reply();

  // Errc::none, already_replied the second time, gone when the client has left, deferred_full.
  Errc send();
  // Answers later still, bit by bit.
  BodyWriter stream();
  EventStream event_stream();
  EventStream event_stream(const EventStreamOptions& options);
  // Runs once, on the owning shard, when the client or the server goes before the answer is
  // complete.
  void on_abort(std::function<void()> handler);
  bool aborted() const;

 private:
  friend class HttpResponse;
  explicit Reply(core::Late* late);
  core::Late* late_ = nullptr;
};

// A response body, written piece by piece. Copies are the same writer; any thread, one at a time.
class SLUICE_API BodyWriter {
 public:
  BodyWriter() = default;
  BodyWriter(const BodyWriter& other);
  BodyWriter(BodyWriter&& other) noexcept;
  BodyWriter& operator=(BodyWriter other) noexcept;
  // The last copy going without end() breaks the response off (the connection is closed).
  ~BodyWriter();

  // Copies and queues. False when the byte budget is used up (the bytes are queued all the same:
  // wait for on_writable), or when the client has gone: see aborted().
  bool write(std::string_view text);
  bool write(Bytes bytes) { return write(as_text(bytes)); }
  // Runs on the owning shard each time the queue has room again after a write() that was false.
  void on_writable(std::function<void()> handler);
  void on_abort(std::function<void()> handler);
  // The body is complete; trailers go out when it was chunked. Errc::already_replied the second
  // time.
  Errc end(const std::vector<std::pair<std::string, std::string>>& trailers = {});
  bool aborted() const;

 private:
  friend class HttpResponse;
  friend class Reply;
  explicit BodyWriter(core::Late* late);
  core::Late* late_ = nullptr;
};

}  // namespace sluice
