// service/auth/keyed_hash.hpp - what a secret is known by: a hash under a key of this process.
//
// Whoever reads the memory finds no password; and because nobody outside can choose or guess the
// hash, how long a look-up takes tells nothing. Layer: service. Thread: any.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <string_view>

#include "crypto/blake2b.hpp"
#include "crypto/digest.hpp"
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

  KeyedHash operator()(Bytes bytes) const { return crypto::blake2b(key_, {bytes}); }
  // Of all parts, one behind the other: the caller says where each ends.
  KeyedHash operator()(std::initializer_list<Bytes> parts) const {
    return crypto::blake2b(key_, parts);
  }

 private:
  std::array<std::byte, 32> key_;
};

}  // namespace sluice::service
