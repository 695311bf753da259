// crypto/digest.cpp - SHA-1, SHA-256, random bytes and one AES block, by libcrypto's EVP interface.
//
// Layer: crypto. Thread: any. Algorithms are fetched once per process; contexts belong to the
// thread and are used again. libcrypto refusing one of these algorithms is a broken installation,
// not an input: it stops the process.
#include "crypto/digest.hpp"

#include <algorithm>
#include <limits>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/check.hpp"

namespace sluice::crypto {

namespace {

// Fetched algorithms live until the process ends: threads may outlive every static destructor.
const EVP_MD* fetched_digest(const char* name) {
  EVP_MD* digest = EVP_MD_fetch(nullptr, name, nullptr);
  SLUICE_CHECK(digest != nullptr);
  return digest;
}

// One thread's context for one digest. libcrypto 3.0 makes its inner state (some hundred bytes)
// anew at each init, whether or not the digest is named again.
class DigestContext {
 public:
  explicit DigestContext(const EVP_MD* digest) : digest_(digest), context_(EVP_MD_CTX_new()) {
    SLUICE_CHECK(context_ != nullptr);
  }
  ~DigestContext() { EVP_MD_CTX_free(context_); }
  DigestContext(const DigestContext&) = delete;
  DigestContext& operator=(const DigestContext&) = delete;

  void digest(Bytes bytes, std::byte* out) {
    SLUICE_CHECK(EVP_DigestInit_ex(context_, digest_, nullptr) == 1);
    SLUICE_CHECK(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1);
    SLUICE_CHECK(EVP_DigestFinal_ex(context_, reinterpret_cast<unsigned char*>(out), nullptr) == 1);
  }

 private:
  const EVP_MD* digest_;
  EVP_MD_CTX* context_;
};

using Block = std::array<std::byte, 16>;

// One thread's context for one direction of AES-128. The key schedule is kept while the key stays
// the same, which it does: a process has one or two keys.
class CipherContext {
 public:
  explicit CipherContext(bool encrypts) : encrypts_(encrypts), context_(EVP_CIPHER_CTX_new()) {
    static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-128-ECB", nullptr);
    SLUICE_CHECK(context_ != nullptr && cipher != nullptr);
    SLUICE_CHECK(EVP_CipherInit_ex2(context_, cipher, nullptr, nullptr, encrypts_, nullptr) == 1);
  }
  ~CipherContext() {
    EVP_CIPHER_CTX_free(context_);
    OPENSSL_cleanse(key_.data(), key_.size());
  }
  CipherContext(const CipherContext&) = delete;
  CipherContext& operator=(const CipherContext&) = delete;

  Block transform(const Block& key, const Block& block) {
    if (!keyed_ || key != key_) {
      keyed_ = false;
      SLUICE_CHECK(EVP_CipherInit_ex2(context_, nullptr,
                                      reinterpret_cast<const unsigned char*>(key.data()), nullptr,
                                      encrypts_, nullptr) == 1);
      SLUICE_CHECK(EVP_CIPHER_CTX_set_padding(context_, 0) == 1);
      key_ = key;
      keyed_ = true;
    }
    Block out;
    int written = 0;
    SLUICE_CHECK(EVP_CipherUpdate(context_, reinterpret_cast<unsigned char*>(out.data()), &written,
                                  reinterpret_cast<const unsigned char*>(block.data()),
                                  static_cast<int>(block.size())) == 1);
    SLUICE_CHECK(written == static_cast<int>(out.size()));
    return out;
  }

 private:
  int encrypts_;
  bool keyed_ = false;
  Block key_{};
  EVP_CIPHER_CTX* context_;
};

}  // namespace

std::array<std::byte, 20> sha1(Bytes bytes) {
  static const EVP_MD* const digest = fetched_digest("SHA1");
  thread_local DigestContext context(digest);
  std::array<std::byte, 20> out;
  context.digest(bytes, out.data());
  return out;
}

std::array<std::byte, 32> sha256(Bytes bytes) {
  static const EVP_MD* const digest = fetched_digest("SHA256");
  thread_local DigestContext context(digest);
  std::array<std::byte, 32> out;
  context.digest(bytes, out.data());
  return out;
}

void random_bytes(std::span<std::byte> out) {
  while (!out.empty()) {
    const std::size_t size = std::min<std::size_t>(out.size(), std::numeric_limits<int>::max());
    SLUICE_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(size)) ==
                 1);
    out = out.subspan(size);
  }
}

BlockCipher::BlockCipher(const std::array<std::byte, 16>& key) : key_(key) {}

BlockCipher::~BlockCipher() { OPENSSL_cleanse(key_.data(), key_.size()); }

std::array<std::byte, 16> BlockCipher::encrypt(const std::array<std::byte, 16>& block) const {
  thread_local CipherContext context(true);
  return context.transform(key_, block);
}

std::array<std::byte, 16> BlockCipher::decrypt(const std::array<std::byte, 16>& block) const {
  thread_local CipherContext context(false);
  return context.transform(key_, block);
}

}  // namespace sluice::crypto
