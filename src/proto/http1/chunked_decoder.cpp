// proto/http1/chunked_decoder.cpp - chunk sizes, their extensions, data and trailers.
//
// RFC 9112 section 7.1, RFC 9110 section 6.5. Layer: proto. No I/O.
#include "proto/http1/chunked_decoder.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "proto/http/field_rules.hpp"
#include "proto/http1/field_line.hpp"

namespace sluice::http1 {

using base::Bad;
using base::need_more;
using base::Parsed;
using http::Field;
using http::HeadLimits;

namespace {

constexpr std::uint8_t kSizeDigits = 16;

constexpr auto kHexTable = [] {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (int i = 0; i < 10; ++i)
    table[static_cast<std::size_t>('0' + i)] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 6; ++i) {
    table[static_cast<std::size_t>('a' + i)] = static_cast<std::int8_t>(10 + i);
    table[static_cast<std::size_t>('A' + i)] = static_cast<std::int8_t>(10 + i);
  }
  return table;
}();

// What a client did wrong in a trailer line is one error; the limits keep their own.
Errc trailer_error(Errc error) {
  return error == Errc::http_field_too_large ? error : Errc::http_bad_trailer;
}

}  // namespace

void ChunkedDecoder::reset() {
  state_ = State::size;
  extension_ = Extension::none;
  digits_ = 0;
  line_bytes_ = 0;
  left_ = 0;
  overhead_ = 0;
  trailer_fields_ = 0;
  trailer_bytes_ = 0;
  line_.clear();
  trailers_.clear();
}

// One byte of a chunk extension.
Errc ChunkedDecoder::extension_byte(char c) {
  const bool space = http::is_ows(c);
  const bool token = http::is_token_char(c);
  switch (extension_) {
    case Extension::none:
    case Extension::space:
      if (space) return extension_ = Extension::space, Errc::none;
      if (c == ';') return extension_ = Extension::before_name, Errc::none;
      break;
    case Extension::before_name:
      if (space) return Errc::none;
      if (token) return extension_ = Extension::name, Errc::none;
      break;
    case Extension::name:
      if (token) return Errc::none;
      [[fallthrough]];
    case Extension::behind_name:
      if (space) return extension_ = Extension::behind_name, Errc::none;
      if (c == '=') return extension_ = Extension::before_value, Errc::none;
      if (c == ';') return extension_ = Extension::before_name, Errc::none;
      break;
    case Extension::before_value:
      if (space) return Errc::none;
      if (c == '"') return extension_ = Extension::quoted, Errc::none;
      if (token) return extension_ = Extension::value, Errc::none;
      break;
    case Extension::value:
      if (token) return Errc::none;
      [[fallthrough]];
    case Extension::behind_quoted:
      if (space) return extension_ = Extension::space, Errc::none;
      if (c == ';') return extension_ = Extension::before_name, Errc::none;
      break;
    case Extension::quoted:
      if (c == '"') return extension_ = Extension::behind_quoted, Errc::none;
      if (c == '\\') return extension_ = Extension::escape, Errc::none;
      if (is_value_char(c)) return Errc::none;
      break;
    case Extension::escape:
      if (is_value_char(c)) return extension_ = Extension::quoted, Errc::none;
      break;
  }
  return Errc::http_bad_chunk_size;
}

