// tests/tls/authority.hpp - a certificate authority for one test: it issues what the test asks for,
// right or wrong.
//
// Everything is made on the spot, so that nothing expires. Layer: tests.
#pragma once

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "crypto/digest.hpp"
#include "tls/certificate.hpp"

namespace sluice::test {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Free>;
using X509Ptr = std::unique_ptr<X509, Free>;

inline void must(bool worked) {
  if (!worked) std::abort();
}

template <class Write>
std::string pem_text(Write&& write) {
  const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
  must(write(bio.get()) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, std::size_t(size)};
}

// A key and its certificate, as PEM.
struct Issued {
  std::string certificate;
  std::string key;
  std::string chain;  // the certificate, then whoever stands between it and the authority
};

struct Wish {
  std::string names = "DNS:localhost";  // subjectAltName in OpenSSL's words; empty: none
  std::string subject = "leaf";
  std::string key = "P-256";         // or RSA-2048, RSA-1024, ED25519, secp256k1, ...
  long from = -3600, until = 86400;  // seconds from now
  bool for_clients = false;
};

class Authority {
 public:
  explicit Authority(std::string name = "Test CA")
      : name_(std::move(name)), key_(make_key("P-256")), certificate_(X509_new()) {
    fill(certificate_.get(), name_, key_.get(), -3600, 864000);
    must(X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get())));
    extend(certificate_.get(), certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
    extend(certificate_.get(), certificate_.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
    extend(certificate_.get(), certificate_.get(), NID_subject_key_identifier, "hash");
    must(X509_sign(certificate_.get(), key_.get(), EVP_sha256()) != 0);
  }

  const std::string& name() const { return name_; }
  X509* x509() const { return certificate_.get(); }
  EVP_PKEY* key() const { return key_.get(); }
  std::string pem() const { return pem_of(certificate_.get()); }

  // An authority that this one has issued.
  Authority intermediate(const std::string& name) const {
    Authority below(name);
    below.certificate_.reset(X509_new());
    X509* made = below.certificate_.get();
    fill(made, name, below.key_.get(), -3600, 864000);
    must(X509_set_issuer_name(made, X509_get_subject_name(certificate_.get())));
    extend(made, certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
    extend(made, certificate_.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
    extend(made, certificate_.get(), NID_subject_key_identifier, "hash");
    must(X509_sign(made, key_.get(), EVP_sha256()) != 0);
    below.above_ = below.pem();
    return below;
  }

  Issued issue(const Wish& wish = {}) const {
    const KeyPtr key = make_key(wish.key);
    const X509Ptr made(X509_new());
    fill(made.get(), wish.subject, key.get(), wish.from, wish.until);
    must(X509_set_issuer_name(made.get(), X509_get_subject_name(certificate_.get())));
    extend(made.get(), certificate_.get(), NID_basic_constraints, "critical,CA:FALSE");
    extend(made.get(), certificate_.get(), NID_key_usage, "critical,digitalSignature");
    extend(made.get(), certificate_.get(), NID_ext_key_usage,
           wish.for_clients ? "clientAuth" : "serverAuth");
    if (!wish.names.empty()) {
      extend(made.get(), certificate_.get(), NID_subject_alt_name, wish.names);
    }
    must(X509_sign(made.get(), key_.get(), EVP_sha256()) != 0);
    Issued issued;
    issued.certificate = pem_of(made.get());
    issued.key = key_pem(key.get());
    issued.chain = issued.certificate + above_;
    return issued;
  }

  static KeyPtr make_key(const std::string& kind) {
    if (kind.starts_with("RSA-")) return KeyPtr(EVP_RSA_gen(std::stoul(kind.substr(4))));
    if (kind == "ED25519") return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    return KeyPtr(EVP_EC_gen(kind.c_str()));
  }
  static std::string key_pem(EVP_PKEY* key) {
    return pem_text([key](BIO* bio) {
      return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  static std::string encrypted_key_pem(EVP_PKEY* key) {
    return pem_text([key](BIO* bio) {
      return PEM_write_bio_PrivateKey(bio, key, EVP_aes_256_cbc(),
                                      reinterpret_cast<const unsigned char*>("word"), 4, nullptr,
                                      nullptr);
    });
  }
  static std::string pem_of(X509* certificate) {
    return pem_text([certificate](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
  }

 private:
  static void fill(X509* made, const std::string& name, EVP_PKEY* key, long from, long until) {
    must(X509_set_version(made, X509_VERSION_3) == 1);
    std::array<std::byte, 8> serial;
    crypto::random_bytes(serial);
    must(ASN1_INTEGER_set(X509_get_serialNumber(made),
                          1 + (long(serial[0]) << 16) + (long(serial[1]) << 8) + long(serial[2])) ==
         1);
    must(X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "O", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>("Sluice"), -1, -1,
                                    0) == 1);
    must(X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                    0) == 1);
    must(X509_gmtime_adj(X509_getm_notBefore(made), from) != nullptr);
    must(X509_gmtime_adj(X509_getm_notAfter(made), until) != nullptr);
    must(X509_set_pubkey(made, key) == 1);
  }
  static void extend(X509* made, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, made, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, Free> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    must(extension && X509_add_ext(made, extension.get(), -1) == 1);
  }

  std::string name_;
  KeyPtr key_;
  X509Ptr certificate_;
  std::string above_;
};

inline tls::Certificate certificate_of(const Issued& issued,
                                       const std::string& source = "leaf.pem") {
  Result<tls::Certificate> made =
      tls::Certificate::from_pem(issued.chain, issued.key, source, "leaf.key");
  must(made.has_value());
  return *made;
}

// A folder that goes with the test.
class TestFolder {
 public:
  TestFolder() {
    std::string path = (std::filesystem::temp_directory_path() / "sluice-tls-XXXXXX").string();
    must(::mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  // The whole path; nobody else may read the file.
  std::string write(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = path_ / name;
    std::ofstream(file, std::ios::binary) << text;
    std::filesystem::permissions(file, std::filesystem::perms(0600));
    return file.string();
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace sluice::test
