// proto/multipart/decoder.hpp - the parts of a multipart/form-data body, as its bytes arrive.
//
// RFC 7578, RFC 2046 section 5.1. Layer: proto. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <sluice/bytes.hpp>

#include "base/parsed.hpp"

namespace sluice::multipart {

// What a part says of itself.
struct PartHead {
  std::string name;          // of the form's field
  std::string file_name;     // as the client sent it, out of quotes and escapes; see is_file
  std::string content_type;  // empty: none was given
  bool is_file = false;      // it has a file name, be that an empty one

  friend bool operator==(const PartHead&, const PartHead&) = default;
};

struct Limits {
  std::size_t head_bytes = 16384;  // of one part
  std::uint32_t parts = 1000;
};

// One step.
struct Piece {
  enum class Kind : std::uint8_t {
    part,      // a part begins: Decoder::head()
    data,      // of that part
    part_end,  // it is complete
    end,       // so is the body; what follows is passed over
  };
  Kind kind = Kind::end;
  Bytes data;  // points into the input, or into the decoder: used before the next call
};

// Give it what arrives, drop what it used, and call again until need_more, which has used all of
// it. Data is handed out as it comes; of what may be the beginning of a delimiter only the length
// is kept. What stands in front of the first delimiter and behind the last is passed over.
//
// Errors: multipart_bad_delimiter, where neither `--` nor a line end follows a boundary;
// multipart_bad_head (no Content-Disposition: form-data with a name, a malformed field, a bare CR
// or LF); multipart_bad_encoding (a Content-Transfer-Encoding other than 7bit, 8bit and binary, RFC
// 7578 section 4.7); multipart_head_too_large; multipart_too_many_parts.
class Decoder {
 public:
  // `boundary`: see boundary_of().
  explicit Decoder(std::string_view boundary, const Limits& limits = {});

  base::Parsed<Piece> decode(Bytes in);
  // Of the part that began last.
  const PartHead& head() const { return head_; }
  // Bytes of a delimiter, its CR LF included.
  std::size_t delimiter_size() const { return delimiter_.size(); }
  // The last delimiter has come. A body that ends before is truncated.
  bool is_complete() const { return state_ == State::epilogue; }

 private:
  enum class State : std::uint8_t {
    preamble,         // as data, which nobody is given
    data,             // of a part
    behind_boundary,  // `-`, padding or CR
    dash,             // the second `-`
    padding,          // spaces, then CR
    line_end,         // LF
    head,
    epilogue,
  };
  struct Run {
    enum class Found : std::uint8_t { more, data, delimiter } found = Found::more;
    Bytes data = {};
    std::size_t used = 0;
  };
  Run run_of_data(Bytes in);
  Errc delimiter_byte(char c);
  Errc head_byte(char c, bool& complete);
  Errc read_head();
  Errc read_field(std::string_view name, std::string_view value);
  Errc read_disposition(std::string_view value);

  const std::string delimiter_;  // CR LF `--` boundary
  const Limits limits_;
  std::string lines_;  // of the head that is being read
  PartHead head_;
  // So much of the delimiter has come, in calls before; with `from_line_start_` its CR LF is that
  // of the line before, or the beginning of the body.
  std::size_t matched_ = 2;
  bool from_line_start_ = true;
  bool in_part_ = false;
  std::uint32_t parts_ = 0;
  State state_ = State::preamble;
};

}  // namespace sluice::multipart
