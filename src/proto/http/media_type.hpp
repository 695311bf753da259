// proto/http/media_type.hpp - media types by file name, and Accept-Encoding.
//
// RFC 9110 sections 8.3 and 12.5.3. Layer: proto. The table's text is given by the caller: no I/O here.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

namespace sluice::http {

// Built in: what the web needs. add_table() takes the text of /etc/mime.types on top.
class MediaTypes {
 public:
  MediaTypes();
  void add_table(std::string_view mime_types);
  // By the last extension, without regard to case; "application/octet-stream" when unknown. Text types get
  // "; charset=utf-8". Lives as long as this object.
  std::string_view of(std::string_view file_name) const;

 private:
  std::unordered_map<std::string, std::string> by_extension_;
};

// The quality (0 to 1000) that an Accept-Encoding field gives to `coding`, `*` and `identity` included (RFC 9110 section 12.5.3).
// Without the field: identity 1000, all others 0.
int coding_quality(std::string_view accept_encoding, bool present, std::string_view coding);

}  // namespace sluice::http
