// tests/tls/memory/hook.hpp - what libcrypto and libssl ask for on behalf of the session under
// test.
//
// They ask through functions of this program. Only what happens inside Watch counts, so that the
// other end of the connection does not. Layer: tests. Thread: one.
#pragma once

#include <cstddef>

namespace sluice::test::memory {

inline bool watched = false;
inline std::size_t live = 0;        // bytes that are still out
inline std::size_t calls = 0;       // allocations
inline std::size_t fail_after = 0;  // 1: the next one fails; 0: none does

// What happens until it goes is the session's doing.
class Watch {
 public:
  Watch() { watched = true; }
  ~Watch() { watched = false; }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
};

// Before anything of libcrypto's is used.
void install();

}  // namespace sluice::test::memory
