// service/auth/keyed_hash.hpp - what a secret is known by: a hash under a key of this process.
//
// Whoever reads the memory finds no password; and because nobody outside can choose or guess the
// hash, how long a look-up takes tells nothing. Layer: service. Thread: any.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "crypto/digest.hpp"
#include "crypto/hmac.hpp"
#include "crypto/secret.hpp"

namespace sluice::service {

using KeyedHash = std::array<std::byte, 32>;

struct KeyedHashHash {
  std::size_t operator()(const KeyedHash& hash) const {
    std::size_t front = 0;
    std::memcpy(&front, hash.data(), sizeof front);
    return front;
  }
};

class HashKey {
 public:
  HashKey() : key_() { crypto::random_bytes(key_); }
  ~HashKey() { crypto::wipe(key_); }
  HashKey(const HashKey&) = delete;
  HashKey& operator=(const HashKey&) = delete;

  KeyedHash operator()(Bytes bytes) const { return crypto::hmac_sha256(key_, bytes); }

 private:
  std::array<std::byte, 32> key_;
};

}  // namespace sluice::service
