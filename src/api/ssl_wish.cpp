// api/ssl_wish.cpp - see ssl_wish.hpp.
//
// Layer: api. Thread: any.
#include "api/ssl_wish.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "tls/context.hpp"
#include "tls/store.hpp"

namespace sluice::api {
namespace {

Error bad(const std::string& setting, std::string_view why) {
  return {Errc::bad_setting, setting + " " + std::string(why)};
}

SslCertificate first_of(const SslOptions& options) {
  return {options.certificate_file, options.private_key_file, options.ocsp_file, options.hash};
}

// All that `options` names, first to last.
std::vector<CertificateWish> named_by(const SslOptions& options, const std::string& owner,
                                      const std::string& store) {
  std::vector<CertificateWish> all;
  if (first_of(options) != SslCertificate()) all.push_back({first_of(options), store, owner});
  for (std::size_t i = 0; i < options.certificates.size(); ++i) {
    all.push_back(
        {options.certificates[i], store, owner + ".certificates[" + std::to_string(i) + "]"});
  }
  return all;
}

Result<void> check_one(const CertificateWish& one) {
  const SslCertificate& from = one.from;
  if (from.hash.empty()) {
    if (!from.certificate_file.empty()) return {};
    return bad(one.setting + ".certificate_file",
               "must name the file of a certificate, or hash one that is in the store");
  }
  if (!from.certificate_file.empty() || !from.private_key_file.empty()) {
    return bad(one.setting + ".hash",
               "and a certificate_file or private_key_file exclude each other: remove one of them");
  }
  if (auto digits = tls::thumbprint_of(from.hash); !digits) {
    return bad(one.setting + ".hash", "is no thumbprint: " + digits.error().detail);
  }
  if (one.store.empty()) {
    return bad(one.setting + ".hash", "needs ssl_options.store, the folder it is looked for in");
  }
  return {};
}

// `server`: whose store and authorities hold where `options` has none.
Result<void> check_options(const SslOptions& options, const std::string& owner,
                           const SslOptions& server) {
  const std::string& store = options.store.empty() ? server.store : options.store;
  if (options.certificates.size() > tls::kMostCertificates) {
    return bad(owner + ".certificates", "must be at most 1,024");
  }
  for (const CertificateWish& one : named_by(options, owner, store)) {
    if (auto good = check_one(one); !good) return good;
  }
  const bool asks = options.client_certificates != ClientCertificates::none;
  const bool server_asks = server.client_certificates != ClientCertificates::none;
  if (asks && options.client_ca_file.empty() && server.client_ca_file.empty()) {
    return bad(owner + ".client_ca_file",
               "must name a file that says who may have issued certificates of clients");
  }
  // Whoever names them believes that clients are verified.
  if (!asks && !server_asks && !options.client_ca_file.empty()) {
    return bad(owner + ".client_certificates",
               "is none though client_ca_file is set: write optional or required, or remove it");
  }
  return {};
}

std::string address_text(std::string_view octets) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = octets.size() == 4 ? AF_INET : AF_INET6;
  return ::inet_ntop(family, octets.data(), text.data(), text.size()) ? text.data() : "";
}

// What a client calls the host of a prefix; empty where it may be any.
std::string name_of(const core::UrlPrefix& url) {
  switch (url.kind) {
    case core::UrlHost::name:
      return url.host;
    case core::UrlHost::subdomains:
      return "*." + url.host;
    case core::UrlHost::address:
      return address_text(url.host);
    case core::UrlHost::strong:
    case core::UrlHost::weak:
      break;
  }
  return {};
}

bool is_https(const Prefix& prefix) { return prefix.url.scheme == core::UrlScheme::https; }

class Wisher {
 public:
  Wisher(const Settings& settings, std::span<const Prefix> prefixes)
      : settings_(settings), prefixes_(prefixes) {}

  Result<SslWish> all() {
    bool uses_server = false;
    for (std::size_t i = 0; i < prefixes_.size(); ++i) {
      if (!is_https(prefixes_[i])) {
        if (prefixes_[i].ssl != SslOptions()) {
          wish_.warnings.push_back("bindings[" + std::to_string(i) + "] " + prefixes_[i].text() +
                                   " is not https: its ssl_options are not used");
        }
        continue;
      }
      Result<PortWish> one = of(i);
      if (!one) return one.error();
      uses_server = true;
      if (auto joined = join(std::move(*one)); !joined) return joined.error();
      const std::string name = name_of(prefixes_[i].url);
      if (!name.empty()) wish_.names.push_back(name);
    }
    if (!uses_server && settings_.ssl_options != SslOptions()) {
      wish_.warnings.emplace_back(
          "ssl_options are set but no prefix is https: they are not used (bindings.add(\"https://"
          "localhost:8443/\"))");
    }
    return std::move(wish_);
  }

