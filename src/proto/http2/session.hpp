// proto/http2/session.hpp - one HTTP/2 connection, as the server sees it.
//
// RFC 9113, RFC 8441 (extended CONNECT), RFC 9218 (priorities), by nghttp2. It knows no socket and
// no clock: bytes are fed, events come out, and bytes to send are asked for. Bodies are not copied,
// neither those that come nor those that go. Layer: proto. Thread: shard; one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/bytes.hpp>
#include <sluice/result.hpp>

#include "base/clock.hpp"
#include "proto/http2/head_reader.hpp"
#include "proto/http2/memory.hpp"
#include "proto/http2/settings.hpp"

struct nghttp2_option;
struct nghttp2_session;
struct nghttp2_session_callbacks;

namespace sluice::http2 {

// One request and its answer. The session's: lives until on_closed() returns, or reset().
class Stream {
 public:
  std::uint32_t id() const { return id_; }
  void* context = nullptr;  // the caller's

 private:
  friend class Session;
  Stream(std::uint32_t id, base::Instant now) : id_(id), opened_(now) {}
  const std::uint32_t id_;
  const base::Instant opened_;
  std::uint32_t held_ = 0;  // bytes of its body that the caller has and has not consumed
  Stream* previous_ = nullptr;
  Stream* next_ = nullptr;
  bool told_ = false;           // on_request() was called
  bool closing_ = false;        // inside on_closed()
  bool extended_ = false;       // CONNECT with :protocol, and not refused
  bool remote_closed_ = false;  // END_STREAM came
};

// What the next bytes of a body are.
struct Piece {
  enum class Then : std::uint8_t {
    more,    // there is more now, or that is not known
    later,   // nothing now: resume() follows
    end,     // the body ends behind these bytes
    failed,  // it cannot go on: the stream is reset with INTERNAL_ERROR and is gone
  };
  std::size_t bytes = 0;  // none and `more` means later
  Then then = Then::more;
  std::string_view trailers = {};  // with `end`: complete lines, for the call
};

// Told what the peer does. May call everything but feed(), send() and the destructor, unless a
// declaration says otherwise; may throw std::bad_alloc, which ends the session.
class Events {
 public:
  // A request has come. on_closed() follows, always, once and last, unless the stream is reset();
  // also when this throws.
  virtual void on_request(Stream& stream, Request& request) = 0;
  // A request was reset, because its head broke the rules (RFC 9113 section 8.1.1).
  virtual void on_refused(std::uint32_t id, Errc why) {
    static_cast<void>(id), static_cast<void>(why);
  }
  // A piece of a body, never empty, where it was received; it may be changed in place and lives as
  // long as what was fed. consume() is owed.
  virtual void on_data(Stream& stream, std::span<std::byte> data) = 0;
  // Behind the body; on_end() follows. Without those that RFC 9110 section 6.5.1 forbids.
  virtual void on_trailers(Stream& stream, std::span<const http::Field> fields) {
    static_cast<void>(stream), static_cast<void>(fields);
  }
  // The body is complete. Not called when the head said BodyKind::none.
  virtual void on_end(Stream& stream) = 0;
  // The stream is over: answered (no_error, and nothing else is), reset by the peer or by us, or
  // the session has failed. Comes out of feed(), send() and abort(). Calls about the stream do
  // nothing.
  virtual void on_closed(Stream& stream, Code code) = 0;
  // The peer will open no more streams.
  virtual void on_goaway(Code code) { static_cast<void>(code); }

 protected:
  ~Events() = default;
};

// Takes bytes to send, in order, during send(). Must not call the session but for what is said.
class Out {
 public:
  // The session's bytes, which are its own again when it returns. False: there is no memory for
  // them, which ends the session.
  virtual bool put(Bytes frames) noexcept = 0;
  // What comes next of the answer's body, of which at most `most` bytes can leave now.
  virtual Piece next(Stream& stream, std::size_t most) noexcept = 0;
  // `bytes` of that body leave now, as next() has just said: they belong behind what was put last.
  virtual bool put_body(Stream& stream, std::size_t bytes) noexcept = 0;

