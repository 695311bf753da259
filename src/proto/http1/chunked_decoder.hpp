// proto/http1/chunked_decoder.hpp - the chunked transfer coding, and the trailers behind it.
//
// RFC 9112 section 7.1. Layer: proto. No I/O.
#pragma once

#include <cstdint>
#include <string>

#include <sluice/bytes.hpp>

#include "base/parsed.hpp"
#include "proto/http/head.hpp"

namespace sluice::http1 {

// One step of a chunked body: a run of data (possibly the middle of a chunk), or the end.
struct ChunkPiece {
  Bytes data;         // points into the input
  bool end = false;   // the body and its trailers are complete
};

// Give it what arrives, drop what it used, and call again until need_more. Data is handed out as it comes, so memory does not grow
// with the chunk; chunk-size lines (with extensions, at most 4096 bytes) and trailers (within the head limits) are kept inside.
class ChunkedDecoder {
 public:
  void reset();
  // need_more may have used everything it was given into its own state: the caller always drops `in` whole then.
  base::Parsed<ChunkPiece> decode(Bytes in, const http::HeadLimits& limits);

  // Trailer lines as they came, CRLF between them, after the end. Never Content-Length, Transfer-Encoding, Host,
  // Authorization and others that RFC 9110 section 6.5.1 forbids: those are dropped.
  const std::string& trailers() const { return trailers_; }

 private:
  enum class State : std::uint8_t { size, size_extension, size_lf, data, data_cr, data_lf, trailer, done };
  State state_ = State::size;
  std::uint64_t left_ = 0;
  std::uint32_t line_bytes_ = 0;
  std::uint32_t digits_ = 0;
  std::uint32_t trailer_fields_ = 0;
  std::uint32_t trailer_bytes_ = 0;
  std::uint8_t extension_state_ = 0;
  bool cr_ = false;
  std::string line_;
  std::string trailers_;
};

}  // namespace sluice::http1
