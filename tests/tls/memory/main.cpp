// tests/tls/memory/main.cpp - libcrypto's memory comes from here, before anything else happens.
//
// Layer: tests.
#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <cstdlib>
#include <cstring>

#include "tls/memory/hook.hpp"

namespace sluice::test::memory {
namespace {

struct alignas(16) Head {
  std::size_t bytes;
  bool counts;
};

void* give(std::size_t bytes, const char*, int) {
  if (watched) {
    ++calls;
    if (fail_after != 0 && --fail_after == 0) return nullptr;
  }
  auto* head = static_cast<Head*>(std::malloc(sizeof(Head) + bytes));
  if (head == nullptr) return nullptr;
  *head = {bytes, watched};
  if (head->counts) live += bytes;
  return head + 1;
}

void take(void* memory, const char*, int) {
  if (memory == nullptr) return;
  Head* head = static_cast<Head*>(memory) - 1;
  if (head->counts) live -= head->bytes;
  std::free(head);
}

void* change(void* memory, std::size_t bytes, const char* file, int line) {
  if (memory == nullptr) return give(bytes, file, line);
  if (bytes == 0) {
    take(memory, file, line);
    return nullptr;
  }
  void* larger = give(bytes, file, line);
  if (larger == nullptr) return nullptr;
  const std::size_t before = (static_cast<Head*>(memory) - 1)->bytes;
  std::memcpy(larger, memory, before < bytes ? before : bytes);
  take(memory, file, line);
  return larger;
}

}  // namespace

void install() {
  if (CRYPTO_set_mem_functions(give, change, take) != 1) std::abort();
}

}  // namespace sluice::test::memory

int main(int argc, char** argv) {
  sluice::test::memory::install();
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
