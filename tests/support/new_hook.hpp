// tests/support/new_hook.hpp - counts what operator new gives out, and makes the Nth call fail.
//
// Replaces operator new and delete of the whole test program: include it in one file of a program,
// the one that holds the tests about allocation. Layer: tests. Thread: counts and failures are
// those of the calling thread.
#pragma once

#include <malloc.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace sluice::test {

inline thread_local std::size_t new_calls = 0;
inline thread_local std::size_t live_bytes = 0;  // given out and not yet given back
inline thread_local std::size_t fail_after = 0;  // 1: the next call fails; 0: none does
inline thread_local bool fail_on = false;        // and all behind it, until fail_after is 0

inline void* hooked_new(std::size_t bytes) {
  ++new_calls;
  if (fail_after == 1 && fail_on) return nullptr;
  if (fail_after != 0 && --fail_after == 0) return nullptr;
  void* memory = std::malloc(bytes != 0 ? bytes : 1);
  live_bytes += ::malloc_usable_size(memory);
  return memory;
}

inline void hooked_delete(void* memory) {
  live_bytes -= ::malloc_usable_size(memory);
  std::free(memory);
}

// How often `work` asks for memory.
template <class Work>
std::size_t count_news(Work&& work) {
  const std::size_t before = new_calls;
  work();
  return new_calls - before;
}

// Runs `work` again and again, with the first, the second, the third... allocation failing, until
// it gets through. Returns how many runs failed. `work` must clean up behind itself when it throws:
// LeakSanitizer sees what it forgets.
template <class Work>
std::size_t fail_each_new(Work&& work) {
  for (std::size_t n = 1;; ++n) {
    fail_after = n;
    try {
      work();
      fail_after = 0;
      return n - 1;
    } catch (const std::bad_alloc&) {
      fail_after = 0;
    }
  }
}

}  // namespace sluice::test

// Not inlined: else g++ sees one of a pair without the other, and warns that they do not match.
#define SLUICE_TEST_NOINLINE [[gnu::noinline]]

SLUICE_TEST_NOINLINE void* operator new(std::size_t bytes) {
  void* memory = sluice::test::hooked_new(bytes);
  if (!memory) throw std::bad_alloc();
  return memory;
}
SLUICE_TEST_NOINLINE void* operator new[](std::size_t bytes) { return operator new(bytes); }
SLUICE_TEST_NOINLINE void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return sluice::test::hooked_new(bytes);
}
SLUICE_TEST_NOINLINE void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return sluice::test::hooked_new(bytes);
}
SLUICE_TEST_NOINLINE void operator delete(void* memory) noexcept {
  sluice::test::hooked_delete(memory);
}
SLUICE_TEST_NOINLINE void operator delete[](void* memory) noexcept {
  sluice::test::hooked_delete(memory);
}
SLUICE_TEST_NOINLINE void operator delete(void* memory, std::size_t) noexcept {
  sluice::test::hooked_delete(memory);
}
SLUICE_TEST_NOINLINE void operator delete[](void* memory, std::size_t) noexcept {
  sluice::test::hooked_delete(memory);
}
SLUICE_TEST_NOINLINE void operator delete(void* memory, const std::nothrow_t&) noexcept {
  sluice::test::hooked_delete(memory);
}
SLUICE_TEST_NOINLINE void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  sluice::test::hooked_delete(memory);
}