// One byte of a chunk-size line, CRLF included.
Errc ChunkedDecoder::size_byte(char c) {
  if (c == '\n') return Errc::http_bare_lf;
  if (c == '\r') {
    const bool complete = extension_ == Extension::none || extension_ == Extension::name ||
                          extension_ == Extension::value || extension_ == Extension::behind_quoted;
    if (digits_ == 0 || !complete) return Errc::http_bad_chunk_size;
    state_ = State::size_lf;
    return Errc::none;
  }
  if (++line_bytes_ > kSizeLineBytes) return Errc::http_bad_chunk_size;
  if (extension_ == Extension::none) {
    if (const int digit = kHexTable[static_cast<unsigned char>(c)]; digit >= 0) {
      if (++digits_ > kSizeDigits) return Errc::http_chunk_size_overflow;
      if (left_ > 0x07ff'ffff'ffff'ffff) return Errc::http_chunk_size_overflow;
      left_ = left_ << 4 | static_cast<std::uint64_t>(digit);
      return Errc::none;
    }
    if (digits_ == 0) return Errc::http_bad_chunk_size;
  }
  return extension_byte(c);
}

Errc ChunkedDecoder::end_of_size_line() {
  // A chunk may cost 16 bytes, and twice its data: an honest sender never comes near the bound.
  const std::uint64_t deserved = 16 + 2 * left_;
  const std::uint64_t cost = overhead_ + line_bytes_ + 2;
  overhead_ = cost > deserved ? cost - deserved : 0;
  if (overhead_ > kOverheadBytes) return Errc::http_bad_chunk_size;
  state_ = left_ == 0 ? State::trailer : State::data;
  digits_ = 0;
  line_bytes_ = 0;
  extension_ = Extension::none;
  return Errc::none;
}

Parsed<ChunkPiece> ChunkedDecoder::decode(Bytes in, const HeadLimits& limits) {
  const char* const begin = as_text(in).data();
  const char* const end = begin + in.size();
  const char* at = begin;
  const auto used = [&] { return static_cast<std::size_t>(at - begin); };
  for (;;) {
    if (state_ == State::done) return {ChunkPiece{{}, true}, used()};
    if (at == end) return need_more;
    switch (state_) {
      case State::size:
        if (const Errc error = size_byte(*at++); error != Errc::none) return Bad{error};
        break;
      case State::size_lf:
        if (*at++ != '\n') return Bad{Errc::http_bare_cr};
        if (const Errc error = end_of_size_line(); error != Errc::none) return Bad{error};
        break;
      case State::data: {
        const std::uint64_t run =
            std::min<std::uint64_t>(left_, static_cast<std::uint64_t>(end - at));
        const Bytes data = in.subspan(used(), static_cast<std::size_t>(run));
        at += run;
        left_ -= run;
        if (left_ == 0) state_ = State::data_cr;
        return {ChunkPiece{data, false}, used()};
      }
      case State::data_cr:
        if (*at++ != '\r') return Bad{Errc::http_bad_chunk};
        state_ = State::data_lf;
        break;
      case State::data_lf:
        if (*at++ != '\n') return Bad{Errc::http_bad_chunk};
        state_ = State::size;
        break;
      case State::trailer:
        return decode_trailer(begin, at, end, limits);
      case State::done:
        break;
    }
  }
}

void ChunkedDecoder::keep_trailer(std::string_view line, std::string_view name) {
  if (!http::is_forbidden_trailer(name)) trailers_.append(line);
}

// Reads trailer lines, each from line_, where it is put together.
Parsed<ChunkPiece> ChunkedDecoder::decode_trailer(const char* begin, const char* at,
                                                  const char* end, const HeadLimits& limits) {
  while (at != end) {
    // No more than what the limits let a line have, whatever arrived.
    const std::size_t line_room =
        limits.field_bytes < SIZE_MAX - 2 ? limits.field_bytes + 2 : SIZE_MAX;
    const std::size_t room = std::min(line_room, limits.head_bytes - trailer_bytes_) - line_.size();
    const std::size_t rest = std::min(room, static_cast<std::size_t>(end - at));
    const void* feed = std::memchr(at, '\n', rest);
    const char* next = feed == nullptr ? at + rest : static_cast<const char*>(feed) + 1;
    line_.append(at, next);
    at = next;

    if (line_.empty()) return Bad{Errc::http_head_too_large};  // the limit leaves no room at all
    const char* line = line_.data();
    const char* line_stop = line + line_.size();
    const bool empty = *line == '\r';
    if (!empty && trailer_fields_ >= limits.fields) return Bad{Errc::http_too_many_fields};
    Field field;
    const Step step = empty ? line_end(line, line_stop)
                            : read_field_line(line, line, line_stop, limits.field_bytes, field);
    if (step.error != Errc::none) return Bad{trailer_error(step.error)};
    if (step.next == nullptr) {
      if (trailer_bytes_ + line_.size() >= limits.head_bytes) return Bad{Errc::http_head_too_large};
      continue;
    }
    if (empty) {
      state_ = State::done;
      return {ChunkPiece{{}, true}, static_cast<std::size_t>(at - begin)};
    }
    ++trailer_fields_;
    trailer_bytes_ += line_.size();
    keep_trailer(line_, field.name);
    line_.clear();
  }
  return need_more;
}

}  // namespace sluice::http1
