// crypto/password.cpp - see password.hpp.
//
// Layer: crypto. Thread: any but a shard's.
#include "crypto/password.hpp"

#include <crypt.h>
#include <openssl/crypto.h>
#include <sodium.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>

#include "base/check.hpp"
#include "crypto/digest.hpp"
#include "crypto/secret.hpp"
#include "crypto/sodium_start.hpp"

namespace sluice::crypto {
namespace {

constexpr std::string_view kArgon2id = "$argon2id$";
constexpr std::array<std::string_view, 3> kCrypt = {"$y$", "$5$", "$6$"};

static_assert(kMostPasswordBytes == CRYPT_MAX_PASSPHRASE_SIZE - 1);
static_assert(kMostPasswordHashBytes == CRYPT_OUTPUT_SIZE - 1);
static_assert(kMostPasswordHashBytes >= crypto_pwhash_STRBYTES - 1);

// libcrypt's scratch (32 KiB) holds the password, and so is wiped.
struct WipeScratch {
  void operator()(crypt_data* scratch) const {
    OPENSSL_cleanse(scratch, sizeof *scratch);
    delete scratch;
  }
};

bool fits(std::string_view password) {
  return password.size() <= kMostPasswordBytes && password.find('\0') == std::string_view::npos;
}

bool is_crypt(std::string_view hash) {
  for (const std::string_view prefix : kCrypt) {
    if (hash.starts_with(prefix)) return true;
  }
  return false;
}

// What libcrypt makes of the password under `setting`, a hash or the front of one; empty when it
// refuses.
std::string crypt_of(const Secret& password, const std::string& setting) {
  const std::unique_ptr<crypt_data, WipeScratch> scratch(new crypt_data());
  errno = 0;
  const char* made = crypt_rn(password.c_str(), setting.c_str(), scratch.get(), sizeof *scratch);
  if (made == nullptr && errno == ENOMEM) throw std::bad_alloc();
  return made == nullptr ? std::string() : std::string(made);
}

Result<std::string> hash_with_yescrypt(const Secret& password) {
  std::array<std::byte, 16> salt;
  random_bytes(salt);
  std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> setting;
  // Cost 0 is the library's default.
  if (crypt_gensalt_rn("$y$", 0, reinterpret_cast<const char*>(salt.data()), int(salt.size()),
                       setting.data(), int(setting.size())) == nullptr) {
    return Error(Errc::unavailable, "libcrypt offers no yescrypt");
  }
  std::string hash = crypt_of(password, setting.data());
  if (hash.empty()) return Error(Errc::unavailable, "libcrypt refuses its own setting");
  return hash;
}

Result<std::string> hash_with_argon2id(const Secret& password) {
  start_sodium();
  std::array<char, crypto_pwhash_STRBYTES> hash{};
  if (crypto_pwhash_str_alg(hash.data(), password.c_str(), password.size(),
                            crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE,
                            crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return Error(Errc::out_of_memory, "argon2id");
  }
  return std::string(hash.data());
}

}  // namespace

bool is_password_hash(std::string_view hash) {
  if (hash.size() > kMostPasswordHashBytes) return false;
  for (const char c : hash) {
    if (c <= ' ' || c >= 0x7f || c == ':') return false;
  }
  if (hash.starts_with(kArgon2id)) {
    return hash.size() > kArgon2id.size() && hash.size() < crypto_pwhash_STRBYTES;
  }
  // A salt and a digest behind it: what is shorter is a setting at most.
  return is_crypt(hash) && hash.size() > 40;
}

Result<std::string> hash_password(std::string_view password, PasswordAlgorithm algorithm) {
  if (password.empty()) return Error(Errc::invalid_argument, "the password is empty");
  if (password.size() > kMostPasswordBytes) {
    return Error(Errc::invalid_argument,
                 "the password is longer than " + std::to_string(kMostPasswordBytes) + " bytes");
  }
  if (!fits(password)) return Error(Errc::invalid_argument, "the password holds a NUL");
  try {
    const Secret copy(password);
    return algorithm == PasswordAlgorithm::yescrypt ? hash_with_yescrypt(copy)
                                                    : hash_with_argon2id(copy);
  } catch (const std::bad_alloc&) {
    return Errc::out_of_memory;
  }
}

bool verify_password(std::string_view password, std::string_view hash) {
  if (!is_password_hash(hash) || !fits(password)) return false;
  const Secret copy(password);
  if (hash.starts_with(kArgon2id)) {
    start_sodium();
    std::array<char, crypto_pwhash_STRBYTES> padded{};  // libsodium reads all of it
    std::memcpy(padded.data(), hash.data(), hash.size());
    errno = 0;
    if (crypto_pwhash_str_verify(padded.data(), copy.c_str(), copy.size()) == 0) return true;
    if (errno == ENOMEM) throw std::bad_alloc();
    return false;
  }
  const std::string made = crypt_of(copy, std::string(hash));
  return !made.empty() && same_secret(made, hash);
}

std::string_view nobody_hash() {
  static const std::string* const hash = [] {
    std::array<std::byte, 16> password;
    random_bytes(password);
    for (std::byte& b : password) b |= std::byte{0x80};  // no NUL
    auto made = hash_password(as_text(password), PasswordAlgorithm::yescrypt);
    if (!made) made = hash_password(as_text(password), PasswordAlgorithm::argon2id);
    SLUICE_CHECK(made.has_value());
    return new std::string(std::move(*made));  // lives until the process ends
  }();
  return *hash;
}

}  // namespace sluice::crypto
