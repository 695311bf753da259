// crypto/hmac.hpp - keyed digests.
//
// RFC 2104. Layer: crypto. Thread: any.
#pragma once

#include <array>
#include <cstddef>

#include <sluice/bytes.hpp>

namespace sluice::crypto {

std::array<std::byte, 20> hmac_sha1(Bytes key, Bytes message);
std::array<std::byte, 32> hmac_sha256(Bytes key, Bytes message);

}  // namespace sluice::crypto
