// crypto/secret.cpp - see secret.hpp; libcrypto knows how to compare, libc how to forget.
//
// Layer: crypto. Thread: any.
#include "crypto/secret.hpp"

#include <openssl/crypto.h>

#include <cstring>  // explicit_bzero
#include <utility>

#include "base/check.hpp"

namespace sluice::crypto {

bool same_secret(Bytes a, Bytes b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

void wipe(std::span<std::byte> bytes) {
  if (!bytes.empty()) ::explicit_bzero(bytes.data(), bytes.size());
}

void wipe(std::string& text) {
  text.resize(text.capacity());  // what was longer before is still there
  if (!text.empty()) ::explicit_bzero(text.data(), text.size());
  text.clear();
}

Secret::Secret(std::string_view text) : Secret(text.size()) {
  if (!text.empty()) std::memcpy(text_.get(), text.data(), text.size());
}

Secret::Secret(std::size_t size) : text_(new char[size + 1]()), size_(size) {}

Secret::~Secret() {
  if (text_) ::explicit_bzero(text_.get(), size_);
}

Secret::Secret(Secret&& other) noexcept
    : text_(std::move(other.text_)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    if (text_) ::explicit_bzero(text_.get(), size_);
    text_ = std::move(other.text_);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void Secret::shrink(std::size_t size) {
  SLUICE_CHECK(size <= size_);
  if (!text_) return;
  ::explicit_bzero(text_.get() + size, size_ - size);
  size_ = size;
}

}  // namespace sluice::crypto
