// proto/ws/decoder.hpp - a stream of bytes becomes pieces of messages and control frames.
//
// RFC 6455 sections 5.4 (fragmentation), 5.5 (control frames between fragments), 8.1 (UTF-8, fails
// fast); RFC 7692 section 6 (rsv1). Layer: proto. Does no I/O. Keeps at most the front of a frame
// header, and of a control payload that came in pieces, which is the only thing that it allocates
// (std::bad_alloc).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/parsed.hpp"
#include "proto/ws/frame_header.hpp"
#include "proto/ws/utf8.hpp"

namespace sluice::ws {

struct DecoderOptions {
  Role sender = Role::client;
  bool validate_utf8 = true;  // of text messages and of the reason in a close frame
  // Of a message over all its fragments; over: ws_message_too_big, at the header.
  std::uint64_t message_bytes = std::uint64_t{64} << 20;
  // Of one message; over: ws_too_many_fragments, at the header.
  std::uint32_t fragments = 65536;
};

// What the next bytes were.
struct Event {
  enum class Kind : std::uint8_t { piece, ping, pong, close } kind = Kind::piece;
  // Of the message (text or binary), also on continuation frames; of a control frame, its own.
  Opcode opcode = Opcode::text;
  bool message_begin = false;    // first piece of a message
  bool frame_end = false;        // the frame that this piece belongs to is complete
  bool message_end = false;      // the message is complete (with fin); implies frame_end
  bool fin = false;              // fin bit of the frame
  bool compressed = false;       // the message came with rsv1: its bytes are yet to be inflated
  std::uint16_t close_code = 0;  // close: 1005 when the frame had none
  std::uint64_t frame_left = 0;  // payload of this frame still to come
  // Unmasked in place inside the input; a control payload that came in several pieces: inside the
  // decoder, until the next call. Of a close frame: the reason, without the code.
  std::span<std::byte> data;
};

// Call decode() with what arrived; drop used(); call again until need_more, which has kept
// everything it was given (the caller drops `in` whole then). A message or frame with no payload
// gives a piece with no data. Payload pieces are handed out as they come: memory does not grow with
// the declared length.
//
// Whatever the cuts, the pieces of a frame add up to the same bytes and the stream ends with the
// same error: text is handed out up to the byte that cannot be UTF-8, and that byte is the error.
//
// After an error every call gives that error again; after a close event every call gives need_more
// (RFC 6455 section 5.5.1: what follows a Close frame is not looked at).
class Decoder {
 public:
  explicit Decoder(const DecoderOptions& options = {}) : options_(options) {}
  base::Parsed<Event> decode(std::span<std::byte> in);
  // True from the first header of a message until its last byte has been handed out.
  bool in_message() const {
    return in_message_ || (state_ == State::payload && !is_control(frame_.opcode));
  }
  // From a frame's header until its last payload byte: no other frame can begin.
  bool in_frame() const { return state_ == State::payload; }
  // Whether messages may be compressed (RFC 7692): rsv1 on the first frame. Between messages.
  // Their text is not looked at: it is no text yet.
  void set_compression(bool negotiated) { compression_ = negotiated; }
  // Between messages, with nothing kept: any other decoder with these options would go on the same.
  bool at_rest() const { return state_ == State::header && kept_ == 0 && !in_message_; }

 private:
  enum class State : std::uint8_t { header, payload, closed, failed };

  base::Parsed<std::uint64_t> read_cut_header(Bytes in);
  base::NeedMore keep_header(Bytes in);
  Errc begin_frame();
  base::Parsed<Event> decode_data(std::span<std::byte> in, std::size_t at);
  base::Parsed<Event> decode_control(std::span<std::byte> in, std::size_t at);
  Errc read_close(Event& event) const;
  base::Parsed<Event> refuse_text(Event event, Utf8 before, std::size_t at);
  base::Bad fail(Errc error);

  DecoderOptions options_;
  FrameHeader frame_;
  std::uint64_t frame_at_ = 0;       // payload bytes of the frame handed out so far
  std::uint64_t message_bytes_ = 0;  // declared lengths of the message's frames so far
  std::uint32_t fragments_ = 0;
  Utf8 utf8_;  // between messages always complete: a text that is not is an error
  State state_ = State::header;
  bool in_message_ = false;     // a fragmented message is open
  bool message_begin_ = false;  // no piece of the message has been handed out yet
  bool compression_ = false, compressed_ = false;  // permitted; this message is
  Opcode message_opcode_ = Opcode::text;
  Errc error_ = Errc::none;
  std::uint8_t kept_ = 0;  // bytes kept of a cut header, or of a control payload
  std::array<std::byte, kFrameHeaderBound> header_;
  using ControlPayload = std::array<std::byte, 125>;
  std::unique_ptr<ControlPayload>
      control_;  // of a control frame in pieces, until the next whole one
};

}  // namespace sluice::ws
