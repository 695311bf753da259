// proto/http2/receive.cpp - frames that come, what they mean, and how many of them are too many.
//
// RFC 9113 sections 5, 6, 8 and 10.5. Layer: proto.
#include <algorithm>
#include <utility>

#include "proto/http/field_rules.hpp"
#include "proto/http/token.hpp"
#include "proto/http2/callbacks.hpp"

namespace sluice::http2 {
namespace {

constexpr std::int32_t kSmallWindow = 1024;

std::string_view text_of(nghttp2_rcbuf* buffer) {
  const nghttp2_vec vec = nghttp2_rcbuf_get_buf(buffer);
  return {reinterpret_cast<const char*>(vec.base), vec.len};
}

}  // namespace

// Frames are told apart here as well as in nghttp2, which does not speak of those that it ignores:
// each is judged before nghttp2 sees it whole, and looked after when it is over.
bool Session::feed(base::Instant now, std::span<std::byte> bytes) {
  if (has_failed()) return false;
  now_ = now;
  in_call_ = true;
  while (!bytes.empty() && !has_failed()) {
    const std::size_t size = next_part(bytes);
    if (has_failed()) break;
    const ssize_t taken = nghttp2_session_mem_recv(
        session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), size);
    if (taken < 0) judge(static_cast<int>(taken));
    bytes = bytes.subspan(size);
    if (frame_left_ == 0 && frame_head_bytes_ == 0) {
      Callbacks::run(this, [](Session& self) { self.check_last_data(); });
    }
  }
  in_call_ = false;
  return settle(0);
}

// How many bytes belong to the preface or to the frame that comes or goes on.
std::size_t Session::next_part(std::span<const std::byte> bytes) {
  if (preface_left_ > 0) {
    const std::size_t size = std::min(preface_left_, bytes.size());
    preface_left_ -= size;
    return size;
  }
  std::size_t head = 0;
  if (frame_left_ == 0) {
    head = std::min(frame_head_.size() - frame_head_bytes_, bytes.size());
    std::copy_n(bytes.begin(), head,
                frame_head_.begin() + static_cast<std::ptrdiff_t>(frame_head_bytes_));
    frame_head_bytes_ += head;
    if (frame_head_bytes_ < frame_head_.size()) return head;
    frame_head_bytes_ = 0;
    const auto at = [&](std::size_t i) { return std::to_integer<std::uint32_t>(frame_head_[i]); };
    frame_left_ = at(0) << 16 | at(1) << 8 | at(2);
    const std::uint32_t id = (at(5) << 24 | at(6) << 16 | at(7) << 8 | at(8)) & 0x7fff'ffff;
    if (at(3) != NGHTTP2_CONTINUATION) judged_stream_ = 0;
    judge_frame(static_cast<std::uint8_t>(at(3)), static_cast<std::uint8_t>(at(4)),
                static_cast<std::int32_t>(id), frame_left_);
  }
  const std::size_t body = std::min(frame_left_, bytes.size() - head);
  frame_left_ -= body;
  return head + body;
}

bool Session::flood(Flood flood) {
  if (!has_failed()) {
    fail(Reason::flood, Code::enhance_your_calm, word(flood));
    failure_.flood = flood;
  }
  return false;
}

// One more of a kind. False: it was one too many.
bool Session::count(Window& window, std::uint32_t most, Flood kind) {
  if (window.count == 0 || now_ - window.since >= settings_.floods.window) window = {now_, 0};
  return ++window.count <= most || flood(kind);
}

bool Session::count_small_window() {
  ++counters_.small_windows;
  if (small_credit_ > 0) {
    --small_credit_;
    return true;
  }
  return count(small_windows_, settings_.floods.small_windows, Flood::small_windows);
}

// The peer has reset it before its end. Whoever attacks does so at once; videos, streams of events
// and WebSockets end so as a rule.
void Session::count_reset(Stream& stream) {
  ++counters_.early_resets;
  if (now_ - stream.opened_ < std::chrono::seconds(1)) ++hasty_resets_;
  if (counters_.streams > settings_.floods.half_of && hasty_resets_ * 2 > counters_.streams) {
    flood(Flood::half_of);
  }
}

// --- frames --------------------------------------------------------------------------------------

// nghttp2 resets a stream without a word when its DATA are more than the window, or not what
// Content-Length has said. Then it does not tell of the frame either: the stream's work ends now,
// not when the reset can leave.
void Session::check_last_data() {
  if (awaited_ == 0) return;
  Stream* stream = stream_of(std::exchange(awaited_, 0));
  if (stream == nullptr) return;
  highest_reset_ = std::max(highest_reset_, static_cast<std::int32_t>(stream->id_));
  ++counters_.provoked;
  count(provoked_, settings_.floods.provoked, Flood::provoked);
  lose(*stream);
}

