// crypto/digest.hpp - digests over OpenSSL's libcrypto.
//
// Layer: crypto. Thread: any. After a thread's first use the cipher and the generator allocate
// nothing; a digest costs what libcrypto itself asks for, at most one small block.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include <sluice/bytes.hpp>

namespace sluice::crypto {

std::array<std::byte, 20> sha1(Bytes bytes);
std::array<std::byte, 32> sha256(Bytes bytes);

// From the system's generator; stops the process if there is none.
void random_bytes(std::span<std::byte> out);

// Encrypts and decrypts one 16-byte block (AES-128). Used for identifiers that must not be
// guessable.
class BlockCipher {
 public:
  explicit BlockCipher(const std::array<std::byte, 16>& key);
  ~BlockCipher();
  BlockCipher(const BlockCipher&) = delete;
  BlockCipher& operator=(const BlockCipher&) = delete;
  // Thread: any; each call is on its own.
  std::array<std::byte, 16> encrypt(const std::array<std::byte, 16>& block) const;
  std::array<std::byte, 16> decrypt(const std::array<std::byte, 16>& block) const;

 private:
  std::array<std::byte, 16> key_;
};

}  // namespace sluice::crypto
