// sluice/ssl_options.hpp - what a server shows to clients that come by https, and asks of them.
//
// TLS 1.2 and 1.3 (RFC 5246, RFC 8446), with forward secrecy and authenticated encryption only.
// Files are read at start(), apply() and restart(), and again when they change
// (binding_options.watch_interval); docs/adr/0029. Layer: public.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

enum class TlsVersion : std::uint8_t { tls12, tls13 };

// Whether clients show a certificate. One that is shown is always verified.
enum class ClientCertificates : std::uint8_t {
  none,      // they are not asked
  optional,  // they are asked, and may have none: HttpRequest::tls() says who it was
  required,  // else the handshake fails, Errc::tls_certificate_refused
};

// One certificate: in a file, or in the store.
struct SslCertificate {
  // PEM: the server's own certificate first, then what stands between it and its authority.
  std::string certificate_file = {};
  std::string private_key_file = {};  // PEM, without a password; empty: it is in certificate_file
  // An OCSP answer (RFC 6960) about it, in DER, to be sent along with it; empty: none.
  std::string ocsp_file = {};
  // Instead of the files: the thumbprint, SHA-1 or SHA-256, of one that is in ssl_options.store.
  std::string hash = {};

  friend bool operator==(const SslCertificate&, const SslCertificate&) = default;
};

// Of a server, for all its https prefixes; and of one prefix (PrefixOptions), where only what it
// says itself counts: its certificates instead of the server's, and what it asks of clients in
// addition. All https prefixes of one port share their certificates: by the name that a client asks
// for (SNI) it gets the first that is for it, else the first of all. They must ask the same of
// clients. At most 1,024 certificates for a port.
struct SslOptions {
  // The first certificate; see SslCertificate.
  std::string certificate_file = {};
  std::string private_key_file = {};
  std::string ocsp_file = {};
  std::string hash = {};
  std::vector<SslCertificate> certificates = {};  // more of them
  // The certificate store: a folder with files .pem, .crt or .cer, such as THUMBPRINT.crt, and the
  // key in the same file or beside it in THUMBPRINT.key. Of a prefix, empty: the server's.
  std::string store = {};
  // For development: a certificate that is made on the spot, for this machine's own names and those
  // of the prefixes. Nobody trusts it; browsers warn. Behind all others. It is the same one until
  // the Server goes.
  bool self_signed = false;
  TlsVersion minimum_version = TlsVersion::tls12;
  ClientCertificates client_certificates = ClientCertificates::none;
  std::string client_ca_file = {};  // PEM: who may have issued them. Needed unless there are none

  friend bool operator==(const SslOptions&, const SslOptions&) = default;
};

struct BindingOptions {
  // Off: certificates come from ssl_options.store alone; files are not looked at.
  bool configure_ssl_certificate = true;
  // How often it is looked whether files of certificates, keys, authorities and OCSP answers have
  // changed; at most 24 h, 0: never. What has changed, and then stayed the same for one look, holds
  // for new connections; what cannot be used leaves the old one in force and is told to on_log.
  std::chrono::milliseconds watch_interval{5'000};

  friend bool operator==(const BindingOptions&, const BindingOptions&) = default;
};

}  // namespace sluice
