// crypto/libcrypto.hpp - what every use of libcrypto's objects needs: an owner, and a quiet queue
// of errors.
//
// Layer: crypto. For sources that include OpenSSL themselves (crypto, tls). Thread: any.
#pragma once

#include <openssl/err.h>

namespace sluice::crypto {

// Errors that libcrypto queues meanwhile are dropped; those from before stay.
class Quietly {
 public:
  Quietly() { ERR_set_mark(); }
  ~Quietly() { ERR_pop_to_mark(); }
  Quietly(const Quietly&) = delete;
  Quietly& operator=(const Quietly&) = delete;
};

// The deleter of a std::unique_ptr.
template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* resource) const {
    Free(resource);
  }
};

}  // namespace sluice::crypto
