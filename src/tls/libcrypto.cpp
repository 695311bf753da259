// tls/libcrypto.cpp - see libcrypto.hpp.
//
// RFC 7468 (PEM), RFC 4514 (names). Layer: tls. Thread: any.
#include "tls/libcrypto.hpp"

#include <openssl/pem.h>
#include <openssl/pemerr.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <limits>
#include <utility>

#include "tls/files.hpp"

namespace sluice::tls {

Reader reader_of(std::string_view text) {
  if (text.size() > std::numeric_limits<int>::max()) return nullptr;
  return Reader(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<std::vector<Certificate509>> certificates_of(std::string_view pem,
                                                    const std::string& source) {
  const Quietly quietly;
  const Reader reader = reader_of(pem);
  if (!reader) return Errc::out_of_memory;
  std::vector<Certificate509> found;
  while (X509* next = PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr)) {
    found.emplace_back(next);
  }
  const unsigned long why = ERR_peek_last_error();
  if (ERR_GET_REASON(why) == ERR_R_MALLOC_FAILURE) return Errc::out_of_memory;
  if (ERR_GET_LIB(why) != ERR_LIB_PEM || ERR_GET_REASON(why) != PEM_R_NO_START_LINE) {
    return Error{Errc::bad_setting, source + ": certificate " + std::to_string(found.size() + 1) +
                                        " of the file is damaged"};
  }
  if (found.empty()) {
    const bool is_pem = pem.find("-----BEGIN ") != std::string_view::npos;
    return Error{Errc::bad_setting,
                 source + (is_pem ? " holds no certificate: there is no BEGIN CERTIFICATE in it"
                                  : " is no PEM file; if it is DER, convert it: openssl x509 "
                                    "-inform DER -in FILE -out FILE.pem")};
  }
  return found;
}

std::string text_of(const X509_NAME* name) {
  const Reader memory(BIO_new(BIO_s_mem()));
  constexpr unsigned long kFlags =
      XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
  if (!memory || name == nullptr || X509_NAME_print_ex(memory.get(), name, 0, kFlags) < 0)
    return {};
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}

std::string fingerprint_of(const X509& certificate, const EVP_MD* digest) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned size = 0;
  if (X509_digest(&certificate, digest, bytes.data(), &size) != 1) return {};
  std::string text;
  text.reserve(std::size_t{2} * size);
  for (unsigned i = 0; i < size; ++i) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

Result<Trusted> trusted_of(const std::string& file) {
  const Result<crypto::Secret> text = read_file(file);
  if (!text) return text.error();
  Result<std::vector<Certificate509>> found = certificates_of(text->view(), file);
  if (!found) return found.error();
  Trusted trusted{Store509(X509_STORE_new()), std::move(*found), {}};
  // Whoever is named in the file is trusted, also one that somebody else has issued.
  if (!trusted.store || X509_STORE_set_flags(trusted.store.get(), X509_V_FLAG_PARTIAL_CHAIN) != 1) {
    return Errc::out_of_memory;
  }
  for (const Certificate509& one : trusted.certificates) {
    if (X509_STORE_add_cert(trusted.store.get(), one.get()) != 1) return Errc::out_of_memory;
    trusted.fingerprints += fingerprint_of(*one, EVP_sha256());
  }
  return trusted;
}

Result<Trusted> trusted_by_system() {
  const char* named = ::secure_getenv(X509_get_default_cert_file_env());  // SSL_CERT_FILE
  if (named != nullptr) return trusted_of(named);
  const char* const places[] = {
      X509_get_default_cert_file(),          // as this libcrypto was built
      "/etc/ssl/certs/ca-certificates.crt",  // Debian, Arch, Alpine
      "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora
      "/etc/ssl/ca-bundle.pem",              // openSUSE
  };
  for (const char* place : places) {
    if (::access(place, R_OK) == 0) return trusted_of(place);
  }
  return Error{Errc::bad_setting,
               "this system has no list of trusted authorities; install ca-certificates, or name a "
               "ca_file"};
}

}  // namespace sluice::tls
