// tls/context.cpp - see context.hpp; by libssl. The callbacks of a handshake are here.
//
// RFC 8446, 5246, 6066 (server_name, status_request), 7301 (ALPN), 5077 (tickets). Nothing that a
// callback calls throws. Layer: tls. Thread: any.
#include "tls/context.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <new>
#include <set>

#include "crypto/digest.hpp"
#include "tls/context_parts.hpp"
#include "tls/libcrypto.hpp"
#include "tls/session.hpp"

namespace sluice::tls {
namespace {

using Clock = std::chrono::system_clock;

// Mozilla's "intermediate" without DHE, which nobody needs any more and which costs a server more
// than a client. AES-128 is first: it is faster and strong enough; a client that puts ChaCha20
// first has no AES in its processor, and gets it.
constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:P-256:P-384:P-521";
constexpr int kSecurityLevel = 2;  // 112 bits: no SHA-1 signature, no RSA below 2048 bits
constexpr long kMostCertificateBytes = 32768;  // of a peer's Certificate message
constexpr int kMostChain = 8;
constexpr std::size_t kMostProtocols = 16;

Error refused(std::string why) { return {Errc::bad_setting, std::move(why)}; }

// --- callbacks -----------------------------------------------------------------------------------

// The name is read here because libssl forgets it where a session of TLS 1.2 is resumed. One that
// is malformed is not kept: libssl says so later.
int on_hello(SSL* ssl, int*, void*) {
  auto& asked = *static_cast<Context::Asked*>(SSL_get_app_data(ssl));
  const unsigned char* text = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &text, &size) != 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  // The size of the list, a type (0: host name), the size of the name (RFC 6066 section 3).
  constexpr std::size_t kBefore = 5;
  if (size <= kBefore || size - kBefore > TLSEXT_MAXLEN_host_name || text[2] != 0 ||
      (std::size_t{text[0]} << 8 | text[1]) != size - 2 ||
      (std::size_t{text[3]} << 8 | text[4]) != size - kBefore) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  const std::string_view name(reinterpret_cast<const char*>(text) + kBefore, size - kBefore);
  if (name.find('\0') != std::string_view::npos) return SSL_CLIENT_HELLO_SUCCESS;
  try {
    asked.server_name = name;
  } catch (const std::bad_alloc&) {
    asked.no_memory = true;
    return SSL_CLIENT_HELLO_ERROR;
  }
  return SSL_CLIENT_HELLO_SUCCESS;
}

int on_server_name(SSL* ssl, int*, void* argument) {
  const auto& parts = *static_cast<const Context::Parts*>(argument);
  const char* asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (asked == nullptr) return SSL_TLSEXT_ERR_NOACK;
  const std::size_t found = parts.names.find(asked);
  if (found == NameTable::kNone) return SSL_TLSEXT_ERR_NOACK;
  return SSL_set_SSL_CTX(ssl, parts.contexts[found].get()) != nullptr ? SSL_TLSEXT_ERR_OK
                                                                      : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int on_protocols(SSL*, const unsigned char** out, unsigned char* out_size,
                 const unsigned char* offered, unsigned offered_size, void* argument) {
  const std::string& ours = static_cast<const Context::Parts*>(argument)->protocols;
  unsigned char* chosen = nullptr;
  const int verdict =
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), offered, offered_size);
  *out = chosen;
  return verdict == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int on_status_request(SSL* ssl, void* argument) {
  const auto& parts = *static_cast<const Context::Parts*>(argument);
  const X509* chosen = SSL_get_certificate(ssl);
  for (const Staple& staple : parts.staples) {
    if (staple.about != chosen || staple.until <= Clock::now()) continue;
    void* copy = OPENSSL_memdup(staple.der.data(), staple.der.size());  // libssl frees it
    if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(staple.der.size()));
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

// What a ticket remembers besides the session: when its full handshake was, and the name asked for.
using Began = std::int64_t;  // seconds of the system's clock
constexpr std::size_t kMostRemembered = sizeof(Began) + TLSEXT_MAXLEN_host_name;

Began seconds_of(Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

int on_ticket_made(SSL* ssl, void*) {
  const auto& asked = *static_cast<const Context::Asked*>(SSL_get_app_data(ssl));
  SSL_SESSION* session = SSL_get_session(ssl);
  void* before = nullptr;
  std::size_t size = 0;
  // Of a resumed session it is there already: it does not begin anew.
  if (SSL_SESSION_get0_ticket_appdata(session, &before, &size) == 1 && size != 0) return 1;
  std::array<char, kMostRemembered> remembered;
  const Began began = seconds_of(asked.parts->clock());
  std::memcpy(remembered.data(), &began, sizeof began);
  asked.server_name.copy(remembered.data() + sizeof began, TLSEXT_MAXLEN_host_name);
  return SSL_SESSION_set1_ticket_appdata(session, remembered.data(),
                                         sizeof began + asked.server_name.size());
}

// Whether what the ticket says may still be taken for granted. libssl looks at the age of the last
// ticket only, which in TLS 1.3 each resumption makes anew, and at a client's certificate never.
bool is_still_good(const Context::Asked& asked, SSL_SESSION* session) {
  void* remembered = nullptr;
  std::size_t size = 0;
  Began began = 0;
  if (SSL_SESSION_get0_ticket_appdata(session, &remembered, &size) != 1 || size < sizeof began) {
    return false;
  }
  std::memcpy(&began, remembered, sizeof began);
  const std::string_view name(static_cast<const char*>(remembered) + sizeof began,
                              size - sizeof began);
  const Began now = seconds_of(asked.parts->clock());
  if (name != asked.server_name || now < began || now - began > asked.parts->ticket_seconds) {
    return false;
  }
  const X509* shown = SSL_SESSION_get0_peer(session);
  std::time_t until = now;
  return shown == nullptr || X509_cmp_time(X509_get0_notAfter(shown), &until) > 0;
}

SSL_TICKET_RETURN on_ticket_read(SSL* ssl, SSL_SESSION* session, const unsigned char*, std::size_t,
                                 SSL_TICKET_STATUS status, void*) {
  const bool renew = status == SSL_TICKET_SUCCESS_RENEW;
  if (!renew && status != SSL_TICKET_SUCCESS) return SSL_TICKET_RETURN_IGNORE_RENEW;
  const auto& asked = *static_cast<const Context::Asked*>(SSL_get_app_data(ssl));
  if (!is_still_good(asked, session)) return SSL_TICKET_RETURN_IGNORE_RENEW;
  return renew ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

int begin_cipher(const Context::Parts& parts, EVP_CIPHER_CTX* cipher, const TicketKey& key,
                 const unsigned char* iv, int seal) {
  return EVP_CipherInit_ex2(cipher, parts.ticket_cipher.get(),
                            reinterpret_cast<const unsigned char*>(key.cipher.data()), iv, seal,
                            nullptr);
}

int begin_mac(EVP_MAC_CTX* mac, TicketKey& key) {
  static char digest[] = "SHA256";
  const std::array<OSSL_PARAM, 3> params = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, params.data());
}

// 0: the ticket is of no use, and the handshake is a full one. 2: good, and a new one follows: the
// key is about to go, or the client uses each ticket once (RFC 8446 appendix C.4).
int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
              EVP_MAC_CTX* mac, int seal) {
  const Context::Parts& parts = *static_cast<const Context::Asked*>(SSL_get_app_data(ssl))->parts;
  TicketKey key;
  if (seal != 0) {
    key = parts.ticket_keys->current();
    std::copy_n(reinterpret_cast<const unsigned char*>(key.name.data()), key.name.size(), name);
    if (RAND_bytes(iv, 16) != 1) return -1;
    return begin_cipher(parts, cipher, key, iv, 1) == 1 && begin_mac(mac, key) == 1 ? 1 : -1;
  }
  const Bytes asked(reinterpret_cast<const std::byte*>(name), key.name.size());
  const TicketKeys::Match match = parts.ticket_keys->find(asked, key);
  if (match == TicketKeys::Match::none) return 0;
  if (begin_mac(mac, key) != 1 || begin_cipher(parts, cipher, key, iv, 0) != 1) return -1;
  return match == TicketKeys::Match::current && SSL_version(ssl) != TLS1_3_VERSION ? 1 : 2;
}

// --- making --------------------------------------------------------------------------------------

Result<std::string> wire_of(const std::vector<std::string>& protocols) {
  if (protocols.size() > kMostProtocols) return refused("there are more than 16 ALPN protocols");
  std::string wire;
  for (const std::string& one : protocols) {
    if (one.empty() || one.size() > 255) {
      return refused("an ALPN protocol has 1 to 255 bytes, not " + std::to_string(one.size()));
    }
    wire += static_cast<char>(one.size());
    wire += one;
  }
  return wire;
}

Result<SslContext> plain_context(const SSL_METHOD* method, Version minimum) {
  SslContext made(SSL_CTX_new(method));
  SSL_CTX* context = made.get();
  if (context == nullptr) return Errc::out_of_memory;
  SSL_CTX_set_security_level(context, kSecurityLevel);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // No buffer while nothing is under way; a chain is what the file says, never put together from
  // those who are trusted.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_max_cert_list(context, kMostCertificateBytes);
  SSL_CTX_set_verify_depth(context, kMostChain);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (SSL_CTX_set_min_proto_version(
          context, minimum == Version::tls13 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context, kCiphers12) != 1 ||
      SSL_CTX_set_ciphersuites(context, kCiphers13) != 1 ||
      SSL_CTX_set1_groups_list(context, kGroups) != 1) {
    return Error{Errc::unavailable, "this libssl lacks ciphers or curves of TLS 1.2 and 1.3"};
  }
  return made;
}

Result<void> add_certificate(SSL_CTX* context, const Certificate& certificate) {
  using Chain = std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)>;
  // The members stay the certificate's.
  const Chain chain(sk_X509_new_null(), [](STACK_OF(X509) * list) { sk_X509_free(list); });
  if (!chain) return Errc::out_of_memory;
  for (std::size_t i = 0; i < certificate.intermediates(); ++i) {
    if (sk_X509_push(chain.get(), certificate.intermediate(i)) == 0) return Errc::out_of_memory;
  }
  const Quietly quietly;
  if (SSL_CTX_use_cert_and_key(context, certificate.leaf(), certificate.key(), chain.get(), 1) !=
      1) {
    const char* why = ERR_reason_error_string(ERR_peek_last_error());
    return refused(certificate.facts().source +
                   " cannot be used: " + (why != nullptr ? why : "libssl refuses it"));
  }
  return {};
}

Result<void> trust_clients(SSL_CTX* context, ClientCertificate asks, const Trusted& trusted) {
  if (X509_STORE_up_ref(trusted.store.get()) != 1) return Errc::out_of_memory;
  SSL_CTX_set_cert_store(context, trusted.store.get());
  for (const Certificate509& one : trusted.certificates) {
    if (SSL_CTX_add_client_CA(context, one.get()) != 1) return Errc::out_of_memory;
  }
  SSL_CTX_set_verify(
      context,
      SSL_VERIFY_PEER | (asks == ClientCertificate::required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
      nullptr);
  return {};
}

// A ticket is good in contexts only that ask the same of clients and trust the same ones: what was
// not verified here is not taken over from elsewhere. And in those only that stand for the same
// names and addresses: a client that trusts one port's certificate has not seen another's.
std::array<std::byte, 32> resumption_scope(const ServerSettings& settings,
                                           const std::string& trusted) {
  std::set<std::string> names;
  for (const ServerCertificate& one : settings.certificates) {
    const CertificateFacts& facts = one.certificate.facts();
    names.insert(facts.names.begin(), facts.names.end());
    names.insert(facts.addresses.begin(), facts.addresses.end());
  }
  std::string scope = "sluice:" + std::to_string(int(settings.client_certificate)) + ":" + trusted;
  for (const std::string& name : names) scope += "\n" + name;
  return crypto::sha256(as_bytes(scope));
}

// Which certificates stand together: numbers of ServerSettings::certificates by KeyType.
using Combination = std::array<std::size_t, 3>;
constexpr Combination kNobody{NameTable::kNone, NameTable::kNone, NameTable::kNone};

class ServerMaker {
 public:
  ServerMaker(const ServerSettings& settings, Context::Parts& parts,
              std::vector<std::string>& warnings)
      : settings_(settings), parts_(parts), warnings_(warnings) {}

  Result<void> make() {
    if (settings_.certificates.empty()) return refused("a TLS port needs a certificate");
    if (settings_.certificates.size() > kMostCertificates) {
      return refused("there are more than 1024 certificates");
    }
    Result<std::string> wire = wire_of(settings_.protocols);
    if (!wire) return wire.error();
    parts_.protocols = std::move(*wire);
    if (Result<void> read = read_trusted(); !read) return read;
    if (Result<void> read = read_staples(); !read) return read;
    scope_ = resumption_scope(settings_, trusted_.fingerprints);
    return make_contexts();
  }

 private:
  Result<void> read_trusted() {
    if (settings_.client_certificate == ClientCertificate::none) return {};
    if (settings_.client_ca_file.empty()) {
      return refused("certificates of clients are asked for, but no file says who may issue them");
    }
    Result<Trusted> read = trusted_of(settings_.client_ca_file);
    if (!read) return read.error();
    trusted_ = std::move(*read);
    return {};
  }

  Result<void> read_staples() {
    for (const ServerCertificate& one : settings_.certificates) {
      if (one.ocsp_file.empty()) continue;
      Result<Staple> staple = staple_of(one.certificate, one.ocsp_file, warnings_);
      if (!staple) return staple.error();
      parts_.staples.push_back(std::move(*staple));
    }
    return {};
  }

  Result<void> make_contexts() {
    // Who is for which name.
    std::map<std::string, Combination, std::less<>> wanted;
    for (std::size_t i = 0; i < settings_.certificates.size(); ++i) {
      const CertificateFacts& facts = settings_.certificates[i].certificate.facts();
      if (facts.names.empty() && facts.addresses.empty()) {
        warnings_.push_back(facts.source +
                            " has no subjectAltName: clients will not accept it for any name");
      }
      for (const std::string& name : facts.names) {
        std::size_t& place =
            wanted.try_emplace(name, kNobody).first->second[std::size_t(facts.key_type)];
        if (place == i) continue;  // the name is in it twice
        if (place == NameTable::kNone) {
          place = i;
        } else {
          warnings_.push_back(facts.source + " is not used for " + name + ": " +
                              settings_.certificates[place].certificate.facts().source +
                              " comes before it");
        }
      }
    }
    if (Result<std::size_t> first = number_of(default_combination(wanted)); !first) {
      return first.error();
    }
    for (const auto& [name, combination] : wanted) {
      const Result<std::size_t> number = number_of(combination);
      if (!number) return number.error();
      parts_.names.entry(name) = *number;
    }
    return {};
  }

  // The first certificate, and those of other key types that are for its first name, too.
  Combination default_combination(
      const std::map<std::string, Combination, std::less<>>& wanted) const {
    const CertificateFacts& facts = settings_.certificates.front().certificate.facts();
    Combination combination = kNobody;
    if (!facts.names.empty()) combination = wanted.find(facts.names.front())->second;
    combination[std::size_t(facts.key_type)] = 0;
    return combination;
  }

  Result<std::size_t> number_of(const Combination& combination) {
    if (const auto known = numbers_.find(combination); known != numbers_.end()) {
      return known->second;
    }
    Result<SslContext> made = plain_context(TLS_server_method(), settings_.minimum);
    if (!made) return made.error();
    SSL_CTX* context = made->get();
    for (const std::size_t i : combination) {
      if (i == NameTable::kNone) continue;
      if (Result<void> added = add_certificate(context, settings_.certificates[i].certificate);
          !added) {
        return added.error();
      }
    }
    if (Result<void> set = set_callbacks(context); !set) return set.error();
    parts_.contexts.push_back(std::move(*made));
    return numbers_[combination] = parts_.contexts.size() - 1;
  }

  Result<void> set_callbacks(SSL_CTX* context) {
    SSL_CTX_set_client_hello_cb(context, on_hello, nullptr);
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(context, &parts_);
    if (!parts_.protocols.empty()) SSL_CTX_set_alpn_select_cb(context, on_protocols, &parts_);
    if (!parts_.staples.empty()) {
      SSL_CTX_set_tlsext_status_cb(context, on_status_request);
      SSL_CTX_set_tlsext_status_arg(context, &parts_);
    }
    SSL_CTX_set_max_early_data(context, 0);
    if (settings_.ticket_keys) {
      SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
      SSL_CTX_set_session_ticket_cb(context, on_ticket_made, on_ticket_read, nullptr);
      SSL_CTX_set_timeout(context, parts_.ticket_seconds);
    } else {
      SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
      SSL_CTX_set_num_tickets(context, 0);
    }
    if (SSL_CTX_set_session_id_context(context,
                                       reinterpret_cast<const unsigned char*>(scope_.data()),
                                       static_cast<unsigned>(scope_.size())) != 1) {
      return Errc::out_of_memory;
    }
    if (settings_.client_certificate == ClientCertificate::none) return {};
    return trust_clients(context, settings_.client_certificate, trusted_);
  }

  const ServerSettings& settings_;
  Context::Parts& parts_;
  std::vector<std::string>& warnings_;
  Trusted trusted_;
  std::array<std::byte, 32> scope_{};
  std::map<Combination, std::size_t> numbers_;
};

}  // namespace

void SslContextFree::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }
void CipherFree::operator()(evp_cipher_st* cipher) const { EVP_CIPHER_free(cipher); }

