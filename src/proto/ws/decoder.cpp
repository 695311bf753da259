// proto/ws/decoder.cpp - frames to pieces of messages.
//
// RFC 6455 sections 5.4, 5.5, 7.4, 8.1. Layer: proto. No I/O.
#include "proto/ws/decoder.hpp"

#include <algorithm>
#include <cstring>

#include "proto/ws/handshake.hpp"

namespace sluice::ws {

namespace {

// How much of `data` stands before the byte that is wrong: one that cannot follow, or the last of a
// message that stops inside a code point.
std::size_t cut_at_bad_utf8(Bytes data, Utf8 before, bool message_end) {
  const std::size_t good = before.add_until_bad(data);
  if (good < data.size() || !message_end) return good;
  return data.empty() ? 0 : data.size() - 1;
}

}  // namespace

base::Bad Decoder::fail(Errc error) {
  state_ = State::failed;
  error_ = error;
  return {error};
}

base::Parsed<Event> Decoder::decode(std::span<std::byte> in) {
  std::size_t at = 0;
  if (state_ == State::header) {
    // Each answer is made where it is looked at, and frame_ where it stays: copies of what has just
    // been written in parts would cost more than the reading.
    const base::Parsed<std::uint64_t> header =
        kept_ == 0 ? read_frame_header(in, options_.sender, frame_) : read_cut_header(in);
    if (header.is_bad()) return fail(header.error());
    if (!header.is_done()) return keep_header(in);
    at = header.used();
    if (const Errc error = begin_frame(); error != Errc::none) return fail(error);
    state_ = State::payload;
    if (at == in.size() && frame_.length > 0) return base::need_more;
  } else if (state_ != State::payload) {
    if (state_ == State::failed) return base::Bad{error_};
    return base::need_more;
  } else if (in.empty()) {
    return base::need_more;
  }
  return is_control(frame_.opcode) ? decode_control(in, at) : decode_data(in, at);
}

// The front of a header whose rest has not come. Any header longer than this would be whole.
base::NeedMore Decoder::keep_header(Bytes in) {
  if (!in.empty()) std::memcpy(header_.data() + kept_, in.data(), in.size());
  kept_ = static_cast<std::uint8_t>(kept_ + in.size());
  return base::need_more;
}

// A header whose front came earlier; used() counts bytes of `in` only.
base::Parsed<std::uint64_t> Decoder::read_cut_header(Bytes in) {
  std::array<std::byte, kFrameHeaderBound> bytes;
  std::memcpy(bytes.data(), header_.data(), kept_);
  const std::size_t taken = std::min(in.size(), bytes.size() - kept_);
  if (taken > 0) std::memcpy(bytes.data() + kept_, in.data(), taken);
  const auto header = read_frame_header(Bytes(bytes).first(kept_ + taken), options_.sender, frame_);
  if (!header.is_done()) return header;
  const std::size_t used = header.used() - kept_;
  kept_ = 0;
  return {header.value(), used};
}

// A whole header is there: may this frame come now, and may it be this long?
Errc Decoder::begin_frame() {
  frame_at_ = 0;
  // Only the first frame of a message may say that it is compressed (RFC 7692, section 6.1).
  if (frame_.rsv1 &&
      (!compression_ || is_control(frame_.opcode) || frame_.opcode == Opcode::continuation)) {
    return Errc::ws_reserved_bits;
  }
  if (is_control(frame_.opcode)) return Errc::none;
  if (frame_.opcode == Opcode::continuation) {
    if (!in_message_) return Errc::ws_unexpected_continuation;
  } else {
    if (in_message_) return Errc::ws_expected_continuation;
    message_opcode_ = frame_.opcode;
    message_begin_ = true;
    compressed_ = frame_.rsv1;
    message_bytes_ = 0;
    fragments_ = 0;
  }
  if (fragments_ >= options_.fragments) return Errc::ws_too_many_fragments;
  if (frame_.length > options_.message_bytes - message_bytes_) return Errc::ws_message_too_big;
  ++fragments_;
  message_bytes_ += frame_.length;
  in_message_ = !frame_.fin;
  return Errc::none;
}

base::Parsed<Event> Decoder::decode_data(std::span<std::byte> in, std::size_t at) {
  const std::uint64_t left = frame_.length - frame_at_;
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, in.size() - at));
  // Filled where the caller gets it: this is the path of every small message.
  base::Parsed<Event> parsed(Event{}, at + size);
  Event& event = parsed.value();
  event.data = in.subspan(at, size);
  if (frame_.masked) mask(event.data, frame_.key, frame_at_);
  event.frame_left = left - size;
  event.frame_end = event.frame_left == 0;
  event.message_end = event.frame_end && frame_.fin;
  event.opcode = message_opcode_;
  event.fin = frame_.fin;
  event.message_begin = message_begin_;
  event.compressed = compressed_;
  message_begin_ = false;
  frame_at_ += size;
  if (event.frame_end) state_ = State::header;

  if (message_opcode_ == Opcode::text && options_.validate_utf8 && !compressed_) {
    const Utf8 before = utf8_;
    if (!utf8_.add(event.data) || (event.message_end && !utf8_.complete())) {
      return refuse_text(event, before, at);
    }
  }
  return parsed;
}

