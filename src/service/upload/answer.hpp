// service/upload/answer.hpp - what a client is told of the files that it has sent.
//
// JSON, RFC 8259. Layer: service. Does no I/O.
#pragma once

#include <string>
#include <vector>

#include <sluice/upload.hpp>

namespace sluice::service {

// {"files": [{"name", "file_name", "stored", "size"}, ...]} and a line end: of each file on the
// disk the form's field, the name that the client gave, its name in the folder (never the path),
// bytes.
std::string told_of(const std::vector<UploadedFile>& files);

}  // namespace sluice::service