 private:
  Result<PortWish> of(std::size_t index) {
    const SslOptions &own = prefixes_[index].ssl, &server = settings_.ssl_options;
    const std::string owner = "bindings[" + std::to_string(index) + "]";
    const std::string& store = own.store.empty() ? server.store : own.store;
    PortWish wish;
    wish.prefixes = {index};
    wish.certificates = named_by(own, owner + ".ssl_options", store);
    wish.self_signed = own.self_signed;
    if (wish.certificates.empty() && !wish.self_signed) {
      wish.certificates = named_by(server, "ssl_options", server.store);
      wish.self_signed = server.self_signed;
    }
    if (!settings_.binding_options.configure_ssl_certificate) take_files_out(wish);
    if (wish.certificates.empty() && !wish.self_signed) return no_certificate(owner, index);
    wish.minimum_version = std::max(own.minimum_version, server.minimum_version);
    wish.http2 = settings_.options.http2;
    wish.client_certificates = std::max(own.client_certificates, server.client_certificates);
    if (wish.client_certificates != ClientCertificates::none) {
      const bool is_own = !own.client_ca_file.empty();
      wish.client_ca_file = is_own ? own.client_ca_file : server.client_ca_file;
      wish.client_setting = (is_own ? owner + ".ssl_options" : "ssl_options") + ".client_ca_file";
    }
    return wish;
  }

  void take_files_out(PortWish& wish) {
    const auto before = wish.certificates.size();
    std::erase_if(wish.certificates, [](const auto& one) { return one.from.hash.empty(); });
    const bool had_files = wish.certificates.size() < before || wish.self_signed;
    wish.self_signed = false;
    if (!had_files || told_files_) return;
    told_files_ = true;
    wish_.warnings.emplace_back(
        "binding_options.configure_ssl_certificate is false: files of certificates are not used, "
        "only what ssl_options.hash finds in the store");
  }

  Error no_certificate(const std::string& owner, std::size_t index) const {
    const std::string front = owner + ": \"" + prefixes_[index].text() + "\" has no certificate; ";
    if (!settings_.binding_options.configure_ssl_certificate) {
      return {Errc::bad_setting,
              front +
                  "binding_options.configure_ssl_certificate is false, so it must be in the store: "
                  "set ssl_options.store and ssl_options.hash"};
    }
    return {Errc::bad_setting,
            front +
                "set ssl_options.certificate_file and ssl_options.private_key_file, or, for "
                "development, ssl_options.self_signed"};
  }

  // To the others of its port.
  Result<void> join(PortWish&& wish) {
    const std::uint16_t port = prefixes_[wish.prefixes.front()].url.port;
    const auto same = std::find_if(wish_.ports.begin(), wish_.ports.end(), [&](const auto& other) {
      return port != 0 && prefixes_[other.prefixes.front()].url.port == port;
    });
    if (same == wish_.ports.end()) {
      wish_.ports.push_back(std::move(wish));
      return {};
    }
    const char* differs = same->minimum_version != wish.minimum_version ? "minimum_version"
                          : same->client_certificates != wish.client_certificates
                              ? "client_certificates"
                          : same->client_ca_file != wish.client_ca_file ? "client_ca_file"
                                                                        : nullptr;
    if (differs != nullptr) {
      const std::size_t index = wish.prefixes.front();
      return Error(Errc::bad_setting,
                   "bindings[" + std::to_string(index) + "]: \"" + prefixes_[index].text() +
                       "\" has another ssl_options." + differs + " than bindings[" +
                       std::to_string(same->prefixes.front()) +
                       "], on the same port; make them the same, or choose another port");
    }
    same->prefixes.push_back(wish.prefixes.front());
    same->self_signed = same->self_signed || wish.self_signed;
    for (CertificateWish& one : wish.certificates) {
      const bool is_there = std::find(same->certificates.begin(), same->certificates.end(), one) !=
                            same->certificates.end();
      if (!is_there) same->certificates.push_back(std::move(one));
    }
    return {};
  }

  const Settings& settings_;
  const std::span<const Prefix> prefixes_;
  SslWish wish_;
  bool told_files_ = false;
};

}  // namespace

Result<void> check_thumbprint(std::string_view text) {
  if (auto digits = tls::thumbprint_of(text); !digits) return digits.error();
  return {};
}

Result<void> check_ssl(const Settings& settings) {
  const SslOptions& server = settings.ssl_options;
  if (auto good = check_options(server, "ssl_options", server); !good) return good;
  const std::vector<Binding>& bindings = settings.bindings.list();
  for (std::size_t i = 0; i < bindings.size(); ++i) {
    const std::string owner = "bindings[" + std::to_string(i) + "].ssl_options";
    if (auto good = check_options(bindings[i].options.ssl_options, owner, server); !good) {
      return good;
    }
  }
  const auto interval = settings.binding_options.watch_interval;
  if (interval.count() < 0 || interval > kLongestWatch) {
    return bad("binding_options.watch_interval", "must be from 0 to 24 hours");
  }
  return {};
}

Result<SslWish> ssl_wish(const Settings& settings, std::span<const Prefix> prefixes) {
  return Wisher(settings, prefixes).all();
}

Result<void> check_bindings(const Settings& settings) {
  std::vector<Prefix> prefixes;
  for (const Binding& binding : settings.bindings.list()) {
    Result<Prefix> prefix = parse_prefix(binding);
    if (!prefix) return {};  // told elsewhere, and numbers would be wrong
    prefixes.push_back(std::move(*prefix));
  }
  if (auto wish = ssl_wish(settings, prefixes); !wish) return wish.error();
  return {};
}

}  // namespace sluice::api
