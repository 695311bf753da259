// fuzz/http1/http1_chunked_fuzz.cpp - chunked bodies: whole equals split, and no piece is empty or
// outside.
//
// Layer: fuzz.
#include "http1/feed.hpp"
#include "proto/http1/chunked_decoder.hpp"

namespace {

using namespace sluice;
using http1::Input;
using http1::Outcome;

Outcome run(const Input& input, std::size_t step) {
  http1::ChunkedDecoder decoder;
  decoder.reset();
  std::string data;
  std::size_t used = 0;
  for (std::size_t size = 0;; size += step) {
    const bool last = size >= input.wire.size();
    if (last) size = input.wire.size();
    for (;;) {
      // Memory of its own and of exactly this size: nothing else may be read.
      const std::vector<char> arrived(input.wire.begin() + static_cast<std::ptrdiff_t>(used),
                                      input.wire.begin() + static_cast<std::ptrdiff_t>(size));
      const Bytes in = as_bytes({arrived.data(), arrived.size()});
      const base::Parsed<http1::ChunkPiece> parsed = decoder.decode(in, input.limits);
      if (parsed.is_bad()) return {false, parsed.error(), 0, data};
      if (parsed.needs_more()) break;
      const http1::ChunkPiece& piece = parsed.value();
      if (parsed.used() > in.size() || piece.data.empty() != piece.end) std::abort();
      http1::check_inside(as_text(piece.data), in, parsed.used());
      used += parsed.used();
      data.append(as_text(piece.data));
      if (piece.end) return {true, Errc::none, used, data + '|' + decoder.trailers()};
    }
    used = size;
    if (last) return {false, Errc::none, 0, data};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  http1::expect_one_verdict(Input(data, size), run);
  return 0;
}
