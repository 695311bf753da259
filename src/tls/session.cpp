// tls/session.cpp - see session.hpp; by libssl.
//
// RFC 8446, RFC 5246. libssl reads through a BIO that stands on the caller's bytes, and takes no
// more of them than the record that it works on. Layer: tls. Thread: shard.
#include "tls/session.hpp"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>

#include "base/check.hpp"
#include "tls/context_parts.hpp"
#include "tls/libcrypto.hpp"

namespace sluice::tls {
namespace {

constexpr std::string_view kWords[] = {
    "none",
    "http_request",
    "not_tls",
    "hello_too_large",
    "no_common_version",
    "no_common_cipher",
    "no_common_protocol",
    "certificate_missing",
    "certificate_refused",
    "peer_refused",
    "bad_record",
    "truncated",
    "out_of_memory",
    "broken",
};
static_assert(std::size(kWords) == static_cast<std::size_t>(Reason::broken) + 1);

Reason reason_of(int libssl) {
  if (libssl >= SSL_AD_REASON_OFFSET) return Reason::peer_refused;
  switch (libssl) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_HTTP_REQUEST:
      return Reason::not_tls;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_INAPPROPRIATE_FALLBACK:
      return Reason::no_common_version;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
      return Reason::no_common_cipher;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return Reason::no_common_protocol;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return Reason::certificate_missing;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return Reason::certificate_refused;
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_DATA_LENGTH_TOO_LONG:
    case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_LENGTH_TOO_LONG:
    case SSL_R_LENGTH_TOO_SHORT:
    case SSL_R_UNEXPECTED_RECORD:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_RECORD_TOO_SMALL:
      return Reason::bad_record;
    default:
      return Reason::broken;
  }
}

bool is_address(const std::string& text) {
  std::array<unsigned char, 16> bytes;
  return ::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

// Says whom the certificate must be for. False: that can be nobody, or memory is out.
bool expect_host(SSL* ssl, const std::string& host) {
  if (is_address(host)) {
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  }
  const HostName name(host);
  if (!name.is_valid() || name.is_wildcard()) return false;
  const std::string text(name.view());
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, text.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, text.c_str()) == 1;
}

}  // namespace

std::string_view word(Reason reason) { return kWords[static_cast<std::size_t>(reason)]; }

// --- the BIO -------------------------------------------------------------------------------------

const bio_method_st* Session::method() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sluice");
    SLUICE_CHECK(made != nullptr);
    BIO_meth_set_read_ex(made, bio_read);
    BIO_meth_set_write_ex(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return kMethod;
}

int Session::bio_read(bio_st* bio, char* to, std::size_t size, std::size_t* done) {
  auto& self = *static_cast<Session*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t here = std::min(size, self.in_.size());
  if (here == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  const bool in_clear = SSL_version(self.ssl_) == TLS1_3_VERSION;
  if (!self.framing_.pass(self.in_.first(here), in_clear) && self.context_->parts().is_server) {
    self.hello_too_large_ = true;
    return 0;
  }
  std::memcpy(to, self.in_.data(), here);
  self.in_ = self.in_.subspan(here);
  *done = here;
  return 1;
}

int Session::bio_write(bio_st* bio, const char* from, std::size_t size, std::size_t* done) {
  auto& self = *static_cast<Session*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.no_memory_ || !self.out_->put({reinterpret_cast<const std::byte*>(from), size})) {
    self.no_memory_ = true;
    return 0;
  }
  *done = size;
  return 1;
}