Context::Context() : parts_(std::make_unique<Parts>()) {}
Context::~Context() = default;

Result<std::shared_ptr<const Context>> Context::server(const ServerSettings& settings) try {
  const Quietly quietly;
  const std::shared_ptr<Context> made(new Context());
  Parts& parts = *made->parts_;
  parts.is_server = true;
  parts.verify_peer = settings.client_certificate != ClientCertificate::none;
  parts.records_per_key = settings.records_per_key;
  parts.ticket_keys = settings.ticket_keys;
  parts.clock = settings.clock;
  if (!Session::prepare()) return Errc::out_of_memory;
  if (settings.ticket_keys) {
    parts.ticket_cipher.reset(EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr));
    if (!parts.ticket_cipher) return Errc::out_of_memory;
    // A ticket needs no more than its key's life.
    const auto period =
        std::chrono::duration_cast<std::chrono::seconds>(settings.ticket_keys->period());
    parts.ticket_seconds = std::clamp<long>(period.count(), 1, 86400);
  }
  for (const ServerCertificate& one : settings.certificates) {
    const CertificateFacts& facts = one.certificate.facts();
    parts.certificates.push_back(one.certificate);
    made->facts_.push_back(facts);
    made->expires_ = std::min(made->expires_, facts.not_after);
    const std::vector<std::string>& warnings = one.certificate.warnings();
    made->warnings_.insert(made->warnings_.end(), warnings.begin(), warnings.end());
  }
  if (Result<void> done = ServerMaker(settings, parts, made->warnings_).make(); !done) {
    return done.error();
  }
  return std::shared_ptr<const Context>(made);
} catch (const std::bad_alloc&) {
  return Errc::out_of_memory;
}

