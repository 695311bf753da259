// tests/tls/sealer.hpp - records sealed with the keys of OpenSSL's client, with whatever in them:
// what OpenSSL itself would never send.
//
// RFC 8446 sections 5.2, 7.1, 7.3; RFC 5246 section 6.3, RFC 5288. AES-128-GCM with SHA-256 only.
// Layer: tests.
#pragma once

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <utility>

namespace sluice::test {

class Sealer {
 public:
  // Notes the secret of TLS 1.3 when the handshake comes to it. `client` outlives this.
  explicit Sealer(SSL* client) : ssl_(client) {
    logged().clear();
    SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(ssl_), [](const SSL*, const char* line) {
      const std::string text(line);
      if (text.starts_with("CLIENT_TRAFFIC_SECRET_0 ")) {
        logged() = bytes_of(text.substr(text.rfind(' ') + 1));
      }
    });
  }

  // The client's next record. Precondition: the handshake is done; the client seals nothing itself
  // between two of these.
  std::string record(char type, const std::string& body) {
    if (key_.empty()) read_keys();
    return SSL_version(ssl_) == TLS1_3_VERSION ? record13(type, body) : record12(type, body);
  }
  // Several, in this order, which that of operands of + is not.
  std::string records(std::initializer_list<std::pair<char, std::string>> all) {
    std::string bytes;
    for (const auto& [type, body] : all) bytes += record(type, body);
    return bytes;
  }

 private:
  static void must(bool worked) {
    if (!worked) std::abort();
  }
  static std::string& logged() {
    thread_local std::string secret;
    return secret;
  }
  static std::string bytes_of(const std::string& digits) {
    std::string bytes;
    for (std::size_t at = 0; at + 1 < digits.size(); at += 2) {
      bytes += char(std::stoi(digits.substr(at, 2), nullptr, 16));
    }
    return bytes;
  }
  static std::string hmac(const std::string& key, const std::string& text) {
    std::string digest(32, '\0');
    unsigned size = 0;
    must(HMAC(EVP_sha256(), key.data(), int(key.size()),
              reinterpret_cast<const unsigned char*>(text.data()), text.size(),
              reinterpret_cast<unsigned char*>(digest.data()), &size) != nullptr);
    return digest;
  }
  static std::string expand_label(const std::string& secret, const std::string& label, char size) {
    const std::string info = std::string{0, size, char(6 + label.size())} + "tls13 " + label;
    return hmac(secret, info + std::string{0, 1}).substr(0, std::size_t(size));
  }

  void read_keys() {
    if (SSL_version(ssl_) == TLS1_3_VERSION) {
      must(logged().size() == 32);
      key_ = expand_label(logged(), "key", 16);
      iv_ = expand_label(logged(), "iv", 12);
      return;
    }
    sequence_ = 1;  // the Finished was the first
    std::string master(48, '\0'), client(32, '\0'), server(32, '\0');
    SSL_SESSION_get_master_key(SSL_get_session(ssl_),
                               reinterpret_cast<unsigned char*>(master.data()), 48);
    SSL_get_client_random(ssl_, reinterpret_cast<unsigned char*>(client.data()), 32);
    SSL_get_server_random(ssl_, reinterpret_cast<unsigned char*>(server.data()), 32);
    const std::string seed = "key expansion" + server + client;
    const std::string first = hmac(master, seed), second = hmac(master, first);
    const std::string keys = hmac(master, first + seed) + hmac(master, second + seed);
    key_ = keys.substr(0, 16);
    iv_ = keys.substr(32, 4);
  }
  std::string number() {
    std::string text;
    for (int shift = 56; shift >= 0; shift -= 8) text += char(sequence_ >> shift & 0xff);
    ++sequence_;
    return text;
  }
  static std::string head(char type, std::size_t size) {
    return {type, 3, 3, char(size >> 8), char(size & 0xff)};
  }
  std::string record13(char type, const std::string& body) {
    std::string nonce = iv_;
    const std::string at = number();
    for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] = char(nonce[4 + i] ^ at[i]);
    const std::string front = head(23, body.size() + 1 + 16);
    return front + seal(nonce, front, body + type);
  }
  std::string record12(char type, const std::string& body) {
    const std::string at = number();
    return head(type, 8 + body.size() + 16) + at +
           seal(iv_ + at, at + head(type, body.size()), body);
  }
  std::string seal(const std::string& nonce, const std::string& also, const std::string& plain) {
    const auto raw = [](const std::string& text) {
      return reinterpret_cast<const unsigned char*>(text.data());
    };
    std::string sealed(plain.size() + 16, '\0');
    auto* to = reinterpret_cast<unsigned char*>(sealed.data());
    EVP_CIPHER_CTX* cipher = EVP_CIPHER_CTX_new();
    int size = 0;
    must(EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), nullptr, raw(key_), raw(nonce)) == 1 &&
         EVP_EncryptUpdate(cipher, nullptr, &size, raw(also), int(also.size())) == 1 &&
         EVP_EncryptUpdate(cipher, to, &size, raw(plain), int(plain.size())) == 1 &&
         EVP_EncryptFinal_ex(cipher, to + plain.size(), &size) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, 16, to + plain.size()) == 1);
    EVP_CIPHER_CTX_free(cipher);
    return sealed;
  }

  SSL* const ssl_;
  std::string key_, iv_;
  std::uint64_t sequence_ = 0;
};

}  // namespace sluice::test
