// proto/http/media_type.hpp - media types by file name, and Accept-Encoding.
//
// RFC 9110 sections 8.3 and 12.5.3. Layer: proto. No I/O: the table's text is given by the caller.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sluice::http {

// Built in: what the web needs. add_table() takes the text of /etc/mime.types on top.
//
// Thread: any number may read while none adds.
class MediaTypes {
 public:
  MediaTypes();
  // Lines of `type extension...`; `#` begins a comment. What the table says goes before what was
  // known; inside one table the first line that names an extension counts. Malformed lines are
  // passed over.
  void add_table(std::string_view mime_types);
  // By the last extension, without regard to case; "application/octet-stream" when unknown. Text
  // types come with "; charset=utf-8". Lives until the next add_table(), at most as long as this
  // object. Allocates nothing.
  std::string_view of(std::string_view file_name) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Table = std::unordered_map<std::string, std::string, Hash, std::equal_to<>>;

  Table by_extension_;
};

// The quality (0 to 1000) that an Accept-Encoding field gives to `coding`, `*` and `identity`
// included (RFC 9110 section 12.5.3). Without the field: identity 1000, all others 0. A member of
// the list that is malformed counts for nothing.
int coding_quality(std::string_view accept_encoding, bool present, std::string_view coding);

}  // namespace sluice::http
