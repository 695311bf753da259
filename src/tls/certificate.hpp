// tls/certificate.hpp - a certificate with its chain and its private key.
//
// RFC 5280, RFC 6125 (names). Layer: tls. Thread: any but a shard's to read files; a Certificate
// may be used from any.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>

struct evp_pkey_st;
struct x509_st;

namespace sluice::tls {

enum class KeyType : std::uint8_t { rsa, ecdsa, ed25519 };

inline constexpr int kLeastRsaKeyBits = 2048;

struct CertificateFacts {
  std::string source;                  // what messages call it: the file, mostly
  std::string subject, issuer;         // RFC 4514
  std::vector<std::string> names;      // of subjectAltName: host names in lower case, `*.` in front
  std::vector<std::string> addresses;  // of subjectAltName, as text
  std::string sha1, sha256;            // thumbprints in lower-case hexadecimal digits
  std::chrono::system_clock::time_point not_before, not_after;
  KeyType key_type = KeyType::rsa;
  std::size_t chain_length = 1;  // how many certificates are sent
};

// Whether `pem` has a private key in it, of whatever kind and use.
bool holds_private_key(std::string_view pem);

// A value: immutable, and copies share what is in it.
class Certificate {
 public:
  // Certificates in the order in which they are sent, the server's own first, and the private key,
  // in the same text when `key` is empty. What cannot be used is an Errc::bad_setting that names
  // `source` (`key_source` where the key is wrong) and says what to do.
  static Result<Certificate> from_pem(std::string_view chain, std::string_view key,
                                      const std::string& source, const std::string& key_source);
  // The same, from files. `key_file` empty: the key is in `file`. Errc::out_of_memory, both.
  static Result<Certificate> from_files(const std::string& file, const std::string& key_file);

  const CertificateFacts& facts() const;
  // What an operator should know although the certificate can be used: it has expired, its chain is
  // out of order, anyone may read its key or change it.
  const std::vector<std::string>& warnings() const;
  // The certificates, without the key.
  std::string pem() const;

  // For the files of this folder. Alive as long as any copy of this.
  x509_st* leaf() const;
  evp_pkey_st* key() const;
  std::size_t intermediates() const;
  x509_st* intermediate(std::size_t index) const;

 private:
  struct Parts;
  explicit Certificate(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  std::shared_ptr<const Parts> parts_;
};

}  // namespace sluice::tls
