// crypto/md5.hpp - MD5, for Digest authentication where it was allowed by name (RFC 7616).
//
// RFC 1321. Broken as a digest, hence apart from crypto/digest.hpp. Layer: crypto. Thread: any.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include <sluice/bytes.hpp>

namespace sluice::crypto {

// nullopt where the installation refuses MD5, as one in FIPS mode does.
std::optional<std::array<std::byte, 16>> md5(Bytes bytes);

}  // namespace sluice::crypto
