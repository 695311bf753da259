// crypto/password.hpp - password hashes: made, and verified.
//
// yescrypt and SHA-crypt by libcrypt (crypt(5)), argon2id by libsodium (RFC 9106). A hash names its
// own algorithm and cost. Layer: crypto. Thread: any but a shard's: one verification holds the
// thread for about 20 ms to 100 ms, and takes up to 64 MiB while it runs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <sluice/result.hpp>

namespace sluice::crypto {

// libcrypt takes no more. A longer password never fits, whatever the hash.
inline constexpr std::size_t kMostPasswordBytes = 511;
inline constexpr std::size_t kMostPasswordHashBytes = 383;

enum class PasswordAlgorithm { yescrypt, argon2id };

// Whether `hash` begins like one that verify_password can verify: $y$, $5$, $6$ or $argon2id$.
// DES, MD5 and other old ones are refused.
bool is_password_hash(std::string_view hash);

// A new hash with a new salt. Errors: invalid_argument (empty, too long, or with a NUL),
// unavailable (the library does not offer the algorithm), out_of_memory.
Result<std::string> hash_password(std::string_view password, PasswordAlgorithm algorithm);

// False for a password that does not fit, and for a hash that is none. Throws std::bad_alloc when
// there is no memory to find out.
bool verify_password(std::string_view password, std::string_view hash);

// A hash that nobody knows the password of, at the cost of a new one. Verifying against it takes as
// long as against a user's, so that an unknown name costs what a known one does.
std::string_view nobody_hash();

}  // namespace sluice::crypto
