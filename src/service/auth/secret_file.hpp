// service/auth/secret_file.hpp - reading a file that holds secrets, line by line.
//
// Layer: service. Blocks: at start, or where waiting for a disk harms nobody.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include <sluice/result.hpp>

#include "crypto/secret.hpp"

namespace sluice::service {

inline constexpr std::size_t kMostUserFileBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMostUserLineBytes = 1024;

enum class FileMode {
  any,
  owner_only,  // 0600 exactly: what is in it is as good as the password itself
};

// The whole file. Errors name it: not_found, permission_denied (also a mode that lets others in),
// not_regular_file, io_failed, bad_setting (larger than kMostUserFileBytes).
Result<crypto::Secret> read_secret_text(const std::string& name, FileMode mode);

// Gives each line that is neither empty nor a comment (`#`) to `line`, whose words for what is
// wrong, if any, end the reading. The memory that held the file is wiped.
//
// Errors: as above; bad_setting names the line, too.
Result<void> read_secret_file(const std::string& name, FileMode mode,
                              const std::function<std::string(std::string_view)>& line);

// An errno of the system, with the name of what it was about.
Error file_failure(int number, const std::string& name);

}  // namespace sluice::service
