// proto/http2/send.cpp - frames that go: the session's own bytes, and bodies that stay where they
// are.
//
// RFC 9113 sections 4, 6.1 and 6.9. Layer: proto.
#include <algorithm>

#include "proto/http2/callbacks.hpp"

namespace sluice::http2 {
namespace {

constexpr std::size_t kFrameHead = 9;
constexpr std::size_t kMostPayload = 16384;  // of a DATA frame; more would gain nothing

constexpr std::uint32_t kMostCredit = 0xffff;

}  // namespace

std::size_t Session::send(Out& out, std::size_t most) {
  room_ = most;
  const bool had_failed = has_failed();
  pump(out);
  if (!settle(0) && !had_failed) pump(out);  // the peer is told why
  return most - room_;
}

void Session::pump(Out& out) {
  out_ = &out;
  in_call_ = true;
  for (;;) {
    if (!rest_.empty()) {
      const std::size_t part = std::min(rest_.size(), room_);
      if (part > 0 && !out.put(rest_.first(part))) {
        rest_ = {};
        said_goodbye_ = true;  // nothing can be said any more
        judge(NGHTTP2_ERR_NOMEM);
        break;
      }
      room_ -= part;
      rest_ = rest_.subspan(part);
    }
    if (!rest_.empty() || said_goodbye_ || room_ < kLeastRoom) break;
    if (!memory_.stock() && !has_failed()) {
      judge(NGHTTP2_ERR_NOMEM);
      break;
    }
    paused_ = false;
    const std::uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) {
      if (no_room_ || size == NGHTTP2_ERR_NOMEM) said_goodbye_ = true;
      judge(no_room_ ? NGHTTP2_ERR_NOMEM : static_cast<int>(size));
      break;
    }
    if (size == 0 && !paused_) break;
    rest_ = {reinterpret_cast<const std::byte*>(data), static_cast<std::size_t>(size)};
  }
  in_call_ = false;
  out_ = nullptr;
}

bool Session::has_output() const {
  if (!rest_.empty()) return true;
  return !said_goodbye_ && nghttp2_session_want_write(session_) != 0;
}

ssize_t Session::Callbacks::most_data(nghttp2_session*, std::uint8_t, std::int32_t,
                                      std::int32_t connection_window, std::int32_t stream_window,
                                      std::uint32_t most_frame, void* user) {
  Session& self = *static_cast<Session*>(user);
  const auto window = static_cast<std::size_t>(std::min(connection_window, stream_window));
  self.offered_ = std::min({kMostPayload, window, static_cast<std::size_t>(most_frame)});
  return static_cast<ssize_t>(std::min(self.offered_, self.room_ - kFrameHead));
}

ssize_t Session::Callbacks::read_body(nghttp2_session* session, std::int32_t id, std::uint8_t*,
                                      std::size_t most, std::uint32_t* flags, nghttp2_data_source*,
                                      void* user) {
  Session& self = *static_cast<Session*>(user);
  Stream* stream = self.stream_of(id);
  if (stream == nullptr || self.out_ == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  const Piece piece = self.out_->next(*stream, most);
  switch (piece.then) {
    case Piece::Then::failed:
      self.forget(*stream);
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    case Piece::Then::more:
    case Piece::Then::later:
      if (piece.bytes == 0) return NGHTTP2_ERR_DEFERRED;
      break;
    case Piece::Then::end:
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (piece.trailers.empty()) break;
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      try {
        self.fields_.clear();
        self.add_lines(piece.trailers);
      } catch (const std::bad_alloc&) {
        self.no_room_ = true;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
      }
      if (nghttp2_submit_trailer(session, id, self.fields_.data(), self.fields_.size()) != 0) {
        self.no_room_ = true;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
      }
      break;
  }
  // Small because the body is: the peer will answer with small windows. The last: with one for a
  // stream that is over.
  const bool is_small = piece.bytes < std::min<std::size_t>(self.offered_, 1024);
  if ((is_small || piece.then == Piece::Then::end) && self.small_credit_ < kMostCredit) {
    self.small_credit_ += 4;
  }
  if (self.ping_credit_ < kMostCredit) ++self.ping_credit_;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  return static_cast<ssize_t>(std::min(piece.bytes, most));
}

int Session::Callbacks::send_data(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head,
                                  std::size_t size, nghttp2_data_source*, void* user) {
  Session& self = *static_cast<Session*>(user);
  Stream* stream = self.stream_of(frame->hd.stream_id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  if (!self.out_->put({reinterpret_cast<const std::byte*>(head), kFrameHead}) ||
      (size > 0 && !self.out_->put_body(*stream, size))) {
    self.no_room_ = true;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  self.room_ -= kFrameHead + size;
  // So that the room is looked at before the next one.
  self.paused_ = true;
  return NGHTTP2_ERR_PAUSE;
}

int Session::Callbacks::on_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  Session& self = *static_cast<Session*>(user);
  const std::int32_t id = frame->hd.stream_id;
  switch (frame->hd.type) {
    case NGHTTP2_GOAWAY:
      // Of announce_end() or end(), even if it had to wait until the session has failed.
      if (frame->goaway.error_code == NGHTTP2_NO_ERROR &&
          (!self.has_failed() || self.failure_.code != Code::no_error)) {
        return 0;
      }
      // INTERNAL_ERROR is what nghttp2 says where it had no memory for a head.
      self.fail(frame->goaway.error_code == NGHTTP2_INTERNAL_ERROR ? Reason::out_of_memory
                                                                   : Reason::protocol,
                static_cast<Code>(frame->goaway.error_code),
                {reinterpret_cast<const char*>(frame->goaway.opaque_data),
                 frame->goaway.opaque_data_len});
      self.said_goodbye_ = true;
      return 0;
    case NGHTTP2_RST_STREAM:
      self.highest_reset_ = std::max(self.highest_reset_, id);
      if (self.stream_of(id) == nullptr) return 0;
      // We have not reset it: see check_last_data().
      ++self.counters_.provoked;
      self.count(self.provoked_, self.settings_.floods.provoked, Flood::provoked);
      return 0;
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS: {
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
      Stream* stream = self.stream_of(id);
      if (stream == nullptr || stream->remote_closed_ || stream->extended_) return 0;
      self.judge(nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR));
      self.highest_reset_ = std::max(self.highest_reset_, id);
      return on_close(session, id, NGHTTP2_NO_ERROR, user);
    }
    default:
      return 0;
  }
}

// An answer whose head nghttp2 cannot send would leave its stream hanging.
int Session::Callbacks::on_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int,
                                    void* user) {
  Session& self = *static_cast<Session*>(user);
  const std::int32_t id = frame->hd.stream_id;
  if (frame->hd.type != NGHTTP2_HEADERS || self.stream_of(id) == nullptr) return 0;
  self.judge(nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR));
  return on_close(session, id, NGHTTP2_INTERNAL_ERROR, user);
}

}  // namespace sluice::http2
