// crypto/blake2b.cpp - BLAKE2b by libsodium.
//
// RFC 7693. Layer: crypto. Thread: any.
#include "crypto/blake2b.hpp"

#include <sodium.h>

#include <span>

#include "base/check.hpp"
#include "crypto/secret.hpp"
#include "crypto/sodium_start.hpp"

namespace sluice::crypto {

std::array<std::byte, 32> blake2b(const std::array<std::byte, 32>& key,
                                  std::initializer_list<Bytes> parts) {
  start_sodium();  // chooses what this processor is fast at
  std::array<std::byte, 32> out;
  crypto_generichash_state state;
  const auto* key_data = reinterpret_cast<const unsigned char*>(key.data());
  SLUICE_CHECK(crypto_generichash_init(&state, key_data, key.size(), out.size()) == 0);
  for (const Bytes part : parts) {
    if (part.empty()) continue;
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(part.data()),
                              part.size());
  }
  crypto_generichash_final(&state, reinterpret_cast<unsigned char*>(out.data()), out.size());
  wipe(std::as_writable_bytes(std::span(&state, 1)));
  return out;
}

}  // namespace sluice::crypto
