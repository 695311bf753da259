// tls/context.hpp - what all sessions of a port, or towards other servers, have in common.
//
// TLS 1.2 and 1.3 with forward secrecy and authenticated encryption only (ADR 27). A context never
// changes: new settings make another one for new connections, and each session keeps its own.
// Layer: tls. Thread: making one reads files, so never on a shard; using it, any.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sluice/result.hpp>

#include "tls/certificate.hpp"
#include "tls/ticket_keys.hpp"

struct ssl_ctx_st;

namespace sluice::tls {

enum class Version : std::uint8_t { tls12, tls13 };

// Whether clients show a certificate. One that is shown is always verified.
enum class ClientCertificate : std::uint8_t { none, optional, required };

// A key may seal this many records (RFC 8446 section 5.5 allows about 24 million of full size).
inline constexpr std::uint32_t kRecordsPerKey = 1u << 24;
inline constexpr std::size_t kMostCertificates = 1024;

struct ServerCertificate {
  Certificate certificate;
  // An OCSP answer (RFC 6960) about it, in DER, to be sent along with it; empty: none.
  std::string ocsp_file = {};
};

struct ServerSettings {
  // The first one is for clients that ask for no name, or for one that none is for. For each name
  // the first RSA, the first ECDSA and the first Ed25519 certificate count, and the client's
  // abilities choose among them.
  std::vector<ServerCertificate> certificates = {};
  Version minimum = Version::tls12;
  ClientCertificate client_certificate = ClientCertificate::none;
  // PEM: who may have issued certificates of clients. Needed unless there are none.
  std::string client_ca_file = {};
  // ALPN (RFC 7301), best first. A client that offers others only is refused. Empty: ALPN is not
  // spoken.
  std::vector<std::string> protocols = {};
  // Shared by all contexts of a server. Null: no session is resumed. Otherwise one is resumed for a
  // period of theirs (at most a day) after its full handshake, for the name that it asked for then,
  // and as long as the certificate that its client showed is valid.
  std::shared_ptr<TicketKeys> ticket_keys = {};
  // What tickets are judged by; tests have their own.
  std::chrono::system_clock::time_point (*clock)() = std::chrono::system_clock::now;
  std::uint32_t records_per_key = kRecordsPerKey;
};

struct ClientSettings {
  bool verify_peer = true;
  std::string ca_file = {};  // PEM: who is trusted; empty: whom the system trusts
  Version minimum = Version::tls12;
  std::vector<std::string> protocols = {};  // ALPN
  std::optional<Certificate> certificate = {};
  std::uint32_t records_per_key = kRecordsPerKey;
};

class Context {
 public:
  // Errc::bad_setting says which file or setting cannot be used, and what to do;
  // Errc::out_of_memory.
  static Result<std::shared_ptr<const Context>> server(const ServerSettings& settings);
  static Result<std::shared_ptr<const Context>> client(const ClientSettings& settings);

  // What works, but should be looked at: expired certificates, names that two of them have, ...
  const std::vector<std::string>& warnings() const { return warnings_; }
  // Of the server's certificates, in the order of the settings.
  const std::vector<CertificateFacts>& certificates() const { return facts_; }
  // When the first of them expires.
  std::chrono::system_clock::time_point expires() const { return expires_; }

  // For Session. Parts is defined in context_parts.hpp.
  struct Parts;
  // What a handshake's callbacks look at and leave behind: one for each session, and as long there.
  struct Asked {
    const Parts* parts = nullptr;
    std::string server_name = {};  // SNI, as the client wrote it
    bool no_memory = false;
  };
  const Parts& parts() const { return *parts_; }
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

 private:
  Context();
  std::unique_ptr<Parts> parts_;
  std::vector<std::string> warnings_;
  std::vector<CertificateFacts> facts_;
  std::chrono::system_clock::time_point expires_ = std::chrono::system_clock::time_point::max();
};

}  // namespace sluice::tls
