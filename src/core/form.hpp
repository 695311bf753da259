// core/form.hpp - a form that has arrived whole.
//
// RFC 7578. Layer: core. Does no I/O; touches every page of the body.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/settings.hpp>
#include <sluice/upload.hpp>

#include "proto/multipart/decoder.hpp"

namespace sluice::core {

struct Form {
  std::vector<FormField> fields;
  std::vector<UploadedFile> files;
};

// What is kept of a part beside its content. It counts for limits.upload_fields_bytes, be the part
// a field or a file.
std::size_t size_of_names(const multipart::PartHead& head);

// Fills `form`, whose views point into `body`, from a request whose Content-Type is
// multipart/form-data. Errors: those of multipart::Decoder; multipart_bad_boundary,
// multipart_truncated; upload_field_too_large, upload_file_too_large.
Errc read_form(std::string_view content_type, Bytes body, const Limits& limits, Form& form);

}  // namespace sluice::core
