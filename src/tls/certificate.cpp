// tls/certificate.cpp - see certificate.hpp; by libcrypto.
//
// RFC 5280. Layer: tls. Thread: any.
#include "tls/certificate.hpp"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>
#include <new>
#include <utility>

#include "tls/files.hpp"
#include "tls/libcrypto.hpp"
#include "tls/names.hpp"

namespace sluice::tls {

struct Certificate::Parts {
  std::vector<Certificate509> chain;  // the leaf first
  Pkey key;
  CertificateFacts facts;
  std::vector<std::string> warnings;
};

namespace {

using Clock = std::chrono::system_clock;
using GeneralNames = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>>;

Error refused(const std::string& source, const std::string& why) {
  return {Errc::bad_setting, source + " " + why};
}

Clock::time_point time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return Clock::from_time_t(::timegm(&parts));
}

std::string date_of(Clock::time_point time) {
  const std::time_t seconds = Clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

void read_names(const X509& leaf, CertificateFacts& facts) {
  const GeneralNames names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&leaf, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      const std::string_view text(
          reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
          static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
      HostName host(text);
      if (host.is_valid()) facts.names.emplace_back(host.view());
    } else if (name->type == GEN_IPADD) {
      const int size = ASN1_STRING_length(name->d.iPAddress);
      const unsigned char* bytes = ASN1_STRING_get0_data(name->d.iPAddress);
      std::array<char, INET6_ADDRSTRLEN> text{};
      if ((size == 4 || size == 16) &&
          ::inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, text.data(), text.size())) {
        facts.addresses.emplace_back(text.data());
      }
    }
  }
}

// Whether libssl's security level 2, which we ask for, would take the key. Said here in words.
Result<KeyType> type_of(const EVP_PKEY& key, const std::string& source) {
  if (EVP_PKEY_is_a(&key, "RSA") == 1) {
    if (EVP_PKEY_get_bits(&key) < kLeastRsaKeyBits) {
      return refused(source, "is an RSA key of " + std::to_string(EVP_PKEY_get_bits(&key)) +
                                 " bits; at least 2048 are needed");
    }
    return KeyType::rsa;
  }
  if (EVP_PKEY_is_a(&key, "EC") == 1) {
    std::array<char, 64> curve{};
    std::size_t size = 0;
    EVP_PKEY_get_group_name(&key, curve.data(), curve.size(), &size);
    const std::string_view name(curve.data());
    if (name == "prime256v1" || name == "secp384r1" || name == "secp521r1") return KeyType::ecdsa;
    return refused(
        source, "is a key on the curve " + std::string(name) + "; TLS uses P-256, P-384 and P-521");
  }
  if (EVP_PKEY_is_a(&key, "ED25519") == 1) return KeyType::ed25519;
  return refused(source, "is neither an RSA, an ECDSA nor an Ed25519 key");
}

int no_password(char*, int, int, void*) { return -1; }

Result<Pkey> key_of(std::string_view pem, const std::string& source) {
  const Quietly quietly;
  if (!holds_private_key(pem)) {
    return refused(source, "holds no private key: there is no BEGIN PRIVATE KEY in it");
  }
  const Reader reader = reader_of(pem);
  if (!reader) return Errc::out_of_memory;
  Pkey key(PEM_read_bio_PrivateKey(reader.get(), nullptr, no_password, nullptr));
  if (key) return key;
  if (pem.find("BEGIN ENCRYPTED PRIVATE KEY") != std::string_view::npos ||
      pem.find("Proc-Type: 4,ENCRYPTED") != std::string_view::npos) {
    return refused(source,
                   "is protected by a password, which a server cannot ask for; write the key "
                   "without one: openssl pkey -in FILE -out NEWFILE");
  }
  return refused(source, "holds a private key that cannot be read");
}

Result<void> check_match(const std::vector<Certificate509>& chain, EVP_PKEY* key,
                         const std::string& source, const std::string& key_source) {
  const Quietly quietly;
  if (X509_check_private_key(chain.front().get(), key) == 1) return {};
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (X509_check_private_key(chain[i].get(), key) != 1) continue;
    return refused(source, "is out of order: the private key belongs to certificate " +
                               std::to_string(i + 1) +
                               " of it; the server's own must be the first, then who issued it");
  }
  return refused(key_source, "is not the key of the certificate in " + source +
                                 ": is one of them of an earlier renewal?");
}

