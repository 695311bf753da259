// crypto/hmac.cpp - HMAC by libcrypto.
//
// RFC 2104. Layer: crypto. Thread: any. A refusal of libcrypto is a broken installation, not an
// input: it stops the process.
#include "crypto/hmac.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <limits>

#include "base/check.hpp"

namespace sluice::crypto {
namespace {

template <std::size_t Size>
std::array<std::byte, Size> hmac(const EVP_MD* digest, Bytes key, Bytes message) {
  SLUICE_CHECK(key.size() <= std::numeric_limits<int>::max());
  const unsigned char nothing = 0;  // a null key would mean the key of the call before
  const auto* key_data =
      key.empty() ? &nothing : reinterpret_cast<const unsigned char*>(key.data());
  std::array<std::byte, Size> out;
  unsigned size = 0;
  SLUICE_CHECK(HMAC(digest, key_data, static_cast<int>(key.size()),
                    reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                    reinterpret_cast<unsigned char*>(out.data()), &size) != nullptr);
  SLUICE_CHECK(size == Size);
  return out;
}

}  // namespace

std::array<std::byte, 20> hmac_sha1(Bytes key, Bytes message) {
  return hmac<20>(EVP_sha1(), key, message);
}

std::array<std::byte, 32> hmac_sha256(Bytes key, Bytes message) {
  return hmac<32>(EVP_sha256(), key, message);
}

}  // namespace sluice::crypto
