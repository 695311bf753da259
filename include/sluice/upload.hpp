// sluice/upload.hpp - the form that a request carries: its fields and its files.
//
// multipart/form-data, RFC 7578. Views live as those of HttpRequest. Layer: public.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <sluice/bytes.hpp>

namespace sluice {

// One file of a form.
struct UploadedFile {
  std::string name;          // of the form's field
  std::string file_name;     // as the client calls it: never a path to be trusted
  std::string content_type;  // as the client says; may be empty
  std::uint64_t size = 0;
  Bytes content;     // in memory; empty when it is on the disk
  std::string path;  // on the disk, whole and synced; empty when it is in memory
};

// One field of a form that is no file.
struct FormField {
  std::string name;
  std::string_view value;  // bytes as they came, UTF-8 nearly always
};

}  // namespace sluice
