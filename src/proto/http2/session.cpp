// proto/http2/session.cpp - streams, answers, and how a session ends.
//
// RFC 9113. Layer: proto.
#include "proto/http2/session.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <new>

#include "proto/http/token.hpp"
#include "proto/http2/callbacks.hpp"

namespace sluice::http2 {

Session::Session(std::shared_ptr<const Context> context, Memory& memory, Events& events)
    : context_(std::move(context)),
      settings_(context_->settings()),
      memory_(memory),
      events_(events),
      head_(settings_.head) {}

Session::~Session() {
  nghttp2_session_del(session_);
  while (first_ != nullptr) {
    Stream* stream = first_;
    first_ = stream->next_;
    stream->~Stream();
    memory_.give_back(stream);
  }
}

Result<std::unique_ptr<Session>> Session::accept(std::shared_ptr<const Context> context,
                                                 Memory& memory, Events& events) {
  std::unique_ptr<Session> made(new (std::nothrow) Session(std::move(context), memory, events));
  if (made == nullptr || !made->begin()) return Error(Errc::out_of_memory);
  return made;
}

bool Session::begin() {
  nghttp2_mem mem{
      &memory_,
      [](std::size_t bytes, void* user) { return static_cast<Memory*>(user)->take(bytes); },
      [](void* piece, void* user) { static_cast<Memory*>(user)->give_back(piece); },
      [](std::size_t count, std::size_t bytes, void* user) {
        void* piece = static_cast<Memory*>(user)->take(count * bytes);
        if (piece != nullptr)
          std::fill_n(static_cast<std::byte*>(piece), count * bytes, std::byte());
        return piece;
      },
      [](void* piece, std::size_t bytes, void* user) {
        return static_cast<Memory*>(user)->change(piece, bytes);
      }};
  if (!memory_.stock()) return false;
  if (nghttp2_session_server_new3(&session_, context_->callbacks_, this, context_->option_, &mem) !=
      0) {
    return false;
  }
  const nghttp2_settings_entry entries[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings_.streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings_.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       static_cast<std::uint32_t>(std::min<std::size_t>(settings_.head.head_bytes, 0x7fff'ffff))},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}};
  const std::size_t count = std::size(entries) - (settings_.extended_connect ? 0 : 1);
  return nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, count) == 0 &&
         nghttp2_session_set_local_window_size(
             session_, NGHTTP2_FLAG_NONE, 0,
             static_cast<std::int32_t>(settings_.connection_window)) == 0;
}

// --- streams -------------------------------------------------------------------------------------

Stream* Session::stream_of(std::int32_t id) const {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session_, id));
}

Stream* Session::open(std::int32_t id) {
  void* room = memory_.take(sizeof(Stream));
  if (room == nullptr) throw std::bad_alloc();
  auto* stream = ::new (room) Stream(static_cast<std::uint32_t>(id), now_);
  stream->next_ = first_;
  if (first_ != nullptr) first_->previous_ = stream;
  first_ = stream;
  nghttp2_session_set_stream_user_data(session_, id, stream);
  return stream;
}

// What is known of it goes; what it has not consumed is the connection's again.
void Session::forget(Stream& stream) {
  const auto id = static_cast<std::int32_t>(stream.id_);
  (stream.previous_ != nullptr ? stream.previous_->next_ : first_) = stream.next_;
  if (stream.next_ != nullptr) stream.next_->previous_ = stream.previous_;
  if (stream.told_) --streams_;
  nghttp2_session_set_stream_user_data(session_, id, nullptr);
  if (stream.held_ > 0) judge(nghttp2_session_consume_connection(session_, stream.held_));
  stream.~Stream();
  memory_.give_back(&stream);
}

// It is over, and who has been told of it is told so.
void Session::close(Stream& stream, Code code) {
  nghttp2_session_set_stream_user_data(session_, static_cast<std::int32_t>(stream.id_), nullptr);
  stream.closing_ = true;
  struct Forget {
    Session& session;
    Stream& stream;
    ~Forget() { session.forget(stream); }
  } forget_it{*this, stream};
  if (stream.told_) events_.on_closed(stream, code);
}

void Session::reset(Stream& stream, Code code) {
  if (stream.closing_) return;
  const auto id = static_cast<std::int32_t>(stream.id_);
  highest_reset_ = std::max(highest_reset_, id);
  judge(
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, static_cast<std::uint32_t>(code)));
  forget(stream);
  settle(0);
}

void Session::consume(Stream& stream, std::size_t bytes) {
  bytes = std::min<std::size_t>(bytes, stream.held_);
  stream.held_ -= static_cast<std::uint32_t>(bytes);
  judge(stream.remote_closed_ || stream.closing_
            ? nghttp2_session_consume_connection(session_, bytes)
            : nghttp2_session_consume(session_, static_cast<std::int32_t>(stream.id_), bytes));
  settle(0);
}

bool Session::waits_for_window(const Stream& stream) const {
  const auto id = static_cast<std::int32_t>(stream.id_);
  return nghttp2_session_get_remote_window_size(session_) <= 0 ||
         nghttp2_session_get_stream_remote_window_size(session_, id) <= 0;
}

// --- answers -------------------------------------------------------------------------------------

void Session::add_nv(std::string_view name, std::string_view value, bool sensitive) {
  // nghttp2 copies both, and writes the copy of the name in small letters.
  const auto bytes = [](std::string_view text) {
    return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
  };
  const auto flags = sensitive ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
  fields_.push_back(
      {{bytes(name), bytes(value), name.size(), value.size(), static_cast<std::uint8_t>(flags)}});
}