long Session::bio_control(bio_st*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// The caller's bytes, for as long as a call lasts. What libssl said before is forgotten.
struct Session::Call {
  Call(Session& session, std::span<std::byte> in, Out& out) : session_(session) {
    session.in_ = in;
    session.out_ = &out;
    ERR_clear_error();
  }
  ~Call() {
    session_.in_ = {};
    session_.out_ = nullptr;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  Session& session_;
};

// --- making --------------------------------------------------------------------------------------

Result<std::unique_ptr<Session>> Session::make(std::shared_ptr<const Context> context) {
  SSL_CTX* from = context->parts().contexts.front().get();
  std::unique_ptr<Session> made(new (std::nothrow) Session(std::move(context)));
  if (!made) return Errc::out_of_memory;
  const Quietly quietly;
  made->ssl_ = SSL_new(from);
  BIO* bio = made->ssl_ != nullptr ? BIO_new(method()) : nullptr;
  if (bio == nullptr) return Errc::out_of_memory;
  BIO_set_data(bio, made.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(made->ssl_, bio, bio);
  // For the callbacks of context.cpp.
  if (SSL_set_app_data(made->ssl_, const_cast<Context::Parts*>(&made->context_->parts())) != 1) {
    return Errc::out_of_memory;
  }
  return made;
}

Result<std::unique_ptr<Session>> Session::accept(std::shared_ptr<const Context> context) {
  SLUICE_CHECK(context->parts().is_server);
  Result<std::unique_ptr<Session>> made = make(std::move(context));
  if (made) SSL_set_accept_state((*made)->ssl_);
  return made;
}

Result<std::unique_ptr<Session>> Session::connect(std::shared_ptr<const Context> context,
                                                  const std::string& host) {
  SLUICE_CHECK(!context->parts().is_server);
  Result<std::unique_ptr<Session>> made = make(std::move(context));
  if (!made) return made;
  const Quietly quietly;
  SSL_set_connect_state((*made)->ssl_);
  if (!expect_host((*made)->ssl_, host)) {
    return Error{Errc::invalid_argument, "'" + host + "' is neither a host name nor an address"};
  }
  return made;
}

Session::~Session() { SSL_free(ssl_); }

// --- the way it goes -----------------------------------------------------------------------------

void Session::begin(Out& out) {
  if (context_->parts().is_server || phase_ != Phase::handshake || started_) return;
  started_ = true;
  const Call call(*this, {}, out);
  shake_hands();
}

bool Session::shake_hands() {
  const int verdict = SSL_do_handshake(ssl_);
  if (verdict == 1) {
    phase_ = Phase::open;
    return true;
  }
  judge(verdict);
  return false;
}

bool Session::needs_room() const {
  return phase_ == Phase::open && (framing_.is_inside() || SSL_pending(ssl_) > 0);
}

std::span<std::byte> Session::receive(std::span<std::byte>& cipher, std::span<std::byte> room,
                                      Out& out) {
  if (phase_ == Phase::failed) return {};
  if (peer_closed_) {
    cipher = {};
    return {};
  }
  if (!started_ && context_->parts().is_server && !cipher.empty()) {
    started_ = true;
    // All methods of HTTP begin with a letter; records begin with a type, 20 to 24.
    const char first = static_cast<char>(cipher.front());
    no_record_ = first != SSL3_RT_HANDSHAKE;
    if (first >= 'A' && first <= 'Z') {
      fail(Reason::http_request, "a request in clear on a port for TLS");
      return {};
    }
  }
  const bool in_place = room.empty();
  if (in_place && needs_room()) {
    fail(Reason::out_of_memory, "no room for a record that came in parts");
    return {};
  }
  const std::span<std::byte> to = in_place ? cipher : room;
  std::size_t made = 0;
  const Call call(*this, cipher, out);
  if (phase_ == Phase::open || shake_hands()) {
    while (made < to.size()) {
      std::size_t got = 0;
      // In place: of what libssl has taken, which is always more than what it gives.
      const int verdict = SSL_read_ex(ssl_, to.data() + made, to.size() - made, &got);
      if (verdict != 1) {
        judge(verdict);
        break;
      }
      made += got;
    }
  }
  cipher = peer_closed_ ? std::span<std::byte>() : in_;
  return to.first(made);
}

bool Session::send(std::span<const Bytes> parts, base::Instant now, Out& out) {
  SLUICE_CHECK(!closed_);
  if (phase_ != Phase::open) return false;
  if (last_sent_ == base::Instant::min() || now - last_sent_ >= kPause) {
    small_left_ = kSmallRecords;
  }
  last_sent_ = now;
  const Call call(*this, {}, out);
  std::size_t used = 0;  // of the first part
  while (!parts.empty()) {
    const Bytes here = parts.front().subspan(used);
    const std::size_t size = small_left_ != 0 ? kSmallRecord : kRecordBytes;
    if (here.empty()) {
      parts = parts.subspan(1);
      used = 0;
    } else if (here.size() >= size || parts.size() == 1) {
      // Whole records of one part go together: libssl keeps its buffer between them.
      const std::size_t whole = small_left_ != 0    ? std::min(here.size(), size)
                                : parts.size() == 1 ? here.size()
                                                    : here.size() / size * size;
      if (!seal(here.first(whole))) return false;
      used += whole;
    } else if (!seal_gathered(parts, used, size)) {
      return false;
    }
  }
  return true;
}

// One record of several parts: a head and a small body, many small frames.
bool Session::seal_gathered(std::span<const Bytes>& parts, std::size_t& used, std::size_t size) {
  std::array<std::byte, kRecordBytes> record;
  std::size_t have = 0;
  while (!parts.empty() && have < size) {
    const Bytes here = parts.front().subspan(used);
    const std::size_t taken = std::min(here.size(), size - have);
    std::copy_n(here.begin(), taken, record.begin() + static_cast<std::ptrdiff_t>(have));
    have += taken;
    used += taken;
    if (taken == here.size()) {
      parts = parts.subspan(1);
      used = 0;
    }
  }
  return have == 0 || seal(Bytes(record).first(have));
}

bool Session::seal(Bytes plain) {
  const std::size_t records = (plain.size() + kRecordBytes - 1) / kRecordBytes;
  if (sealed_ + records > context_->parts().records_per_key && is_key_worn()) return false;
  sealed_ += static_cast<std::uint32_t>(records);
  if (small_left_ != 0) --small_left_;
  std::size_t done = 0;
  const int verdict = SSL_write_ex(ssl_, plain.data(), plain.size(), &done);
  if (verdict == 1) return true;
  judge(verdict);
  return false;
}

// A new key in front of the next record; TLS 1.2 has no such thing, and counts on. True: it failed.
bool Session::is_key_worn() {
  sealed_ = 0;
  if (SSL_version(ssl_) != TLS1_3_VERSION) return false;
  if (SSL_key_update(ssl_, SSL_KEY_UPDATE_NOT_REQUESTED) == 1) return false;
  judge(0);
  return true;
}

void Session::close(Out& out) {
  if (phase_ != Phase::open || closed_) return;
  closed_ = true;
  const Call call(*this, {}, out);
  const int verdict = SSL_shutdown(ssl_);
  if (verdict < 0) judge(verdict);
}

void Session::end_of_input() {
  if (phase_ == Phase::failed || peer_closed_) return;
  fail(Reason::truncated, phase_ == Phase::open ? "the stream ended without close_notify"
                                                : "the stream ended inside the handshake");
}

// --- failures ------------------------------------------------------------------------------------

void Session::judge(int verdict) {
  const int what = SSL_get_error(ssl_, verdict);
  if (no_memory_) return fail(Reason::out_of_memory, "no room for what has to be sent");
  if (hello_too_large_) {
    return fail(Reason::hello_too_large, "a ClientHello of more than 16384 bytes");
  }
  if (what == SSL_ERROR_WANT_READ) return;
  if (what == SSL_ERROR_ZERO_RETURN) {
    peer_closed_ = true;
    return;
  }
  int reason = 0;
  const char* said = nullptr;
  for (unsigned long error = ERR_get_error(); error != 0; error = ERR_get_error()) {
    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
      ERR_clear_error();
      return fail(Reason::out_of_memory, "libssl got no memory");
    }
    if (said == nullptr) said = ERR_reason_error_string(error);
    if (reason == 0 && ERR_GET_LIB(error) == ERR_LIB_SSL) {
      reason = ERR_GET_REASON(error);
      if (const char* words = ERR_reason_error_string(error)) said = words;
    }
  }
  const Reason found = no_record_ ? Reason::not_tls : reason_of(reason);
  if (found == Reason::peer_refused) {
    said = SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
  }
  if (found == Reason::certificate_refused) {
    said = X509_verify_cert_error_string(SSL_get_verify_result(ssl_));
  }
  fail(found, said != nullptr ? said : "the session cannot go on");
}

void Session::fail(Reason reason, std::string_view detail) noexcept {
  phase_ = Phase::failed;
  failure_.reason = reason;
  try {
    failure_.detail = detail;
  } catch (const std::bad_alloc&) {  // the reason has to do
  }
}

// --- what was agreed on --------------------------------------------------------------------------

std::string_view Session::version() const { return SSL_get_version(ssl_); }

std::string_view Session::cipher() const {
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_);
  return cipher != nullptr ? SSL_CIPHER_standard_name(cipher) : std::string_view();
}

std::string_view Session::protocol() const {
  const unsigned char* text = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &text, &size);
  return {reinterpret_cast<const char*>(text), size};
}

bool Session::is_resumed() const { return SSL_session_reused(ssl_) == 1; }

std::string_view Session::server_name() const {
  const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
  return name != nullptr ? name : std::string_view();
}

bool Session::has_peer_certificate() const { return SSL_get0_peer_certificate(ssl_) != nullptr; }

Result<PeerCertificate> Session::peer_certificate() const {
  const Quietly quietly;
  const X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return Error{Errc::not_found, "the peer showed no certificate"};
  return PeerCertificate{text_of(X509_get_subject_name(certificate)),
                         text_of(X509_get_issuer_name(certificate)),
                         fingerprint_of(*certificate, EVP_sha256())};
}

}  // namespace sluice::tls
