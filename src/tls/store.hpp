// tls/store.hpp - the certificate store: a folder, and certificates in it by their thumbprint.
//
// What the store of Windows is to `hash` of ssl_options. A file of the folder (.pem, .crt or .cer)
// holds a certificate and what stands between it and its authority, as PEM; the private key is in
// the same file, or else next to it under the same name with .key. Layer: tls. Thread: any but a
// shard's.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <sluice/result.hpp>

#include "tls/certificate.hpp"

namespace sluice::tls {

// Files of a folder that are looked at.
inline constexpr std::size_t kMostStoreFiles = 4096;

// The digits of a thumbprint in lower case: SHA-1 (40) or SHA-256 (64). Colons, blanks and the
// invisible mark that Windows copies along with it are left out. Errc::bad_setting.
Result<std::string> thumbprint_of(std::string_view text);

// The certificate of `folder` with this thumbprint. A file of that name (`THUMBPRINT.crt`, either
// digest) is looked at first. Errc::bad_setting says what was looked at.
Result<Certificate> find_in_store(const std::string& folder, std::string_view hash);

}  // namespace sluice::tls
