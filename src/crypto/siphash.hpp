// crypto/siphash.hpp - a short keyed hash for look-ups by what strangers choose.
//
// SipHash-2-4 (Aumasson, Bernstein, 2012): who does not know the key can neither predict a hash nor
// find two inputs with the same one. No password or token is to be known by it alone: 64 bits are
// too few for that. Layer: crypto. Thread: any. Allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <sluice/bytes.hpp>

namespace sluice::crypto {

std::uint64_t siphash(const std::array<std::byte, 16>& key, Bytes message);

}  // namespace sluice::crypto