void Session::add_lines(std::string_view lines) {
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find("\r\n"), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 2, lines.size()));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    bool sensitive = false;
    switch (http::field_id(name)) {
      case http::FieldId::connection:
      case http::FieldId::transfer_encoding:
      case http::FieldId::upgrade:
        continue;
      case http::FieldId::other:
        if (http::is_word(name, http::Word("keep-alive")) ||
            http::is_word(name, http::Word("proxy-connection"))) {
          continue;
        }
        sensitive = http::is_word(name, http::Word("set-cookie"));
        break;
      default:
        break;
    }
    add_nv(name, http::trim_ows(line.substr(colon + 1)), sensitive);
  }
}

bool Session::interim(Stream& stream, int status, std::string_view fields) {
  if (has_failed() || stream.closing_) return !has_failed();
  char digits[12];
  const char* end = std::to_chars(digits, std::end(digits), status).ptr;
  try {
    fields_.clear();
    add_nv(":status", {digits, static_cast<std::size_t>(end - digits)});
    add_lines(fields);
  } catch (const std::bad_alloc&) {
    return settle(NGHTTP2_ERR_NOMEM);
  }
  return settle(nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE,
                                       static_cast<std::int32_t>(stream.id_), nullptr,
                                       fields_.data(), fields_.size(), nullptr));
}

bool Session::answer(Stream& stream, const AnswerHead& head) {
  if (has_failed() || stream.closing_) return !has_failed();
  if (head.status / 100 != 2) stream.extended_ = false;
  char status[12], length[24];
  const char* status_end = std::to_chars(status, std::end(status), head.status).ptr;
  try {
    fields_.clear();
    add_nv(":status", {status, static_cast<std::size_t>(status_end - status)});
    if (!head.date.empty()) add_nv("date", head.date);
    if (!head.server.empty()) add_nv("server", head.server);
    add_lines(head.fields);
    if (head.type.data() != nullptr) add_nv("content-type", head.type);
    if (head.content_length) {
      const char* end = std::to_chars(length, std::end(length), *head.content_length).ptr;
      add_nv("content-length", {length, static_cast<std::size_t>(end - length)});
    }
  } catch (const std::bad_alloc&) {
    return settle(NGHTTP2_ERR_NOMEM);
  }
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::read_body;
  return settle(nghttp2_submit_response(session_, static_cast<std::int32_t>(stream.id_),
                                        fields_.data(), fields_.size(),
                                        head.ends ? nullptr : &body));
}

void Session::resume(Stream& stream) {
  // Not deferred: its turn comes anyway.
  const int verdict = nghttp2_session_resume_data(session_, static_cast<std::int32_t>(stream.id_));
  if (verdict != NGHTTP2_ERR_INVALID_ARGUMENT) settle(verdict);
}

// --- the end -------------------------------------------------------------------------------------

void Session::announce_end() {
  if (announced_ || has_failed()) return;
  announced_ = true;
  settle(nghttp2_submit_shutdown_notice(session_));
}

void Session::end() {
  if (ended_ || has_failed()) return;
  announced_ = ended_ = true;
  // nghttp2 lets streams in until the GOAWAY leaves.
  last_ = nghttp2_session_get_last_proc_stream_id(session_);
  settle(nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last_, NGHTTP2_NO_ERROR, nullptr, 0));
}

void Session::abort(Code code, std::string_view words) {
  fail(Reason::aborted, code, words);
  settle(0);
}

bool Session::is_over() const {
  if (!rest_.empty()) return false;
  if (has_failed()) return said_goodbye_;
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

void Session::shrink() {
  head_.shrink();
  fields_ = {};
}

// The first failure is the one that counts.
void Session::fail(Reason reason, Code code, std::string_view detail) {
  if (has_failed()) return;
  failure_.reason = reason;
  failure_.code = code;
  try {
    failure_.detail = detail;
  } catch (const std::bad_alloc&) {
    failure_.detail.clear();
  }
}

// What nghttp2 said of a call.
void Session::judge(int verdict) {
  switch (verdict) {
    case 0:
      return;
    case NGHTTP2_ERR_NOMEM:
      fail(Reason::out_of_memory, Code::internal_error, {});
      return;
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
      fail(Reason::bad_preface, Code::protocol_error, "the client's preface is not there");
      return;
    case NGHTTP2_ERR_FLOODED:
      flood(Flood::queue);
      return;
    default:
      if (nghttp2_is_fatal(verdict)) {
        fail(Reason::protocol, Code::protocol_error, nghttp2_strerror(verdict));
      }
      return;
  }
}

// Outside of nghttp2: what has failed says good-bye, and streams end. Returns whether it works.
bool Session::settle(int verdict) {
  judge(verdict);
  if (has_failed() && !in_call_ && !told_failure_) tell_of_failure();
  return !has_failed();
}

void Session::tell_of_failure() {
  told_failure_ = true;
  if (!said_goodbye_ &&
      nghttp2_session_terminate_session(session_, static_cast<std::uint32_t>(failure_.code)) != 0) {
    said_goodbye_ = true;  // there is no memory to say it
  }
  while (first_ != nullptr) {
    try {
      // Only what was answered ends without an error.
      close(*first_, failure_.code != Code::no_error ? failure_.code : Code::cancel);
    } catch (const std::bad_alloc&) {  // of whoever was told
    }
  }
}

}  // namespace sluice::http2
