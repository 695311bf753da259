// tls/libcrypto.hpp - owners for what libcrypto hands out, and what it says of a failure.
//
// For the .cpp files of this folder alone: no header that others include may include it. Layer:
// tls. Thread: any.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/bytes.hpp>
#include <sluice/result.hpp>

#include "crypto/libcrypto.hpp"

namespace sluice::tls {

using crypto::Freed;
using crypto::Quietly;

using Reader = std::unique_ptr<BIO, Freed<BIO_vfree>>;
using Pkey = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate509 = std::unique_ptr<X509, Freed<X509_free>>;
using Store509 = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;

// Reads `text` without copying it; the text outlives the reader.
Reader reader_of(std::string_view text);

// All certificates of a PEM text, in order. `source` is what errors call it.
Result<std::vector<Certificate509>> certificates_of(std::string_view pem,
                                                    const std::string& source);

// RFC 4514, UTF-8, control characters escaped.
std::string text_of(const X509_NAME* name);
// Lower-case hexadecimal digits of the digest of the whole certificate; empty: memory is out.
std::string fingerprint_of(const X509& certificate, const EVP_MD* digest);

// Every certificate of the file is trusted, by itself and for what it issued.
struct Trusted {
  Store509 store;
  std::vector<Certificate509> certificates;
  std::string fingerprints;  // of all of them, one behind the other
};
Result<Trusted> trusted_of(const std::string& file);
// The list that the system comes with, as one file: libssl would look into a folder of many during
// handshakes, and so wait for the disk. Errc::bad_setting: there is none.
Result<Trusted> trusted_by_system();

}  // namespace sluice::tls
