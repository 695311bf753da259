// proto/http2/settings.hpp - what a session allows its peer, and why it ended.
//
// RFC 9113 sections 6.5, 7 and 10.5; RFC 8441; RFC 9218. Layer: proto. Values only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "proto/http/head.hpp"

namespace sluice::http2 {

// RFC 9113 section 7. A peer may send numbers that are none of these.
enum class Code : std::uint32_t {
  no_error = 0,
  protocol_error = 1,
  internal_error = 2,
  flow_control_error = 3,
  settings_timeout = 4,
  stream_closed = 5,
  frame_size_error = 6,
  refused_stream = 7,
  cancel = 8,
  compression_error = 9,
  connect_error = 10,
  enhance_your_calm = 11,
  inadequate_security = 12,
  http_1_1_required = 13,
};
std::string_view word(Code code);  // "ENHANCE_YOUR_CALM"

// What a peer can do too much of. At the number is allowed, one more ends the session with
// ENHANCE_YOUR_CALM. Those "in a window" are counted for `window` from the first of them.
struct Floods {
  base::Duration window = std::chrono::seconds(10);
  std::uint32_t resets = 200;  // RST_STREAM frames, in a window ("rapid reset")
  // Streams that the peer reset before their end and less than a second after their head, of all:
  // over half of them, when there were over so many.
  std::uint32_t half_of = 100;
  // Streams that we had to reset because of what the peer sent on them ("made you reset"): a
  // malformed head, too much window, a body that is not as long as it was to be... In a window.
  std::uint32_t provoked = 100;
  // Streams over `Settings::streams`, by a peer that has not acknowledged the number. In a window.
  std::uint32_t refused = 1000;
  std::uint32_t continuations = 8;         // CONTINUATION frames of one head
  std::uint32_t head_block_bytes = 65536;  // of one head, compressed
  std::uint32_t settings = 100;            // SETTINGS frames but acknowledgements, in a window
  // PING frames, in a window; each DATA frame that we send permits one more: clients of gRPC
  // measure the path while a body comes.
  std::uint32_t pings = 100;
  std::uint32_t empty_frames = 100;  // DATA with nothing but padding and no end, in a window
  // PRIORITY, PRIORITY_UPDATE, frames of unknown types, and acknowledgements, in a window.
  std::uint32_t idle_frames = 1000;
  // WINDOW_UPDATE frames of less than 1,024 bytes or of streams that are over, in a window; each
  // DATA frame that was the last of its body, or small because that was, permits four more.
  std::uint32_t small_windows = 1000;
  // Decoded bytes of one head (names, values, and 32 for each field), beyond which it is not even
  // answered ("HPACK bomb").
  std::uint32_t decoded_bytes = 262144;
  // Frames that wait to be sent, but DATA. The peer makes us write and does not read.
  std::uint32_t queue = 1000;
};

// What a server allows. Fixed for the life of a session. Three numbers of `floods` are raised to
// what a head of twice `head` needs: head_block_bytes, decoded_bytes and continuations. A name or a
// value over 65,536 bytes ends a session whatever the limits (nghttp2).
struct Settings {
  // A head may have `head_bytes` of names and values, with 32 for each field as RFC 9113 section
  // 6.5.2 counts them; this is announced. One field is at most `field_bytes` from name to value;
  // all crumbs of Cookie are one field.
  http::HeadLimits head = {};
  std::uint32_t streams = 100;  // at a time, by one client; at most 4,096 (see Memory::stock())
  // Bytes of a body that may be on their way, or with the caller and not consumed: of one stream,
  // and of all together. At most 2^31 - 1; less than 65,535 for all cannot be announced.
  std::uint32_t stream_window = 256 * 1024;
  std::uint32_t connection_window = 1024 * 1024;
  bool extended_connect = false;  // RFC 8441: CONNECT with :protocol is announced and let in
  Floods floods = {};
};

// Why a session failed.
enum class Reason : std::uint8_t {
  none,
  bad_preface,    // what came first is not HTTP/2
  protocol,       // a rule was broken: see the code and the words
  flood,          // see Flood
  out_of_memory,  //
  aborted,        // the caller wanted it
};
std::string_view word(Reason reason);  // "bad_preface"

// Which number of Floods was exceeded.
enum class Flood : std::uint8_t {
  none,
  resets,
  half_of,
  provoked,
  refused,
  continuations,
  head_block_bytes,
  settings,
  pings,
  empty_frames,
  idle_frames,
  small_windows,
  decoded_bytes,
  queue,
};
std::string_view word(Flood flood);  // the name of the number: "resets"

struct Failure {
  Reason reason = Reason::none;
  Code code = Code::no_error;  // that the peer is told
  Flood flood = Flood::none;
  std::string detail = {};  // for an operator
  explicit operator bool() const { return reason != Reason::none; }
};

}  // namespace sluice::http2