void check_chain(const std::vector<Certificate509>& chain, const std::string& source,
                 std::vector<std::string>& warnings) {
  const Quietly quietly;
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    if (X509_check_issued(chain[i + 1].get(), chain[i].get()) == X509_V_OK) continue;
    warnings.push_back(source + ": certificate " + std::to_string(i + 2) + " did not issue " +
                       std::to_string(i + 1) + "; clients may not accept the chain");
  }
}

void check_time(const CertificateFacts& facts, std::vector<std::string>& warnings) {
  const Clock::time_point now = Clock::now();
  if (facts.not_after <= now) {
    warnings.push_back(facts.source + " has expired: " + date_of(facts.not_after));
  } else if (facts.not_before > now) {
    warnings.push_back(facts.source + " is not valid before " + date_of(facts.not_before));
  }
}

}  // namespace

bool holds_private_key(std::string_view pem) {
  return pem.find("PRIVATE KEY-----") != std::string_view::npos;
}

Result<Certificate> Certificate::from_pem(std::string_view chain, std::string_view key,
                                          const std::string& source,
                                          const std::string& key_source) try {
  Result<std::vector<Certificate509>> certificates = certificates_of(chain, source);
  if (!certificates) return certificates.error();
  const std::string& where = key.empty() ? source : key_source;
  Result<Pkey> private_key = key_of(key.empty() ? chain : key, where);
  if (!private_key) return private_key.error();
  const Result<KeyType> type = type_of(**private_key, where);
  if (!type) return type.error();
  if (Result<void> match = check_match(*certificates, private_key->get(), source, where); !match) {
    return match.error();
  }

  auto parts = std::make_shared<Parts>();
  parts->chain = std::move(*certificates);
  parts->key = std::move(*private_key);
  X509& leaf = *parts->chain.front();
  CertificateFacts& facts = parts->facts;
  facts.source = source;
  facts.subject = text_of(X509_get_subject_name(&leaf));
  facts.issuer = text_of(X509_get_issuer_name(&leaf));
  facts.sha1 = fingerprint_of(leaf, EVP_sha1());
  facts.sha256 = fingerprint_of(leaf, EVP_sha256());
  facts.not_before = time_of(X509_get0_notBefore(&leaf));
  facts.not_after = time_of(X509_get0_notAfter(&leaf));
  facts.key_type = *type;
  facts.chain_length = parts->chain.size();
  read_names(leaf, facts);
  check_time(facts, parts->warnings);
  check_chain(parts->chain, source, parts->warnings);
  return Certificate(std::move(parts));
} catch (const std::bad_alloc&) {
  return Errc::out_of_memory;
}

Result<Certificate> Certificate::from_files(const std::string& file,
                                            const std::string& key_file) try {
  OpenTo open_to;
  const Result<crypto::Secret> chain = read_file(file, &open_to);
  if (!chain) return chain.error();
  crypto::Secret key;
  if (!key_file.empty()) {
    Result<crypto::Secret> read = read_file(key_file, &open_to);
    if (!read) return read.error();
    key = std::move(*read);
  }
  Result<Certificate> made = from_pem(chain->view(), key.view(), file, key_file);
  if (!made) return made;
  const std::string& where = key_file.empty() ? file : key_file;
  auto parts = std::const_pointer_cast<Parts>(made->parts_);  // nobody else has it yet
  if (open_to.readers) {
    parts->warnings.push_back("anyone on this machine may read the private key in " + where +
                              ": chmod o= " + where);
  }
  if (open_to.writers) {
    parts->warnings.push_back("others than its owner may change the private key in " + where +
                              ": chmod go-w " + where);
  }
  return made;
} catch (const std::bad_alloc&) {
  return Errc::out_of_memory;
}

const CertificateFacts& Certificate::facts() const { return parts_->facts; }
const std::vector<std::string>& Certificate::warnings() const { return parts_->warnings; }

std::string Certificate::pem() const {
  const Reader memory(BIO_new(BIO_s_mem()));
  for (const Certificate509& one : parts_->chain) {
    if (!memory || PEM_write_bio_X509(memory.get(), one.get()) != 1) return {};
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}

x509_st* Certificate::leaf() const { return parts_->chain.front().get(); }
evp_pkey_st* Certificate::key() const { return parts_->key.get(); }
std::size_t Certificate::intermediates() const { return parts_->chain.size() - 1; }
x509_st* Certificate::intermediate(std::size_t index) const {
  return parts_->chain[index + 1].get();
}

}  // namespace sluice::tls