// Text with a byte that is wrong: what stands before it is the last piece.
base::Parsed<Event> Decoder::refuse_text(Event event, Utf8 before, std::size_t at) {
  const std::size_t good = cut_at_bad_utf8(event.data, before, event.message_end);
  fail(Errc::ws_bad_utf8);
  if (good == 0) return base::Bad{Errc::ws_bad_utf8};
  event.frame_left += event.data.size() - good;
  event.data = event.data.first(good);
  event.frame_end = event.message_end = false;
  return {event, at + good};
}

// A control frame is an event of its own, whole: at most 125 bytes are kept for it.
base::Parsed<Event> Decoder::decode_control(std::span<std::byte> in, std::size_t at) {
  const std::size_t length = static_cast<std::size_t>(frame_.length);
  const std::size_t taken = std::min(length - kept_, in.size() - at);
  Event event;
  if (taken == length) {
    event.data = in.subspan(at, length);
    control_.reset();
  } else {
    if (!control_) control_ = std::make_unique<ControlPayload>();
    std::memcpy(control_->data() + kept_, in.data() + at, taken);
    kept_ = static_cast<std::uint8_t>(kept_ + taken);
    if (kept_ < length) return base::need_more;
    event.data = {control_->data(), length};
  }
  kept_ = 0;
  state_ = State::header;
  if (frame_.masked) mask(event.data, frame_.key, 0);
  event.opcode = frame_.opcode;
  event.fin = event.frame_end = true;
  if (frame_.opcode == Opcode::close) {
    if (const Errc error = read_close(event); error != Errc::none) return fail(error);
    state_ = State::closed;
  } else {
    event.kind = frame_.opcode == Opcode::ping ? Event::Kind::ping : Event::Kind::pong;
  }
  return {event, at + taken};
}

// RFC 6455 section 5.5.1: nothing, or a code that may be sent and a reason.
Errc Decoder::read_close(Event& event) const {
  event.kind = Event::Kind::close;
  event.close_code = 1005;
  if (event.data.empty()) return Errc::none;
  if (event.data.size() < 2) return Errc::ws_bad_close_frame;
  event.close_code = static_cast<std::uint16_t>(std::to_integer<unsigned>(event.data[0]) << 8 |
                                                std::to_integer<unsigned>(event.data[1]));
  event.data = event.data.subspan(2);
  if (!may_be_sent(event.close_code)) return Errc::ws_bad_close_code;
  if (options_.validate_utf8 && !is_utf8(event.data)) return Errc::ws_bad_utf8;
  return Errc::none;
}

}  // namespace sluice::ws
