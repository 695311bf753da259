// tls/context_parts.hpp - the inside of a Context: what libssl's callbacks of a handshake look at.
//
// For the .cpp files of this folder alone. Layer: tls. Thread: any; nothing changes after it is
// made.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tls/context.hpp"
#include "tls/names.hpp"

struct evp_cipher_st;

namespace sluice::tls {

// An answer about revocation, sent as long as it holds.
struct Staple {
  x509_st* about = nullptr;  // the certificate, which the context keeps
  std::string der;
  std::chrono::system_clock::time_point until;
};

struct SslContextFree {
  void operator()(ssl_ctx_st* context) const;
};
using SslContext = std::unique_ptr<ssl_ctx_st, SslContextFree>;

struct CipherFree {
  void operator()(evp_cipher_st* cipher) const;
};

struct Context::Parts {
  bool is_server = false;
  bool verify_peer = false;
  std::uint32_t records_per_key = kRecordsPerKey;
  std::vector<SslContext> contexts;  // one for each set of certificates; the first is the default
  NameTable names;                   // to numbers of `contexts`
  std::vector<Certificate> certificates;
  std::vector<Staple> staples;
  std::string protocols;  // as ALPN has them on the wire
  std::shared_ptr<TicketKeys> ticket_keys;
  std::unique_ptr<evp_cipher_st, CipherFree> ticket_cipher;
  long ticket_seconds = 0;  // how long after its full handshake a session is resumed
  std::chrono::system_clock::time_point (*clock)() = std::chrono::system_clock::now;
};

// The answer of the file, if it is one about `certificate` that says it is good. An answer that has
// expired is a warning, and not sent: clients refuse it.
Result<Staple> staple_of(const Certificate& certificate, const std::string& file,
                         std::vector<std::string>& warnings);

}  // namespace sluice::tls
