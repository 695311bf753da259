// proto/ws/frame_header.hpp - the 2 to 14 bytes in front of every WebSocket payload.
//
// RFC 6455 section 5.2 (layout), 5.1 (who must mask), 5.5 (control frames).
// Layer: proto. Does no I/O, allocates nothing, keeps no state.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <sluice/bytes.hpp>

#include "base/parsed.hpp"

namespace sluice::ws {

enum class Role : std::uint8_t { client, server };  // who sent the frame

enum class Opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

inline bool is_control(Opcode opcode) { return std::uint8_t(opcode) >= 8; }

struct FrameHeader {
  Opcode opcode = Opcode::text;
  bool fin = true;
  bool rsv1 = false;  // rsv2 and rsv3 are always refused
  bool masked = false;
  std::uint64_t length = 0;
  std::array<std::byte, 4> key{};

  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

// Decodes one frame header from the front of `in`, sent by a peer playing `sender`.
//
// Stateless: after need_more, call again with the same bytes and more behind them. The verdict does
// not depend on how the bytes were cut. Whether rsv1 is permitted is the caller's question, because
// only the caller knows what was negotiated.
base::Parsed<FrameHeader> parse_frame_header(Bytes in, Role sender);

// The same into a header that the caller keeps, without a copy; the value is the payload's length.
// Unless the answer is done, `header` holds nothing of use.
base::Parsed<std::uint64_t> read_frame_header(Bytes in, Role sender, FrameHeader& header);

inline constexpr std::size_t kFrameHeaderBound = 14;

// Writes a header (with the key when masked); returns the end. `out` has room for
// kFrameHeaderBound.
std::byte* write_frame_header(std::byte* out, const FrameHeader& header);

// XORs `bytes` with the key, as if the first byte were at `offset` of the payload. In place, eight
// bytes and more at a time.
void mask(std::span<std::byte> bytes, const std::array<std::byte, 4>& key, std::uint64_t offset);

}  // namespace sluice::ws
