// service/upload/file_name.hpp - what a client calls its file, as a name in a folder of ours.
//
// RFC 7578 section 4.2: names are not to be trusted. Layer: service. Does no I/O.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <sluice/result.hpp>

namespace sluice::service {

inline constexpr std::size_t kMostNameBytes = 255;  // of every file system that matters
// Files that are not complete have such names, so nothing else may.
inline constexpr std::string_view kUnfinishedPrefix = ".sluice-upload-";

// The last component of `sent`, whose separators may be those of either world; characters that
// cannot stand in a name everywhere (`< > : " | ? *`) become `_`, spaces and dots at its end go.
//
// Errors: upload_bad_name, with what is wrong: nothing is left, `..`, a control character, one that
// turns the direction of what is shown (`U+202E`), no UTF-8, more than kMostNameBytes, a name that
// Windows gives to a device, or kUnfinishedPrefix. The folder may move to another system.
Result<std::string> safe_file_name(std::string_view sent);

// `name` with ` (mark)` in front of its extension, within kMostNameBytes.
std::string marked_name(std::string_view name, std::string_view mark);

}  // namespace sluice::service
