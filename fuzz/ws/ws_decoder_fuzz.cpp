// fuzz/ws/ws_decoder_fuzz.cpp - any bytes as a stream of frames, whole and cut.
//
// RFC 6455 section 5. Layer: tests. The first two bytes choose the options and the cuts; the rest
// is the stream. Asserts that whole equals split: the same frames, the same bytes, the same error.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "proto/ws/decoder.hpp"

namespace {

using sluice::Bytes;
using sluice::Errc;
using sluice::ws::Decoder;
using sluice::ws::DecoderOptions;
using sluice::ws::Event;

// One frame, or what came of it.
struct Frame {
  Event::Kind kind;
  sluice::ws::Opcode opcode;
  bool message_begin, fin, complete, compressed;
  std::uint64_t left;
  std::uint16_t close_code;
  std::string data;

  friend bool operator==(const Frame&, const Frame&) = default;
};

struct Verdict {
  std::vector<Frame> frames;
  Errc error = Errc::none;

  friend bool operator==(const Verdict&, const Verdict&) = default;
};

void add(std::vector<Frame>& frames, const Event& event) {
  SLUICE_CHECK(event.frame_end == (event.frame_left == 0));
  SLUICE_CHECK(event.kind != Event::Kind::piece ||
               event.message_end == (event.frame_end && event.fin));
  const std::string data(sluice::as_text(event.data));
  if (!frames.empty() && !frames.back().complete) {
    Frame& open = frames.back();
    SLUICE_CHECK(event.kind == Event::Kind::piece && open.opcode == event.opcode);
    SLUICE_CHECK(open.left == event.frame_left + data.size() && !event.message_begin &&
                 !data.empty());
    open.data += data;
    open.left = event.frame_left;
    open.complete = event.frame_end;
    return;
  }
  frames.push_back({event.kind, event.opcode, event.message_begin, event.fin, event.frame_end,
                    event.compressed, event.frame_left, event.close_code, data});
}

// `seed` 0 gives everything at once, 1 each byte alone, others pieces of random sizes.
Verdict run(Bytes input, const DecoderOptions& options, bool compression, std::uint32_t seed) {
  Verdict verdict;
  Decoder decoder(options);
  decoder.set_compression(compression);
  std::uint32_t random = seed;
  while (!input.empty()) {
    random = random * 1664525u + 1013904223u;
    std::size_t size = seed == 0 ? input.size() : seed == 1 ? 1 : (random >> 16) % 24;
    size = std::min(size, input.size());
    std::vector<std::byte> memory(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size));
    input = input.subspan(size);
    std::span<std::byte> left = memory;
    for (;;) {
      const auto parsed = decoder.decode(left);
      if (parsed.is_bad()) {
        verdict.error = parsed.error();
        return verdict;
      }
      if (!parsed.is_done()) break;
      SLUICE_CHECK(parsed.used() > 0 && parsed.used() <= left.size());
      add(verdict.frames, parsed.value());
      left = left.subspan(parsed.used());
    }
  }
  return verdict;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  DecoderOptions options;
  options.sender = (data[0] & 1) != 0 ? sluice::ws::Role::server : sluice::ws::Role::client;
  options.validate_utf8 = (data[0] & 2) == 0;
  if ((data[0] & 4) != 0) options.message_bytes = 16;
  if ((data[0] & 8) != 0) options.fragments = 2;
  const Bytes input(reinterpret_cast<const std::byte*>(data) + 2, size - 2);
  const bool compression = (data[0] & 16) != 0;
  const Verdict whole = run(input, options, compression, 0);
  SLUICE_CHECK(run(input, options, compression, 1) == whole);
  SLUICE_CHECK(run(input, options, compression, data[1] + 2u) == whole);
  return 0;
}
