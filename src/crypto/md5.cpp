// crypto/md5.cpp - MD5 by libcrypto.
//
// RFC 1321. Layer: crypto. Thread: any.
#include "crypto/md5.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>

namespace sluice::crypto {

std::optional<std::array<std::byte, 16>> md5(Bytes bytes) {
  ERR_set_mark();
  std::array<std::byte, 16> out;
  std::size_t size = 0;
  const bool made = EVP_Q_digest(nullptr, "MD5", nullptr, bytes.data(), bytes.size(),
                                 reinterpret_cast<unsigned char*>(out.data()), &size) == 1;
  ERR_pop_to_mark();
  if (!made || size != out.size()) return std::nullopt;
  return out;
}

}  // namespace sluice::crypto