// A stream that is over can get HEADERS or DATA from a peer that does not know yet that we have
// reset it, but not otherwise.
bool Session::judge_stream(std::int32_t id) {
  if (id % 2 == 0 || id > highest_ || id <= highest_reset_ ||
      nghttp2_session_find_stream(session_, id) != nullptr) {
    return true;
  }
  // Where streams were left out, it may be one that was never open.
  const bool gaps = counters_.streams != static_cast<std::uint64_t>(highest_) / 2 + 1;
  fail(Reason::protocol, gaps ? Code::protocol_error : Code::stream_closed,
       "a frame on a stream that is over");
  return false;
}

// It has been reset because of what the peer sent.
void Session::lose(Stream& stream) {
  if (!stream.told_) {
    const std::uint32_t id = stream.id_;
    forget(stream);
    events_.on_refused(id, Errc::http_bad_request_line);
  } else {
    close(stream, Code::protocol_error);
  }
}

bool Session::judge_frame(std::uint8_t type, std::uint8_t flags, std::int32_t id,
                          std::size_t length) {
  const Floods& most = settings_.floods;
  if (nghttp2_session_get_outbound_queue_size(session_) > most.queue) return flood(Flood::queue);
  const bool is_ack = (flags & NGHTTP2_FLAG_ACK) != 0;
  switch (type) {
    case NGHTTP2_DATA:
      if (!judge_stream(id)) return false;
      awaited_ = id;
      if (length > 0 || (flags & NGHTTP2_FLAG_END_STREAM) != 0) return true;
      ++counters_.empty_frames;
      return count(empty_, most.empty_frames, Flood::empty_frames);
    case NGHTTP2_HEADERS:
      if (!judge_stream(id)) return false;
      continuations_ = 0;
      head_block_ = length;
      return length <= most.head_block_bytes || flood(Flood::head_block_bytes);
    case NGHTTP2_CONTINUATION:
      head_block_ += length;
      if (++continuations_ > most.continuations) return flood(Flood::continuations);
      return head_block_ <= most.head_block_bytes || flood(Flood::head_block_bytes);
    case NGHTTP2_RST_STREAM:
      ++counters_.resets;
      return count(resets_, most.resets, Flood::resets);
    case NGHTTP2_WINDOW_UPDATE:  // nghttp2 does not tell of those of streams that are over
      return id == 0 || nghttp2_session_find_stream(session_, id) != nullptr ||
             count_small_window();
    case NGHTTP2_SETTINGS:
      if (is_ack) break;
      ++counters_.settings;
      return count(settings_frames_, most.settings, Flood::settings);
    case NGHTTP2_PING:
      ++counters_.pings;
      if (ping_credit_ > 0) {
        --ping_credit_;
        return true;
      }
      return count(pings_, most.pings, Flood::pings);
    case NGHTTP2_PRIORITY:  // nghttp2 reads nothing but its length
      if (id != 0) break;
      fail(Reason::protocol, Code::protocol_error, "PRIORITY of no stream");
      return false;
    case NGHTTP2_PRIORITY_UPDATE:
      priority_size_ = 0;
      if (id == 0 && length >= 4) break;
      fail(Reason::protocol, id != 0 ? Code::protocol_error : Code::frame_size_error,
           "PRIORITY_UPDATE on a stream, or of none");
      return false;
    default:
      break;
  }
  ++counters_.idle_frames;
  return count(idle_, most.idle_frames, Flood::idle_frames);
}

int Session::Callbacks::on_bad_frame(nghttp2_session*, const nghttp2_frame* frame, int why,
                                     void* user) {
  return run(user, [&](Session& self) {
    const std::int32_t id = frame->hd.stream_id;
    if (id == 0 || self.judged_stream_ == id) return;
    self.judged_stream_ = id;
    self.highest_reset_ = std::max(self.highest_reset_, id);
    if (why == NGHTTP2_ERR_REFUSED_STREAM) {
      ++self.counters_.refused;
      self.count(self.refused_, self.settings_.floods.refused, Flood::refused);
    } else {
      ++self.counters_.provoked;
      self.count(self.provoked_, self.settings_.floods.provoked, Flood::provoked);
    }
    if (Stream* stream = self.stream_of(id)) self.lose(*stream);
  });
}

int Session::Callbacks::on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  return run(user, [&](Session& self) {
    const Floods& most = self.settings_.floods;
    Stream* stream = frame->hd.stream_id != 0 ? self.stream_of(frame->hd.stream_id) : nullptr;
    const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        if (stream != nullptr) self.end_of_head(*stream, ends);
        return;
      case NGHTTP2_DATA:
        self.awaited_ = 0;
        if (!ends && frame->hd.length > 0 && frame->hd.length == frame->data.padlen) {
          ++self.counters_.empty_frames;
          if (!self.count(self.empty_, most.empty_frames, Flood::empty_frames)) return;
        }
        if (stream == nullptr || !ends) return;
        stream->remote_closed_ = true;
        self.events_.on_end(*stream);
        return;
      case NGHTTP2_RST_STREAM:
        if (stream == nullptr) return;
        self.count_reset(*stream);
        // That would look as if it was answered.
        if (frame->rst_stream.error_code == NGHTTP2_NO_ERROR) self.close(*stream, Code::cancel);
        return;
      case NGHTTP2_WINDOW_UPDATE:
        if (frame->window_update.window_size_increment < kSmallWindow) self.count_small_window();
        return;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) self.acknowledged_ = true;
        return;
      case NGHTTP2_GOAWAY:
        self.events_.on_goaway(static_cast<Code>(frame->goaway.error_code));
        return;
      default:
        return;
    }
  });
}

