// proto/multipart/decoder.cpp - delimiters, heads of parts, and the data between them.
//
// RFC 2046 section 5.1.1, RFC 7578 section 4. Layer: proto. No I/O.
#include "proto/multipart/decoder.hpp"

#include <algorithm>
#include <utility>

#include "proto/http/token.hpp"
#include "proto/multipart/parameters.hpp"

namespace sluice::multipart {

using base::Bad;
using base::need_more;
using base::Parsed;

namespace {

// RFC 5987: UTF-8'' and percent-encoded. Browsers never send it, some programs do.
bool read_extended(std::string_view raw, std::string& text) {
  const auto first = raw.find('\'');
  const auto second = first == std::string_view::npos ? first : raw.find('\'', first + 1);
  if (second == std::string_view::npos) return false;
  if (!http::equal_nocase(raw.substr(0, first), "utf-8")) return false;
  std::string out;
  for (std::size_t i = second + 1; i < raw.size(); ++i) {
    if (raw[i] != '%') {
      out.push_back(raw[i]);
      continue;
    }
    unsigned value = 0;
    for (int digit = 0; digit < 2; ++digit) {
      if (++i >= raw.size()) return false;
      const char c = http::lower(raw[i]);
      if (c >= '0' && c <= '9') {
        value = value * 16 + unsigned(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        value = value * 16 + unsigned(c - 'a') + 10;
      } else {
        return false;
      }
    }
    out.push_back(static_cast<char>(value));
  }
  text = std::move(out);
  return true;
}

}  // namespace

Decoder::Decoder(std::string_view boundary, const Limits& limits)
    : delimiter_("\r\n--" + std::string(boundary)), limits_(limits) {}

Parsed<Piece> Decoder::decode(Bytes in) {
  std::size_t used = 0;
  for (;;) {
    if (state_ == State::epilogue) return need_more;
    if (state_ == State::preamble || state_ == State::data) {
      const Run run = run_of_data(in.subspan(used));
      used += run.used;
      if (run.found == Run::Found::more) return need_more;
      if (run.found == Run::Found::data) {
        if (state_ == State::data) return {Piece{Piece::Kind::data, run.data}, used};
        continue;
      }
      state_ = State::behind_boundary;
      if (std::exchange(in_part_, false)) return {Piece{Piece::Kind::part_end, {}}, used};
      continue;
    }
    if (used == in.size()) return need_more;
    const char c = static_cast<char>(in[used++]);
    if (state_ != State::head) {
      if (const Errc wrong = delimiter_byte(c); wrong != Errc::none) return Bad{wrong};
      if (state_ == State::epilogue) return {Piece{Piece::Kind::end, {}}, used};
      continue;
    }
    bool complete = false;
    if (const Errc wrong = head_byte(c, complete); wrong != Errc::none) return Bad{wrong};
    if (!complete) continue;
    state_ = State::data;
    in_part_ = from_line_start_ = true;
    matched_ = 2;
    return {Piece{Piece::Kind::part, {}}, used};
  }
}

// Up to the next delimiter, or as far as there is certainly none.
Decoder::Run Decoder::run_of_data(Bytes in) {
  const std::string_view text = as_text(in), delimiter = delimiter_;
  const auto common = [](std::string_view a, std::string_view b) {
    const std::size_t size = std::min(a.size(), b.size());
    return static_cast<std::size_t>(
        std::mismatch(a.begin(), a.begin() + std::ptrdiff_t(size), b.begin()).first - a.begin());
  };
  if (matched_ > 0) {
    const std::size_t more = common(text, delimiter.substr(matched_));
    if (matched_ + more == delimiter.size()) {
      matched_ = 0;
      return {Run::Found::delimiter, {}, more};
    }
    if (more == text.size()) {
      matched_ += more;
      return {Run::Found::more, {}, more};
    }
    // It was none. No byte of it but the first is a CR, so that no other begins inside.
    const std::size_t kept = std::exchange(from_line_start_, false) ? 2 : 0;
    const std::string_view held = delimiter.substr(kept, std::exchange(matched_, 0) - kept);
    if (!held.empty()) return {Run::Found::data, as_bytes(held), 0};
  }
  for (std::size_t at = 0;;) {
    const std::size_t cr = text.find('\r', at);
    if (cr == std::string_view::npos) {
      if (text.empty()) return {};
      return {Run::Found::data, in, in.size()};
    }
    const std::size_t same = common(text.substr(cr), delimiter);
    const bool whole = same == delimiter.size();
    if (!whole && cr + same < text.size()) {
      at = cr + same;
      continue;
    }
    if (cr > 0) return {Run::Found::data, in.first(cr), cr};
    if (whole) return {Run::Found::delimiter, {}, same};
    matched_ = same;
    return {Run::Found::more, {}, same};
  }
}

// Behind a boundary: `--`, or a line end that spaces may stand in front of.
Errc Decoder::delimiter_byte(char c) {
  switch (state_) {
    case State::dash:
      state_ = State::epilogue;
      return c == '-' ? Errc::none : Errc::multipart_bad_delimiter;
    case State::line_end:
      if (c != '\n') return Errc::multipart_bad_delimiter;
      if (parts_ == limits_.parts) return Errc::multipart_too_many_parts;
      ++parts_;
      state_ = State::head;
      lines_.clear();
      head_ = {};
      return Errc::none;
    default:
      break;
  }
  if (c == '-' && state_ == State::behind_boundary) {
    state_ = State::dash;
  } else if (c == '\r') {
    state_ = State::line_end;
  } else if (http::is_ows(c)) {
    state_ = State::padding;
  } else {
    return Errc::multipart_bad_delimiter;
  }
  return Errc::none;
}

Errc Decoder::head_byte(char c, bool& complete) {
  const bool behind_cr = !lines_.empty() && lines_.back() == '\r';
  if (behind_cr != (c == '\n')) return Errc::multipart_bad_head;
  if (lines_.size() == limits_.head_bytes) return Errc::multipart_head_too_large;
  lines_.push_back(c);
  complete = c == '\n' && (lines_.size() == 2 || lines_.ends_with("\r\n\r\n"));
  return complete ? read_head() : Errc::none;
}

Errc Decoder::read_head() {
  std::string_view left = lines_;
  bool disposed = false;
  for (left.remove_suffix(2); !left.empty();) {
    const auto end = left.find("\r\n");
    const std::string_view line = left.substr(0, end);
    left.remove_prefix(end + 2);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !http::is_token(line.substr(0, colon))) {
      return Errc::multipart_bad_head;
    }
    const std::string_view name = line.substr(0, colon);
    for (const char c : line.substr(colon + 1)) {
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F) {
        return Errc::multipart_bad_head;
      }
    }
    if (http::is_word(name, http::Word("content-disposition"))) {
      if (std::exchange(disposed, true)) return Errc::multipart_bad_head;
    }
    const Errc wrong = read_field(name, http::trim_ows(line.substr(colon + 1)));
    if (wrong != Errc::none) return wrong;
  }
  return disposed ? Errc::none : Errc::multipart_bad_head;
}

