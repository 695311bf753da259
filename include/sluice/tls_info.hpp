// sluice/tls_info.hpp - what TLS has agreed on for a connection.
//
// Layer: public.
#pragma once

#include <string>

namespace sluice {

// Facts of one TLS connection, as they were at the end of its handshake (RFC 8446, RFC 5246).
struct TlsInfo {
  std::string version;      // "TLSv1.3", "TLSv1.2"
  std::string cipher;       // IANA's name: "TLS_AES_128_GCM_SHA256"
  std::string server_name;  // the name the client asked for (SNI), as it wrote it; empty: none
  std::string protocol;     // ALPN; empty: none was agreed on
  bool resumed = false;     // by a session ticket: no certificate was shown this time

  // Of the client's certificate, which has been verified; empty where it showed none.
  std::string client_subject;      // RFC 4514: "CN=device 7,O=Example"
  std::string client_issuer;       // RFC 4514
  std::string client_fingerprint;  // SHA-256, lower-case hexadecimal digits

  friend bool operator==(const TlsInfo&, const TlsInfo&) = default;
};

}  // namespace sluice
