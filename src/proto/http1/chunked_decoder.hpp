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
  Bytes data;        // points into the input
  bool end = false;  // the body and its trailers are complete
};

// Give it what arrives, drop what it used, and call again until need_more. Data is handed out as it
// comes, so memory does not grow with the chunk; a trailer line that is not complete and the
// trailers (within the head limits) are kept inside.
//
// A chunk-size line has at most kSizeLineBytes without its CRLF. What all of them have beyond what
// their chunks deserve is bounded too (kOverheadBytes): tiny chunks with large extensions are
// refused.
//
// Errors: http_bad_chunk_size, http_chunk_size_overflow, http_bare_cr and http_bare_lf in a size
// line; http_bad_chunk when data is not followed by CRLF; http_bad_trailer, http_field_too_large,
// http_head_too_large, http_too_many_fields.
class ChunkedDecoder {
 public:
  static constexpr std::uint32_t kSizeLineBytes = 4096;
  static constexpr std::uint64_t kOverheadBytes = 16384;

  void reset();
  // need_more has used everything it was given: the caller drops `in` whole then.
  base::Parsed<ChunkPiece> decode(Bytes in, const http::HeadLimits& limits);

  // Trailer lines as they came, each with its CRLF, after the end. Never Content-Length,
  // Transfer-Encoding, Host, Authorization and others that RFC 9110 section 6.5.1 forbids: those
  // are dropped.
  const std::string& trailers() const { return trailers_; }

 private:
  enum class State : std::uint8_t { size, size_lf, data, data_cr, data_lf, trailer, done };
  // Where in a chunk extension: RFC 9112 section 7.1.1.
  enum class Extension : std::uint8_t {
    none,
    space,
    before_name,
    name,
    behind_name,
    before_value,
    value,
    quoted,
    escape,
    behind_quoted,
  };
  Errc size_byte(char c);
  Errc extension_byte(char c);
  Errc end_of_size_line();
  base::Parsed<ChunkPiece> decode_trailer(const char* begin, const char* at, const char* end,
                                          const http::HeadLimits& limits);
  void keep_trailer(std::string_view line, std::string_view name);

  State state_ = State::size;
  Extension extension_ = Extension::none;
  std::uint8_t digits_ = 0;
  std::uint32_t line_bytes_ = 0;
  std::uint64_t left_ = 0;      // of the chunk; while its size is read, the size so far
  std::uint64_t overhead_ = 0;  // bytes of size lines beyond what their chunks deserve
  std::size_t trailer_fields_ = 0;
  std::size_t trailer_bytes_ = 0;  // of the trailer lines that are complete
  std::string line_;               // the trailer line that is not complete
  std::string trailers_;
};

}  // namespace sluice::http1