Errc Decoder::read_field(std::string_view name, std::string_view value) {
  if (http::is_word(name, http::Word("content-disposition"))) return read_disposition(value);
  if (http::is_word(name, http::Word("content-type"))) {
    head_.content_type = std::string(value);
  } else if (http::is_word(name, http::Word("content-transfer-encoding"))) {
    for (const std::string_view plain : {"7bit", "8bit", "binary"}) {
      if (http::equal_nocase(value, plain)) return Errc::none;
    }
    return Errc::multipart_bad_encoding;
  }
  return Errc::none;  // others mean nothing here (RFC 7578 section 4.8)
}

Errc Decoder::read_disposition(std::string_view value) {
  Parameters parameters(value);
  if (!http::is_word(parameters.word(), http::Word("form-data"))) return Errc::multipart_bad_head;
  bool named = false, plain_file = false;
  while (parameters.next()) {
    if (http::is_word(parameters.name(), http::Word("name"))) {
      if (std::exchange(named, true)) return Errc::multipart_bad_head;
      head_.name = form_data_text(parameters.raw());
    } else if (http::is_word(parameters.name(), http::Word("filename"))) {
      if (std::exchange(plain_file, true)) return Errc::multipart_bad_head;
      head_.is_file = true;
      head_.file_name = form_data_text(parameters.raw());
    } else if (http::is_word(parameters.name(), http::Word("filename*"))) {
      // RFC 7578 section 4.2 has none; it counts where there is no other.
      if (plain_file) continue;
      if (!read_extended(parameters.raw(), head_.file_name)) return Errc::multipart_bad_head;
      head_.is_file = true;
    }
  }
  return named && !parameters.is_bad() ? Errc::none : Errc::multipart_bad_head;
}

}  // namespace sluice::multipart