 protected:
  ~Out() = default;
};

// The head of an answer.
struct AnswerHead {
  int status = 200;
  // Complete lines ended by CRLF, as HTTP/1.1 has them, validated by whoever collected them. Names
  // become lower-case; those that belong to a connection of HTTP/1 are dropped.
  std::string_view fields = {};
  std::string_view date = {};    // empty: no Date field
  std::string_view server = {};  // empty: no Server field
  std::string_view type = {};    // with null data: no Content-Type field
  std::optional<std::uint64_t> content_length = {};
  bool ends = false;  // no body follows
};

// What sessions have in common; never changed. Thread: any.
class Context {
 public:
  // Errc::out_of_memory, bad_setting.
  static Result<std::shared_ptr<const Context>> server(const Settings& settings);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  const Settings& settings() const { return settings_; }

 private:
  friend class Session;
  explicit Context(const Settings& settings);
  const Settings settings_;
  nghttp2_option* option_ = nullptr;
  nghttp2_session_callbacks* callbacks_ = nullptr;
};

// How much of what came, since the session began.
struct Counters {
  std::uint64_t streams = 0;       // opened by the peer
  std::uint64_t resets = 0;        // RST_STREAM frames of the peer
  std::uint64_t early_resets = 0;  // of them, those of streams that were not over
  std::uint64_t provoked = 0;      // streams reset by us because of what the peer sent
  std::uint64_t refused = 0;       // streams over the limit
  std::uint64_t settings = 0, pings = 0, empty_frames = 0, idle_frames = 0, small_windows = 0;
};

class Session {
 public:
  // For a client that has connected to us; its preface has not been taken yet. `memory` and
  // `events` must outlive the session. Errc::out_of_memory.
  static Result<std::unique_ptr<Session>> accept(std::shared_ptr<const Context> context,
                                                 Memory& memory, Events& events);
  // Nobody is told of streams that are left.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Takes received bytes, all of them. Call send() after it: what it has to say may be urgent, and
  // a rule that the peer broke is known as failure() when the GOAWAY leaves. False: it has failed.
  bool feed(base::Instant now, std::span<std::byte> bytes);
  // Gives at most `most` bytes to send. Returns how many; less than `most` - kLeastRoom: no more of
  // them are ready. Also after it has failed: the peer is told why.
  static constexpr std::size_t kLeastRoom = 32;
  std::size_t send(Out& out, std::size_t most);
  // There is something to send. Bodies that wait for the peer's window or for resume() do not
  // count.
  bool has_output() const;

  // `bytes` of what on_data() gave are done with: the peer may send as many again.
  void consume(Stream& stream, std::size_t bytes);

  // A 1xx in front of the answer, with complete lines; not 101, which HTTP/2 has not (RFC 9113
  // section 8.6). What follows returns false when memory is out: the session has failed.
  bool interim(Stream& stream, int status, std::string_view fields);
  // The answer, once. Unless it ends, its body is asked for by Out::next(), from the next send()
  // on. When it has left, and the request has not ended, the stream is reset with NO_ERROR (RFC
  // 9113 section 8.1): nobody reads the rest. Not so an extended CONNECT that was answered with
  // 2xx, whose two directions are apart.
  bool answer(Stream& stream, const AnswerHead& head);
  // There is more of a body after Piece::later.
  void resume(Stream& stream);
  // Ends the stream at once; nobody is told of it again.
  void reset(Stream& stream, Code code);
  // Its body waits for the peer's window: its own, or the connection's.
  bool waits_for_window(const Stream& stream) const;

  // The first of two steps to a good end (RFC 9113 section 6.8): no new streams, please; those that
  // are on their way are served. Does nothing the second time.
  void announce_end();
  // The second, a round trip later: streams that come from now on are ignored, and the peer is told
  // that they are. Does nothing the second time.
  void end();
  // It has ended, or the peer has, and nothing is left to do: close the connection.
  bool is_over() const;
  // The end of everything, with a GOAWAY. Not inside an event.
  void abort(Code code, std::string_view words);

