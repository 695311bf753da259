// crypto/sodium_start.hpp - libsodium, ready for use.
//
// Layer: crypto. Thread: any.
#pragma once

#include <sodium.h>

#include "base/check.hpp"

namespace sluice::crypto {

// Before anything else of libsodium is called.
inline void start_sodium() {
  static const bool started = sodium_init() >= 0;
  SLUICE_CHECK(started);
}

}  // namespace sluice::crypto
