// proto/ws/decoder.hpp - a stream of bytes becomes pieces of messages and control frames.
//
// RFC 6455 sections 5.4 (fragmentation), 5.5 (control frames between fragments), 8.1 (UTF-8, fails fast).
// Layer: proto. Does no I/O. Allocates nothing: at most one frame header and one control payload are kept inside.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/parsed.hpp"
#include "proto/ws/frame_header.hpp"
#include "proto/ws/utf8.hpp"

namespace sluice::ws {

struct DecoderOptions {
  Role sender = Role::client;
  bool validate_utf8 = true;
  std::uint64_t message_bytes = std::uint64_t{64} << 20;  // of a message over all its fragments; over: ws_message_too_big, at the header
  std::uint32_t fragments = 65536;                         // of one message; over: ws_too_many_fragments
};

// What the next bytes were.
struct Event {
  enum class Kind : std::uint8_t { piece, ping, pong, close } kind = Kind::piece;
  Opcode opcode = Opcode::text;   // of the message (text or binary), also on continuation frames
  bool message_begin = false;     // first piece of a message
  bool frame_end = false;         // the frame that this piece belongs to is complete
  bool message_end = false;       // the message is complete (with fin); implies frame_end
  bool fin = false;               // fin bit of the frame
  std::uint64_t frame_left = 0;   // payload of this frame still to come
  std::span<std::byte> data;      // unmasked in place inside the input; a control payload that came in several pieces: inside the decoder,
                                  // until the next call
  std::uint16_t close_code = 0;   // close: 1005 when the frame had none
};

// Call decode() with what arrived; drop used(); call again until need_more (which may have kept everything it was given: the
// caller drops `in` whole then). A message or frame with no payload gives a piece with no data. After bad or after a close event, nothing
// more may be given. Payload pieces are handed out as they come: memory does not grow with the declared length.
class Decoder {
 public:
  explicit Decoder(const DecoderOptions& options = {}) : options_(options) {}
  base::Parsed<Event> decode(std::span<std::byte> in);
  bool in_message() const { return in_message_; }

 private:
  DecoderOptions options_;
  FrameHeader frame_;
  std::uint64_t frame_at_ = 0;      // payload bytes of the frame handed out so far
  std::uint64_t message_bytes_ = 0;
  std::uint32_t fragments_ = 0;
  std::uint8_t kept_ = 0;           // bytes in kept_bytes_: a cut header, or a control payload
  bool in_frame_ = false, in_message_ = false;
  Opcode message_opcode_ = Opcode::text;
  Utf8 utf8_;
  std::array<std::byte, 128> kept_bytes_{};
};

}  // namespace sluice::ws
