// proto/multipart/parameters.hpp - `word; name=value; name="value"`, as fields of parts have it.
//
// RFC 9110 section 5.6.6, RFC 2183 section 2. Layer: proto. No I/O.
#pragma once

#include <string>
#include <string_view>

namespace sluice::multipart {

// Walks along the parameters of a field value.
class Parameters {
 public:
  // `value` must outlive this. What stands in front of the first `;` is word().
  explicit Parameters(std::string_view value);

  std::string_view word() const { return word_; }
  // The next parameter; false at the end, and where the value is malformed: is_bad() tells.
  bool next();
  bool is_bad() const { return bad_; }

  std::string_view name() const { return name_; }
  // As it stands, without its quotes; escapes are as they came.
  std::string_view raw() const { return raw_; }
  bool was_quoted() const { return quoted_; }

 private:
  std::string_view word_, rest_, name_, raw_;
  bool bad_ = false, quoted_ = false;
};

// A quoted string as form-data writes it (RFC 7578 section 4.2, and the HTML standard): `\"` and
// `\\` stand for the character, another backslash for itself (old browsers send paths), `%22`,
// `%0D` and
// `%0A` for what they encode.
std::string form_data_text(std::string_view raw);

}  // namespace sluice::multipart
