// crypto/blake2b.hpp - a keyed hash for what is looked up with each request.
//
// RFC 7693, with a key of 32 bytes and as many out. As good as HMAC-SHA256, at a fraction of its
// cost for the few bytes of a name and a password. Layer: crypto. Thread: any. Allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>

#include <sluice/bytes.hpp>

namespace sluice::crypto {

// Of `parts` one behind the other, as if they were one message. Nothing of it is left on the stack.
std::array<std::byte, 32> blake2b(const std::array<std::byte, 32>& key,
                                  std::initializer_list<Bytes> parts);

}  // namespace sluice::crypto