  bool has_failed() const { return static_cast<bool>(failure_); }
  const Failure& failure() const { return failure_; }
  // The peer knows our limits. A peer that does not say so in time may be given up
  // (SETTINGS_TIMEOUT).
  bool settings_acknowledged() const { return acknowledged_; }
  std::size_t streams() const { return streams_; }  // that on_request() told of and are not over
  const Counters& counters() const { return counters_; }
  // Gives back memory that only a head needs. For a connection that has nothing to do.
  void shrink();

 private:
  friend class Context;
  struct Callbacks;
  struct Line;  // a field to send
  // Events of one kind, since the first of them in a window.
  struct Window {
    base::Instant since = base::Instant::min();
    std::uint32_t count = 0;
  };
  Session(std::shared_ptr<const Context> context, Memory& memory, Events& events);
  bool begin();

  Stream* stream_of(std::int32_t id) const;
  Stream* open(std::int32_t id);
  void forget(Stream& stream);
  void close(Stream& stream, Code code);
  void lose(Stream& stream);
  void pump(Out& out);
  bool count_small_window();
  void count_reset(Stream& stream);
  std::size_t next_part(std::span<const std::byte> bytes);
  void check_last_data();
  bool judge_stream(std::int32_t id);
  bool count(Window& window, std::uint32_t most, Flood flood);
  bool flood(Flood flood);
  bool judge_frame(std::uint8_t type, std::uint8_t flags, std::int32_t id, std::size_t length);
  void share(Stream& stream);
  void take_priority();
  void end_of_head(Stream& stream, bool ends);
  void refuse(Stream& stream, Errc why);
  void judge(int verdict);
  void fail(Reason reason, Code code, std::string_view detail);
  void tell_of_failure();
  bool settle(int verdict);
  void add_nv(std::string_view name, std::string_view value, bool sensitive = false);
  void add_lines(std::string_view lines);

  const std::shared_ptr<const Context> context_;
  const Settings& settings_;
  Memory& memory_;
  Events& events_;
  nghttp2_session* session_ = nullptr;
  Stream* first_ = nullptr;
  std::size_t streams_ = 0;
  HeadReader head_;
  std::vector<Line> fields_;  // of a head to send; its capacity is kept

  base::Instant now_ = base::Instant::min();
  Window resets_, provoked_, refused_, settings_frames_, pings_, empty_, idle_, small_windows_;
  Counters counters_;
  std::uint32_t small_credit_ = 0, ping_credit_ = 0;
  std::uint64_t hasty_resets_ = 0;  // of streams that did not live for a second
  std::uint32_t continuations_ = 0;
  std::size_t head_block_ = 0;
  std::size_t preface_left_ = 24;
  std::size_t frame_head_bytes_ = 0;  // of a frame that begins: so many have come
  std::size_t frame_left_ = 0;        // of the present frame, behind its head
  std::array<std::byte, 9> frame_head_{};
  std::array<char, 64> priority_{};  // of a PRIORITY_UPDATE; a longer one is not read
  std::size_t priority_size_ = 0;
  std::int32_t awaited_ = 0;         // the stream of a DATA frame, until nghttp2 tells of it
  std::int32_t judged_stream_ = 0;   // whose present frame was found invalid
  std::int32_t highest_ = 0;         // stream that the peer has opened
  std::int32_t highest_reset_ = 0;   // stream that we have reset
  std::int32_t last_ = 0x7fff'ffff;  // stream that is served; see end()

  Out* out_ = nullptr;       // during send()
  std::size_t room_ = 0;     // likewise
  std::size_t offered_ = 0;  // what the peer would take of the present DATA frame
  Bytes rest_;               // of a frame that did not fit
  bool paused_ = false;      // after a DATA frame
  bool no_room_ = false;     // Out has no memory
  bool in_call_ = false;     // inside nghttp2
  bool told_failure_ = false;
  bool said_goodbye_ = false;  // the GOAWAY of a failure has left
  bool announced_ = false, ended_ = false;
  bool acknowledged_ = false;
  Failure failure_;
};

}  // namespace sluice::http2