Result<std::shared_ptr<const Context>> Context::client(const ClientSettings& settings) try {
  const Quietly quietly;
  const std::shared_ptr<Context> made(new Context());
  Parts& parts = *made->parts_;
  parts.verify_peer = settings.verify_peer;
  if (!Session::prepare()) return Errc::out_of_memory;
  parts.records_per_key = settings.records_per_key;
  Result<SslContext> plain = plain_context(TLS_client_method(), settings.minimum);
  if (!plain) return plain.error();
  SSL_CTX* context = plain->get();
  SSL_CTX_set_verify(context, settings.verify_peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (!settings.verify_peer) {
    made->warnings_.emplace_back("the certificates of other servers are not verified");
  } else {
    const Result<Trusted> trusted =
        settings.ca_file.empty() ? trusted_by_system() : trusted_of(settings.ca_file);
    if (!trusted) return trusted.error();
    if (X509_STORE_up_ref(trusted->store.get()) != 1) return Errc::out_of_memory;
    SSL_CTX_set_cert_store(context, trusted->store.get());
  }
  if (settings.certificate) {
    parts.certificates.push_back(*settings.certificate);
    if (Result<void> added = add_certificate(context, *settings.certificate); !added) {
      return added.error();
    }
  }
  const Result<std::string> wire = wire_of(settings.protocols);
  if (!wire) return wire.error();
  if (!wire->empty() &&
      SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(wire->data()),
                              static_cast<unsigned>(wire->size())) != 0) {  // 0 is success here
    return Errc::out_of_memory;
  }
  parts.contexts.push_back(std::move(*plain));
  return std::shared_ptr<const Context>(made);
} catch (const std::bad_alloc&) {
  return Errc::out_of_memory;
}

}  // namespace sluice::tls
