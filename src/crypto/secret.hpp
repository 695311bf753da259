// crypto/secret.hpp - text that must not be left behind, and comparing without telling where.
//
// Layer: crypto. Thread: any.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <sluice/bytes.hpp>

namespace sluice::crypto {

// Whether both are the same. The time depends on the lengths alone, which are no secret.
bool same_secret(Bytes a, Bytes b);
inline bool same_secret(std::string_view a, std::string_view b) {
  return same_secret(as_bytes(a), as_bytes(b));
}

// Overwrites, also where a compiler sees that nobody reads it any more.
void wipe(std::span<std::byte> bytes);
// All that the string has room for; it is empty afterwards.
void wipe(std::string& text);

// A copy of a secret that is wiped when it goes. Moving it moves the memory, so that nothing stays
// where it was.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text);
  // `size` zeros, to be written through bytes().
  explicit Secret(std::size_t size);
  ~Secret();
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  // Lives until the secret is moved or goes. A NUL stands behind the last byte.
  std::string_view view() const { return {text_.get(), size_}; }
  const char* c_str() const { return text_ ? text_.get() : ""; }
  std::span<std::byte> bytes() { return {reinterpret_cast<std::byte*>(text_.get()), size_}; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Keeps the first `size` bytes and wipes the others. Precondition: size <= size().
  void shrink(std::size_t size);

 private:
  std::unique_ptr<char[]> text_;  // size_ and room for a NUL
  std::size_t size_ = 0;
};

}  // namespace sluice::crypto