// --- heads ---------------------------------------------------------------------------------------

int Session::Callbacks::on_begin_head(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  return run(user, [&](Session& self) {
    const bool request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    self.head_.begin(!request);
    if (!request || frame->hd.stream_id > self.last_) return;
    ++self.counters_.streams;
    self.highest_ = std::max(self.highest_, frame->hd.stream_id);
    self.open(frame->hd.stream_id);
  });
}

int Session::Callbacks::on_field(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name,
                                 nghttp2_rcbuf* value, std::uint8_t, void* user) {
  return run(user, [&](Session& self) {
    Stream* stream = self.stream_of(frame->hd.stream_id);
    if (stream == nullptr) return;
    const Errc error = self.head_.add(text_of(name), text_of(value));
    if (self.head_.decoded_bytes() > self.settings_.floods.decoded_bytes) {
      self.flood(Flood::decoded_bytes);
    } else if (error != Errc::none) {
      self.refuse(*stream, error);
    }
  });
}

// nghttp2 would go on without it.
int Session::Callbacks::on_bad_field(nghttp2_session*, const nghttp2_frame* frame,
                                     nghttp2_rcbuf* name, nghttp2_rcbuf* value, std::uint8_t,
                                     void* user) {
  return run(user, [&](Session& self) {
    Stream* stream = self.stream_of(frame->hd.stream_id);
    if (stream == nullptr) return;
    const Errc error = self.head_.add(text_of(name), text_of(value));
    self.refuse(*stream, error != Errc::none ? error : Errc::http_bad_field_value);
  });
}

// The head of a request, or trailers, has come in full.
void Session::end_of_head(Stream& stream, bool ends) {
  const Errc error = head_.finish(ends);
  if (error != Errc::none) return refuse(stream, error);
  Request& request = head_.request();
  if (stream.told_) {
    if (request.error != Errc::none) return refuse(stream, request.error);
    stream.remote_closed_ = true;
    if (!request.head.fields.empty()) {
      const std::uint32_t id = stream.id_;
      events_.on_trailers(stream, request.head.fields);
      if (stream_of(static_cast<std::int32_t>(id)) != &stream) return;  // it was reset meanwhile
    }
    events_.on_end(stream);
    return;
  }
  stream.told_ = true;
  ++streams_;
  stream.remote_closed_ = ends;
  stream.extended_ = !request.protocol.empty();
  if (request.head.find("priority").data() == nullptr) share(stream);
  events_.on_request(stream, request);
}

// RFC 9113 section 8.1.1: a stream error.
void Session::refuse(Stream& stream, Errc why) {
  const auto id = static_cast<std::int32_t>(stream.id_);
  judged_stream_ = id;
  highest_reset_ = std::max(highest_reset_, id);
  judge(nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_PROTOCOL_ERROR));
  ++counters_.provoked;
  count(provoked_, settings_.floods.provoked, Flood::provoked);
  if (stream.told_) {
    close(stream, Code::protocol_error);
  } else {
    forget(stream);
    events_.on_refused(static_cast<std::uint32_t>(id), why);
  }
}

// --- bodies --------------------------------------------------------------------------------------

int Session::Callbacks::on_data(nghttp2_session*, std::uint8_t, std::int32_t id,
                                const std::uint8_t* data, std::size_t size, void* user) {
  return run(user, [&](Session& self) {
    Stream* stream = self.stream_of(id);
    if (stream == nullptr) {  // it was reset, which nghttp2 does not know in the middle of a frame
      self.judge(nghttp2_session_consume_connection(self.session_, size));
      return;
    }
    stream->held_ += static_cast<std::uint32_t>(size);
    // They are of what was fed, which may be changed.
    auto* bytes = const_cast<std::byte*>(reinterpret_cast<const std::byte*>(data));
    self.events_.on_data(*stream, {bytes, size});
  });
}

int Session::Callbacks::on_close(nghttp2_session*, std::int32_t id, std::uint32_t code,
                                 void* user) {
  Session& self = *static_cast<Session*>(user);
  Stream* stream = self.stream_of(id);
  if (stream == nullptr) return 0;
  try {
    self.close(*stream, static_cast<Code>(code));
  } catch (const std::bad_alloc&) {
    self.fail(Reason::out_of_memory, Code::internal_error, {});
  }
  return self.has_failed() ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

}  // namespace sluice::http2
