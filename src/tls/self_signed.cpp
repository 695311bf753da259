// tls/self_signed.cpp - see self_signed.hpp; by libcrypto.
//
// RFC 5280. Layer: tls. Thread: any.
#include "tls/self_signed.hpp"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <new>
#include <string>

#include "crypto/digest.hpp"
#include "crypto/secret.hpp"
#include "tls/libcrypto.hpp"
#include "tls/names.hpp"

namespace sluice::tls {
namespace {

Result<std::string> alternative_names(std::span<const std::string_view> names) {
  std::string value;
  for (const std::string_view name : names) {
    const bool address = is_address(name);
    const HostName host(name);
    if (!address && !host.is_valid()) {
      return Error{Errc::bad_setting,
                   "'" + std::string(name) + "' is neither a host name nor an address"};
    }
    value += std::string(value.empty() ? "" : ",") + (address ? "IP:" : "DNS:");
    value += address ? name : host.view();
  }
  if (value.empty()) return Error{Errc::bad_setting, "a certificate needs a name or an address"};
  return value;
}

bool add_extension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
  const Extension made(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return made && X509_add_ext(certificate, made.get(), -1) == 1;
}

bool set_serial(X509* certificate) {
  std::array<std::byte, 16> bytes;
  crypto::random_bytes(bytes);
  bytes[0] = (bytes[0] & std::byte{0x3f}) | std::byte{0x40};  // positive, and as long as it looks
  using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
  const Number number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool describe(X509* certificate, EVP_PKEY* key, const std::string& names, std::chrono::hours life) {
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* common = reinterpret_cast<const unsigned char*>("sluice development");
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(life).count();
  return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), static_cast<long>(seconds)) != nullptr &&
         X509_set_pubkey(certificate, key) == 1 &&
         add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
         add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
         add_extension(certificate, NID_subject_alt_name, names) &&
         add_extension(certificate, NID_subject_key_identifier, "hash");
}

}  // namespace

Result<Certificate> self_signed(std::span<const std::string_view> names,
                                std::chrono::hours life) try {
  if (life > kLongestLife) {
    return Error{Errc::bad_setting, "a certificate for development is good for 100 years at most"};
  }
  const Quietly quietly;
  const Result<std::string> alternatives = alternative_names(names);
  if (!alternatives) return alternatives.error();
  const Pkey key(EVP_EC_gen("P-256"));
  const Certificate509 certificate(X509_new());
  const Reader chain(BIO_new(BIO_s_mem()));
  // Wiped when it is freed.
  const Reader secret(BIO_new(BIO_s_secmem()));
  if (!key || !certificate || !chain || !secret ||
      !describe(certificate.get(), key.get(), *alternatives, life) ||
      X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0 ||
      PEM_write_bio_X509(chain.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return Errc::out_of_memory;
  }
  const auto text = [](const Reader& memory) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(memory.get(), &bytes);
    return std::string_view(bytes, static_cast<std::size_t>(size));
  };
  static const std::string source = "the development certificate";
  return Certificate::from_pem(text(chain), text(secret), source, source);
} catch (const std::bad_alloc&) {
  return Errc::out_of_memory;
}

}  // namespace sluice::tls
