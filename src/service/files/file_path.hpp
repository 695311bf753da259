// service/files/file_path.hpp - from a routing path to a file's name, and back to a link.
//
// The routing path (RFC 9110 section 4.2.3; proto/http/target.hpp) is decoded but for %2F, %5C and
// %25, and has no dot segments. Here %25 becomes `%` and %5C becomes `\`, which is a letter like
// any other in a name. A slash inside a name does not exist, so %2F names nothing. Layer: service.
// No I/O. Thread: any.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::service {

// What a routing path asks for, below the served directory.
struct FilePath {
  std::string name;        // "a/b", without slashes at either end; empty: the directory itself
  bool directory = false;  // the path ends in a slash
  friend bool operator==(const FilePath&, const FilePath&) = default;
};

// `rest` is the routing path behind the prefix (which ended in a slash). nullopt: no file can be
// meant (an empty segment, %2F, a name that begins with a dot while those are hidden).
std::optional<FilePath> file_path(std::string_view rest, bool hidden_files);

// The routing path as a path-absolute reference: percent-encoded, and never a `//` in front.
std::string encode_path(std::string_view document);
// The query as it was sent; what may not stand in a field is percent-encoded.
std::string encode_query(std::string_view query);
// One name as a relative reference: all but unreserved octets are percent-encoded, so that `a:b` is
// no scheme.
std::string encode_name(std::string_view name);
// Whether a request can name it: UTF-8 without controls.
bool is_requestable(std::string_view name);

// Text for HTML content and quoted attributes. Octets that are not UTF-8, and controls, become
// U+FFFD.
std::string escape_html(std::string_view text);

}  // namespace sluice::service
