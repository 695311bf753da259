// service/auth/user_file.hpp - lines for the files that Users and DigestUsers load, and putting one
// in.
//
// Layer: service. Blocks: hashing a password and the disk. For command lines.
#pragma once

#include <string>
#include <string_view>

#include <sluice/result.hpp>

#include "crypto/password.hpp"

namespace sluice::service {

// What begins the user's line in a file, with a colon at its end; the rest of the line, hashed.
struct UserLine {
  std::string key;
  std::string value;
};

// `name:hash`. Errors: invalid_argument (the name, the password: UTF-8 without controls, 1 to
// crypto::kMostPasswordBytes bytes), those of crypto::hash_password.
Result<UserLine> user_line(std::string_view name, std::string_view password,
                           crypto::PasswordAlgorithm algorithm);
// `user:realm:algorithm:ha1`; the algorithm is SHA-256 or MD5. Errors: invalid_argument,
// unavailable.
Result<UserLine> digest_line(std::string_view name, std::string_view realm,
                             std::string_view algorithm, std::string_view password);

// Puts the line in the place of those with the same key, or at the end; all others stay as they
// are, byte for byte. A new file takes the name at once, with mode 0600 and the owner of the old
// one; two who do this at a time wait for each other. Whoever reads meanwhile sees the old one or
// the new one.
//
// Answers whether there was such a line before. Errors name the file: not_regular_file,
// permission_denied, io_failed, bad_setting (too large).
Result<bool> put_user_line(const std::string& file, const UserLine& line);

}  // namespace sluice::service
