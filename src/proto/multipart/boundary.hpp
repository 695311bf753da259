// proto/multipart/boundary.hpp - what separates the parts of a multipart body.
//
// RFC 2046 section 5.1.1 (boundary), RFC 7578 section 4.1, RFC 9110 section 8.3.1 (media type).
// Layer: proto. No I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::multipart {

// Whether a Content-Type field says multipart/form-data, whatever its parameters are.
bool is_form_data(std::string_view content_type);

// The boundary of such a field, out of its quotes. None: there is no such parameter, there are two,
// or it is none: 1 to 70 of the characters that RFC 2046 allows, the last no space.
std::optional<std::string> boundary_of(std::string_view content_type);

}  // namespace sluice::multipart
