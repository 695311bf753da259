// api/ssl_wish.hpp - what settings want of TLS: what may not be, and what each https port needs.
//
// Looks at no file. Layer: api. Thread: any.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/result.hpp>
#include <sluice/server.hpp>
#include <sluice/ssl_options.hpp>

#include "api/listen.hpp"

namespace sluice::api {

inline constexpr std::chrono::milliseconds kLongestWatch = std::chrono::hours(24);

// One certificate, and what messages call the setting that names it.
struct CertificateWish {
  SslCertificate from;
  std::string store;    // of from.hash
  std::string setting;  // "ssl_options", "ssl_options.certificates[0]", "bindings[1].ssl_options"

  // The setting is not part of it.
  friend bool operator==(const CertificateWish& a, const CertificateWish& b) {
    return a.from == b.from && a.store == b.store;
  }
};

// What all https prefixes of one port want together.
struct PortWish {
  std::vector<std::size_t> prefixes;  // which: places in the list of all
  std::vector<CertificateWish> certificates;
  bool self_signed = false;
  TlsVersion minimum_version = TlsVersion::tls12;
  ClientCertificates client_certificates = ClientCertificates::none;
  std::string client_ca_file;
  std::string client_setting;  // that names client_ca_file
  bool http2 = true;           // is offered
};

struct SslWish {
  std::vector<PortWish> ports;
  // Of a certificate that is made for development: all hosts of https prefixes.
  std::vector<std::string> names;
  // What works, but cannot be meant.
  std::vector<std::string> warnings;
};

Result<void> check_thumbprint(std::string_view text);
// ssl_options and binding_options, and the ssl_options of prefixes, each by itself. Errors:
// bad_setting, beginning with the setting's name.
Result<void> check_ssl(const Settings& settings);
// The ports of `prefixes` that are https; with port 0 each is one of its own. Errors: bad_setting,
// beginning with `bindings[N]`: https without a certificate; prefixes of one port that ask
// different things of clients. Precondition: check_ssl() found nothing.
Result<SslWish> ssl_wish(const Settings& settings, std::span<const Prefix> prefixes);
// The same for what is listed, before anything is opened; prefixes that are wrong are left out.
Result<void> check_bindings(const Settings& settings);

}  // namespace sluice::api
